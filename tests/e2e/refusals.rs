//! What Envoy or the adapter refuses: it is told, and what was good before stays.

use std::net::TcpListener;

use reqwest::StatusCode;
use tollgate_tests::ports::{Ports, local};
use tollgate_tests::{ApiProject, Gateway, Settings, eventually, locate};

use crate::apis::pets;

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
        ("a security scheme that nobody knows", good.clone().with("securityScheme", vec!["kerberos"]).zip().unwrap()),
    ];
    for (name, archive) in table {
        let refused = gateway.adapter.try_deploy(archive, true).await.unwrap();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}: {}", refused.body);
        assert_ne!(refused.json()["message"], serde_json::Value::Null, "{name}: {}", refused.body);
    }
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
    gateway.all_answer("/pets/1.0.0/pet/5", 16, |status| status == 401).await.unwrap();
}
