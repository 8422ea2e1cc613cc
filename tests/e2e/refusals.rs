//! What Envoy or the adapter refuses: it is told, and what was good before stays.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use tollgate_tests::ports::{Ports, local};
use tollgate_tests::{ApiProject, Gateway, Settings, eventually, locate};

use crate::apis::{pets, probe};

/// Waits until the adapter's status shows that the gateway refused its last resources of that type, and why.
async fn status_shows(gateway: &Gateway, kind: &str, reason: &str) {
    eventually("the status shows the refusal", async || {
        let status = gateway.adapter.status().await?;
        let error = status["gateways"][0]["types"][kind]["rejected"]["error"].as_str().unwrap_or_default();
        anyhow::ensure!(error.contains(reason), "no {kind} refused because of {reason:?} in {status}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_module_that_envoy_refuses_is_reported_and_the_last_good_one_stays() {
    let mut gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = gateway.token("").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.wasm");
    let good = std::fs::read(locate::module().unwrap()).unwrap();
    std::fs::write(&broken, &good[..good.len() / 2]).unwrap();

    gateway.reconfigure_adapter(|config| config.module = broken).await.unwrap();

    status_shows(&gateway, "extension", "Unable to create Wasm").await;
    gateway.all_answer("/pets/1.0.0/pet/5", 16, |status| status == 401).await.unwrap();
    assert_eq!(gateway.get("/pets/1.0.0/pet/5", Some(&token)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_listener_that_envoy_cannot_open_is_reported_and_the_other_one_serves() {
    let ports = Ports::free().unwrap();
    let _taken = TcpListener::bind(local(ports.http)).unwrap();
    let gateway = Gateway::launch(Settings { ports: Some(ports), ..Settings::default() }).await.unwrap();

    status_shows(&gateway, "listener", "Address already in use").await;
    eventually("the other listener serves", async || {
        let answer = gateway.client().get(gateway.secure_url("/health")).send().await?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broken_project_is_refused_and_nothing_changes() {
    let gateway = Gateway::start().await.unwrap();
    let good = pets(&gateway.backend);
    gateway.deploy(&good, "/pets/1.0.0/health").await.unwrap();
    let table = [
        ("no archive", b"PK\x03\x04 nonsense".to_vec()),
        ("no endpoint", ApiProject::new("Pets", "1.0.0", "/pets").secured("GET", "/x").zip().unwrap()),
        ("a misspelt security scheme", good.clone().with("securityScheme", vec!["mutualssl_mandatry"]).zip().unwrap()),
        ("a malformed endpoint", good.clone().production("http://-host-:port").zip().unwrap()),
    ];
    for (name, archive) in table {
        let refused = gateway.adapter.try_deploy(archive, true).await.unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}: {}", refused.body);
        assert_ne!(refused.json()["message"], serde_json::Value::Null, "{name}: {}", refused.body);
    }
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
    gateway.all_answer("/pets/1.0.0/pet/5", 16, |status| status == 401).await.unwrap();
}

/// A certificate that names a version without extensions and has some: the adapter reads it, Envoy does not.
pub fn certificate_that_envoy_refuses() -> String {
    let mut der = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.der().to_vec();
    let version = der.windows(5).position(|window| window == [0xa0, 3, 2, 1, 2]).unwrap();
    der[version + 4] = 0;
    let lines = STANDARD.encode(der);
    let lines: Vec<&str> = lines.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[tokio::test]
async fn an_api_that_envoy_refuses_holds_nobody_up() {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let bad = ApiProject::new("Bad", "1.0.0", "/bad").production("https://127.0.0.1:9/x").unsecured("GET", "/x");
    let refused = bad.clone().with_file("Endpoint-certificates/bad.pem", &certificate_that_envoy_refuses());
    let answer = gateway.adapter.try_deploy(refused.zip().unwrap(), false).await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["gateways"][0]["state"]),
        (StatusCode::OK, &"refused".into()),
        "{}",
        answer.body
    );
    eventually("the status names the API", async || {
        let status = gateway.adapter.status().await?.to_string();
        anyhow::ensure!(status.contains("Bad:1.0.0 on localhost"), "{status}");
        Ok(())
    })
    .await
    .unwrap();

    for context in ["/after", "/later"] {
        let path = format!("{context}/1.0.0/up");
        gateway.deploy(&probe(&gateway.backend, context), &path).await.unwrap();
        gateway.all_answer(&path, 8, |status| status == 200).await.unwrap();
    }
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
    gateway.adapter.undeploy("Probe-after", "1.0.0").await.unwrap();
    eventually("what is undeployed goes", async || {
        gateway.all_answer("/after/1.0.0/up", 8, |status| status == 404).await
    })
    .await
    .unwrap();

    let repaired = bad.production(&gateway.backend.url());
    gateway.adapter.deploy(repaired.zip().unwrap()).await.unwrap();
    eventually("the repaired API is served", async || {
        gateway.all_answer("/bad/1.0.0/x", 8, |status| status == 200).await
    })
    .await
    .unwrap();
}
