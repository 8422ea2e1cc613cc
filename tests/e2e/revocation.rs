//! A token that was taken back is refused by every worker at once, whatever has become of who took it back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Method;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate_tests::http::Answer;
use tollgate_tests::token::Claims;
use tollgate_tests::{Etcd, Gateway, Settings, eventually, within};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

fn of(jti: &str) -> String {
    token(Claims::of(ISSUER).with("jti", jti))
}

async fn gateway(folder: &TempDir, etcd: &Etcd) -> Gateway {
    let extra =
        format!("\n[tollgate.revocation.etcd]\nendpoints = ['{}']\n{}", etcd.url(), token_service(folder, false));
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway
}

/// Sends the token over many connections, so that every worker gets it, and demands one answer of all.
async fn everywhere(gateway: &Gateway, jti: &str, status: u16) -> Result<()> {
    let mut requests = JoinSet::new();
    for _ in 0..16 {
        requests.spawn(Answer::of(gateway.request(Method::GET, PATH).bearer_auth(of(jti))));
    }
    while let Some(answer) = requests.join_next().await {
        let answer = answer??;
        ensure!(answer.status.as_u16() == status, "{jti} is answered {} {}", answer.status, answer.body);
    }
    Ok(())
}

#[tokio::test]
async fn every_worker_refuses_a_revoked_token_within_a_second() {
    let (folder, etcd) = (TempDir::new().unwrap(), Etcd::start().await.unwrap());
    etcd.put("/revoked/before", "4000000000").await.unwrap();
    let gateway = gateway(&folder, &etcd).await;
    everywhere(&gateway, "before", 401).await.unwrap();
    let mut taken = Vec::new();
    for number in 0..5 {
        let jti = format!("token-{number}");
        // Known to every worker, so that a memory could answer.
        everywhere(&gateway, &jti, 200).await.unwrap();
        let start = Instant::now();
        etcd.put(&format!("/revoked/{jti}"), "4000000000000").await.unwrap();
        eventually("the token is refused", async || everywhere(&gateway, &jti, 401).await).await.unwrap();
        taken.push(start.elapsed());
    }
    taken.sort_unstable();
    // Other processes may get in the way of one or two, but not of most.
    assert!(taken[2] < Duration::from_secs(1), "{taken:?}");
    everywhere(&gateway, "another", 200).await.unwrap();
    let answer = gateway.get(PATH, Some(&of("token-0"))).await.unwrap();
    assert_eq!(
        answer.body,
        r#"{"error_message":"Invalid Credentials","code":"900901","error_description":"Invalid JWT token. Make sure you have provided the correct security credentials"}"#
    );

    etcd.delete("/revoked/token-0").await.unwrap();
    let back = async || everywhere(&gateway, "token-0", 200).await;
    within(Duration::from_secs(30), "it is taken back", back).await.unwrap();
}

#[tokio::test]
async fn what_was_revoked_outlives_etcd_and_the_adapter() {
    let (folder, mut etcd) = (TempDir::new().unwrap(), Etcd::start().await.unwrap());
    let mut gateway = gateway(&folder, &etcd).await;
    etcd.put("/revoked/a", "4000000000").await.unwrap();
    eventually("the token is refused", async || everywhere(&gateway, "a", 401).await).await.unwrap();

    etcd.kill().unwrap();
    everywhere(&gateway, "a", 401).await.unwrap();
    everywhere(&gateway, "b", 200).await.unwrap();
    gateway.adapter.kill().unwrap();
    everywhere(&gateway, "a", 401).await.unwrap();

    // Both come back, and what happens from then on arrives.
    etcd.start_again().await.unwrap();
    gateway.adapter.start_again().await.unwrap();
    everywhere(&gateway, "a", 401).await.unwrap();
    etcd.put("/revoked/b", "4000000000").await.unwrap();
    eventually("the next token is refused", async || everywhere(&gateway, "b", 401).await).await.unwrap();
    everywhere(&gateway, "a", 401).await.unwrap();
}

#[tokio::test]
async fn an_etcd_that_comes_back_is_followed_again_without_a_gap() {
    let (folder, mut etcd) = (TempDir::new().unwrap(), Etcd::start().await.unwrap());
    let gateway = gateway(&folder, &etcd).await;
    etcd.kill().unwrap();
    etcd.start_again().await.unwrap();
    // Written while nobody may be listening yet.
    etcd.put("/revoked/gap", "4000000000").await.unwrap();
    eventually("the token is refused", async || everywhere(&gateway, "gap", 401).await).await.unwrap();
}
