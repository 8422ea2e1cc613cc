//! Why a request is decided as it is: asked of the running adapter, and of a live request with a pass.

use std::process::Command;

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::http::Answer;
use tollgate_tests::token::Claims;
use tollgate_tests::{Gateway, Settings, eventually, locate};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

/// `adapter explain` with these arguments: whether it went well, and what it printed.
fn adapter_explain(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(locate::adapter().unwrap()).arg("explain").args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

#[tokio::test]
async fn the_running_adapter_explains_what_the_gateway_does() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::with(Settings { extra: token_service(&folder, true), ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let address = format!("127.0.0.1:{}", gateway.ports.admin);
    let of_testkey = gateway.token("write").await.unwrap();
    for (token, facts) in [
        (None, &["authenticate: refused 401 900901", "access token: absent"][..]),
        (
            Some(of_testkey),
            &["authenticate: passed", "RS256 signature by key", "verdict: the request goes to the cluster"],
        ),
        (Some(token(Claims::of(ISSUER).expiring(-60))), &["its `exp` has passed"]),
        (Some(token(Claims::of(ISSUER))), &["client or API key: unknown", "authorize: refused 403 900908"]),
        (Some(token(Claims::of("https://nobody.test"))), &["issuer \"https://nobody.test\": unknown"]),
    ] {
        let mut arguments = vec!["--address", &address, "--api", "Pets:1.0.0", "--path", "/pet/5"];
        arguments.extend(token.iter().flat_map(|token| ["--token", token.as_str()]));
        let (good, text) = adapter_explain(&arguments);
        assert!(good, "{text}");
        for fact in facts {
            assert!(text.contains(fact), "{fact:?} is not in\n{text}");
        }
        // It is the decision that the gateway makes.
        let status = gateway.get(PATH, token.as_deref()).await.unwrap().status.as_u16();
        let (_, json) = adapter_explain(&[&arguments[..], &["--output", "json"]].concat());
        let verdict: Value = serde_json::from_str::<Value>(&json).unwrap()["verdict"].clone();
        let explained = if verdict["decision"] == "forward" { 200 } else { verdict["status"].as_u64().unwrap() };
        assert_eq!(u64::from(status), explained, "{json}");
        assert!(token.is_none_or(|token| !json.contains(token.rsplit_once('.').unwrap().1)), "{json}");
    }
    let (good, text) = adapter_explain(&["--address", &address, "--api", "Nothing", "--path", "/"]);
    assert!(!good && text.contains("has no API Nothing"), "{text}");
}

#[tokio::test]
async fn a_pass_has_one_live_request_explained_in_the_log() {
    let folder = TempDir::new().unwrap();
    let (private, config) = (folder.path().join("explain.pem"), folder.path().join("explain.toml"));
    let pair = jwt_simple::prelude::Ed25519KeyPair::generate();
    std::fs::write(&private, pair.to_pem()).unwrap();
    let extra = format!("\n[tollgate.explain]\nkeyPath = '{}'\n", private.display());
    std::fs::write(&config, &extra).unwrap();
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let config = config.to_str().unwrap();
    let (good, pass) = adapter_explain(&["--config", config, "--pass", "--host", "localhost", "--path", PATH]);
    assert!(good, "{pass}");
    let (pass, token) = (pass.trim(), gateway.token("").await.unwrap());

    let send = async |id: &str, path: &str, pass: &str| {
        let request = gateway.request(Method::GET, path).bearer_auth(&token);
        let request = request.header("x-request-id", id).header("x-tollgate-explain", pass);
        Answer::of(request).await.unwrap().status.as_u16()
    };
    gateway.backend.forget();
    assert_eq!(send("explain-me", &format!("{PATH}?a=secret"), pass).await, 200);
    let (signed, signature) = pass.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed}.{other}{}", &signature[1..]);
    assert_eq!(send("forged", PATH, &forged).await, 200);
    assert_eq!(send("elsewhere", "/pets/1.0.0/pet/6", pass).await, 200);
    for seen in gateway.backend.take() {
        assert!(!seen.headers.contains_key("x-tollgate-explain"), "{seen:?}");
    }
    let lines = || -> anyhow::Result<Vec<String>> {
        let log = std::fs::read_to_string(gateway.envoy.log())?;
        Ok(log.lines().filter_map(|line| Some(line.split_once(": explain ")?.1.to_owned())).collect())
    };
    eventually("the explanation is in the log", async || {
        ensure!(!lines()?.is_empty(), "no line yet");
        Ok(())
    })
    .await
    .unwrap();
    let lines = lines().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (id, json) = lines[0].split_once(' ').unwrap();
    assert_eq!(id, "explain-me");
    let trace: Value = serde_json::from_str(json).unwrap();
    assert_eq!(trace["verdict"]["decision"], "forward", "{trace}");
    let stages: Vec<&str> =
        trace["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["admit", "ask", "authenticate", "authorize", "limit", "policy", "mediate"]);
    for secret in [&token, pass, "a=secret"] {
        assert!(!json.contains(secret), "{json}");
    }
}
