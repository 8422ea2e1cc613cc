//! Who has subscribed gets in, and nobody else: from the subscriptions file, as it changes.

use std::path::PathBuf;

use anyhow::ensure;
use reqwest::Method;
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::http::Answer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings, eventually};

use crate::apis::pets;
use crate::credentials::{check, keys_api};

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

/// SHA-256 of `web-key`, `old-key` and `stranger`, as `printf %s "$key" | sha256sum` writes them.
const WEB: &str = "fe372517ad18bd4ef08c931b6f58a73a1e10ad754cc729a8ccd705be55c47fbd";
const OLD: &str = "762c08fc17a1cc5f00d248f8b50f2f2f4d17ff2934ac31e64deacb3f5bb3f2ec";
const STRANGER: &str = "8aca4f36774f82a67c507cb9c96679482e2cc767f2d38502269557a566b092fb";

#[tokio::test]
async fn opaque_keys_are_good_for_what_their_application_has_subscribed_to() {
    let folder = TempDir::new().unwrap();
    let text = |web: &str| {
        format!(
            "applications:\n  - name: web\n    apiKeys:\n      - {{sha256: {web}}}\n      \
             - {{sha256: {OLD}, created: 2019-01-01T00:00:00Z, expires: 2020-01-01T00:00:00Z}}\n    \
             subscriptions: [{{api: Keys, version: 1.0.0}}]\n  - name: stranger\n    apiKeys: [{{sha256: {STRANGER}}}]\n"
        )
    };
    let (gateway, file) = gateway(&folder, &text(WEB)).await;
    gateway.deploy(&keys_api(&gateway), "/keys/1.0.0/open").await.unwrap();
    let bearer = format!("Bearer {}", gateway.token("").await.unwrap());
    let (bearer, key) = (("authorization", bearer.as_str()), ("apikey", "web-key"));
    // Whatever passes is also looked at where it arrives: without the key.
    check(
        &gateway,
        &[
            ("/head", &[key], 200),
            ("/either", &[key], 200),
            ("/query?a=%2F&apikey=web-key&b=+", &[], 200),
            ("/both", &[bearer, key], 200),
            ("/both", &[key], 401),
            ("/both", &[bearer, ("apikey", "old-key")], 401),
            ("/token", &[key], 401),
            ("/query", &[key], 401),
            ("/head", &[("apikey", "old-key")], 401),
            ("/head", &[("apikey", "web-kez")], 401),
            ("/head", &[("apikey", WEB)], 401),
        ],
    )
    .await;
    let answer = async |name: &str| {
        Answer::of(gateway.request(Method::GET, "/keys/1.0.0/head").header("apikey", name)).await.unwrap()
    };
    let refused = answer("stranger").await;
    assert_eq!(refused.status.as_u16(), 403);
    assert!(refused.body.contains("API Subscription validation failed."), "{}", refused.body);

    std::fs::write(&file, text(&"ab".repeat(32))).unwrap();
    // One worker may know of it a moment before another, so the whole answer is asked of each try.
    let gone = async || {
        let Answer { status, body, .. } = answer("web-key").await;
        ensure!(status.as_u16() == 401 && body.contains("API key authentication failed."), "{status} {body}");
        Ok(())
    };
    eventually("a key that is taken out of the file is refused", gone).await.unwrap();
}

#[tokio::test]
async fn a_token_taken_out_of_the_file_is_good_again() {
    let folder = TempDir::new().unwrap();
    let text = |revoked: &str| {
        format!("applications:\n{}revokedTokens: [{revoked}]\n", application("web", "UNBLOCKED", "PRODUCTION"))
    };
    let (gateway, file) = gateway(&folder, &text("{jti: leaked, expires: 2100-01-01T00:00:00Z}")).await;
    let token = token(Claims::of(ISSUER).with("azp", "web").with("jti", "leaked"));
    let is = async |expected: u16| {
        let status = gateway.get(PATH, Some(&token)).await?.status.as_u16();
        ensure!(status == expected, "{status}");
        Ok(())
    };
    is(401).await.unwrap();
    std::fs::write(&file, text("")).unwrap();
    eventually("the token is good again", async || is(200).await).await.unwrap();
}

/// All that was issued before a moment, by who was given it, by whom, or for which client.
#[tokio::test]
async fn what_was_issued_before_a_cut_off_is_refused() {
    let folder = TempDir::new().unwrap();
    let text = |cutoffs: &str| {
        format!("applications:\n{}cutoffs: [{cutoffs}]\n", application("web", "UNBLOCKED", "PRODUCTION"))
    };
    let (gateway, file) = gateway(&folder, &text("")).await;
    let issued = |at: u64| token(Claims::of(ISSUER).with("azp", "web").with("sub", "bob").with("iat", at));
    let (old, new) = (issued(1_700_000_000), issued(1_700_000_002));
    let undated = token(Claims::of(ISSUER).with("azp", "web").with("sub", "bob").without("iat"));
    let answers = async |expected: [u16; 3]| {
        for (token, expected) in [&old, &new, &undated].into_iter().zip(expected) {
            let status = gateway.get(PATH, Some(token)).await?.status.as_u16();
            ensure!(status == expected, "{status} is not {expected}");
        }
        Ok(())
    };
    answers([200; 3]).await.unwrap();
    for of in ["user: bob", "consumerKey: web", &format!("issuer: '{ISSUER}'")] {
        std::fs::write(&file, text(&format!("{{{of}, before: 1700000001}}"))).unwrap();
        eventually(of, async || answers([401, 200, 401]).await).await.unwrap();
        std::fs::write(&file, text("")).unwrap();
        eventually("all are good again", async || answers([200; 3]).await).await.unwrap();
    }
}
