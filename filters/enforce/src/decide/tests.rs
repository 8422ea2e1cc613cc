//! The request's way, case by case: a request in, what becomes of it out.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tollgate_model::{
    Backend, Callbacks, Cors, JwkSet, LifeCycle, Mock, MockContent, MockExample, MockResponse, Retry,
};

use super::*;
use crate::testing::{TestConnection, TestDirectory, api, backend, jwk, token_with};
use crate::{Answer, Answers, HeaderMap, Timestamp};

const NOW: u64 = 1_000_000;

/// A token signed as [`TestDirectory`]'s verifier wants it.
fn token_of(kid: &str, claims: &serde_json::Value) -> String {
    let header = json!({"alg": "RS256", "kid": kid}).to_string();
    [header, claims.to_string(), kid.to_owned()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn claims(extra: serde_json::Value) -> serde_json::Value {
    let mut claims = json!({"iss": "https://issuer.example", "exp": NOW + 60});
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    claims
}

fn token(extra: serde_json::Value) -> String {
    token_of("known", &claims(extra))
}

/// A request line, and headers.
fn request(line: &str, headers: &[(&str, &str)]) -> HeaderMap {
    let (method, path) = line.split_once(' ').unwrap();
    let mut pairs = vec![(":method", method), (":path", path)];
    if !headers.iter().any(|(name, _)| *name == ":authority") {
        pairs.push((":authority", "localhost:9090"));
    }
    pairs.extend_from_slice(headers);
    HeaderMap::parse(HeaderMap::encode(&pairs)).unwrap()
}

fn decide_with(directory: &TestDirectory, request: &HeaderMap, answers: &Answers) -> Decision {
    decide_on(&TestConnection::default(), directory, request, answers)
}

fn decide_on(
    connection: &TestConnection,
    directory: &TestDirectory,
    request: &HeaderMap,
    answers: &Answers,
) -> Decision {
    let now = Timestamp(NOW * 1000);
    decide_both(&Cx { directory, request, answers, connection, now, callbacks: Callbacks::NONE })
}

/// Decides at once and in parts, which must come to the same.
fn decide_both(cx: &Cx) -> Decision {
    let answers = cx.answers.again();
    let decision = decide(cx);
    if !matches!(decision, Decision::Ask(_)) {
        assert_eq!(in_parts(&Cx { answers: &answers, ..*cx }), decision, "{:?}", cx.request);
    }
    decision
}

/// Decides as a chain of modules does, each with what the one before it left.
fn in_parts(cx: &Cx) -> Decision {
    let mut evidence = None;
    let mut sum = Edits::default();
    for part in [parts::authenticate, parts::authorize, parts::limit, parts::observe, parts::mediate] {
        let answers = cx.answers.again();
        let decided = part(&Cx { answers: &answers, ..*cx }, evidence.as_deref());
        let Decision::Forward(mut edits) = decided.decision else { return decided.decision };
        evidence = decided.evidence.or(evidence);
        assert!(evidence.is_some());
        // Each module makes its own edits; in all they are those of the last, what was told of limits before, and the record.
        edits.record = edits.record.or(sum.record);
        edits.response.append(&mut sum.response);
        edits.response_headers.append(&mut sum.response_headers);
        sum = edits;
    }
    Decision::Forward(sum)
}

/// One line for a decision: `-> <cluster> <path> -<removed> +<set>`, `<status> <code>`, or `? <kid>`.
fn outcome(directory: &TestDirectory, line: &str, headers: &[(&str, &str)]) -> String {
    let request = request(line, headers);
    let first = decide_with(directory, &request, &Answers::default());
    let again = decide_with(directory, &request, &Answers::default());
    assert!(matches!(first, Decision::Ask(_)) || first == again, "decisions depend on nothing but their input");
    describe(first)
}

fn describe(decision: Decision) -> String {
    match decision {
        Decision::Forward(edits) => describe_edits(&edits),
        Decision::Reply(reply) => {
            let code = serde_json::from_slice::<serde_json::Value>(&reply.body).map_or(String::new(), |body| {
                format!(" {}: {}", body["code"].as_str().unwrap(), body["error_description"].as_str().unwrap())
            });
            format!("{}{code}", reply.status)
        }
        Decision::Ask(Question::Keys { kid, .. }) => format!("? {kid}"),
        Decision::Ask(question) => format!("? {question:?}"),
    }
}

fn describe_edits(edits: &Edits) -> String {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let mut out = format!("-> {}", edits.path.as_ref().map_or("as it is".to_owned(), text));
    out.extend(edits.remove.iter().map(|name| format!(" -{name}")));
    for (name, value) in &edits.set {
        let name = if name == "x-wso2-cluster-header" { "cluster" } else { name.as_ref() };
        out.push_str(&format!(" +{name}={}", text(value)));
    }
    out
}

#[track_caller]
fn check(line: &str, headers: &[(&str, &str)], expected: &str) {
    assert_eq!(outcome(&TestDirectory::new(api()), line, headers), expected, "{line}");
}

const NOT_FOUND: &str = "404 404: The requested resource is not available.";
const AMBIGUOUS: &str = "400 400: The request path can be read in more than one way.";
const NO_CREDENTIALS: &str = "401 900901: Make sure you have provided the correct security credentials";
const INVALID: &str = "401 900901: Invalid Credentials. Make sure you have provided the correct security credentials";

#[test]
fn a_good_token_passes() {
    let bearer = format!("Bearer {}", token(json!({})));
    let credentials = [("authorization", bearer.as_str())];
    check("GET /pets/1.0/pet/5", &credentials, "-> /v2/pet/5 -authorization +cluster=prod");
    check("GET /pets/1.0/pet/5/?a=b%2F&c", &credentials, "-> /v2/pet/5?a=b%2F&c -authorization +cluster=prod");
    check("GET /pets/pet/5", &credentials, "-> /v2/pet/5 -authorization +cluster=prod");
}

#[test]
fn requests_for_nothing_are_not_found() {
    for line in [
        "GET /",
        "GET /pets/1.0",
        "GET /pets/1.0/pet",
        "GET /pets/1.0/pet/5/6",
        "POST /pets/1.0/pet/5",
        "GET /pets/1.0x/pet/5",
        "GET /pets/2.0/pet/5",
        "GET pets/1.0/pet/5",
        "OPTIONS *",
        "GET http://localhost/pets/1.0/pet/5",
    ] {
        check(line, &[], NOT_FOUND);
    }
    check("GET /pets/1.0/pet/5", &[(":authority", "elsewhere")], NOT_FOUND);
    check("GET /pets/1.0/pet/5", &[(":authority", "")], NOT_FOUND);
}

#[test]
fn hosts_are_compared_without_case_and_port() {
    check("GET /pets/1.0/pet/5", &[(":authority", "LocalHost:443")], NO_CREDENTIALS);
}

#[test]
fn wildcard_virtual_hosts() {
    #[track_caller]
    fn check(virtual_host: &'static str, others: &[&'static str], authority: &str, found: bool) {
        let mut directory = TestDirectory::new(crate::testing::api());
        directory.api.virtual_host = virtual_host.to_owned();
        directory.virtual_hosts = others.iter().copied().chain([virtual_host]).collect();
        let outcome = outcome(&directory, "GET /pets/1.0/public/a", &[(":authority", authority)]);
        assert_eq!(outcome != NOT_FOUND, found, "{virtual_host} {authority}");
    }
    check("*.example.com", &[], "a.example.com", true);
    check("*.example.com", &[], "a.b.example.com:80", true);
    check("*.example.com", &[], "example.com", false);
    check("*.example.com", &["a.example.com"], "a.example.com", false);
    check("*.example.com", &["*.b.example.com"], "a.b.example.com", false);
    check("example.*", &[], "example.org", true);
    check("example.*", &["*.org"], "example.org", false);
    check("*", &[], "anything", true);
    check("*", &["anything"], "anything", false);
}

#[test]
fn missing_and_malformed_credentials() {
    let bearer = format!("Bearer {}", token(json!({})));
    check("GET /pets/1.0/pet/5", &[], NO_CREDENTIALS);
    for value in ["", "Bearer", "Basic YTpi", "Bearer opaque", &format!("Bearer {bearer}")] {
        check("GET /pets/1.0/pet/5", &[("authorization", value)], NO_CREDENTIALS);
    }
    check("GET /pets/1.0/pet/5", &[("authorization", &bearer), ("authorization", &bearer)], NO_CREDENTIALS);
    check(
        "GET /pets/1.0/pet/5",
        &[("authorization", "Bearer aaa.bbb.ccc")],
        "401 900901: Not a JWT token. Failed to decode the token header. Make sure you have provided the correct security credentials",
    );
}

#[test]
fn tokens_that_are_not_good() {
    let unsigned =
        [r#"{"alg":"none"}"#, &claims(json!({})).to_string(), ""].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let good = token(json!({}));
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode("other"));
    for (what, token) in [
        ("no signature", unsigned),
        ("wrong signature", forged),
        ("unknown issuer", token(json!({"iss": "https://elsewhere.example"}))),
        ("no issuer", token(json!({"iss": null}))),
        ("expired", token(json!({"exp": NOW - 6}))),
        ("without end", token(json!({"exp": null}))),
        ("not valid yet", token(json!({"nbf": NOW + 6}))),
        ("claims are no object", token_of("known", &json!([]))),
    ] {
        let bearer = format!("Bearer {token}");
        let outcome = outcome(&TestDirectory::new(api()), "GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
        assert_eq!(outcome, INVALID, "{what}");
    }
}

#[test]
fn a_verified_token_still_expires() {
    let directory = TestDirectory::new(api());
    let bearer = format!("Bearer {}", token(json!({})));
    let request = request("GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
    let at = |now| {
        let answers = Answers::default();
        describe(decide(&Cx {
            directory: &directory,
            request: &request,
            answers: &answers,
            connection: &TestConnection::default(),
            now: Timestamp(now * 1000),
            callbacks: Callbacks::NONE,
        }))
    };
    assert!(at(NOW).starts_with("->"));
    assert!(at(NOW + 65).starts_with("->"));
    assert_eq!(at(NOW + 66), INVALID);
}

#[test]
fn algorithms_are_allowed_one_by_one() {
    let mut directory = TestDirectory::new(api());
    let mut issuer = crate::testing::issuer();
    issuer.algorithms = vec![tollgate_model::Algorithm::RS512];
    directory.issuer = std::rc::Rc::new(crate::CompiledIssuer::compile(issuer).0);
    let bearer = format!("Bearer {}", token(json!({})));
    assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &[("authorization", &bearer)]), INVALID);
}

#[test]
fn an_unknown_key_is_asked_for() {
    let directory = TestDirectory::new(api());
    let bearer = format!("Bearer {}", token_of("new", &claims(json!({}))));
    let request = request("GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
    let Decision::Ask(question) = decide_with(&directory, &request, &Answers::default()) else { panic!("no question") };
    let answered = |answer| {
        let mut answers = Answers::default();
        answers.add(question.clone(), answer);
        directory.tokens.clear();
        describe(decide_with(&directory, &request, &answers))
    };
    assert!(answered(Answer::Keys(JwkSet { keys: vec![jwk("old"), jwk("new")] })).starts_with("->"));
    assert_eq!(answered(Answer::Keys(JwkSet { keys: vec![jwk("old")] })), INVALID);
    assert_eq!(answered(Answer::Failed), "401 900900: Unclassified Authentication Failure");
}

#[test]
fn questions_about_keys_are_bounded() {
    let directory = TestDirectory::new(api());
    let ask = |kid: &str| {
        let bearer = format!("Bearer {}", token_of(kid, &claims(json!({}))));
        describe(decide_with(
            &directory,
            &request("GET /pets/1.0/pet/5", &[("authorization", &bearer)]),
            &Answers::default(),
        ))
    };
    assert_eq!(ask(&"k".repeat(257)), INVALID);
    let asked = (0..100).filter(|number| ask(&number.to_string()).starts_with('?')).count();
    assert_eq!(asked, 32);
}

#[test]
fn scopes() {
    const REFUSED: &str =
        "403 900910: User is NOT authorized to access the Resource: /pet/{id}. Scope validation failed.";
    for (scope, passes) in [
        (json!("write"), true),
        (json!("read admin"), true),
        (json!(["admin"]), true),
        (json!("read"), false),
        (json!("writes"), false),
        (json!(""), false),
        (json!(null), false),
    ] {
        let bearer = format!("Bearer {}", token(json!({"scope": scope})));
        let outcome = outcome(&TestDirectory::new(api()), "DELETE /pets/1.0/pet/5", &[("authorization", &bearer)]);
        assert_eq!(outcome == REFUSED, !passes, "{scope}: {outcome}");
    }
}

#[test]
fn unsecured_operations_need_no_credentials_and_keep_the_header() {
    check("GET /pets/1.0/public/a/b", &[("authorization", "Basic YTpi")], "-> /v2/public/a/b +cluster=prod");
}

#[test]
fn paths_with_two_readings() {
    for path in [
        "/pets/1.0/public/../admin",
        "/pets/1.0/public/%2e%2e/admin",
        "/pets/1.0/public/..%2Fadmin",
        "/pets/1.0/public/..%5Cadmin",
        "/pets/1.0/public/..%252fadmin",
        "/pets/1.0/public/..;x/admin",
        "/pets/1.0/public\\..\\..\\admin",
        "/pets/1.0/public/%00",
        "/pets/1.0/public/../../../x",
        "/pets/1.0/pet/..",
        "/pets/1.0/pet/a%2Fb",
        "/pets/1.0/%61dmin/..;/public/x",
    ] {
        let outcome = outcome(&TestDirectory::new(api()), &format!("GET {path}"), &[]);
        assert!(outcome == AMBIGUOUS || outcome == NOT_FOUND, "{path}: {outcome}");
    }
    // Whatever reading one takes of these, the resource is the same.
    check("GET /pets/1.0/public/a/../b", &[], "-> /v2/public/a/../b +cluster=prod");
    check("GET /pets/1.0/public//a;x=1/%2F/caf%C3%A9", &[], "-> /v2/public//a;x=1/%2F/caf%C3%A9 +cluster=prod");
    check("GET /pets/1.0/pet/a%20b;c", &[], NO_CREDENTIALS);
}

#[test]
fn options_lists_the_methods() {
    let directory = TestDirectory::new(api());
    let Decision::Reply(reply) = decide_with(&directory, &request("OPTIONS /pets/1.0/pet/5", &[]), &Answers::default())
    else {
        panic!("not answered")
    };
    assert_eq!((reply.status, reply.headers), (204, vec![("allow".into(), "GET, DELETE, OPTIONS".to_owned())]));
}

/// The headers that tell a browser something, in a line.
fn consent(cors: bool, line: &str, headers: &[(&str, &str)]) -> String {
    let mut api = api();
    api.cors = cors.then(|| Cors {
        allow_origins: vec!["https://*.example".to_owned()],
        allow_methods: vec!["GET".to_owned(), "PUT".to_owned()],
        allow_headers: vec!["authorization".to_owned()],
        expose_headers: vec!["x-total".to_owned()],
        allow_credentials: true,
    });
    let (status, headers): (String, Vec<(Cow<str>, String)>) =
        match decide_with(&TestDirectory::new(api), &request(line, headers), &Answers::default()) {
            Decision::Forward(edits) => {
                ("->".to_owned(), edits.response.into_iter().map(|(name, value)| (name.into(), value)).collect())
            }
            Decision::Reply(reply) => (reply.status.to_string(), reply.headers),
            other => panic!("{other:?}"),
        };
    let telling = headers.into_iter().filter(|(name, _)| !matches!(name.as_ref(), "content-type" | "www-authenticate"));
    telling.fold(status, |out, (name, value)| format!("{out} {}={value}", name.trim_start_matches("access-control-")))
}

#[test]
fn pages_of_other_origins() {
    const ALLOWED: (&str, &str) = ("origin", "https://a.example");
    const OTHER: (&str, &str) = ("origin", "https://a.example.evil");
    const ASKS: (&str, &str) = ("access-control-request-method", "DELETE");
    let common = "allow-origin=https://a.example vary=origin allow-credentials=true";
    let simple = format!("-> {common} expose-headers=x-total");
    let preflight = format!("200 {common} allow-methods=GET, PUT allow-headers=authorization");
    let refused = format!("401 {common} expose-headers=x-total");
    let methods = "204 allow=GET, DELETE, OPTIONS";
    for (cors, line, headers, expected) in [
        (true, "GET /pets/1.0/public/a", &[ALLOWED][..], simple.as_str()),
        (true, "GET /pets/1.0/public/a", &[OTHER], "->"),
        (true, "GET /pets/1.0/public/a", &[ALLOWED, ALLOWED], "->"),
        (true, "GET /pets/1.0/public/a", &[], "->"),
        (false, "GET /pets/1.0/public/a", &[ALLOWED], "->"),
        (true, "GET /pets/1.0/pet/1", &[ALLOWED], &refused),
        (true, "OPTIONS /pets/1.0/pet/1", &[ALLOWED, ASKS], &preflight),
        (true, "OPTIONS /pets/1.0/pet/1", &[OTHER, ASKS], methods),
        (true, "OPTIONS /pets/1.0/pet/1", &[ALLOWED], methods),
        (false, "OPTIONS /pets/1.0/pet/1", &[ALLOWED, ASKS], methods),
        (true, "OPTIONS /pets/1.0/nothing", &[ALLOWED, ASKS], "404"),
    ] {
        assert_eq!(consent(cors, line, headers), expected, "{cors} {line} {headers:?}");
    }
}

#[test]
fn key_types_choose_the_backend() {
    #[track_caller]
    fn check(production: bool, sandbox: bool, key_type: &str, expected: &str) {
        let mut api = crate::testing::api();
        api.production = production.then(|| backend("prod", "/v2"));
        api.sandbox = sandbox.then(|| backend("sand", ""));
        let bearer = format!("Bearer {}", token(json!({"keytype": key_type})));
        let outcome = outcome(&TestDirectory::new(api), "GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
        assert_eq!(outcome, expected);
    }
    let suffix = "Make sure you have provided the correct security credentials";
    check(true, true, "PRODUCTION", "-> /v2/pet/5 -authorization +cluster=prod");
    check(true, true, "SANDBOX", "-> /pet/5 -authorization +cluster=sand");
    check(true, true, "OTHER", &format!("401 900901: Invalid key type.. {suffix}"));
    check(
        true,
        false,
        "SANDBOX",
        &format!("401 900901: Sandbox key offered to an API with no sandbox endpoint. {suffix}"),
    );
    check(
        false,
        true,
        "",
        &format!("401 900901: Production key offered to an API with no production endpoint. {suffix}"),
    );
}

#[test]
fn a_resource_may_have_its_own_backend() {
    let mut api = api();
    let mut own = backend("own", "/own");
    own.timeout_ms = Some(1500);
    own.retry = Some(Retry { count: 3, status_codes: vec![502, 504] });
    api.resources[2].production = Some(own);
    let outcome = outcome(&TestDirectory::new(api), "GET /pets/1.0/public/a", &[]);
    assert_eq!(
        outcome,
        "-> /own/public/a +cluster=own +x-envoy-upstream-rq-timeout-ms=1500 +x-envoy-retry-on=retriable-status-codes \
         +x-envoy-max-retries=3 +x-envoy-retriable-status-codes=502,504"
    );
}

#[test]
fn a_backend_may_have_credentials_of_its_own() {
    let mut api = api();
    api.production = Some(Backend { authorization: Some("Basic YTpi".to_owned().into()), ..backend("prod", "/v2") });
    let bearer = format!("Bearer {}", token(json!({})));
    let outcome = outcome(&TestDirectory::new(api), "GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
    assert_eq!(outcome, "-> /v2/pet/5 -authorization +cluster=prod +authorization=Basic YTpi");
}

#[test]
fn a_mocked_operation_answers_whom_it_may() {
    let content = MockContent {
        content_type: "application/json".to_owned(),
        examples: vec![MockExample { name: "default".to_owned(), body: "{}".to_owned() }],
    };
    let mock =
        Mock { responses: vec![MockResponse { code: "200".to_owned(), headers: Vec::new(), content: vec![content] }] };
    let mut api = api();
    api.production = None;
    api.life_cycle = LifeCycle::Prototyped;
    for resource in &mut api.resources {
        for operation in &mut resource.operations {
            operation.mock = Some(mock.clone());
        }
    }
    let directory = TestDirectory::new(api);
    let answered =
        |line, headers: &[(&str, &str)]| match decide_with(&directory, &request(line, headers), &Answers::default()) {
            Decision::Reply(reply) => (reply.status, String::from_utf8(reply.body).unwrap()),
            other => panic!("{other:?}"),
        };
    assert_eq!(answered("GET /pets/1.0/public/a", &[]), (200, "{}".to_owned()));
    assert_eq!(answered("GET /pets/1.0/pet/5", &[]).0, 401);
    let bearer = format!("Bearer {}", token(json!({})));
    assert_eq!(answered("GET /pets/1.0/pet/5", &[("authorization", &bearer)]).0, 200);
}

#[test]
fn clients_do_not_steer() {
    check(
        "GET /pets/1.0/public/a",
        &[("x-wso2-cluster-header", "internal"), ("x-envoy-max-retries", "99"), ("x-forwarded-for", "1.2.3.4")],
        "-> /v2/public/a -x-wso2-cluster-header -x-envoy-max-retries +cluster=prod",
    );
}

#[test]
fn custom_and_forwarded_authorization_header() {
    let bearer = format!("Bearer {}", token(json!({})));
    let mut api = api();
    api.authorization_header = Some("x-token".to_owned());
    let mut directory = TestDirectory::new(api);
    assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &[("authorization", &bearer)]), NO_CREDENTIALS);
    assert_eq!(
        outcome(&directory, "GET /pets/1.0/pet/5", &[("x-token", &bearer)]),
        "-> /v2/pet/5 -x-token +cluster=prod"
    );
    directory.settings = Some(tollgate_model::Settings { forward_authorization: true, ..Default::default() });
    assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &[("x-token", &bearer)]), "-> /v2/pet/5 +cluster=prod");
}

#[test]
fn life_cycle() {
    let bearer = format!("Bearer {}", token(json!({})));
    let with = |life_cycle| TestDirectory::new(tollgate_model::Api { life_cycle, ..api() });
    let blocked = "503 700700: This API has been blocked temporarily. Please try again later or contact the system administrators.";
    assert_eq!(outcome(&with(LifeCycle::Blocked), "GET /pets/1.0/pet/5", &[("authorization", &bearer)]), blocked);
    assert_eq!(outcome(&with(LifeCycle::Blocked), "GET /pets/1.0/public/a", &[]), blocked);
    assert_eq!(outcome(&with(LifeCycle::Blocked), "GET /pets/1.0/pet/5", &[]), NO_CREDENTIALS);
    assert_eq!(outcome(&with(LifeCycle::Prototyped), "DELETE /pets/1.0/pet/5", &[]), "-> /v2/pet/5 +cluster=prod");
}

#[test]
fn without_readable_policy_nothing_passes() {
    let mut directory = TestDirectory::new(api());
    directory.unreadable = true;
    let unreadable = "500 102500: Error during validating the request";
    assert_eq!(outcome(&directory, "GET /pets/1.0/public/a", &[]), unreadable);
    directory.settings = None;
    assert_eq!(outcome(&directory, "GET /pets/1.0/public/a", &[]), "503 102500: Error during validating the request");
}

/// The API with the default base path `/pets` must not get what lies at an unreadable one below it.
#[test]
fn an_unreadable_route_is_not_passed_on_to_a_shorter_one() {
    let mut directory = TestDirectory::new(api());
    directory.unreadable_route = Some("/pets/public");
    let unreadable = "500 102500: Error during validating the request";
    assert_eq!(outcome(&directory, "GET /pets/public/a", &[]), unreadable);
    assert_eq!(outcome(&directory, "GET /pets/1.0/public/a", &[]), "-> /v2/public/a +cluster=prod");
}

#[test]
fn an_empty_backend_path_becomes_a_slash() {
    let mut api = api();
    api.production = Some(backend("prod", ""));
    api.resources = vec![crate::testing::resource("/*", vec![crate::testing::operation("GET", token_with(&[]))])];
    api.life_cycle = LifeCycle::Prototyped;
    let directory = TestDirectory::new(api);
    assert_eq!(outcome(&directory, "GET /pets/1.0?a=b", &[]), "-> /?a=b +cluster=prod");
    assert_eq!(outcome(&directory, "GET /pets/1.0/", &[]), "-> / +cluster=prod");
}

mod attacks;
mod backend_jwt;
mod caches;
mod codes;
mod credentials;
mod explain;
mod frames;
mod graphql;
mod interceptors;
mod keys;
mod kinds;
mod limits;
mod mesh;
mod oracles;
#[path = "tests/parts.rs"]
mod parts_tests;
mod policies;
mod skew;
mod stricter;
mod subscriptions;
mod traffic_manager;
mod usage;
mod verdicts;
mod workloads;
