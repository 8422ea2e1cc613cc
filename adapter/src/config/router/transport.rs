//! Protocols, TLS versions and cipher suites of both sides.

use std::path::PathBuf;

use crate::config::reader::Reader;
use crate::outputs::settings::{Codec, DownstreamTls, Http2, TlsVersion, UpstreamTls};

/// What Envoy's TLS library knows for TLS 1.2 and below; TLS 1.3 has no choice.
const CIPHERS: [&str; 16] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-PSK-AES128-CBC-SHA",
    "ECDHE-PSK-AES256-CBC-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
];

/// Where most systems keep public authorities.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Protocol of the listeners.
pub(super) fn codec(reader: &mut Reader<'_>) -> Codec {
    const KEY: &str = "router.listenerCodecType";
    match reader.text(KEY).map(|text| text.to_uppercase()).as_deref() {
        None | Some("AUTO") => Codec::Auto,
        Some("HTTP1") => Codec::Http1,
        Some("HTTP2") => Codec::Http2,
        Some(_) => {
            reader.error(KEY, "a protocol is expected here", "write AUTO, HTTP1 or HTTP2");
            Codec::Auto
        }
    }
}

/// TLS towards clients.
pub(super) fn downstream_tls(reader: &mut Reader<'_>) -> DownstreamTls {
    let defaults = DownstreamTls::default();
    let (minimum_version, maximum_version) =
        versions(reader, "router.downstream.tls", defaults.minimum_version, defaults.maximum_version);
    DownstreamTls {
        minimum_version,
        maximum_version,
        ciphers: ciphers(reader, "router.downstream.tls.ciphers").unwrap_or(defaults.ciphers),
        client_authorities: client_authorities(reader),
    }
}

/// Authorities of clients' certificates, if clients are asked for any.
fn client_authorities(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let asked = reader.flag("router.downstream.tls.mTLSAPIsEnabled").unwrap_or(false);
    let path = reader.path("router.downstream.tls.trustedCertPath").unwrap_or_else(|| PathBuf::from(SYSTEM_BUNDLE));
    asked.then_some(path)
}

/// TLS towards backends.
pub(super) fn upstream_tls(reader: &mut Reader<'_>) -> UpstreamTls {
    const NO_VERIFICATION: &str = "router.upstream.tls.disableSslVerification";
    let defaults = UpstreamTls::default();
    let (minimum_version, maximum_version) =
        versions(reader, "router.upstream.tls", defaults.minimum_version, defaults.maximum_version);
    let verify = !reader.flag(NO_VERIFICATION).unwrap_or(false);
    if !verify {
        reader.warn(NO_VERIFICATION, "certificates of backends are not checked", "remove the key");
    }
    UpstreamTls {
        trusted_certificates: reader
            .text("router.upstream.tls.trustedCertPath")
            .unwrap_or(defaults.trusted_certificates),
        verify_host_name: reader.flag("router.upstream.tls.verifyHostName").unwrap_or(defaults.verify_host_name),
        verify,
        minimum_version,
        maximum_version,
        ciphers: ciphers(reader, "router.upstream.tls.ciphers").unwrap_or(defaults.ciphers),
    }
}

/// HTTP/2 towards backends.
pub(super) fn upstream_http2(reader: &mut Reader<'_>) -> Http2 {
    let defaults = Http2::default();
    Http2 {
        header_table_bytes: reader
            .number("router.upstream.http2.hpackTableSize", 0..=u32::MAX)
            .unwrap_or(defaults.header_table_bytes),
        max_concurrent_streams: reader
            .number("router.upstream.http2.maxConcurrentStreams", 1..=2_147_483_647)
            .unwrap_or(defaults.max_concurrent_streams),
    }
}

/// Lowest and highest version of a side.
fn versions(reader: &mut Reader<'_>, side: &str, lowest: TlsVersion, highest: TlsVersion) -> (TlsVersion, TlsVersion) {
    let key = format!("{side}.minimumProtocolVersion");
    let minimum = version(reader, &key).unwrap_or(lowest);
    let maximum = version(reader, &format!("{side}.maximumProtocolVersion")).unwrap_or(highest);
    if minimum > maximum {
        reader.error(&key, "the lowest version is above the highest", "exchange the two, or correct one");
    }
    (minimum, maximum)
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

/// A list of cipher suites, of which some may share a rank as `[one|other]`. Envoy refuses a whole listener or cluster
/// because of one name it does not know.
fn ciphers(reader: &mut Reader<'_>, key: &str) -> Option<Vec<String>> {
    let names: Vec<String> = reader.texts(key)?.iter().map(|name| name.trim().to_owned()).collect();
    for name in &names {
        let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        if let Some(unknown) = inner.split('|').find(|cipher| !CIPHERS.contains(cipher)) {
            let fix = format!("use some of {}", CIPHERS.join(", "));
            reader.error(key, &format!("{unknown:?} is no cipher suite that Envoy has for TLS 1.2"), &fix);
        }
    }
    Some(names)
}
