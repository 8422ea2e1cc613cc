//! `[tracing]`: where gateways report spans.

use std::time::Duration;

use tollgate_model::Secret;
use url::Url;

use crate::config::reader::Reader;
use crate::model::Endpoint;
use crate::outputs::settings::{Tracing, TracingProtocol};

const TYPE: &str = "tracing.type";
const CONNECTION: &str = "tracing.configProperties.connectionString";
const ENDPOINT: &str = "tracing.configProperties.endpoint";
const PROTOCOL: &str = "tracing.configProperties.protocol";
const HOST: &str = "tracing.configProperties.host";
const PORT: &str = "tracing.configProperties.port";
const AUTH_NAME: &str = "tracing.configProperties.authHeaderName";
const AUTH_VALUE: &str = "tracing.configProperties.authHeaderValue";
/// What the original's router and its examples use.
const LIBRARY: &str = "CHOREO-CONNECT";

/// Tracing, if it is on. Nothing is checked while it is off: the original's own file is full of examples.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Tracing> {
    if !reader.flag("tracing.enabled").unwrap_or(false) {
        reader.ignore("tracing");
        return None;
    }
    let protocol = protocol(reader)?;
    let collector = collector(reader, &protocol)?;
    let mut number = |key: &str, range| reader.number(&format!("tracing.configProperties.{key}"), range);
    let sampling_percentage = number("samplingPercentage", 1..=100).unwrap_or(100);
    let max_path_length = number("maxPathLength", 1..=8192).unwrap_or(256);
    let timeout = number("timeout", 1..=3600).unwrap_or(15);
    let connect = number("connectionTimeout", 1..=3600);
    let authentication = authentication(reader, &protocol);
    Some(Tracing {
        collector,
        protocol,
        authentication,
        timeout: Duration::from_secs(timeout.into()),
        connect_timeout: connect.map(|seconds| Duration::from_secs(seconds.into())),
        sampling_percentage,
        max_path_length,
        library: library(reader),
    })
}

fn protocol(reader: &mut Reader<'_>) -> Option<TracingProtocol> {
    let kind = reader.text(TYPE).map(|text| text.to_lowercase());
    let path = |reader: &mut Reader<'_>, default: &str| {
        let path = reader.text(ENDPOINT).unwrap_or_else(|| default.to_owned());
        if !path.starts_with('/')
            || path.contains(|character: char| character.is_whitespace() || character.is_control())
        {
            reader.error(ENDPOINT, "a path is expected here", &format!("write for example {default}"));
        }
        path
    };
    match kind.as_deref() {
        None | Some("zipkin" | "jaeger") => Some(TracingProtocol::Zipkin(path(reader, "/api/v2/spans"))),
        Some("otlp") => match reader.text(PROTOCOL).map(|text| text.to_lowercase()).as_deref() {
            None | Some("grpc") => {
                reader.ignore(ENDPOINT);
                Some(TracingProtocol::OtlpGrpc)
            }
            Some("http") => Some(TracingProtocol::OtlpHttp(path(reader, "/v1/traces"))),
            Some(_) => {
                reader.error(PROTOCOL, "a protocol of OTLP is expected here", "write grpc or http");
                None
            }
        },
        Some("azure") => {
            reader.error(
                TYPE,
                "Envoy cannot report to Azure Application Insights by itself",
                "set the type to otlp, and let an OpenTelemetry collector pass spans on to Azure Monitor",
            );
            None
        }
        Some(_) => {
            reader.error(TYPE, "a tracing system is expected here", "write zipkin, jaeger or otlp");
            None
        }
    }
}

/// `connectionString` is a URL for OTLP; otherwise host and port count, without TLS.
fn collector(reader: &mut Reader<'_>, protocol: &TracingProtocol) -> Option<Endpoint> {
    let (default_host, default_port) = match protocol {
        TracingProtocol::Zipkin(_) => (Some("jaeger"), 9411),
        TracingProtocol::OtlpGrpc => (None, 4317),
        TracingProtocol::OtlpHttp(_) => (None, 4318),
    };
    let otlp = !matches!(protocol, TracingProtocol::Zipkin(_));
    let connection = if otlp { reader.text(CONNECTION) } else { None };
    let (key, text) = match connection {
        Some(text) => {
            reader.ignore(HOST);
            reader.ignore(PORT);
            (CONNECTION, text)
        }
        None => {
            let host = reader.text(HOST).or_else(|| default_host.map(str::to_owned));
            let port = reader.number(PORT, 1..=65_535).unwrap_or(default_port);
            let Some(host) = host else {
                reader.error(HOST, "tracing has no collector", "set host and port, or connectionString to a URL");
                return None;
            };
            (HOST, format!("http://{host}:{port}"))
        }
    };
    let found = endpoint(&text);
    if found.is_none() {
        reader.error(key, "this names no collector", "write a host name, or for connectionString https://host:port");
    }
    found
}

/// Scheme, host and port of a URL that has nothing else.
fn endpoint(text: &str) -> Option<Endpoint> {
    let url = Url::parse(text).ok()?;
    let tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.path() == "/" && url.query().is_none();
    let host = url.host_str().filter(|_| plain && url.fragment().is_none())?.trim_matches(['[', ']']).to_owned();
    Some(Endpoint { host, port: url.port_or_known_default()?, tls, trusted_ca: None, priority: 0, discovery: None })
}

fn authentication(reader: &mut Reader<'_>, protocol: &TracingProtocol) -> Option<(String, Secret)> {
    match (reader.text(AUTH_NAME), reader.text(AUTH_VALUE)) {
        (None, None) => None,
        (Some(name), Some(value)) => {
            if http::HeaderName::try_from(&name).is_err() {
                reader.error(AUTH_NAME, "this is no name of a header", "write for example api-key");
            }
            if http::HeaderValue::try_from(&value).is_err() {
                reader.error(AUTH_VALUE, "this is no value of a header", "remove line breaks and control characters");
            }
            if *protocol == TracingProtocol::OtlpGrpc && value.contains('%') {
                let fix = "set tracing.configProperties.protocol to http";
                reader.error(AUTH_VALUE, "Envoy cannot send a percent sign with gRPC", fix);
            }
            Some((name.to_lowercase(), value.into()))
        }
        (Some(_), None) => {
            reader.error(AUTH_VALUE, "the header has a name and no value", "set both or neither");
            None
        }
        (None, Some(_)) => {
            reader.error(AUTH_NAME, "the header has a value and no name", "set both or neither");
            None
        }
    }
}

/// Two names of the same key.
fn library(reader: &mut Reader<'_>) -> String {
    let older = reader.text("tracing.configProperties.libraryName");
    let newer = reader.text("tracing.configProperties.instrumentationName");
    newer.or(older).unwrap_or_else(|| LIBRARY.to_owned())
}
