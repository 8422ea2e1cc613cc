//! Gateways report what they did with requests to a collector of traces.

use anyhow::{Result, ensure};
use reqwest::Method;
use tollgate_tests::backend::Seen;
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, Backend, Gateway, Settings, eventually};

/// A collector that accepts everything, as an OTLP server over gRPC would.
async fn collector() -> Result<Backend> {
    Backend::answering(None, |_| {
        let mut response = hyper::Response::new(bytes::Bytes::new());
        let headers = response.headers_mut();
        headers.insert("content-type", hyper::header::HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", hyper::header::HeaderValue::from_static("0"));
        response
    })
    .await
}

fn holds(request: &Seen, text: &str) -> bool {
    request.body.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Sends a few requests with a secret in the query, and returns the first report that tells of one.
async fn reported(kind: &str, properties: &str) -> Result<Seen> {
    let collector = collector().await?;
    let port = collector.url().rsplit_once(':').map(|(_, port)| port.to_owned()).unwrap_or_default();
    let extra = format!(
        "[tracing]\nenabled = true\ntype = '{kind}'\n[tracing.configProperties]\nhost = '127.0.0.1'\nport = '{port}'\n\
         libraryName = 'LIBRARY'\n{properties}\n"
    );
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await?;
    let project =
        ApiProject::new("Traced", "1.0.0", "/traced").production(&gateway.backend.url()).unsecured("GET", "/observed");
    gateway.deploy(&project, "/traced/1.0.0/observed").await?;
    for _ in 0..16 {
        let answer = Answer::of(gateway.request(Method::GET, "/traced/1.0.0/observed?apikey=hush")).await?;
        assert_eq!(answer.status, 200);
    }
    let traced =
        |request: &Seen| request.headers.contains_key("traceparent") || request.headers.contains_key("x-b3-traceid");
    assert!(gateway.backend.seen().iter().any(traced), "the backend can go on with the trace");
    let report = eventually("the collector has spans of a request", async || {
        let seen = collector.seen().into_iter().find(|request| holds(request, "/observed"));
        ensure!(seen.is_some(), "{} reports", collector.count());
        Ok(seen)
    })
    .await?;
    for request in collector.seen() {
        assert!(!holds(&request, "hush"), "queries may carry credentials: {:?}", request.body);
    }
    report.ok_or_else(|| anyhow::anyhow!("there is no report"))
}

#[tokio::test(flavor = "multi_thread")]
async fn zipkin_and_jaeger_get_spans() -> Result<()> {
    let report = reported("jaeger", "endpoint = '/api/v2/spans'").await?;
    assert_eq!(
        (report.path.as_str(), report.headers["content-type"].as_bytes()),
        ("/api/v2/spans", &b"application/json"[..])
    );
    assert!(holds(&report, "LIBRARY"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_gets_spans_over_grpc() -> Result<()> {
    let report = reported("otlp", "authHeaderName = 'api-key'\nauthHeaderValue = 'secret'").await?;
    assert_eq!(report.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(report.headers["api-key"].as_bytes(), b"secret");
    assert!(holds(&report, "choreo_connect_router") && holds(&report, "LIBRARY"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_gets_spans_over_http() -> Result<()> {
    let report = reported("otlp", "protocol = 'http'\nauthHeaderName = 'api-key'\nauthHeaderValue = 'a%b'").await?;
    assert_eq!((report.path.as_str(), report.headers["api-key"].as_bytes()), ("/v1/traces", &b"a%b"[..]));
    assert!(holds(&report, "choreo_connect_router"));
    Ok(())
}
