//! Starts the log for `adapter serve`, as log_config.toml and the environment want it.

use std::path::{Path, PathBuf};

use crate::config::{Config, Environment, LineFormat, LogConfig, locate_logs, read_file};
use crate::logging::{Log, LogReload};
use crate::model::Problems;

/// Sets levels, whatever is configured.
const LEVELS: &str = "RUST_LOG";

/// The running log, and what was said about it.
pub(super) struct Logs {
    pub warnings: Problems,
    file: Option<(PathBuf, String)>,
    config: LogConfig,
    log: Log,
    environment: Environment,
}

/// Starts it; `config` is the path of config.toml.
pub(super) fn start(
    config: Option<&Path>,
    format: Option<LineFormat>,
    environment: &Environment,
) -> Result<Logs, String> {
    let file = match locate_logs(config, environment) {
        None => None,
        Some((path, required)) if required || path.exists() => Some((path.clone(), read_file(&path)?)),
        Some((path, _)) => Some((path, String::new())),
    };
    let (name, text) = file.as_ref().map_or((String::new(), ""), |(path, text)| (path.display().to_string(), text));
    let (config, warnings) = LogConfig::read(&name, text, environment).map_err(|problems| super::lines(&problems))?;
    let levels = environment.get(LEVELS).filter(|levels| !levels.is_empty());
    let log = Log::start(&config, format, levels.map(String::as_str))?;
    Ok(Logs { warnings, file, config, log, environment: environment.clone() })
}

impl Logs {
    /// Has gateways log what log_config.toml says, and gives what is needed to follow it.
    pub(super) fn take_over(self, config: &mut Config) -> Option<LogReload> {
        config.gateway.wire_log = self.config.wire_log;
        let configured = config.gateway.access_log.clone();
        if let Some(access_log) = self.config.access_log {
            if configured.is_some() {
                tracing::warn!(
                    "[accessLogs] of log_config.toml counts, and [tollgate.accessLogs] of config.toml does not"
                );
            }
            config.gateway.access_log = access_log;
        }
        let (path, text) = self.file?;
        let environment = self.environment;
        Some(LogReload { path, text, environment, log: Some(self.log), access_log: configured })
    }
}
