//! What happens when a part is gone: traffic goes on, and what returns finds its way back by itself.

use tollgate_tests::traffic::Traffic;
use tollgate_tests::{Gateway, eventually};

use crate::apis::{pets, probe};

#[tokio::test]
async fn traffic_outlives_the_adapter_and_changes_flow_when_it_returns() {
    let mut gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = gateway.token("").await.unwrap();
    let url = gateway.url("/pets/1.0.0/pet/5");
    let traffic = {
        let token = token.clone();
        Traffic::start(4, move |client| client.get(&url).bearer_auth(&token)).unwrap()
    };
    traffic.flows(100).await.unwrap();

    gateway.adapter.kill().unwrap();
    traffic.flows(500).await.unwrap();
    // Connections that begin now are served too, and strangers are still refused.
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
    gateway.all_answer("/pets/1.0.0/pet/5", 16, |status| status == 401).await.unwrap();

    gateway.adapter.start_again().await.unwrap();
    gateway.deploy(&probe(&gateway.backend, "/after"), "/after/1.0.0/up").await.unwrap();
    gateway.all_answer("/after/1.0.0/up", 16, |status| status == 200).await.unwrap();

    let account = traffic.stop().await.unwrap();
    assert_eq!(account.failures, Vec::<String>::new(), "of {}", account.passed);
}

#[tokio::test]
async fn a_restarted_envoy_comes_back_by_itself() {
    let mut gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = gateway.token("").await.unwrap();

    gateway.envoy.restart().unwrap();
    gateway.wait_ready().await.unwrap();

    // Ready means ready: the very first requests are answered right.
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
    gateway.all_answer("/pets/1.0.0/pet/5", 16, |status| status == 401).await.unwrap();
    let answer = gateway.get("/pets/1.0.0/pet/5", Some(&token)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// An Envoy that starts while the adapter is down waits for it; until then it serves nobody, rather than everybody.
#[tokio::test]
async fn an_envoy_that_starts_alone_waits_for_the_adapter() {
    let mut gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway.adapter.kill().unwrap();
    gateway.envoy.restart().unwrap();
    eventually("Envoy is up", async || gateway.envoy.stats("server.live")).await.unwrap();
    gateway.backend.forget();
    gateway.get("/pets/1.0.0/pet/5", None).await.expect_err("nothing can be served yet");
    assert_eq!(gateway.backend.count(), 0);

    gateway.adapter.start_again().await.unwrap();
    gateway.wait_ready().await.unwrap();
    gateway.all_answer("/pets/1.0.0/health", 16, |status| status == 200).await.unwrap();
}
