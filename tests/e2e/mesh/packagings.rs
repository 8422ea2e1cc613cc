//! One module that does everything, and a chain of modules that do one thing each: they must come to the same.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tollgate_model::Algorithm;
use tollgate_tests::backend::Seen;
use tollgate_tests::http::{Answer, client};
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, eventually, locate, within};

use super::proxies::{Proxy, Shape, local, plain, plugin};
use super::{ADAPTER, HOST, Mesh, PATIENCE, answers, call, healthy, log};
use crate::subscriptions::{ISSUER, token};

/// Method, path, headers, and the status of the answer.
type Case<'a> = (&'a str, &'a str, Vec<(String, String)>, u16);

const CHAIN: [&str; 5] = ["authenticate", "authorize", "ratelimit", "observe", "mediate"];
/// Cluster of the adapter's modules.
const MODULES: &str = "outbound|9002||tollgate-adapter.tollgate.svc.cluster.local";
const HEALTH: &str = "/mixed/1.0.0/health";
const SUBSCRIPTIONS: &str = "tiers:\n  - {name: Two, kind: api, limits: [{requests: 2, per: year}]}\n  - {name: Many, kind: api, limits: [{requests: 100000, per: hour}]}\n";

/// A gateway of the mesh with these modules, one after the other.
fn gateway(mesh: &Mesh, name: &str, modules: &[&str]) -> Result<Proxy> {
    let from_file = |module: &&str| {
        let path = locate::module()?.with_file_name(format!("{module}.wasm"));
        ensure!(path.is_file(), "{} is not there; run `./just wasm`", path.display());
        Ok(Module::of(module, local(&path)))
    };
    gateway_of(mesh, name, &modules.iter().map(from_file).collect::<Result<Vec<_>>>()?)
}

/// A module, and where its code is.
struct Module {
    name: String,
    code: Value,
    /// Whether its VM has a configuration of its own.
    own: bool,
}

impl Module {
    fn of(name: &str, code: Value) -> Self {
        Self { name: name.to_owned(), code, own: false }
    }
}

/// The same with modules from anywhere.
fn gateway_of(mesh: &Mesh, name: &str, modules: &[Module]) -> Result<Proxy> {
    let mut shape = Shape::new(mesh.folder(name));
    for Module { name: module, code, own } in modules {
        let mut typed = plugin(&format!("default.{module}"), module, code, &Mesh::configuration(ADAPTER));
        if *own {
            let text = json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": module });
            typed["config"]["vm_config"]["configuration"] = text;
        }
        shape.filters.push(json!({ "name": format!("tollgate.{module}"), "typed_config": typed }));
    }
    shape.clusters = vec![mesh.adapter_cluster(), plain(MODULES, mesh.filters.number())];
    shape.gateway(HOST, plain("outbound|9080||mixed", mesh.application()?))
}

fn project() -> ApiProject {
    ApiProject::new("Mixed", "1.0.0", "/mixed")
        .production(&format!("http://{HOST}/v1"))
        .secured("GET", "/one/{id}")
        .secured_with("GET", "/limited", json!({ "x-wso2-throttling-tier": "Many" }))
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

/// Requests of which a decision is well known.
fn cases() -> Result<Vec<Case<'static>>> {
    let bearer = |token: String| format!("Bearer {token}");
    let good = bearer(token(Claims::of(ISSUER).with("scope", "read")));
    let plain = bearer(token(Claims::of(ISSUER)));
    let sandbox = bearer(token(Claims::of(ISSUER).with("keytype", "SANDBOX")));
    let expired = bearer(token(Claims::of(ISSUER).with("exp", 1_000)));
    let forged = bearer(KeyPair::generate("shared")?.sign(Algorithm::RS256, &Claims::of(ISSUER)));
    let auth = |value: &str| vec![("authorization".to_owned(), value.to_owned())];
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    Ok(vec![
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
        ("GET", "/mixed/1.0.0/limited", auth(&good), 200),
        // Refused by the last module, after it was counted by another.
        ("GET", "/mixed/1.0.0/limited", auth(&sandbox), 401),
        ("GET", "/mixed/1.0.0/scoped", auth(&plain), 403),
        ("GET", "/mixed/1.0.0/scoped", auth(&good), 200),
        ("GET", "/mixed/1.0.0/key", header("apikey", "guess"), 401),
        ("GET", "/mixed/1.0.0/nothing", vec![], 404),
        ("POST", "/mixed/1.0.0/one/5", auth(&good), 404),
        ("OPTIONS", "/mixed/1.0.0/one/5", vec![], 204),
        ("GET", "/mixed/1.0.0/one/..%2Fkey", auth(&good), 400),
        // What a client writes is no evidence.
        ("GET", "/mixed/1.0.0/one/5", header("wasm.tollgate.evidence", "TGE"), 401),
    ])
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
    let cases = cases()?;
    mesh.application.forget();
    for (number, (method, path, headers, expected)) in cases.iter().enumerate() {
        let number = number.to_string();
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("x-case", &number));
        let mut outcomes = Vec::new();
        for proxy in [&whole, &chain] {
            let answer = call(proxy, Method::from_bytes(method.as_bytes())?, HOST, path, &headers).await?;
            // The application's own answer holds ids that Envoy makes up.
            let body = if answer.status == 200 { String::new() } else { answer.body.clone() };
            let challenge = answer.header("www-authenticate").map(str::to_owned);
            let policies = limits(&answer);
            outcomes.push((answer.status.as_u16(), body, challenge, policies, told(&mesh.application.take())));
        }
        assert_eq!(outcomes[0], outcomes[1], "{method} {path} {headers:?}");
        assert_eq!(outcomes[0].0, *expected, "{method} {path}: {}", outcomes[0].1);
        // Whoever was counted is told so, whatever became of the request, and only once.
        assert_eq!(outcomes[0].3.len(), usize::from(path.ends_with("/limited")), "{method} {path} {:?}", outcomes[0].3);
    }
    same_records(&whole, &chain, cases.len()).await?;
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

fn limits(answer: &Answer) -> Vec<String> {
    let values = answer.headers.get_all("ratelimit-policy").iter();
    values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
}

/// Access logs say the same of every case.
async fn same_records(whole: &Proxy, chain: &Proxy, cases: usize) -> Result<()> {
    eventually("all cases are in the access logs", async || {
        let (by_whole, by_chain) = (whole.logged(), chain.logged());
        ensure!(by_whole.len() == cases && by_chain.len() == cases, "{} and {}", by_whole.len(), by_chain.len());
        assert_eq!(by_whole, by_chain);
        let has = |part: &str| by_whole.values().any(|line| line.contains(part));
        for part in ["200 {\"outcome\":\"forwarded\"", "\"keyType\":\"PRODUCTION\"", "\"code\":\"900901\"", "404"] {
            assert!(has(part), "nothing has {part}: {by_whole:?}");
        }
        Ok(())
    })
    .await
}

/// That a gateway does what only one of the modules does, for each of them; `few` lets two requests through.
async fn does_everything(mesh: &Mesh, proxy: &Proxy, few: &str) -> Result<()> {
    let bearer = format!("Bearer {}", token(Claims::of(ISSUER)));
    let credentials = [("authorization", bearer.as_str()), ("x-case", "good")];
    answers(proxy, HOST, HEALTH, 200).await.with_context(|| log(proxy))?;
    mesh.application.forget();
    for (path, headers, expected) in [
        ("/mixed/1.0.0/one/5", &[][..], 401),
        ("/mixed/1.0.0/scoped", &credentials[..1], 403),
        (few, &[], 200),
        (few, &[], 200),
        (few, &[], 429),
        ("/mixed/1.0.0/one/5", &credentials, 200),
    ] {
        let answer = call(proxy, Method::GET, HOST, path, headers).await?;
        assert_eq!(answer.status, expected, "{path}: {}", answer.body);
    }
    assert_eq!(mesh.application.take().last().map(|seen| seen.path.clone()).as_deref(), Some("/v1/one/5"));
    eventually("it is recorded", async || {
        ensure!(proxy.logged().get("good").is_some_and(|line| line.contains("forwarded")), "{:?}", proxy.logged());
        Ok(())
    })
    .await?;
    healthy(proxy)
}

/// Every module that the adapter offers is one that Envoy fetches under its hash and runs. Without something of its own in each
/// VM's configuration Envoy takes one fetched module for another.
#[tokio::test]
async fn every_module_of_the_adapter_runs_as_it_was_fetched() -> Result<()> {
    let mesh = Mesh::start(SUBSCRIPTIONS).await?;
    mesh.adapter.deploy(project().zip()?).await?;
    let base = format!("http://localhost:{}", mesh.filters.number());
    let listed = Answer::of(client(0)?.get(format!("{base}/filters"))).await?.json();
    let code = |entry: &Value| {
        let uri = format!("{base}{}", entry["path"].as_str().unwrap_or_default());
        let fetch = json!({ "uri": uri, "cluster": MODULES, "timeout": "30s" });
        json!({ "remote": { "http_uri": fetch, "sha256": entry["sha256"], "retry_policy": { "num_retries": 20 } } })
    };
    let mut offered: BTreeMap<String, Value> = BTreeMap::new();
    for entry in listed["filters"].as_array().into_iter().flatten() {
        offered.insert(entry["name"].as_str().unwrap_or_default().to_owned(), code(entry));
    }
    assert_eq!(offered.len(), CHAIN.len() + 1, "{listed}");
    let modules = |names: &[&str], own: bool| -> Vec<Module> {
        let module = |name: &&str| Module { own, ..Module::of(name, offered[*name].clone()) };
        names.iter().map(module).collect()
    };
    let whole = gateway_of(&mesh, "fetched-whole", &modules(&["enforcer"], false))?;
    let chain = gateway_of(&mesh, "fetched-chain", &modules(&CHAIN, true))?;
    for (proxy, few) in [(&whole, "/mixed/1.0.0/few"), (&chain, "/mixed/1.0.0/rare")] {
        does_everything(&mesh, proxy, few).await?;
    }
    let fetched = |proxy: &Proxy| -> Result<u64> {
        Ok(proxy.envoy.stats("wasm.remote_load_fetch_successes")?.iter().map(|(_, count)| *count).sum())
    };
    assert_eq!((fetched(&whole)?, fetched(&chain)?), (1, CHAIN.len() as u64));

    // One stands where others should: they notice.
    let mixed = gateway_of(&mesh, "fetched-mixed", &modules(&CHAIN, false))?;
    within(PATIENCE, "Envoy has mixed them up", async || {
        ensure!(log(&mixed).contains("needs a vm_config.configuration of its own"), "{}", log(&mixed));
        Ok(())
    })
    .await?;
    mesh.application.forget();
    for _ in 0..8 {
        // Envoy may as well not listen.
        if let Ok(answer) = call(&mixed, Method::GET, HOST, HEALTH, &[]).await {
            assert!(answer.status.is_server_error(), "{} {}", answer.status, answer.body);
        }
    }
    assert_eq!(mesh.application.count(), 0);
    Ok(())
}

/// A chain that lacks a module, or has one in the wrong place, lets nobody through.
#[tokio::test]
async fn a_chain_with_a_gap_lets_nobody_through() -> Result<()> {
    let mesh = Mesh::start("").await?;
    mesh.adapter.deploy(project().zip()?).await?;
    let gaps: [&[&str]; 6] = [
        &["authorize", "ratelimit", "mediate"],
        &["authenticate", "ratelimit", "mediate"],
        &["authenticate", "authorize", "mediate"],
        &["mediate"],
        // The one that observes is no proof of anything.
        &["observe", "mediate"],
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
        for module in ["authorize", "ratelimit", "observe", "mediate"] {
            assert!(!holds(module, name)?, "{module}.wasm holds {name}");
        }
    }
    Ok(())
}
