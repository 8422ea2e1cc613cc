//! Why a request is decided as it is: asked of the running adapter, and of a live request with a pass.

use std::process::Command;

use anyhow::ensure;
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, PASSWORD, TokenService};
use tollgate_tests::http::Answer;
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings, eventually, locate, project};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, PATH, token, token_service};

/// `adapter explain` with these arguments: whether it went well, and what it printed.
fn adapter_explain(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(locate::adapter().unwrap());
    // What the configuration of the tests refers to.
    command.env("enforcer_admin_pwd", PASSWORD).arg("explain").args(arguments);
    let output = command.output().unwrap();
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

const SUBSCRIBERS: &str = "
applications:
  - name: web
    keys: [{keyManager: Portal, consumerKey: web}]
    subscriptions: [{api: Pets, version: 1.0.0}, {api: Library, version: 1.0.0}]
  - {name: idle, keys: [{keyManager: Portal, consumerKey: idle}]}
revokedTokens: [{jti: leaked, expires: 2100-01-01T00:00:00Z}]
denyConditions: [{user: mallory@carbon.super}]
";
const REMOTE: &str = "https://remote.test";

/// A request in the words of `adapter explain`, and what is said of it: how the verdict begins, and a fact.
type Told<'t> = (&'t [&'t str], &'t str, &'t str);

/// A gateway with APIs of several kinds, subscribers, and an issuer whose keys are fetched.
async fn with_a_state(folder: &TempDir, jwks: &JwksServer) -> Gateway {
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, SUBSCRIBERS).unwrap();
    let (name, issuer, keys) = ("Remote".to_owned(), REMOTE.to_owned(), Keys::Url(jwks.url()));
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let token_services = vec![TokenService { name, issuer, keys, algorithms: Vec::new() }];
    let extra = token_service(folder, true);
    let gateway = Gateway::with(Settings { adapter, token_services, extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    for sample in ["policies", "graphql", "mock"] {
        gateway.adapter.deploy(project::sample(sample, &gateway.backend.url()).unwrap()).await.unwrap();
    }
    gateway
}

/// What an adapter has stored is enough to explain what its gateways do: every kind of verdict, the same as it gave when it ran.
#[tokio::test]
async fn an_adapter_that_does_not_run_is_explained_from_what_it_has_stored() {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::shared().unwrap();
    let jwks = JwksServer::start(&[key]).await.unwrap();
    let mut gateway = with_a_state(&folder, &jwks).await;
    let of = |client: &str, jti: &str| token(Claims::of(ISSUER).with("azp", client).with("jti", jti));
    let (web, idle, leaked) = (of("web", "web"), of("idle", "idle"), of("web", "leaked"));
    let mallory = token(Claims::of(ISSUER).with("azp", "web").with("sub", "mallory"));
    let remote = |kid: &str| key.named(kid).sign(Algorithm::RS256, &Claims::of(REMOTE));
    let (remote, unknown) = (remote("shared"), remote("unknown"));
    let with = |token| ["--api", "Pets", "--path", "/pet/5", "--token", token];
    let content = "content-type: application/json";
    let query = |body| {
        ["--api", "Library", "--method", "POST", "--path", "", "--header", content, "--body", body, "--token", &web]
    };
    let table: [Told<'_>; 14] = [
        (&with(&web), "goes to the cluster", "application: web"),
        (&with(&remote), "goes to the cluster", "token service: Remote"),
        (&with(&unknown), "depends on the key \"unknown\" of the issuer", "authenticate: asks for the key"),
        (&with("")[..4], "is answered 401 (tollgate_900901)", "access token: absent"),
        (&with(&leaked), "is answered 401 (tollgate_900901)", "its id in the list of revoked tokens: revoked"),
        (&with(&idle), "is answered 403 (tollgate_900908_subscription)", "authorize: refused 403 900908"),
        (&with(&mallory), "is answered 403 (tollgate_900805)", "limit: refused 403 900805"),
        (
            &["--api", "Pets", "--path", "/admin", "--token", &web],
            "is answered 403 (tollgate_900910)",
            "authorize: refused",
        ),
        (&["--host", "localhost", "--path", "/nowhere"], "is answered 404 (tollgate_404)", "admit: refused 404"),
        (&["--api", "Pets", "--path", "/pet/5", "--method", "options"], "is answered 204", "admit: answered 204"),
        (&["--api", "Shops", "--path", "/judged"], "depends on the answer of", "policy: asks for the answer of"),
        (&query(r#"{"query": "{author(id: 1) {name}}"}"#), "goes to the cluster", "field author"),
        (&query("{"), "is answered 400 (tollgate_900422)", "ask: refused 400 900422"),
        (&["--api", "MockedPets", "--path", "/open"], "is answered 200", "mediate: answered 200"),
    ];
    let address = format!("127.0.0.1:{}", gateway.ports.admin);
    let explain = |whom: &[&str], arguments: &[&str]| {
        let (good, text) = adapter_explain(&[whom, arguments].concat());
        assert!(good, "{arguments:?}: {text}");
        text
    };
    let running: Vec<String> =
        table.iter().map(|(arguments, ..)| explain(&["--address", &address], arguments)).collect();
    gateway.adapter.kill().unwrap();
    let config = gateway.adapter.state().parent().unwrap().join("config.toml");
    let offline = ["--offline", "--config", config.to_str().unwrap()];
    for ((arguments, verdict, fact), running) in table.iter().zip(running) {
        let text = explain(&offline, arguments);
        assert_eq!(text, running, "{arguments:?}");
        assert!(text.contains(&format!("verdict: the request {verdict}")), "{arguments:?}: {text}");
        assert!(text.contains(fact), "{fact:?} is not in\n{text}");
        for secret in arguments.iter().skip_while(|argument| **argument != "--token").skip(1) {
            assert!(!text.contains(secret.rsplit_once('.').unwrap().1), "{text}");
        }
    }
    // The gateway goes on without its adapter, and does what was explained.
    for (token, status) in [(&web, 200), (&remote, 200), (&leaked, 401), (&idle, 403), (&mallory, 403)] {
        let answer = gateway.get(PATH, Some(token)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    }
    let (good, text) = adapter_explain(&[&offline[..], &["--api", "Nothing", "--path", "/"]].concat());
    assert!(!good && text.contains("has no API Nothing"), "{text}");
}
