//! What the gateway's configuration says about every project.

use std::collections::BTreeMap;

/// Defaults and caps that hold for every API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileOptions {
    /// Owner of an API that names none.
    pub organization: String,
    /// Environments and their default virtual host (`adapter.vhostMapping`).
    pub virtual_hosts: BTreeMap<String, String>,
    /// Cap of route timeouts in milliseconds (`router.upstream.timeouts.maxRouteTimeoutInSeconds`).
    pub max_timeout_ms: u32,
    /// Cap of retries (`router.upstream.retry.maxRetryCount`).
    pub max_retries: u8,
    /// Status codes that cause a retry when an API names none (`router.upstream.retry.statusCodes`).
    pub retry_status_codes: Vec<u16>,
}

impl Default for CompileOptions {
    /// The defaults of Choreo Connect.
    fn default() -> Self {
        Self {
            organization: "carbon.super".to_owned(),
            virtual_hosts: BTreeMap::from([("Default".to_owned(), "localhost".to_owned())]),
            max_timeout_ms: 60_000,
            max_retries: 5,
            retry_status_codes: vec![504],
        }
    }
}

/// Environment a project without a deployment file is deployed to.
pub const DEFAULT_ENVIRONMENT: &str = "Default";
