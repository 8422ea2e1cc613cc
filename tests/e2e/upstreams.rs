//! How backends are asked: elsewhere, again, for how long, and by how many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::{Response, StatusCode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, Backend, Gateway, Settings, eventually};

/// An open API with one resource, whose production endpoints are these.
fn api(name: &str, endpoints: Value) -> ApiProject {
    ApiProject::new(name, "1.0.0", &format!("/{}", name.to_lowercase()))
        .with_extension("x-wso2-production-endpoints", endpoints)
        .unsecured("GET", "/x")
}

/// A backend that takes connections and never says anything.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn answer(status: StatusCode, body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *response.status_mut() = status;
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_endpoint_stands_in_when_the_first_one_is_gone() {
    let extra = "[router.upstream.health]\ninterval = 1\nunhealthyThreshold = 1\n".to_owned();
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let first = Backend::start().await.unwrap();
    let urls = json!([format!("{}/v1", first.url()), format!("{}/v1", gateway.backend.url())]);
    let project = api("Failover", json!({ "urls": urls, "type": "failover" }));
    gateway.deploy(&project, "/failover/1.0.0/x").await.unwrap();
    gateway.backend.forget();

    gateway.all_answer("/failover/1.0.0/x", 16, |status| status == 200).await.unwrap();
    assert_eq!(gateway.backend.count(), 0, "the second one is for emergencies");

    drop(first);
    eventually("the second endpoint stands in", async || {
        gateway.all_answer("/failover/1.0.0/x", 16, |status| status == 200).await
    })
    .await
    .unwrap();
    assert!(gateway.backend.take().iter().all(|request| request.path == "/v1/x"));
}

/// What the client gets, and how often the backend was asked, when it fails so many times before it recovers.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_asked_again_as_often_as_the_api_says() {
    let gateway = Gateway::start().await.unwrap();
    let remaining = Arc::new(AtomicUsize::new(0));
    let failing = Arc::new(AtomicUsize::new(0));
    let (left, status) = (Arc::clone(&remaining), Arc::clone(&failing));
    let backend = Backend::answering(None, move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let status = u16::try_from(status.load(Ordering::SeqCst)).unwrap_or_default();
        let status = if fails { StatusCode::from_u16(status).unwrap_or_default() } else { StatusCode::OK };
        answer(status, "of the backend")
    })
    .await
    .unwrap();
    let table = [
        ("Recovers", json!({"count": 3, "statusCodes": [503]}), (2, 503), (200, 3)),
        ("Fails", json!({"count": 3, "statusCodes": [503]}), (9, 503), (503, 4)),
        ("Otherwise", json!({"count": 3, "statusCodes": [503]}), (9, 504), (504, 1)),
        ("Invalid", json!({"count": 2, "statusCodes": [7, 200]}), (1, 504), (200, 2)),
        ("Capped", json!({"count": 50, "statusCodes": [504]}), (50, 504), (504, 6)),
        ("Without", Value::Null, (1, 504), (504, 1)),
    ];
    for (name, retry, (failures, status), (expected, asked)) in table {
        let endpoints = json!({"urls": [backend.url()], "advanceEndpointConfig": {"retryConfig": retry}});
        let path = format!("/{}/1.0.0/x", name.to_lowercase());
        gateway.deploy(&api(name, endpoints), &path).await.unwrap();
        backend.forget();
        failing.store(status, Ordering::SeqCst);
        remaining.store(failures, Ordering::SeqCst);
        let answer = gateway.get(&path, None).await.unwrap();
        remaining.store(0, Ordering::SeqCst);
        assert_eq!((answer.status.as_u16(), backend.count()), (expected, asked), "{name}");
        assert_eq!(answer.body, "of the backend", "{name}");
    }
}

/// The API's own timeout, the gateway's, and the gateway's cap of the API's.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_backend_is_not_waited_for_longer_than_allowed() {
    let extra = "[router.upstream.timeouts]\nrouteTimeoutInSeconds = 2\nmaxRouteTimeoutInSeconds = 1\n".to_owned();
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let (_listener, url) = silent().await;
    for (name, timeout) in [("Own", json!(100)), ("Gateway", Value::Null), ("Capped", json!(60_000))] {
        let endpoints = json!({"urls": [url], "advanceEndpointConfig": {"timeoutInMillis": timeout}});
        gateway.adapter.deploy(api(name, endpoints).zip().unwrap()).await.unwrap();
        let path = format!("/{}/1.0.0/x", name.to_lowercase());
        let answer = eventually("the API is served", async || {
            let answer = gateway.get(&path, None).await?;
            anyhow::ensure!(answer.status != StatusCode::NOT_FOUND, "{name} is not there");
            Ok(answer)
        })
        .await
        .unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (504, &json!("102504")),
            "{name}: {}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_asked_by_no_more_at_once_than_the_api_says() {
    let gateway = Gateway::with(Settings { workers: 1, ..Settings::default() }).await.unwrap();
    let (_listener, url) = silent().await;
    let limits = json!({"maxRequests": 1, "maxConnections": 1, "maxPendingRequests": 1});
    let advanced = json!({"timeoutInMillis": 3000, "circuitBreakers": limits});
    let project = api("Limited", json!({"urls": [url], "advanceEndpointConfig": advanced})).unsecured("GET", "/open");
    gateway.adapter.deploy(project.zip().unwrap()).await.unwrap();
    eventually("requests beyond the limit are refused at once", async || {
        let mut requests = JoinSet::new();
        for _ in 0..6 {
            requests.spawn(Answer::of(gateway.request(Method::GET, "/limited/1.0.0/x")));
        }
        let mut codes = Vec::new();
        while let Some(answer) = requests.join_next().await {
            let answer = answer??;
            codes.push((answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned()));
        }
        codes.sort();
        let refused = codes.iter().filter(|code| **code == (503, "102505".to_owned())).count();
        let waited = codes.iter().filter(|code| **code == (504, "102504".to_owned())).count();
        anyhow::ensure!(refused >= 4 && refused + waited == 6, "{codes:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Responses are compressed for clients that take it, when they are worth it.
#[tokio::test(flavor = "multi_thread")]
async fn responses_are_compressed_for_those_who_can_read_them() {
    let gateway = Gateway::start().await.unwrap();
    let backend = Backend::answering(None, |request| {
        let (kind, body) = match request.path.as_str() {
            "/json" => ("application/json", format!("[{}0]", "1234567890,".repeat(1000))),
            "/short" => ("application/json", "[0]".to_owned()),
            _ => ("image/png", "x".repeat(10_000)),
        };
        let mut response = answer(StatusCode::OK, &body);
        response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(kind));
        response
    })
    .await
    .unwrap();
    let project = ApiProject::new("Zipped", "1.0.0", "/zipped").production(&backend.url());
    let project = ["/json", "/short", "/image"].into_iter().fold(project, |all, path| all.unsecured("GET", path));
    gateway.deploy(&project, "/zipped/1.0.0/json").await.unwrap();
    for (path, accepts, compressed) in [
        ("/json", Some("gzip"), true),
        ("/json", None, false),
        ("/json", Some("br"), false),
        ("/short", Some("gzip"), false),
        ("/image", Some("gzip"), false),
    ] {
        let request = gateway.request(Method::GET, &format!("/zipped/1.0.0{path}"));
        let request = if let Some(accepts) = accepts { request.header("accept-encoding", accepts) } else { request };
        let response = request.send().await.unwrap();
        let encoding = response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        let body = response.bytes().await.unwrap();
        assert_eq!(encoding.as_deref(), compressed.then_some("gzip"), "{path} {accepts:?}");
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), compressed, "{path} {accepts:?}");
    }
}
