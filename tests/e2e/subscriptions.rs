//! Who has subscribed gets in, and nobody else: from the subscriptions file, as it changes.

use std::path::PathBuf;

use anyhow::ensure;
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings, eventually};

use crate::apis::pets;

pub const ISSUER: &str = "https://portal.test/token";
pub const PATH: &str = "/pets/1.0.0/pet/5";

/// The tables of an issuer whose subscriptions count, or do not.
pub fn token_service(folder: &TempDir, validates: bool) -> String {
    let pem = folder.path().join("portal.pem");
    std::fs::write(&pem, KeyPair::shared().unwrap().public_pem().unwrap()).unwrap();
    let pem = pem.display();
    format!(
        "\n[[enforcer.security.tokenService]]\nname = 'Portal'\nissuer = '{ISSUER}'\ncertificateFilePath = '{pem}'\n\
         validateSubscription = {validates}\n"
    )
}

pub fn token(claims: Claims) -> String {
    KeyPair::shared().unwrap().sign(Algorithm::RS256, &claims)
}

fn of(consumer_key: &str) -> String {
    token(Claims::of(ISSUER).with("azp", consumer_key).without("keytype"))
}

fn application(name: &str, state: &str, kind: &str) -> String {
    format!(
        "  - name: {name}\n    keys: [{{keyManager: Portal, consumerKey: {name}, type: {kind}}}]\n    \
         subscriptions: [{{api: Pets, version: 1.0.0, state: {state}}}]\n"
    )
}

async fn gateway(folder: &TempDir, text: &str) -> (Gateway, PathBuf) {
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, text).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let settings = Settings { adapter, extra: token_service(folder, true), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    (gateway, file)
}

#[tokio::test]
async fn every_state_of_a_subscription_has_its_answer() {
    let states = [
        ("UNBLOCKED", "PRODUCTION", 200, ""),
        ("TIER_UPDATE_PENDING", "PRODUCTION", 200, ""),
        ("BLOCKED", "PRODUCTION", 401, "900907"),
        ("PROD_ONLY_BLOCKED", "PRODUCTION", 401, "900907"),
        // Lets the sandbox key in, for which there is no backend.
        ("PROD_ONLY_BLOCKED", "SANDBOX", 401, "900901"),
        ("ON_HOLD", "PRODUCTION", 403, "900909"),
        ("REJECTED", "PRODUCTION", 403, "900909"),
    ];
    let names: Vec<String> = (0..states.len()).map(|number| format!("app-{number}")).collect();
    let mut text = "applications:\n".to_owned();
    for (name, (state, kind, ..)) in names.iter().zip(states) {
        text.push_str(&application(name, state, kind));
    }
    let folder = TempDir::new().unwrap();
    let (gateway, _) = gateway(&folder, &text).await;
    let check = async |token: &str, status: u16, code: &str| {
        let answer = gateway.get(PATH, Some(token)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
        assert!(code.is_empty() || answer.body.contains(&format!(r#""code":"{code}""#)), "{code}: {}", answer.body);
        answer.body
    };
    for (name, (_, _, status, code)) in names.iter().zip(states) {
        check(&of(name), status, code).await;
    }
    assert_eq!(
        check(&of("stranger"), 403, "900908").await,
        r#"{"error_message":"Resource forbidden ","code":"900908","error_description":"User is NOT authorized to access the Resource. API Subscription validation failed."}"#
    );
    check(&token(Claims::of(ISSUER).without("azp")), 403, "900908").await;
    let listed = |version: &str| serde_json::json!([{"name": "Pets", "version": version}]);
    check(&token(Claims::of(ISSUER).with("subscribedAPIs", listed("1.0.0"))), 200, "").await;
    check(&token(Claims::of(ISSUER).with("subscribedAPIs", listed("2.0.0"))), 403, "900908").await;
    // Test keys are of an issuer whose subscriptions do not count.
    check(&gateway.token("").await.unwrap(), 200, "").await;
}

#[tokio::test]
async fn an_edit_counts_at_once_and_a_broken_one_not_at_all() {
    let folder = TempDir::new().unwrap();
    let text = |state: &str| format!("applications:\n{}", application("web", state, "PRODUCTION"));
    let (gateway, file) = gateway(&folder, &text("UNBLOCKED")).await;
    let status = async || gateway.get(PATH, Some(&of("web"))).await.map(|answer| answer.status.as_u16());
    assert_eq!(status().await.unwrap(), 200);

    std::fs::write(&file, text("BLOCKED")).unwrap();
    let blocked = async || {
        let status = status().await?;
        ensure!(status == 401, "{status}");
        Ok(())
    };
    eventually("the subscription is blocked", blocked).await.unwrap();

    std::fs::write(&file, text("GONE")).unwrap();
    let reported = async || {
        let status = gateway.adapter.status().await?.to_string();
        ensure!(status.contains("/applications/0/subscriptions/0/state"), "{status}");
        Ok(())
    };
    eventually("the status names the mistake", reported).await.unwrap();
    assert_eq!(status().await.unwrap(), 401);

    std::fs::write(&file, text("UNBLOCKED")).unwrap();
    let served = async || {
        let status = status().await?;
        ensure!(status == 200, "{status}");
        Ok(())
    };
    eventually("the subscription is back", served).await.unwrap();
    let status = gateway.adapter.status().await.unwrap().to_string();
    assert!(!status.contains("/applications/0/subscriptions/0/state"), "{status}");
}
