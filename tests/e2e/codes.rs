//! Codes of refusals that no other test of a feature shows, with the headers that belong to them.

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::http::Answer;
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, Settings, eventually, project};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

/// Plans whose windows no test sees the end of.
const SUBSCRIBERS: &str = "
tiers:
  - {name: Once, kind: api, limits: [{requests: 1, per: year}]}
  - {name: Shallow, kind: subscription, graphQL: {maxDepth: 2, maxComplexity: 3}}
applications:
  - name: web
    subscriber: alice
    keys: [{keyManager: Portal, consumerKey: web}]
    subscriptions:
      - {api: Whole, version: 1.0.0}
      - {api: Parts, version: 1.0.0}
      - {api: Blocked, version: 1.0.0}
      - {api: Library, version: 1.0.0, tier: Shallow}
customPolicies:
  - {name: one address, key: \"$clientIp:$apiContext\", limits: [{requests: 2, per: year}]}
";

async fn gateway(folder: &TempDir) -> Gateway {
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, SUBSCRIBERS).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    // One worker, since another might hold the last of such a small quota.
    let settings = Settings { adapter, extra: token_service(folder, true), workers: 1, ..Settings::default() };
    Gateway::with(settings).await.unwrap()
}

fn code(answer: &Answer) -> String {
    format!("{} {}", answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn subscribers_learn_which_limit_or_block_they_met() {
    let folder = TempDir::new().unwrap();
    let gateway = gateway(&folder).await;
    let project = |name: &str| {
        let context = format!("/{}", name.to_lowercase());
        ApiProject::new(name, "1.0.0", &context).production(&gateway.backend.url()).secured("GET", "/x")
    };
    let once = json!({"x-wso2-throttling-tier": "Once"});
    for (project, path) in [
        (project("Whole").with_extension("x-wso2-throttling-tier", "Once"), "/whole/1.0.0/x"),
        (project("Parts").unsecured_with("GET", "/y", once), "/parts/1.0.0/x"),
        (project("Blocked").with("lifeCycleStatus", "BLOCKED"), "/blocked/1.0.0/x"),
    ] {
        gateway.deploy(&project, path).await.unwrap();
    }
    let bearer = token(Claims::of(ISSUER).with("azp", "web"));
    for (path, expected) in [
        ("/blocked/1.0.0/x", "503 700700"),
        ("/whole/1.0.0/x", "200 "),
        ("/whole/1.0.0/x", "429 900800"),
        ("/parts/1.0.0/y", "200 "),
        ("/parts/1.0.0/y", "429 900802"),
        // What was refused has taken nothing of the two that the policy lets an address have.
        ("/parts/1.0.0/x", "200 "),
        ("/parts/1.0.0/x", "429 900806"),
    ] {
        let answer = gateway.get(path, Some(&bearer)).await.unwrap();
        assert_eq!(code(&answer), expected, "{path}: {}", answer.body);
        let retry = answer.header("retry-after").unwrap_or_default();
        // The end of the year.
        assert_eq!(retry.contains(" Jan ") && retry.ends_with(" 00:00:00 GMT"), expected.starts_with("429"), "{retry}");
        let challenged = answer.header("www-authenticate").is_some();
        assert_eq!(challenged, expected.ends_with("700700"), "{path}");
    }
}

#[tokio::test]
async fn queries_of_subscribers_have_bounds() {
    let folder = TempDir::new().unwrap();
    let gateway = gateway(&folder).await;
    gateway.adapter.deploy(project::sample("graphql", &gateway.backend.url()).unwrap()).await.unwrap();
    let bearer = token(Claims::of(ISSUER).with("azp", "web"));
    let ask = async |query: &str| {
        let request = gateway.request(Method::POST, "/library/1.0.0").bearer_auth(&bearer);
        let request = request.header("content-type", "application/json");
        Answer::of(request.body(json!({ "query": query }).to_string())).await
    };
    eventually("the API is served", async || {
        let answer = ask("{author(id: 1) {name}}").await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(())
    })
    .await
    .unwrap();
    for (query, expected) in [
        ("{author(id: 1) {books {id}}}", "400 900820"),
        ("{author(id: 1) {a: name b: name c: name d: name}}", "400 900821"),
        ("{author(id: 1) {", "400 900422"),
    ] {
        let answer = ask(query).await.unwrap();
        assert_eq!(code(&answer), expected, "{query}: {}", answer.body);
    }
}

/// The issuer's keys are asked for, and nobody is there to answer.
#[tokio::test]
async fn a_token_that_nobody_can_judge_is_refused() {
    let key = KeyPair::shared().unwrap();
    let jwks = JwksServer::start(&[key]).await.unwrap();
    let service = TokenService {
        name: "Remote".to_owned(),
        issuer: "https://remote.test".to_owned(),
        keys: Keys::Url(jwks.url()),
        algorithms: Vec::new(),
    };
    let mut gateway = Gateway::with(Settings { token_services: vec![service], ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway.adapter.kill().unwrap();
    let token = |kid: &str| key.named(kid).sign(Algorithm::RS256, &Claims::of("https://remote.test"));
    let answer = gateway.get(PATH, Some(&token("shared"))).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    let answer = gateway.get(PATH, Some(&token("unknown"))).await.unwrap();
    assert_eq!(code(&answer), "401 900900", "{}", answer.body);
    assert!(answer.header("www-authenticate").is_some());
}

/// What could be read in two ways, and what would change the protocol behind the gateway's back.
#[tokio::test]
async fn requests_that_mislead_are_refused_with_their_codes() {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway.backend.forget();
    for (path, header, expected) in [
        // One that clients do not resolve by themselves.
        ("/pets/1.0.0/files/..%2Fadmin", ("accept", "*/*"), "400 400"),
        ("/pets/1.0.0/health", ("upgrade", "websocket"), "403 403"),
        ("/pets/1.0.0/nothing", ("accept", "*/*"), "404 404"),
    ] {
        let request = gateway.request(Method::GET, path).header(header.0, header.1);
        let request = if header.0 == "upgrade" { request.header("connection", "upgrade") } else { request };
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(code(&answer), expected, "{path}: {}", answer.body);
    }
    assert_eq!(gateway.backend.count(), 0);
}
