use super::*;
use crate::config::Environment;
use crate::outputs::settings::{
    AccessLog, Codec, Compressible, Compression, DownstreamTls, Gzip, Http2, LogFormat, OutlierDetection, Strategy,
    TlsVersion,
};

#[track_caller]
fn good(text: &str) -> Gateway {
    let none = Environment::new();
    let mut reader = Reader::new("config.toml", text, &none);
    let router = read(&mut reader, &Settings::default());
    let problems: Vec<String> = reader.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [""; 0], "{text}");
    router
}

#[track_caller]
fn bad(text: &str, expected: &str) {
    let none = Environment::new();
    let mut reader = Reader::new("config.toml", text, &none);
    read(&mut reader, &Settings::default());
    let problems: Vec<String> = reader.problems.errors().map(ToString::to_string).collect();
    assert!(problems.len() == 1 && problems[0].contains(expected), "{text}: {problems:?}");
}

#[test]
fn compression_is_that_of_the_original() {
    assert_eq!(good("").compression, Some(Compression::default()));
    assert_eq!(good("[router.filters.compression]\nenabled = false").compression, None);
    let neither = "[router.filters.compression.responseDirection]\nenabled = false";
    assert_eq!(good(neither).compression, None);
    let all = good(
        r#"
        [router.filters.compression]
        library = "gzip"
        [router.filters.compression.requestDirection]
        enabled = true
        minimumContentLength = 10
        contentType = ["a/b"]
        [router.filters.compression.responseDirection]
        minimumContentLength = 20
        contentType = ["c/d"]
        enableForEtagHeader = false
        [router.filters.compression.libraryProperties]
        memoryLevel = 9
        windowBits = 15
        compressionLevel = 1
        compressionStrategy = "gzipFixed"
        chunkSize = 8192
        "#,
    );
    let of = |minimum_length, name: &str| Compressible { minimum_length, media_types: vec![name.to_owned()] };
    let expected = Compression {
        requests: Some(of(10, "a/b")),
        responses: Some(of(20, "c/d")),
        with_etag: false,
        gzip: Gzip { memory_level: 9, window_bits: 15, level: 1, strategy: Strategy::Fixed, chunk_bytes: 8192 },
    };
    assert_eq!(all.compression, Some(expected));
    bad("[router.filters.compression]\nlibrary = 'brotli'", "write gzip");
    bad("[router.filters.compression.libraryProperties]\ncompressionStrategy = 'gzipfixed'", "gzipFixed");
    bad("[router.filters.compression.libraryProperties]\nwindowBits = 8", "from 9 to 15");
    bad("[router.filters.compression.responseDirection]\ncontentType = []", "nothing would be compressed");
}

#[test]
fn the_access_log_is_off_unless_enabled() {
    assert_eq!(good("[tollgate.accessLogs]\nlogfile = '/x'").access_log, None);
    let text = good("[tollgate.accessLogs]\nenable = true").access_log.unwrap();
    assert_eq!(text.file.to_str(), Some("/tmp/envoy.access.log"));
    assert!(matches!(text.format, LogFormat::Text(line) if line.contains("%RESPONSE_FLAGS%") && line.ends_with('\n')));
    let own = good("[tollgate.accessLogs]\nenable = true\nlogfile = '/dev/stdout'\nformat = '%PROTOCOL%'").access_log;
    let expected = AccessLog { file: "/dev/stdout".into(), format: LogFormat::Text("%PROTOCOL%\n".to_owned()) };
    assert_eq!(own, Some(expected));
    let json = good("[tollgate.accessLogs]\nenable = true\nlogFormat = 'JSON'").access_log.unwrap();
    assert!(matches!(json.format, LogFormat::Json(members) if members["status"] == "%RESPONSE_CODE%"));
    let own = "[tollgate.accessLogs]\nenable = true\nlogFormat = 'json'\nformat = '{\"p\": \"%PROTOCOL%\"}'";
    let members = [("p".to_owned(), "%PROTOCOL%".to_owned())];
    assert_eq!(good(own).access_log.unwrap().format, LogFormat::Json(members.into()));
    bad("[tollgate.accessLogs]\nlogFormat = 'XML'", "TEXT or JSON");
    bad("[tollgate.accessLogs]\nformat = '100%'", "cannot read the format");
    bad("[tollgate.accessLogs]\nlogFormat = 'JSON'\nformat = '{\"p\": 1}'", "no JSON object of texts");
    bad("[tollgate.accessLogs]\nlogFormat = 'JSON'\nformat = '{\"p\": \"%x%\"}'", "cannot read the format");
}

#[test]
fn clients_are_asked_for_certificates_only_when_told_so() {
    let check = |table: &str, expected: Option<&str>| {
        let found = good(&format!("[router.downstream.tls]\n{table}")).downstream_tls.client_authorities;
        assert_eq!(found.as_deref(), expected.map(std::path::Path::new), "{table}");
    };
    check("", None);
    check("trustedCertPath = '/x'", None);
    check("mTLSAPIsEnabled = false\ntrustedCertPath = '/x'", None);
    check("mTLSAPIsEnabled = true\ntrustedCertPath = '/x'", Some("/x"));
    check("mTLSAPIsEnabled = true", Some("/etc/ssl/certs/ca-certificates.crt"));
}

#[test]
fn outlier_detection_is_on_unless_switched_off() {
    let table = |text: &str| good(&format!("[router.upstream.outlierDetection]\n{text}")).outlier_detection;
    assert_eq!(table(""), Some(OutlierDetection::default()));
    assert_eq!(table("enabled = false"), None);
    let all = "consecutiveFailures = 1\nconsecutive5xx = 2\ninterval = 3\nbaseEjectionTime = 4\nmaxEjectionPercent = 5";
    let expected = OutlierDetection {
        consecutive_failures: 1,
        consecutive_5xx: Some(2),
        interval: Duration::from_secs(3),
        base_ejection_time: Duration::from_secs(4),
        max_ejection_percent: 5,
    };
    assert_eq!(table(all), Some(expected));
    bad("[router.upstream.outlierDetection]\ninterval = 0", "whole number from 1");
    bad("[router.upstream.outlierDetection]\nmaxEjectionPercent = 101", "from 1 to 100");
}

#[test]
fn transport_settings_of_both_sides() {
    let found = good(
        r#"
        [router]
        listenerCodecType = "http2"
        [router.downstream.tls]
        minimumProtocolVersion = "TLS1_1"
        maximumProtocolVersion = "TLS1_2"
        ciphers = "ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA"
        [router.upstream.tls]
        ciphers = ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]"]
        [router.upstream.http2]
        hpackTableSize = 8192
        maxConcurrentStreams = 100
        "#,
    );
    let down = DownstreamTls {
        minimum_version: TlsVersion::V1_1,
        maximum_version: TlsVersion::V1_2,
        ciphers: vec!["ECDHE-RSA-AES128-GCM-SHA256".to_owned(), "AES128-SHA".to_owned()],
        client_authorities: None,
    };
    assert_eq!((found.codec, found.downstream_tls), (Codec::Http2, down));
    assert_eq!(found.upstream_tls.ciphers, ["[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]"]);
    assert_eq!(found.upstream_http2, Http2 { header_table_bytes: 8192, max_concurrent_streams: 100 });
    let defaults = good("");
    assert_eq!((defaults.codec, defaults.downstream_tls), (Codec::Auto, DownstreamTls::default()));
    bad("[router]\nlistenerCodecType = 'HTTP3'", "AUTO, HTTP1 or HTTP2");
    bad("[router.downstream.tls]\nciphers = 'AES128-SHA,RC4'", "\"RC4\" is no cipher suite");
    bad("[router.upstream.tls]\nminimumProtocolVersion = 'TLS1_3'\nmaximumProtocolVersion = 'TLS1_2'", "above");
    bad("[router.upstream.http2]\nmaxConcurrentStreams = 0", "whole number from 1");
}

#[test]
fn tracing_is_off_unless_enabled_and_then_complete() {
    use crate::outputs::settings::{Tracing, TracingProtocol};
    let off = "[tracing]\nenabled = false\ntype = 'azure'\n[tracing.configProperties]\nhost = ''\nport = 'x'";
    assert_eq!(good(off).tracing, None);
    let found = |kind: &str, properties: &str| {
        let text = format!("[tracing]\nenabled = true\ntype = '{kind}'\n[tracing.configProperties]\n{properties}");
        good(&text).tracing.unwrap()
    };
    let at = |host: &str, port, tls| crate::model::Endpoint {
        host: host.to_owned(),
        port,
        tls,
        trusted_ca: None,
        discovery: None,
        priority: 0,
    };
    let zipkin = Tracing {
        collector: at("jaeger", 9411, false),
        protocol: TracingProtocol::Zipkin("/api/v2/spans".to_owned()),
        authentication: None,
        timeout: Duration::from_secs(15),
        connect_timeout: None,
        sampling_percentage: 100,
        max_path_length: 256,
        library: "CHOREO-CONNECT".to_owned(),
    };
    assert_eq!(found("jaeger", ""), zipkin);
    let own =
        "host='zipkin.example'\nport='1'\nendpoint='/x'\nlibraryName='L'\nmaxPathLength='9'\nsamplingPercentage=5";
    let expected = Tracing {
        collector: at("zipkin.example", 1, false),
        protocol: TracingProtocol::Zipkin("/x".to_owned()),
        sampling_percentage: 5,
        max_path_length: 9,
        library: "L".to_owned(),
        ..zipkin.clone()
    };
    assert_eq!(found("Zipkin", own), expected);
    let remote = "connectionString='https://otlp.example'\nauthHeaderName='API-Key'\nauthHeaderValue='hush'\ntimeout='3'\nconnectionTimeout=4";
    let expected = Tracing {
        collector: at("otlp.example", 443, true),
        protocol: TracingProtocol::OtlpGrpc,
        authentication: Some(("api-key".to_owned(), "hush".to_owned().into())),
        timeout: Duration::from_secs(3),
        connect_timeout: Some(Duration::from_secs(4)),
        ..zipkin.clone()
    };
    assert_eq!(found("otlp", remote), expected);
    assert!(!format!("{expected:?}").contains("hush"));
    let http = found("otlp", "host='10.0.0.1'\nprotocol='http'");
    assert_eq!(
        (http.collector, http.protocol),
        (at("10.0.0.1", 4318, false), TracingProtocol::OtlpHttp("/v1/traces".to_owned()))
    );
}

#[test]
fn tracing_that_cannot_work_is_refused() {
    for (kind, properties, expected) in [
        ("azure", "connectionString='x'", "OpenTelemetry collector"),
        ("datadog", "", "zipkin, jaeger or otlp"),
        ("otlp", "", "no collector"),
        ("otlp", "host='a'\nprotocol='udp'", "grpc or http"),
        ("otlp", "connectionString='otlp.example:4317'", "names no collector"),
        ("otlp", "connectionString='https://me:pw@otlp.example'", "names no collector"),
        ("zipkin", "host='a b'", "names no collector"),
        ("zipkin", "endpoint='spans'", "a path is expected"),
        ("otlp", "host='a'\nauthHeaderName='x'", "no value"),
        ("otlp", "host='a'\nauthHeaderName='x y'\nauthHeaderValue='z'", "no name of a header"),
        ("otlp", "host='a'\nauthHeaderName='x'\nauthHeaderValue='a%b'", "percent sign"),
        ("zipkin", "samplingPercentage=0", "from 1 to 100"),
    ] {
        bad(&format!("[tracing]\nenabled = true\ntype = '{kind}'\n[tracing.configProperties]\n{properties}"), expected);
    }
}
