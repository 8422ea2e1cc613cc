//! Events about requests.

use std::path::PathBuf;
use std::time::Duration;

/// How events come to be, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analytics {
    /// How long a gateway may keep what it has logged.
    pub flush: Duration,
    /// So many bytes of it are sent at once, however early.
    pub buffer_bytes: u32,
    /// Headers of requests that events tell of. Lower case, like those below.
    pub request_headers: Vec<String>,
    /// Headers of responses.
    pub response_headers: Vec<String>,
    /// Trailers of responses.
    pub response_trailers: Vec<String>,
    /// The file that events are written to; standard output when absent.
    pub file: Option<PathBuf>,
}
