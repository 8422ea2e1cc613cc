//! The command line: what can be asked of the adapter. Must hold no logic of its own.

mod config;
mod explain;
mod filters;
mod logs;
mod render;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use self::config::ConfigCommand;
use self::filters::PushCommand;
use self::render::RenderCommand;
use crate::admin::client;
use crate::config::{Config, Environment, LineFormat, Reader, admin, projects, read_file};
use crate::inputs::{folder, subscriptions};
use crate::model::Problems;
use crate::{bootstrap, certs, run};
use tollgate_project::{CompileOptions, compile};

/// Takes APIs, and feeds Envoy and its filters with them.
#[derive(Debug, Parser)]
#[command(name = "adapter", version)]
struct Cli {
    /// Form of the log; that of log_config.toml when absent.
    #[arg(long, value_enum, global = true)]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the adapter until it is told to stop. The environment variable RUST_LOG sets how much it logs.
    Serve {
        /// The configuration; the defaults count when none is given.
        #[arg(long, value_name = "config.toml")]
        config: Option<PathBuf>,
    },
    /// Checks an API project or a subscriptions file as the adapter would, and changes nothing.
    Validate {
        /// A project folder or a zip; or a subscriptions file, whose name ends in .yaml, .yml or .json.
        project: PathBuf,
        /// The configuration of the adapter it is meant for.
        #[arg(long, value_name = "config.toml")]
        config: Option<PathBuf>,
        /// Form of the report.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Shows what a running adapter serves, from where, and what gateways have acknowledged.
    Status {
        /// Address of its admin pages; that of the configuration when absent.
        #[arg(long, value_name = "host:port")]
        address: Option<String>,
        /// The configuration of that adapter.
        #[arg(long, value_name = "config.toml")]
        config: Option<PathBuf>,
        /// Form of the report.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Shows why a request is let through or refused: every stage, the facts it used, and the verdict.
    Explain(Box<explain::ExplainCommand>),
    /// Checks or shows a configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Prints manifests for Envoy, Istio or Kubernetes.
    #[command(after_help = variables())]
    Render(Box<RenderCommand>),
    /// Pushes the filter modules into a container registry, with the credentials of `docker login`.
    PushFilters(PushCommand),
    /// Makes an authority and certificates for adapter and gateways, for trying things out.
    Certificates {
        /// The folder; what is good in it already stays.
        folder: PathBuf,
        /// A further name or address by which gateways reach the adapter.
        #[arg(long = "name", value_name = "host")]
        names: Vec<String>,
    },
    /// Succeeds if the running adapter is well, or ready: for whoever watches over it.
    Probe {
        /// What to ask.
        #[arg(value_enum)]
        what: Probe,
        /// The configuration of that adapter.
        #[arg(long, value_name = "config.toml")]
        config: Option<PathBuf>,
    },
    /// Prints the bootstrap of a gateway; the environment fills it.
    #[command(after_help = variables())]
    Bootstrap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Probe {
    /// It runs.
    Health,
    /// It has read everything, and serves gateways.
    Ready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl From<LogFormat> for LineFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = environment();
    let outcome = match &cli.command {
        Command::Serve { config } => serve(config.as_deref(), cli.log_format, &environment),
        Command::Validate { project, config, output } => validate(project, config.as_deref(), *output, &environment),
        Command::Status { address, config, output } => {
            status(address.as_deref(), config.as_deref(), *output, &environment)
        }
        Command::Explain(command) => explain::run(command, &environment),
        Command::Config { command } => config::run(command, &environment),
        Command::Render(command) => command.run(&environment).and_then(|text| print(&text)),
        Command::PushFilters(command) => command.run(),
        Command::Certificates { folder, names } => certificates(folder, names),
        Command::Probe { what, config } => probe(*what, config.as_deref(), &environment),
        Command::Bootstrap => {
            bootstrap::render(&environment).map_err(|error| error.to_string()).and_then(|text| print(&text))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: Option<&Path>, format: Option<LogFormat>, environment: &Environment) -> Result<(), String> {
    let (file, text) = read_config(path)?;
    let (mut config, warnings) = Config::read(&file, &text, environment).map_err(|problems| lines(&problems))?;
    let logs = logs::start(path, format.map(Into::into), environment)?;
    for warning in warnings.iter().chain(&logs.warnings) {
        tracing::warn!(%warning, "configuration");
    }
    let reload = logs.take_over(&mut config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads ({error})"))?;
    runtime.block_on(run::serve(config, reload)).map_err(|error| error.to_string())
}

fn validate(project: &Path, config: Option<&Path>, output: Output, environment: &Environment) -> Result<(), String> {
    let options = match config {
        None => CompileOptions::default(),
        Some(_) => {
            let (file, text) = read_config(config)?;
            let mut reader = Reader::new(&file, &text, environment);
            let options = projects(&mut reader);
            if reader.problems.has_errors() {
                return Err(lines(&reader.problems));
            }
            options
        }
    };
    let is_document = project.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
    let checked = if is_document && !project.is_dir() {
        subscriptions::load(project).map(|document| document.warnings)
    } else {
        let files = folder::read(project, project);
        files.and_then(|files| compile(&files.without_top_folder(), &options)).map(|compiled| compiled.warnings)
    };
    let (valid, problems) = match checked {
        Ok(warnings) => (true, warnings),
        Err(problems) => (false, problems),
    };
    match output {
        Output::Json => {
            let report = serde_json::json!({ "valid": valid, "problems": problems });
            print(&format!("{report:#}\n"))?;
        }
        Output::Text => {
            print(&problems.iter().map(config::line).collect::<String>())?;
        }
    }
    if valid { Ok(()) } else { Err(format!("{} is not valid", project.display())) }
}

fn status(address: Option<&str>, config: Option<&Path>, output: Output, of: &Environment) -> Result<(), String> {
    let address = admin_address(address, config, of)?;
    let status = runtime()?.block_on(client::fetch(&address))?;
    match output {
        Output::Json => print(&format!("{status:#}\n")),
        Output::Text => print(&client::render(&status)),
    }
}

/// Where a running adapter answers.
fn admin_address(address: Option<&str>, config: Option<&Path>, of: &Environment) -> Result<String, String> {
    if let Some(address) = address {
        return Ok(address.to_owned());
    }
    let (file, text) = read_config(config)?;
    let mut reader = Reader::new(&file, &text, of);
    let address = admin(&mut reader);
    if reader.problems.has_errors() { Err(lines(&reader.problems)) } else { Ok(address.to_string()) }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start a thread ({error})"))
}

fn probe(what: Probe, config: Option<&Path>, environment: &Environment) -> Result<(), String> {
    let address = admin_address(None, config, environment)?;
    let path = match what {
        Probe::Health => "/health",
        Probe::Ready => "/ready",
    };
    runtime()?.block_on(client::probe(&address, path))
}

fn certificates(folder: &Path, names: &[String]) -> Result<(), String> {
    let made = certs::ensure_for(folder, names).map_err(|error| error.to_string())?;
    print(&format!("{}\n", made.ca.parent().unwrap_or(folder).display()))
}

fn read_config(config: Option<&Path>) -> Result<(String, String), String> {
    let Some(path) = config else { return Ok(("defaults".to_owned(), String::new())) };
    let text = read_file(path).map_err(|error| format!("{error}; name another configuration"))?;
    Ok((path.display().to_string(), text))
}

fn environment() -> Environment {
    // A variable that is not UTF-8 cannot be named by any setting.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot write the output ({error})"))
}

fn lines(problems: &Problems) -> String {
    problems.errors().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
}

fn variables() -> String {
    let line = |(name, default, what): &bootstrap::Variable| {
        let default = match default {
            bootstrap::Default::Value(value) => format!("default {value}"),
            bootstrap::Default::Of(other) => format!("default that of {other}"),
        };
        format!("  {name}: {what}; {default}\n")
    };
    format!("Environment:\n{}", bootstrap::VARIABLES.iter().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_sample_project_is_valid_and_an_empty_folder_is_not() {
        let none = Environment::new();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/projects/petstore");
        assert_eq!(validate(Path::new(sample), None, Output::Text, &none), Ok(()));
        let empty = tempfile::tempdir().unwrap();
        assert!(validate(empty.path(), None, Output::Json, &none).is_err());
        let subscriptions = empty.path().join("subscriptions.yaml");
        for (text, valid) in [("applications: [{name: A}]", true), ("applications: [{nam: A}]", false)] {
            std::fs::write(&subscriptions, text).unwrap();
            assert_eq!(validate(&subscriptions, None, Output::Text, &none).is_ok(), valid, "{text}");
        }
        assert!(validate(&empty.path().join("nowhere"), None, Output::Text, &none).is_err());
    }
}
