//! `adapter config`: checks a configuration, shows what counts, and prints the defaults. Must never print a secret.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Output, print, read_config};
use crate::config::keys::{CONFIG, LOGS, default_file};
use crate::config::{Config, Environment, Reader, Source};
use crate::model::{Problem, Problems, Severity};

/// What can be asked of a configuration.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Checks a configuration as a start would, and starts nothing.
    Check {
        /// The configuration; the defaults when none is given.
        #[arg(value_name = "config.toml")]
        file: Option<PathBuf>,
        /// Fails for warnings too.
        #[arg(long)]
        strict: bool,
        /// Form of the report.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Shows keys with the values that count and where they come from. Secrets are not shown.
    Show {
        /// Shows every key, also those that nothing configures.
        #[arg(long)]
        effective: bool,
        /// The configuration; the defaults when none is given.
        #[arg(value_name = "config.toml")]
        file: Option<PathBuf>,
        /// Form of the report.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Prints a configuration of all keys with their meanings and defaults.
    Default {
        /// Prints log_config.toml instead of config.toml.
        #[arg(long)]
        logs: bool,
    },
}

pub(super) fn run(command: &ConfigCommand, environment: &Environment) -> Result<(), String> {
    match command {
        ConfigCommand::Check { file, strict, output } => {
            let (name, text) = read_config(file.as_deref())?;
            let (valid, report) = check(&name, &text, environment, *strict, *output);
            print(&report)?;
            if valid { Ok(()) } else { Err(format!("{name} is not valid")) }
        }
        ConfigCommand::Show { file, output, effective } => {
            let (name, text) = read_config(file.as_deref())?;
            print(&show(&name, &text, environment, *effective, *output)?)
        }
        ConfigCommand::Default { logs } => print(&default_file(if *logs { &LOGS } else { &CONFIG })),
    }
}

/// Whether it is valid, and the report.
fn check(name: &str, text: &str, environment: &Environment, strict: bool, output: Output) -> (bool, String) {
    let problems = match Config::read(name, text, environment) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let valid = !problems.has_errors() && (!strict || problems.is_empty());
    let report = match output {
        Output::Json => format!("{:#}\n", serde_json::json!({ "valid": valid, "problems": problems })),
        Output::Text => problems.iter().map(line).collect(),
    };
    (valid, report)
}

/// One problem, as a line.
pub(super) fn line(problem: &Problem) -> String {
    let severity = match problem.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    format!("{severity}: {problem}\n")
}

fn show(name: &str, text: &str, environment: &Environment, effective: bool, output: Output) -> Result<String, String> {
    let mut reader = Reader::new(name, text, environment);
    // A file that cannot be read would look like one that says nothing.
    if reader.problems.has_errors() {
        return Err(all(&reader.problems));
    }
    let _ = Config::from_reader(&mut reader);
    let mut shown = reader.effective();
    shown.retain(|entry| effective || entry.source != Source::Default);
    Ok(match output {
        Output::Json => {
            let entries = shown.iter().map(|entry| {
                serde_json::json!({ "key": entry.key, "value": entry.value, "source": entry.source.to_string() })
            });
            format!("{:#}\n", serde_json::Value::from_iter(entries))
        }
        Output::Text => shown.iter().map(|one| format!("{} = {}    # {}\n", one.key, one.value, one.source)).collect(),
    })
}

fn all(problems: &Problems) -> String {
    problems.errors().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_check_reports_all_problems_with_their_lines() {
        let set = environment(&[("adapter_admin_pwd", "a"), ("enforcer_admin_pwd", "e")]);
        let text = "[router]\nlistenerPrt = 1\nlistenerPort = 'x'\n\n[adapter.server]\nport = 0\n";
        let (valid, report) = check("c.toml", text, &set, false, Output::Text);
        assert!(!valid);
        for part in [
            "error: c.toml:3#router.listenerPort: a whole number from 0 to 65535",
            "error: c.toml:6#adapter.server.port: this port cannot be switched off",
            "warning: c.toml:2#router.listenerPrt: this key is not known, and not used (fix: did you mean router.listenerPort?)",
        ] {
            assert!(report.contains(part), "{report} lacks {part}");
        }
        let (valid, report) = check("c.toml", text, &set, false, Output::Json);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!((valid, &report["valid"], report["problems"].as_array().unwrap().len()), (false, &false.into(), 3));
        assert_eq!(report["problems"][0]["line"], 6);
        assert!(check("c.toml", "x = 1", &set, false, Output::Text).0);
        assert!(!check("c.toml", "x = 1", &set, true, Output::Text).0);
        assert_eq!(check("c.toml", "", &set, true, Output::Text), (true, String::new()));
    }

    #[test]
    fn what_counts_is_shown_with_its_source_and_without_secrets() {
        let set = environment(&[
            ("CC_ROUTER_LISTENERPORT", "8080"),
            ("pw", "hush"),
            ("CC_ADAPTER_SERVER_USERS_1_PASSWORD", "hush"),
        ]);
        let text = "[[adapter.server.users]]\nusername = 'a'\npassword = '$env{pw}'\n[[adapter.server.users]]\npassword = 'hush'\n\
                    [adapter.sourceControl]\nrepository.URL = 'https://me:hush@git.example/a'\nrepository.accessToken = 'hush'\n";
        let shown = show("c", text, &set, true, Output::Text).unwrap();
        for part in [
            "router.listenerPort = \"8080\"    # $CC_ROUTER_LISTENERPORT",
            "router.securedListenerPort = 9095    # default",
            "adapter.server.users.0.username = \"a\"    # file, line 2",
            "adapter.server.users.0.password = \"$env{pw}\"",
            "adapter.server.users.1.password = \"***\"    # $CC_ADAPTER_SERVER_USERS_1_PASSWORD",
            "adapter.sourceControl.repository.URL = \"https://***@git.example/a\"",
        ] {
            assert!(shown.contains(part), "{shown} lacks {part}");
        }
        let json = show("c", text, &set, true, Output::Json).unwrap();
        assert!(!show("c", text, &set, false, Output::Text).unwrap().contains("# default"));
        assert!(!shown.contains("hush") && !json.contains("hush"), "{shown}");
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        assert!(show("c", "a = = 'hush'", &set, true, Output::Text).is_err_and(|text| !text.contains("hush")));
    }
}
