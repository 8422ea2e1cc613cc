//! One module that does everything, and a chain of modules that do one thing each: they must come to the same.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_model::Algorithm;
use tollgate_tests::backend::Seen;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, locate, within};

use super::proxies::{Proxy, Shape, local, plain, plugin};
use super::{ADAPTER, HOST, Mesh, PATIENCE, answers, call, healthy};
use crate::subscriptions::{ISSUER, token};

/// Method, path, headers, and the status of the answer.
type Case<'a> = (&'a str, &'a str, Vec<(String, String)>, u16);

const CHAIN: [&str; 4] = ["authenticate", "authorize", "ratelimit", "mediate"];
const HEALTH: &str = "/mixed/1.0.0/health";
const SUBSCRIPTIONS: &str = "tiers:\n  - {name: Two, kind: api, limits: [{requests: 2, per: year}]}\n";

/// A gateway of the mesh with these modules, one after the other.
fn gateway(mesh: &Mesh, name: &str, modules: &[&str]) -> Result<Proxy> {
    let mut shape = Shape::new(mesh.folder(name));
    for module in modules {
        let path = locate::module()?.with_file_name(format!("{module}.wasm"));
        ensure!(path.is_file(), "{} is not there; run `./just wasm`", path.display());
        let typed = plugin(&format!("default.{module}"), module, &local(&path), &Mesh::configuration(ADAPTER));
        shape.filters.push(json!({ "name": format!("tollgate.{module}"), "typed_config": typed }));
    }
    shape.clusters = vec![mesh.adapter_cluster()];
    shape.gateway(HOST, plain("outbound|9080||mixed", mesh.application()?))
}

fn project() -> ApiProject {
    ApiProject::new("Mixed", "1.0.0", "/mixed")
        .production(&format!("http://{HOST}/v1"))
        .secured("GET", "/one/{id}")
        .scoped("GET", "/scoped", &["read"])
        .asking("GET", "/key", &json!([{ "key": [] }]))
        .unsecured("GET", "/health")
        .unsecured_with("GET", "/few", json!({ "x-wso2-throttling-tier": "Two" }))
        .unsecured_with("GET", "/rare", json!({ "x-wso2-throttling-tier": "Two" }))
        .with_extension(
            "components",
            json!({ "securitySchemes": {
                "default": { "type": "oauth2", "flows": { "implicit": { "authorizationUrl": "https://a.test", "scopes": { "read": "" } } } },
                "key": { "type": "apiKey", "in": "header", "name": "apikey" },
            } }),
        )
}

/// What the application saw of a request, without what Envoy makes up for each.
fn told(seen: &[Seen]) -> Vec<(String, Option<String>, BTreeMap<String, String>)> {
    let own = ["x-request-id", "x-forwarded-for"];
    let headers = |request: &Seen| {
        let pairs = request.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        pairs.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect()
    };
    seen.iter().map(|request| (request.path.clone(), request.query.clone(), headers(request))).collect()
}

#[tokio::test]
async fn a_chain_answers_as_the_whole_does() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    mesh.adapter.deploy(project().zip()?).await?;
    let whole = gateway(&mesh, "whole", &["enforcer"])?;
    let chain = gateway(&mesh, "chain", &CHAIN)?;
    for proxy in [&whole, &chain] {
        answers(proxy, HOST, HEALTH, 200).await?;
    }
    let bearer = |token: String| format!("Bearer {token}");
    let good = bearer(token(Claims::of(ISSUER).with("scope", "read")));
    let plain = bearer(token(Claims::of(ISSUER)));
    let sandbox = bearer(token(Claims::of(ISSUER).with("keytype", "SANDBOX")));
    let expired = bearer(token(Claims::of(ISSUER).with("exp", 1_000)));
    let forged = bearer(KeyPair::generate("shared")?.sign(Algorithm::RS256, &Claims::of(ISSUER)));
    let auth = |value: &str| vec![("authorization".to_owned(), value.to_owned())];
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let cases: Vec<Case<'_>> = vec![
        ("GET", HEALTH, vec![], 200),
        ("GET", HEALTH, header("x-wso2-cluster-header", "stolen"), 200),
        ("GET", HEALTH, header("x-envoy-max-retries", "9"), 200),
        ("GET", "/mixed/1.0.0/one/5?a=%2F&b", auth(&good), 200),
        ("GET", "/mixed/1.0.0/one/5/", auth(&plain), 200),
        ("GET", "/mixed/1.0.0/one/5", vec![], 401),
        ("GET", "/mixed/1.0.0/one/5", auth("Bearer a.b.c"), 401),
        ("GET", "/mixed/1.0.0/one/5", auth(&expired), 401),
        ("GET", "/mixed/1.0.0/one/5", auth(&forged), 401),
        ("GET", "/mixed/1.0.0/one/5", auth(&sandbox), 401),
        ("GET", "/mixed/1.0.0/scoped", auth(&plain), 403),
        ("GET", "/mixed/1.0.0/scoped", auth(&good), 200),
        ("GET", "/mixed/1.0.0/key", header("apikey", "guess"), 401),
        ("GET", "/mixed/1.0.0/nothing", vec![], 404),
        ("POST", "/mixed/1.0.0/one/5", auth(&good), 404),
        ("OPTIONS", "/mixed/1.0.0/one/5", vec![], 204),
        ("GET", "/mixed/1.0.0/one/..%2Fkey", auth(&good), 400),
        // What a client writes is no evidence.
        ("GET", "/mixed/1.0.0/one/5", header("wasm.tollgate.evidence", "TGE"), 401),
    ];
    mesh.application.forget();
    for (method, path, headers, expected) in &cases {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut outcomes = Vec::new();
        for proxy in [&whole, &chain] {
            let answer = call(proxy, Method::from_bytes(method.as_bytes())?, HOST, path, &headers).await?;
            // The application's own answer holds ids that Envoy makes up.
            let body = if answer.status == 200 { String::new() } else { answer.body.clone() };
            let challenge = answer.header("www-authenticate").map(str::to_owned);
            outcomes.push((answer.status.as_u16(), body, challenge, told(&mesh.application.take())));
        }
        assert_eq!(outcomes[0], outcomes[1], "{method} {path} {headers:?}");
        assert_eq!(outcomes[0].0, *expected, "{method} {path}: {}", outcomes[0].1);
    }
    // Each with a counter of its own, since they share an adapter.
    for (proxy, path) in [(&whole, "/mixed/1.0.0/few"), (&chain, "/mixed/1.0.0/rare")] {
        for status in [200, 200, 429] {
            let answer = call(proxy, Method::GET, HOST, path, &[]).await?;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
    healthy(&whole)?;
    healthy(&chain)
}

/// A chain that lacks a module, or has one in the wrong place, lets nobody through.
#[tokio::test]
async fn a_chain_with_a_gap_lets_nobody_through() -> Result<()> {
    let mesh = Mesh::start("").await?;
    mesh.adapter.deploy(project().zip()?).await?;
    let gaps: [&[&str]; 5] = [
        &["authorize", "ratelimit", "mediate"],
        &["authenticate", "ratelimit", "mediate"],
        &["authenticate", "authorize", "mediate"],
        &["mediate"],
        &["authorize", "authenticate", "ratelimit", "mediate"],
    ];
    for (number, modules) in gaps.into_iter().enumerate() {
        let proxy = gateway(&mesh, &format!("gap-{number}"), modules)?;
        let refused = within(PATIENCE, "the modules have their snapshot", async || {
            let answer = call(&proxy, Method::GET, HOST, HEALTH, &[]).await?;
            ensure!(answer.status != 503, "not yet");
            Ok(answer)
        })
        .await?;
        let body: Value = refused.json();
        assert_eq!(
            (refused.status.as_u16(), body["code"].as_str()),
            (500, Some("102500")),
            "{modules:?}: {}",
            refused.body
        );
        healthy(&proxy)?;
    }
    assert_eq!(mesh.application.count(), 0);
    Ok(())
}

/// What a module does not do is not in it. Names of functions stay in modules for the sake of backtraces.
#[test]
fn modules_hold_nothing_that_they_do_not_need() -> Result<()> {
    let holds = |module: &str, name: &str| -> Result<bool> {
        let path = locate::module()?.with_file_name(format!("{module}.wasm"));
        let bytes = std::fs::read(&path)?;
        Ok(bytes.windows(name.len()).any(|window| window == name.as_bytes()))
    };
    for name in ["apollo_parser", "jwt_simple"] {
        assert!(holds("enforcer", name)? && holds("authenticate", name)?, "{name} has another name now");
        for module in ["authorize", "ratelimit", "mediate"] {
            assert!(!holds(module, name)?, "{module}.wasm holds {name}");
        }
    }
    Ok(())
}
