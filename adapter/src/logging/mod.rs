//! The adapter's own log: standard error, and a file that is rotated. Must never be given a secret to write.

mod file;
mod follow;

use std::io::IsTerminal as _;
use std::sync::Mutex;

use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{LineFormat, LogConfig};

pub use follow::LogReload;

/// The running log.
#[derive(Debug, Clone)]
pub struct Log {
    levels: reload::Handle<EnvFilter, Registry>,
    /// Whether the environment decides about levels.
    fixed: bool,
}

impl Log {
    /// Starts it. `format` and `levels` count instead of what the configuration says.
    ///
    /// # Errors
    /// When the file cannot be written, or there is a log already.
    pub fn start(config: &LogConfig, format: Option<LineFormat>, levels: Option<&str>) -> Result<Self, String> {
        let format = format.unwrap_or(config.format);
        let filter = filter(levels.unwrap_or(&config.levels))?;
        let (filter, handle) = reload::Layer::new(filter);
        let terminal = std::io::stderr().is_terminal();
        let console = fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
        let console = match format {
            LineFormat::Text => console.boxed(),
            LineFormat::Json => console.json().boxed(),
        };
        let file = match &config.file {
            None => None,
            Some(file) => {
                let layer = fmt::layer().with_writer(Mutex::new(file::open(file)?)).with_ansi(false);
                Some(match format {
                    LineFormat::Text => layer.boxed(),
                    LineFormat::Json => layer.json().boxed(),
                })
            }
        };
        let log = tracing_subscriber::registry().with(filter).with(console).with(file);
        log.try_init().map_err(|error| format!("the log cannot be started ({error})"))?;
        Ok(Self { levels: handle, fixed: levels.is_some() })
    }

    /// Says more or less from now on, unless the environment decides.
    ///
    /// # Errors
    /// When these are no levels.
    pub fn set_levels(&self, levels: &str) -> Result<(), String> {
        if self.fixed {
            return Ok(());
        }
        self.levels.reload(filter(levels)?).map_err(|error| format!("the levels cannot be changed ({error})"))
    }
}

fn filter(levels: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(levels).map_err(|error| format!("{levels:?} are no levels of the log ({error})"))
}
