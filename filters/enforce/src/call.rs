//! A call to a service, as a value: whoever decides makes it, the host carries it out.

use std::fmt;

/// One HTTP request to a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Envoy cluster of the service.
    pub cluster: String,
    /// Host header.
    pub authority: String,
    /// HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Further headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body; may be empty.
    pub body: Vec<u8>,
    /// Milliseconds until it has failed.
    pub timeout_ms: u32,
    /// Most bytes of an answer; one with more has failed.
    pub max_answer: usize,
}

/// Headers and bodies hold what clients and services tell nobody else.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, method, path, .. } = self;
        f.debug_struct("Call")
            .field("cluster", cluster)
            .field("method", method)
            .field("path", path)
            .finish_non_exhaustive()
    }
}
