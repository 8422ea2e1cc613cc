//! `[router]`: what gateways are made of.

use std::time::Duration;

use tollgate_model::Cors;

use super::adapter::{KeyPairPaths, key_pair};
use super::reader::Reader;
use crate::inputs::project::{cors, default_cors, names};
use crate::outputs::settings::{Dns, HealthCheck, ListenerAddress, Retry, Timeouts, TlsVersion, UpstreamTls};

/// What gateways are made of, but for the module and development certificates.
#[derive(Debug, Clone)]
pub struct RouterConfig {
    /// Plain HTTP listener.
    pub http: Option<ListenerAddress>,
    /// HTTPS listener.
    pub https: Option<ListenerAddress>,
    /// Virtual host of the gateway's own pages.
    pub system_host: String,
    /// Whether the connection's address is the client's.
    pub use_remote_address: bool,
    /// Most bytes a listener buffers for a connection.
    pub connection_buffer_bytes: u32,
    /// The router's certificate.
    pub keystore: Option<KeyPairPaths>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Retries.
    pub retry: Retry,
    /// TLS towards backends.
    pub upstream_tls: UpstreamTls,
    /// How names of backends are resolved.
    pub dns: Dns,
    /// Health checks.
    pub health_check: HealthCheck,
}

pub(super) fn read(reader: &mut Reader<'_>) -> RouterConfig {
    let http = listener(reader, "router.listenerHost", "router.listenerPort", 9090);
    let https = listener(reader, "router.securedListenerHost", "router.securedListenerPort", 9095);
    if http.is_none() && https.is_none() {
        reader.error(
            "router.listenerPort",
            "both listeners are switched off",
            "set listenerPort or securedListenerPort",
        );
    }
    RouterConfig {
        http,
        https,
        system_host: system_host(reader),
        use_remote_address: reader.flag("router.useRemoteAddress").unwrap_or(false),
        connection_buffer_bytes: reader
            .number("router.perConnectionBufferLimitBytes", 1024..=1 << 30)
            .unwrap_or(1 << 20),
        keystore: key_pair(reader, "router.keystore.certPath", "router.keystore.keyPath"),
        timeouts: timeouts(reader),
        retry: Retry {
            base_interval: reader
                .number("router.upstream.retry.baseIntervalInMillis", 1..=60_000)
                .map_or(Retry::default().base_interval, |millis| Duration::from_millis(millis.into())),
            status_codes: retry_status_codes(reader).unwrap_or_else(|| Retry::default().status_codes),
        },
        upstream_tls: upstream_tls(reader),
        dns: dns(reader),
        health_check: health_check(reader),
    }
}

/// Status codes that cause a retry when an API names none.
pub(super) fn retry_status_codes(reader: &mut Reader<'_>) -> Option<Vec<u16>> {
    reader.numbers("router.upstream.retry.statusCodes", 401..=598).filter(|codes| !codes.is_empty())
}

/// Cross-origin rules of APIs that bring none.
pub(super) fn cors(reader: &mut Reader<'_>) -> Option<Cors> {
    let enabled = reader.flag("router.cors.enabled").unwrap_or(true);
    let defaults = default_cors();
    let mut texts = |key: &str, default: Vec<String>, check: fn(&str) -> Result<(), &'static str>| {
        let texts = reader.texts(key).unwrap_or(default);
        for text in &texts {
            if let Err(what) = check(text) {
                reader.error(key, &format!("{text:?} {what}"), "correct it");
            }
        }
        texts
    };
    let cors = Cors {
        allow_origins: texts("router.cors.allowOrigins", defaults.allow_origins, cors::origin),
        allow_methods: texts("router.cors.allowMethods", defaults.allow_methods, cors::token),
        allow_headers: texts("router.cors.allowHeaders", defaults.allow_headers, cors::token),
        expose_headers: texts("router.cors.exposeHeaders", defaults.expose_headers, cors::token),
        allow_credentials: reader.flag("router.cors.allowCredentials").unwrap_or(defaults.allow_credentials),
    };
    enabled.then_some(cors)
}

fn listener(reader: &mut Reader<'_>, host: &str, port: &str, default: u16) -> Option<ListenerAddress> {
    let address = super::host(reader, host, std::net::Ipv4Addr::UNSPECIFIED.into());
    let port = reader.port(port).unwrap_or(Some(default))?;
    Some(ListenerAddress { host: address.to_string(), port })
}

fn system_host(reader: &mut Reader<'_>) -> String {
    const KEY: &str = "router.systemHost";
    let Some(text) = reader.text(KEY) else { return "localhost".to_owned() };
    match names::virtual_host(&text) {
        Ok(host) => host,
        Err(what) => {
            reader.error(KEY, &format!("the host {what}"), "write a host name");
            text
        }
    }
}

fn timeouts(reader: &mut Reader<'_>) -> Timeouts {
    let defaults = Timeouts::default();
    let mut seconds = |key: &str, default: Duration| {
        reader.number(key, 0..=86_400).map_or(default, |seconds| Duration::from_secs(seconds.into()))
    };
    let timeouts = Timeouts {
        route: seconds("router.upstream.timeouts.routeTimeoutInSeconds", defaults.route),
        route_idle: seconds("router.upstream.timeouts.routeIdleTimeoutInSeconds", defaults.route_idle),
        connect: seconds("router.clusterTimeoutInSeconds", defaults.connect),
        request: seconds("router.connection.timeouts.requestTimeoutInSeconds", defaults.request),
        request_headers: seconds("router.connection.timeouts.requestHeadersTimeoutInSeconds", defaults.request_headers),
        stream_idle: seconds("router.connection.timeouts.streamIdleTimeoutInSeconds", defaults.stream_idle),
        connection_idle: seconds("router.connection.timeouts.idleTimeoutInSeconds", defaults.connection_idle),
    };
    if timeouts.connect.is_zero() {
        reader.error("router.clusterTimeoutInSeconds", "a connection needs some time", "write at least 1");
    }
    timeouts
}

fn upstream_tls(reader: &mut Reader<'_>) -> UpstreamTls {
    let defaults = UpstreamTls::default();
    let minimum = version(reader, "router.upstream.tls.minimumProtocolVersion").unwrap_or(defaults.minimum_version);
    let maximum = version(reader, "router.upstream.tls.maximumProtocolVersion").unwrap_or(defaults.maximum_version);
    let verify = !reader.flag("router.upstream.tls.disableSslVerification").unwrap_or(false);
    if !verify {
        reader.warn(
            "router.upstream.tls.disableSslVerification",
            "certificates of backends are not checked",
            "remove the key",
        );
    }
    UpstreamTls {
        trusted_certificates: reader
            .text("router.upstream.tls.trustedCertPath")
            .unwrap_or(defaults.trusted_certificates),
        verify_host_name: reader.flag("router.upstream.tls.verifyHostName").unwrap_or(defaults.verify_host_name),
        verify,
        minimum_version: minimum,
        maximum_version: maximum,
    }
}

fn version(reader: &mut Reader<'_>, key: &str) -> Option<TlsVersion> {
    let text = reader.text(key)?;
    match text.as_str() {
        "TLS1_0" => Some(TlsVersion::V1_0),
        "TLS1_1" => Some(TlsVersion::V1_1),
        "TLS1_2" => Some(TlsVersion::V1_2),
        "TLS1_3" => Some(TlsVersion::V1_3),
        _ => {
            reader.error(key, "a TLS version is expected here", "write TLS1_2 or TLS1_3");
            None
        }
    }
}

fn dns(reader: &mut Reader<'_>) -> Dns {
    let defaults = Dns::default();
    let refresh = reader.number("router.upstream.dns.dNSRefreshRate", 100..=3_600_000);
    Dns {
        refresh: refresh.map_or(defaults.refresh, |millis| Duration::from_millis(millis.into())),
        respect_ttl: reader.flag("router.upstream.dns.respectDNSTtl").unwrap_or(defaults.respect_ttl),
    }
}

fn health_check(reader: &mut Reader<'_>) -> HealthCheck {
    let defaults = HealthCheck::default();
    let timeout = reader.number("router.upstream.health.timeout", 1..=3600);
    let interval = reader.number("router.upstream.health.interval", 1..=3600);
    let unhealthy = reader.number("router.upstream.health.unhealthyThreshold", 1..=1000);
    let healthy = reader.number("router.upstream.health.healthyThreshold", 1..=1000);
    HealthCheck {
        timeout: timeout.map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
        interval: interval.map_or(defaults.interval, |seconds| Duration::from_secs(seconds.into())),
        unhealthy_threshold: unhealthy.unwrap_or(defaults.unhealthy_threshold),
        healthy_threshold: healthy.unwrap_or(defaults.healthy_threshold),
    }
}
