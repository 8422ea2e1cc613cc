//! Changes: how soon they are there, and that they stay.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tollgate_tests::{Gateway, Settings, within};

use crate::apis::{pets, probe};

/// How soon a change must have reached every worker after the adapter's answer.
const SOON: Duration = Duration::from_secs(1);
/// With four workers, all of 64 connections miss one of them once in a hundred million runs.
const CONNECTIONS: usize = 64;

#[tokio::test]
async fn a_deploy_and_an_undeploy_reach_every_worker_within_a_second() {
    let gateway = Gateway::with(Settings { workers: 4, ..Settings::default() }).await.unwrap();
    for round in 0..3 {
        let project = probe(&gateway.backend, &format!("/round{round}"));
        let path = format!("/round{round}/1.0.0/up");
        let archive = project.zip().unwrap();

        gateway.adapter.deploy(archive).await.unwrap();
        within(SOON, "all workers serve", async || {
            gateway.all_answer(&path, CONNECTIONS, |status| status == 200).await
        })
        .await
        .unwrap();
        gateway.all_answer(&path, CONNECTIONS, |status| status == 200).await.expect("and keep serving");

        gateway.adapter.undeploy(project.name(), project.version()).await.unwrap();
        within(SOON, "no worker serves", async || gateway.all_answer(&path, CONNECTIONS, |status| status == 404).await)
            .await
            .unwrap();
        gateway.all_answer(&path, CONNECTIONS, |status| status == 404).await.expect("and stay so");
    }
}

#[tokio::test]
async fn an_override_replaces_and_a_plain_deploy_does_not() {
    let gateway = Gateway::start().await.unwrap();
    let first = probe(&gateway.backend, "/change");
    gateway.deploy(&first, "/change/1.0.0/up").await.unwrap();
    let second = first.clone().unsecured("GET", "/new");

    let refused = gateway.adapter.try_deploy(second.zip().unwrap(), false).await.unwrap();
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    gateway.all_answer("/change/1.0.0/new", 8, |status| status == 404).await.expect("nothing has changed");

    gateway.adapter.deploy(second.zip().unwrap()).await.unwrap();
    within(SOON, "the new resource", async || {
        gateway.all_answer("/change/1.0.0/new", 16, |status| status == 200).await
    })
    .await
    .unwrap();
}

/// Not one request of an API may fail because the API is deployed anew with another backend.
#[tokio::test]
async fn an_override_under_traffic_fails_no_request() {
    let gateway = Gateway::start().await.unwrap();
    let other = tollgate_tests::Backend::start().await.unwrap();
    gateway.deploy(&probe(&gateway.backend, "/live"), "/live/1.0.0/up").await.unwrap();
    let url = gateway.url("/live/1.0.0/up");
    let traffic = tollgate_tests::traffic::Traffic::start(4, move |client| client.get(&url)).unwrap();
    traffic.flows(50).await.unwrap();

    for backend in [&other, &gateway.backend, &other] {
        let before = backend.count();
        gateway.adapter.deploy(probe(backend, "/live").zip().unwrap()).await.unwrap();
        within(SOON, "the new backend is asked", async || {
            anyhow::ensure!(backend.count() > before);
            Ok(())
        })
        .await
        .unwrap();
        traffic.flows(100).await.unwrap();
    }

    let account = traffic.stop().await.unwrap();
    assert_eq!(account.failures, Vec::<String>::new(), "of {}", account.passed);
}

#[tokio::test]
async fn what_was_deployed_survives_a_kill() {
    let mut gateway = Gateway::start().await.unwrap();
    let archive = pets(&gateway.backend).zip().unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    gateway.adapter.kill().unwrap();

    gateway.adapter.start_again().await.unwrap();
    let listed = gateway.adapter.list().await.unwrap();
    assert_eq!(listed["list"][0]["apiName"], Value::from("Pets"), "{listed}");
    assert_eq!(listed["list"][0]["context"], Value::from("/pets/1.0.0"), "{listed}");

    // A fresh Envoy has nothing but what the restarted adapter tells it.
    gateway.envoy.restart().unwrap();
    gateway.wait_ready().await.unwrap();
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
}
