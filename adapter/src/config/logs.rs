//! log_config.toml: how much the adapter says, and where, and what gateways log of requests.

use std::path::{Path, PathBuf};

use super::keys::LOGS;
use super::reader::{Environment, Reader};
use super::router::{access_log, wire_log};
use crate::model::Problems;
use crate::outputs::settings::{AccessLog, WireLog};

/// Names the file.
const VARIABLE: &str = "LOG_CONFIG_PATH";
/// Its name beside config.toml.
const NAME: &str = "log_config.toml";
/// The crate whose modules levels are for.
const OWN: &str = "tollgate_adapter";
/// Modules of it at the top, which may be named without it.
const MODULES: [&str; 9] = ["admin", "certs", "cli", "config", "inputs", "logging", "outputs", "run", "tls"];
const MEGABYTE: u32 = 1024 * 1024;

/// What log_config.toml says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// How much is said, by module.
    pub levels: String,
    /// What a line looks like.
    pub format: LineFormat,
    /// A file beside standard error.
    pub file: Option<LogFile>,
    /// What gateways log; outer none when the file does not say, inner none when it says that they do not.
    pub access_log: Option<Option<AccessLog>>,
    /// Whole messages that gateways log; none when they do not.
    pub wire_log: Option<WireLog>,
}

/// What a line of the adapter's log looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// A file that the log goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its path.
    pub path: PathBuf,
    /// Bytes from which a new one is begun.
    pub max_bytes: u32,
    /// How many older ones are kept.
    pub max_files: Option<usize>,
    /// Days that older ones are kept.
    pub max_days: Option<u32>,
    /// Whether older ones are compressed.
    pub compress: bool,
}

/// Where log_config.toml is, and whether it must be there.
#[must_use]
pub fn locate(config: Option<&Path>, environment: &Environment) -> Option<(PathBuf, bool)> {
    match environment.get(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Some((PathBuf::from(path), true)),
        None => Some((config?.with_file_name(NAME), false)),
    }
}

impl LogConfig {
    /// Reads a log_config.toml. The problems hold warnings in any case.
    ///
    /// # Errors
    /// All problems, at least one of them an error.
    pub fn read(file: &str, text: &str, environment: &Environment) -> Result<(Self, Problems), Problems> {
        let mut reader = Reader::of(&LOGS, file, text, environment);
        let config = Self::from_reader(&mut reader);
        let problems = reader.finish();
        if problems.has_errors() { Err(problems) } else { Ok((config, problems)) }
    }

    /// Reads everything. What is wrong is among the reader's problems, and then the result means nothing.
    #[must_use]
    pub fn from_reader(reader: &mut Reader<'_>) -> Self {
        reader.refuse_unsupported();
        let has_access_log = reader.has("accessLogs");
        let access_log = access_log::read(reader, "accessLogs");
        Self {
            levels: levels(reader),
            format: format(reader),
            file: log_file(reader),
            access_log: has_access_log.then_some(access_log),
            wire_log: wire_log::read(reader),
        }
    }
}

fn format(reader: &mut Reader<'_>) -> LineFormat {
    match reader.text("LogFormat").map(|text| text.to_uppercase()).as_deref() {
        None | Some("TEXT") => LineFormat::Text,
        Some("JSON") => LineFormat::Json,
        Some(_) => {
            reader.error("LogFormat", "a format is expected here", "write TEXT or JSON");
            LineFormat::Text
        }
    }
}

fn log_file(reader: &mut Reader<'_>) -> Option<LogFile> {
    let path = reader.path("logfile");
    let megabytes = reader.number("rotation.MaxSize", 1..=4095).unwrap_or(10);
    let files = reader.number("rotation.MaxBackups", 0..=10_000).unwrap_or(3);
    let days = reader.number("rotation.MaxAge", 0..=36_500).unwrap_or(2);
    let compress = reader.flag("rotation.Compress").unwrap_or(true);
    Some(LogFile {
        path: path?,
        max_bytes: megabytes.saturating_mul(MEGABYTE),
        max_files: usize::try_from(files).ok().filter(|files| *files > 0),
        max_days: Some(days).filter(|days| *days > 0),
        compress,
    })
}

/// All levels, as `tracing` has them: of what is not ours no more than what matters is of interest.
fn levels(reader: &mut Reader<'_>) -> String {
    let mut levels = match level(reader, "logLevel").unwrap_or("info") {
        detail @ ("debug" | "trace") => format!("info,{OWN}={detail}"),
        level => level.to_owned(),
    };
    for index in 0..reader.count("pkg") {
        let key = format!("pkg.{index}.name");
        let level = level(reader, &format!("pkg.{index}.logLevel"));
        let Some(name) = reader.text(&key) else {
            reader.error(&key, "the package has no name", "write for example name = \"outputs::xds\"");
            continue;
        };
        match (module(&name), level) {
            (Some(module), Some(level)) => {
                levels.push_str(&format!(",{module}={level}"));
            }
            (Some(_), None) => {
                if !reader.has(&format!("pkg.{index}.logLevel")) {
                    reader.error(&key, "the package has no level", "write for example logLevel = \"DEBG\"");
                }
            }
            (None, _) => {
                let fix = format!("write a path of a module that begins with one of {}", MODULES.join(", "));
                reader.warn(&key, "this names no module of the adapter, so it has no effect", &fix);
            }
        }
    }
    levels
}

fn module(name: &str) -> Option<String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if !name.split("::").all(is_word) {
        return None;
    }
    let first = name.split("::").next().unwrap_or_default();
    Some(if MODULES.contains(&first) { format!("{OWN}::{name}") } else { name.to_owned() })
}

fn level(reader: &mut Reader<'_>, key: &str) -> Option<&'static str> {
    let level = match reader.text(key)?.to_uppercase().as_str() {
        "TRAC" | "TRACE" => "trace",
        "DEBG" | "DEBUG" => "debug",
        "INFO" => "info",
        "WARN" | "WARNING" => "warn",
        "ERRO" | "ERROR" | "FATL" | "FATAL" | "PANC" | "PANIC" => "error",
        _ => {
            reader.error(key, "a level is expected here", "write DEBG, INFO, WARN or ERRO");
            return None;
        }
    };
    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::settings::LogFormat;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, usize), &str>) -> Option<LogConfig> {
        let none = Environment::new();
        match (LogConfig::read(NAME, text, &none), expected) {
            (Ok((config, warnings)), Ok((levels, warned))) => {
                assert_eq!((config.levels.as_str(), warnings.iter().count()), (levels, warned), "{text}: {warnings:?}");
                Some(config)
            }
            (Err(problems), Err(part)) => {
                let all: Vec<String> = problems.errors().map(ToString::to_string).collect();
                assert!(all.iter().any(|problem| problem.contains(part)), "{text}: {all:?} lacks {part}");
                None
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn levels_files_and_formats() {
        let none = check("", Ok(("info", 0))).unwrap();
        assert_eq!((none.format, none.file, none.access_log), (LineFormat::Text, None, None));
        check("logLevel = 'DEBG'", Ok(("info,tollgate_adapter=debug", 0)));
        check("logLevel = 'panc'\nlogfile = ''", Ok(("error", 0)));
        check(
            "[[pkg]]\nname = 'outputs::xds'\nlogLevel = 'DEBG'",
            Ok(("info,tollgate_adapter::outputs::xds=debug", 0)),
        );
        check("[[pkg]]\nname = 'h2'\nlogLevel = 'WARN'", Ok(("info,h2=warn", 0)));
        check("[[pkg]]\nname = 'github.com/wso2/x'\nlogLevel = 'DEBG'", Ok(("info", 1)));
        check("[[pkg]]\nname = 'h2'", Err("no level"));
        check("[[pkg]]\nlogLevel = 'INFO'", Err("no name"));
        check("logLevel = 'LOUD'", Err("a level is expected"));
        check("LogFormat = 'XML'", Err("TEXT or JSON"));
        check("lgLevel = 'INFO'", Ok(("info", 1)));
        check("[rotation]\nMaxSize = 0", Err("from 1 to 4095"));
        let own =
            check("logfile = 'a.log'\nLogFormat = 'json'\n[rotation]\nMaxAge = 0\nMaxBackups = 7", Ok(("info", 0)));
        let file = LogFile {
            path: "a.log".into(),
            max_bytes: 10 * MEGABYTE,
            max_files: Some(7),
            max_days: None,
            compress: true,
        };
        assert_eq!(own.map(|own| (own.format, own.file)), Some((LineFormat::Json, Some(file))));
    }

    #[test]
    fn access_logs_of_gateways() {
        assert_eq!(check("[accessLogs]\nenable = false", Ok(("info", 0))).unwrap().access_log, Some(None));
        let on = check("[accessLogs]\nenable = true\nformat = '%PROTOCOL%'", Ok(("info", 0))).unwrap();
        let log =
            AccessLog { file: "/tmp/envoy.access.log".into(), format: LogFormat::Text("%PROTOCOL%\n".to_owned()) };
        assert_eq!(on.access_log, Some(Some(log)));
        check("[accessLogs]\nenable = true\nformat = '100%'", Err("cannot read the format"));
    }

    #[test]
    fn wire_logs_of_gateways() {
        let headers = WireLog { headers: true, ..WireLog::default() };
        for (text, expected, warned) in [
            ("[wireLogs]\nenable = false\ninclude = ['Headers']", None, 0),
            ("[wireLogs]\nenable = true\ninclude = ['Headers']", Some(headers), 1),
            (
                "[wireLogs]\nenable = true\ninclude = ['Body', 'trailers']",
                Some(WireLog { headers: false, body: true, trailers: true }),
                1,
            ),
            ("[wireLogs]\nenable = true", None, 1),
        ] {
            assert_eq!(check(text, Ok(("info", warned))).unwrap().wire_log, expected, "{text}");
        }
        check("[wireLogs]\nenable = true\ninclude = ['Cookies']", Err("Headers, Body or Trailers"));
    }

    #[test]
    fn the_file_is_found() {
        let set = Environment::from([(VARIABLE.to_owned(), "/etc/l.toml".to_owned())]);
        let none = Environment::new();
        let beside = Some(("/conf/log_config.toml".into(), false));
        assert_eq!(locate(Some(Path::new("/conf/config.toml")), &none), beside);
        assert_eq!(locate(Some(Path::new("/conf/config.toml")), &set), Some(("/etc/l.toml".into(), true)));
        assert_eq!(locate(None, &none), None);
    }
}
