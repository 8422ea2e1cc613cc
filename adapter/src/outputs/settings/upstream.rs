//! What a gateway does with its connections to backends, whatever the API.

use std::time::Duration;

use super::TlsVersion;

/// TLS towards backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// File of trusted authorities, on the gateway's machine.
    pub trusted_certificates: String,
    /// Whether a backend's certificate must name the host.
    pub verify_host_name: bool,
    /// Whether a backend's certificate is checked at all.
    pub verify: bool,
    /// Lowest protocol version.
    pub minimum_version: TlsVersion,
    /// Highest protocol version.
    pub maximum_version: TlsVersion,
    /// Cipher suites up to TLS 1.2 in Envoy's terms; Envoy's own choice when there are none.
    pub ciphers: Vec<String>,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self {
            trusted_certificates: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
            verify_host_name: true,
            verify: true,
            minimum_version: TlsVersion::V1_2,
            maximum_version: TlsVersion::V1_3,
            ciphers: Vec::new(),
        }
    }
}

/// HTTP/2 towards backends that speak it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2 {
    /// Bytes of the table for header compression.
    pub header_table_bytes: u32,
    /// Most streams of a connection.
    pub max_concurrent_streams: u32,
}

impl Default for Http2 {
    fn default() -> Self {
        Self { header_table_bytes: 4096, max_concurrent_streams: 2_147_483_647 }
    }
}

/// How names of backends are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// How often.
    pub refresh: Duration,
    /// Whether the record's own time to live counts instead.
    pub respect_ttl: bool,
}

impl Default for Dns {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(5), respect_ttl: false }
    }
}

/// TCP health checks of clusters with several endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Wait for an answer.
    pub timeout: Duration,
    /// Between two checks.
    pub interval: Duration,
    /// Failures that take an endpoint out.
    pub unhealthy_threshold: u32,
    /// Successes that take it back.
    pub healthy_threshold: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            interval: Duration::from_secs(10),
            unhealthy_threshold: 2,
            healthy_threshold: 2,
        }
    }
}

/// When an endpoint of a cluster with several is left alone for a while, because of how it answers real requests.
///
/// What an application answers with 500 is its own affair; 502, 503, 504 and broken connections are what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierDetection {
    /// That many of these in a row, counted apart for answers and connections.
    pub consecutive_failures: u32,
    /// That many answers of any 5xx in a row; none when they do not count.
    pub consecutive_5xx: Option<u32>,
    /// Between two looks at who may come back.
    pub interval: Duration,
    /// How long the first time; longer each time again.
    pub base_ejection_time: Duration,
    /// Most endpoints that are left alone at a time.
    pub max_ejection_percent: u32,
}

impl Default for OutlierDetection {
    /// Envoy's own numbers, but for the share: of two endpoints, one may be left alone.
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            consecutive_5xx: None,
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_percent: 50,
        }
    }
}
