//! What the gateway's configuration says about every project.

use std::collections::BTreeMap;

use tollgate_model::Cors;

use super::lambda::LambdaOptions;
use super::overrides::Overrides;

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
    /// Cross-origin rules of an API that brings none (`router.cors`); none when they are switched off.
    pub cors: Option<Cors>,
    /// How functions of AWS Lambda are called; none when they are not (`router.awsLambda`).
    pub lambda: Option<LambdaOptions>,
    /// Whether services of Consul are resolved (`adapter.consul`).
    pub consul: bool,
    /// How long an interceptor may take when nobody says so (`router.clusterTimeoutInSeconds`), in milliseconds.
    pub interceptor_timeout_ms: u32,
    /// Environment variables that replace backends.
    pub overrides: Overrides,
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
            cors: Some(default_cors()),
            lambda: None,
            consul: false,
            interceptor_timeout_ms: 20_000,
            overrides: Overrides::default(),
        }
    }
}

/// The cross-origin rules of Choreo Connect.
#[must_use]
pub fn default_cors() -> Cors {
    const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
    const HEADERS: [&str; 7] = [
        "authorization",
        "Access-Control-Allow-Origin",
        "Content-Type",
        "SOAPAction",
        "apikey",
        "testKey",
        "Internal-Key",
    ];
    Cors {
        allow_origins: vec!["*".to_owned()],
        allow_methods: METHODS.map(str::to_owned).into(),
        allow_headers: HEADERS.map(str::to_owned).into(),
        expose_headers: Vec::new(),
        allow_credentials: false,
    }
}

/// Environment a project without a deployment file is deployed to.
pub const DEFAULT_ENVIRONMENT: &str = "Default";
