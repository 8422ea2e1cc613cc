//! Limits of bytes on real gateways: what comes down counts as well as what goes up, however little of it was announced.

use bytes::Bytes;
use reqwest::Method;
use tempfile::TempDir;
use tollgate_tests::http::{Answer, raw_request, send_raw};
use tollgate_tests::{ApiProject, Backend, Gateway, Settings, eventually};

use crate::limits::{application, gateway_with, of};

/// A plan that a body of [`BODY`] bytes fits into once, and then not again.
const PLANS: &str = "
tiers:
  - {name: Bytes, kind: subscription, limits: [{bytes: 100000, per: year}]}
applications:
";
const BODY: usize = 60_000;
const REFUSED: u16 = 429;

/// Answers `/down` with [`BODY`] bytes and everything else with none.
async fn backend() -> Backend {
    Backend::answering(None, |request| {
        let size = if request.path.ends_with("/down") { BODY } else { 0 };
        hyper::Response::new(Bytes::from(vec![b'x'; size]))
    })
    .await
    .unwrap()
}

async fn gateway(folder: &TempDir, backend: &Backend) -> Gateway {
    let names = ["down", "up", "free"];
    let plans = names.map(|name| application(name, "Unlimited", if name == "free" { "Unlimited" } else { "Bytes" }));
    let url = backend.url();
    let project = |_: &Gateway| {
        let project = ApiProject::new("Pets", "1.0.0", "/pets").production(&url);
        project.secured("GET", "/down").secured("GET", "/small").secured("POST", "/up").unsecured("GET", "/health")
    };
    let settings = Settings { workers: 3, ..Settings::default() };
    gateway_with(folder, &format!("{PLANS}{}", plans.concat()), settings, project).await
}

async fn get(gateway: &Gateway, path: &str, application: &str) -> Answer {
    Answer::of(gateway.request(Method::GET, &format!("/pets/1.0.0/{path}")).bearer_auth(of(application))).await.unwrap()
}

/// The stream that used up the quota is over a moment after its last byte was seen. From then on nobody gets through, on any worker.
async fn is_used_up(gateway: &Gateway, application: &str) {
    eventually("the quota is used up", async || {
        let answer = get(gateway, "small", application).await;
        anyhow::ensure!(answer.status == REFUSED && answer.body.contains("900804"), "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();
    let rush = (0..30).map(|_| get(gateway, "down", application));
    for answer in futures_util::future::join_all(rush).await {
        assert_eq!(answer.status, REFUSED, "{answer:?}");
    }
}

#[tokio::test]
async fn downloads_count() {
    let (folder, backend) = (TempDir::new().unwrap(), backend().await);
    let gateway = gateway(&folder, &backend).await;
    backend.forget();
    for name in ["down", "free"] {
        for _ in 0..2 {
            let answer = get(&gateway, "down", name).await;
            assert_eq!((answer.status.as_u16(), answer.body.len()), (200, BODY), "{answer:?}");
            // Half of the quota is left, and hardly less after this.
            if backend.count() == 1 {
                assert_eq!(get(&gateway, "small", name).await.status, 200);
            }
        }
    }
    is_used_up(&gateway, "down").await;
    assert_eq!(get(&gateway, "down", "free").await.status, 200, "nobody else is kept out");
}

#[tokio::test]
async fn uploads_count_although_they_announce_nothing() {
    let (folder, backend) = (TempDir::new().unwrap(), backend().await);
    let gateway = gateway(&folder, &backend).await;
    let authorization = format!("Bearer {}", of("up"));
    let headers: [(&str, &[u8]); 2] = [("authorization", authorization.as_bytes()), ("transfer-encoding", b"chunked")];
    let mut request = raw_request("POST", b"/pets/1.0.0/up", &headers);
    for _ in 0..2 {
        request.extend_from_slice(format!("{BODY:x}\r\n{}\r\n", "y".repeat(BODY)).as_bytes());
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = send_raw(gateway.ports.http, &request).await.unwrap();
    assert_eq!(answer.status, Some(200), "{}", answer.text);
    is_used_up(&gateway, "up").await;
    let answer = send_raw(gateway.ports.http, &request).await.unwrap();
    assert_eq!(answer.status, Some(REFUSED), "{}", answer.text);
}
