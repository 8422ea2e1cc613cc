//! Explanations: the same verdict, with the facts it rests on, and without a secret.

use tollgate_model::{ExplainKey, Jwk, Settings};

use super::*;
use crate::RefreshGate;
use crate::explain::pass::{self, PassClaims};
use crate::explain::{Trace, explain};

fn explained(directory: &TestDirectory, line: &str, headers: &[(&str, &str)]) -> (String, Trace) {
    let request = request(line, headers);
    let cx = Cx {
        directory,
        request: &request,
        answers: &Answers::default(),
        connection: &TestConnection::default(),
        now: Timestamp(NOW * 1000),
        callbacks: Callbacks::NONE,
    };
    let (decision, trace) = explain(&cx);
    (describe(decision), trace)
}

/// One line a fact, `stage: outcome` after those of a stage.
fn lines(trace: &Trace) -> Vec<String> {
    let stage = |stage: &crate::explain::StageTrace| {
        let facts = stage.facts.iter().map(|fact| format!("{} = {}", fact.what, fact.is));
        facts.chain([format!("{}: {}", stage.stage, stage.outcome)]).collect::<Vec<_>>()
    };
    trace.stages.iter().flat_map(stage).collect()
}

#[track_caller]
fn check(token: &str, line: &str, expected: &[&str]) {
    let directory = TestDirectory::new(api());
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let (decision, trace) = explained(&directory, line, &headers);
    let shown = lines(&trace);
    for wanted in expected {
        assert!(shown.iter().any(|line| line.contains(wanted)), "{wanted} is not in {shown:#?}");
    }
    let secret = token.rsplit_once('.').map_or(token, |(_, signature)| signature);
    let json = serde_json::to_string(&trace).unwrap();
    assert!(!json.contains(token) && !json.contains(&format!(".{secret}")), "{json}");
    assert_eq!(decision, outcome(&directory, line, &headers), "an explanation changes nothing");
}

#[test]
fn every_step_is_told() {
    check(
        &token(json!({"sub": "alice", "scope": "write", "azp": "client"})),
        "DELETE /pets/1.0/pet/5?x=y",
        &[
            "virtual host localhost = known",
            "base path /pets/1.0 = API pets",
            "resource = /pet/{id}",
            "credentials = an access token; of a token one of the scopes write admin",
            "admit: passed",
            "issuer \"https://issuer.example\" = token service \"test\", 1 keys",
            "RS256 signature by key \"known\" = good",
            "its id in the list of revoked tokens = not revoked",
            "cut-off of the user \"alice\" = unknown",
            "access token = good",
            "subject = alice",
            "consumer key = client",
            "authenticate: passed",
            "authorize: passed",
            "limit: passed",
            "cluster = prod",
            "header taken away = authorization",
            "mediate: passed",
        ],
    );
}

#[test]
fn every_flaw_of_a_token_is_named() {
    let good = token(json!({}));
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode("other"));
    let with = |header: serde_json::Value, claims: serde_json::Value| {
        [header.to_string(), claims.to_string(), "known".to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    };
    for (token, why) in [
        (forged, "did not make its signature"),
        (token(json!({"exp": NOW - 6})), "its `exp` has passed"),
        (token(json!({"nbf": NOW + 6})), "its `nbf` or `iat` lies ahead"),
        (token(json!({"exp": null})), "`exp` is missing"),
        (token(json!({"iss": "https://elsewhere.example"})), "no token service accepts tokens of its `iss`"),
        (token(json!({"token_type": "apiKey"})), "for another use"),
        (with(json!({"alg": "none"}), claims(json!({}))), "may not sign with that `alg`"),
        (with(json!({"alg": "RS256"}), json!([])), "its payload is no JSON object"),
        ("aaa.bbb.ccc".to_owned(), "Not a JWT token"),
    ] {
        check(&token, "GET /pets/1.0/pet/5", &[why, "authenticate: refused 401 900901"]);
    }
    let unknown = token_of(&"k".repeat(300), &claims(json!({})));
    check(&unknown, "GET /pets/1.0/pet/5", &["no key that fits its `kid`"]);
    check(&token_of("new", &claims(json!({}))), "GET /pets/1.0/pet/5", &["authenticate: asks for the key \"new\""]);
    check(&good, "DELETE /pets/1.0/pet/5", &["authorize: refused 403 900910"]);
    check(&good, "GET /nowhere", &["base path /nowhere = no API", "admit: refused 404 404"]);
}

/// A worker remembers good and bad tokens; whoever wants to know why is told from scratch.
#[test]
fn memory_hides_nothing() {
    let directory = TestDirectory::new(api());
    let bearer = format!("Bearer {}", token(json!({})));
    let headers = [("authorization", bearer.as_str())];
    outcome(&directory, "GET /pets/1.0/pet/5", &headers);
    let (_, trace) = explained(&directory, "GET /pets/1.0/pet/5", &headers);
    assert!(lines(&trace).iter().any(|line| line.contains("signature by key")), "{trace:?}");
}

#[test]
fn what_clients_send_is_cut() {
    let path = format!("GET /{}", "a".repeat(5000));
    let (_, trace) = explained(&TestDirectory::new(api()), &path, &[]);
    assert!(serde_json::to_string(&trace).unwrap().len() < 2000);
}

const HOST: &str = "localhost";
const PATH: &str = "/pets/1.0/pet/5";

fn pass_of(alg: &str, signature: &str, claims: &serde_json::Value) -> String {
    let header = json!({"alg": alg, "kid": "debug"}).to_string();
    [header, claims.to_string(), signature.to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn pass_claims() -> serde_json::Value {
    let now = i64::try_from(NOW).unwrap();
    let claims = PassClaims {
        aud: pass::AUDIENCE.to_owned(),
        iat: now,
        exp: now + 60,
        host: HOST.to_owned(),
        path: PATH.to_owned(),
    };
    serde_json::to_value(claims).unwrap()
}

fn passes(enabled: bool, headers: &[(&str, &str)], gate: &RefreshGate) -> bool {
    let mut directory = TestDirectory::new(api());
    let x = Some(URL_SAFE_NO_PAD.encode([7; 32]));
    let key = Jwk { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x, ..Jwk::default() };
    directory.settings = Some(Settings { explain: enabled.then_some(ExplainKey { key }), ..Settings::default() });
    let request = request(&format!("GET {PATH}?x=y"), headers);
    let cx = Cx {
        directory: &directory,
        request: &request,
        answers: &Answers::default(),
        connection: &TestConnection::default(),
        now: Timestamp(NOW * 1000),
        callbacks: Callbacks::NONE,
    };
    pass::is_shown(&cx, gate)
}

#[test]
fn passes_are_for_one_path_and_for_minutes() {
    let gate = RefreshGate::default();
    let shown = |enabled, pass: &str| passes(enabled, &[("x-tollgate-explain", pass)], &gate);
    let good = pass_of("EdDSA", "debug", &pass_claims());
    assert!(shown(true, &good));
    assert!(!shown(false, &good), "off by default");
    assert!(!passes(true, &[], &gate));
    assert!(!passes(true, &[("x-tollgate-explain", &good), ("x-tollgate-explain", &good)], &gate));
    let bearer = format!("Bearer {good}");
    assert!(!passes(true, &[("authorization", &bearer)], &gate), "a pass has its own header");
    for (what, pass) in [
        ("signature", pass_of("EdDSA", "other", &pass_claims())),
        ("algorithm", pass_of("RS256", "debug", &pass_claims())),
        ("no algorithm", pass_of("none", "debug", &pass_claims())),
        ("form", "debug".to_owned()),
        ("access token", token(json!({}))),
    ] {
        assert!(!shown(true, &pass), "{what}");
    }
    for (claim, value) in [
        ("aud", json!("tollgate")),
        ("aud", json!(["tollgate-explain"])),
        ("iat", json!(NOW + 6)),
        ("iat", json!(0)),
        ("exp", json!(NOW - 1)),
        ("exp", json!(NOW + 301)),
        ("exp", json!(9_223_372_036_854_775_807_i64)),
        ("host", json!("elsewhere")),
        ("host", json!("localhost:9090")),
        ("path", json!("/pets/1.0/pet/6")),
        ("path", json!("/pets/1.0/*")),
        ("path", json!(null)),
    ] {
        let mut claims = pass_claims();
        claims[claim] = value;
        assert!(!shown(true, &pass_of("EdDSA", "debug", &claims)), "{claim}");
    }
}

/// Whoever has no pass cannot make the gateway check signatures without bound.
#[test]
fn few_passes_are_looked_at() {
    let gate = RefreshGate::default();
    let good = pass_of("EdDSA", "debug", &pass_claims());
    let shown = (0..100).filter(|_| passes(true, &[("x-tollgate-explain", &good)], &gate)).count();
    assert_eq!(shown, 32);
}

#[test]
fn backends_never_see_a_pass() {
    let mut directory = TestDirectory::new(api());
    let key = ExplainKey { key: jwk("debug") };
    directory.settings = Some(Settings { explain: Some(key), ..Settings::default() });
    let outcome = outcome(&directory, "GET /pets/1.0/public/a", &[("x-tollgate-explain", "whatever")]);
    assert_eq!(outcome, "-> /v2/public/a -x-tollgate-explain +cluster=prod");
}
