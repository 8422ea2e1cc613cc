//! `[router]`: what gateways are made of.

pub(super) mod access_log;
mod compression;
mod tracing;
mod transport;
mod upstream;
pub(super) mod wire_log;

use std::time::Duration;

use tollgate_model::{Cors, Settings};

use super::reader::Reader;
use super::{analytics, jwt_generator};
use crate::outputs::settings::{Gateway, ListenerAddress, Retry, Timeouts};
use tollgate_project::{cors, default_cors, names};

/// What gateways are made of, with what the filters are told.
pub(super) fn read(reader: &mut Reader<'_>, settings: &Settings) -> Gateway {
    let http = listener(reader, "router.listenerHost", "router.listenerPort", 9090);
    let https = listener(reader, "router.securedListenerHost", "router.securedListenerPort", 9095);
    if http.is_none() && https.is_none() {
        reader.error(
            "router.listenerPort",
            "both listeners are switched off",
            "set listenerPort or securedListenerPort",
        );
    }
    Gateway {
        http,
        https,
        system_host: system_host(reader),
        use_remote_address: settings.direct_clients,
        connection_buffer_bytes: reader
            .number("router.perConnectionBufferLimitBytes", 1024..=1 << 30)
            .unwrap_or(1 << 20),
        codec: transport::codec(reader),
        downstream_tls: transport::downstream_tls(reader),
        access_log: access_log::read(reader, "tollgate.accessLogs"),
        // Only log_config.toml switches it on.
        wire_log: None,
        compression: compression::read(reader),
        soap_faults: settings.soap_faults,
        timeouts: timeouts(reader),
        retry: Retry {
            base_interval: reader
                .number("router.upstream.retry.baseIntervalInMillis", 1..=60_000)
                .map_or(Retry::default().base_interval, |millis| Duration::from_millis(millis.into())),
        },
        upstream_tls: transport::upstream_tls(reader),
        upstream_http2: transport::upstream_http2(reader),
        dns: upstream::dns(reader),
        health_check: upstream::health_check(reader),
        outlier_detection: upstream::outlier_detection(reader),
        tracing: tracing::read(reader),
        jwks_limit: jwt_generator::rate_limit(reader),
        limit_headers: settings.limit_headers,
        analytics: analytics::read(reader),
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

#[cfg(test)]
mod tests;
