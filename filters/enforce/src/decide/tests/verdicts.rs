//! Memory of verdicts and ways is there to save time, and must never be seen: neither in a decision, nor in what is counted.

use std::rc::Rc;

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tollgate_model::{
    ApiKeyPlace, Application, ClientCertificate, Credential, DenyCondition, ExplainKey, HeaderPolicy, Issuer, KeyType,
    Limit, MutualSsl, Operation, Policies, QuotaUnit, RequestPolicy, Requirement, Secret, Security, Settings,
    Subscription, SubscriptionState, Tier, TierKind, TimeUnit, Window, keys,
};

use super::*;
use crate::testing::{issuer, operation, resource};
use crate::{CompiledIssuer, Counter, Stock, Throttle, Verdicts, again};

/// Texts of API keys that say nothing; the second one ends soon.
const OPAQUE: [&str; 2] = ["opaque-1", "opaque-2"];

/// What may change between two requests.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    /// The subscription of the first application takes this state.
    Subscription(SubscriptionState),
    /// The first token is taken back, or not.
    Revoked(bool),
    /// The user is kept out, or not.
    Denied(bool),
    /// The plan of subscriptions has so many limits, or counts bytes.
    Plan(usize, bool),
    /// Certificates count for the API, or do not.
    Certificates(bool),
    /// The API is blocked, or not.
    Blocked(bool),
    /// There is quota left, or none, or nobody knows. It is in no table.
    Stock(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => Just(Change::Nothing),
        1 => prop::sample::select(&SubscriptionState::ALL[..]).prop_map(Change::Subscription),
        1 => any::<bool>().prop_map(Change::Revoked),
        1 => any::<bool>().prop_map(Change::Denied),
        1 => (0..3_usize, any::<bool>()).prop_map(|(limits, bytes)| Change::Plan(limits, bytes)),
        1 => any::<bool>().prop_map(Change::Certificates),
        1 => any::<bool>().prop_map(Change::Blocked),
        1 => (0..3_usize).prop_map(Change::Stock),
    ]
}

fn directory(changes: &[Change]) -> TestDirectory {
    let key = ApiKeyPlace::Header { name: "apikey".to_owned() };
    let any_of = |requirements, scopes: &[&str]| Security::AnyOf {
        requirements,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let both = Requirement { token: true, ..Requirement::api_key(key.clone()) };
    let in_query = Requirement::api_key(ApiKeyPlace::Query { name: "a".to_owned() });
    let operations = vec![
        operation("PATCH", any_of(vec![Requirement::api_key(key.clone()), in_query], &[])),
        operation("HEAD", Security::Unsecured),
        Operation {
            policies: Some(policies()),
            ..operation("GET", any_of(vec![Requirement::api_key(key), Requirement::TOKEN], &[]))
        },
        operation("POST", any_of(vec![Requirement::TOKEN], &["write"])),
        operation("PUT", any_of(vec![both], &[])),
    ];
    let mut directory =
        TestDirectory::new(tollgate_model::Api { resources: vec![resource("/x/*", operations)], ..api() });
    let validating =
        Issuer { validate_subscription: true, certificate_bound_tokens: true, refreshable: false, ..issuer() };
    directory.issuer = Rc::new(CompiledIssuer::compile(validating).0);
    let publisher = Issuer { keys: JwkSet { keys: vec![jwk("known")] }, ..Issuer::named(Issuer::PUBLISHER, "") };
    directory.services = vec![Rc::new(CompiledIssuer::compile(publisher).0)];
    let tables = &mut directory.subscribers;
    for number in ["1", "2"] {
        let credential = json!({"application": number, "keyType": KeyType::Production});
        let credential: Credential = serde_json::from_value(credential).unwrap();
        tables.credentials.insert(keys::credential("test", number), credential);
        let application = Application { uuid: number.to_owned(), tier: "P".to_owned(), ..Application::default() };
        tables.applications.insert(number.to_owned(), application);
        let subscription = Subscription { state: SubscriptionState::Unblocked, tier: "S".to_owned() };
        tables.subscriptions.insert(keys::subscription(number, "pets"), subscription);
    }
    for (text, end) in [(OPAQUE[0], None), (OPAQUE[1], Some(NOW + 3))] {
        let of_first = Credential::of("1".to_owned(), KeyType::Production);
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        tables.credentials.insert(keys::opaque_key(&digest), Credential { expires_at: end, ..of_first });
    }
    for (kind, name) in [(TierKind::Subscription, "S"), (TierKind::Application, "P")] {
        tables.tiers.insert((kind, name.to_owned()), Tier::named(name));
    }
    directory.quotas.usually = Some(Stock::Enough);
    for change in changes {
        change.apply(&mut directory);
    }
    directory
}

/// What a backend gets may depend on any header.
fn policies() -> Policies {
    let set = HeaderPolicy::Set { name: "x-stage".to_owned(), value: Secret::from("a".to_owned()) };
    let rename = RequestPolicy::RenameHeader { from: "x-from".to_owned(), to: "x-to".to_owned() };
    Policies { request: vec![RequestPolicy::Header(set), rename], response: Vec::new() }
}

impl Change {
    fn apply(self, directory: &mut TestDirectory) {
        let tables = &mut directory.subscribers;
        match self {
            Self::Nothing => {}
            Self::Subscription(state) => {
                let subscription = Subscription { state, tier: "S".to_owned() };
                tables.subscriptions.insert(keys::subscription("1", "pets"), subscription);
            }
            Self::Revoked(revoked) => tables.revoked = if revoked { vec!["t1".to_owned()] } else { Vec::new() },
            Self::Denied(denied) => {
                let deny =
                    if denied { vec![DenyCondition::User { key: "u1@carbon.super".to_owned() }] } else { vec![] };
                directory.throttle = Rc::new(Throttle { deny, ..Throttle::default() });
            }
            Self::Plan(count, bytes) => {
                let unit = if bytes { QuotaUnit::Bytes } else { QuotaUnit::Requests };
                let limit = Limit { amount: 5, unit, window: Window { count: 1, unit: TimeUnit::Minute } };
                let tier = Tier { limits: vec![limit; count], ..Tier::named("S") };
                tables.tiers.insert((TierKind::Subscription, "S".to_owned()), tier);
            }
            Self::Certificates(count) => {
                let certificate = ClientCertificate {
                    alias: "a".to_owned(),
                    subject: "CN=a".to_owned(),
                    tier: None,
                    sha256: "aa".to_owned(),
                };
                directory.api.mutual_ssl = count.then(|| MutualSsl {
                    mandatory: true,
                    application_security: true,
                    certificates: vec![certificate],
                });
                directory.recompile();
            }
            Self::Stock(which) => {
                let stock =
                    [Stock::Enough, Stock::Exhausted { until: Timestamp(u64::MAX) }, Stock::Unknown { want: 1 }];
                directory.quotas.usually = Some(stock[which]);
            }
            Self::Blocked(blocked) => {
                directory.api.life_cycle = if blocked { LifeCycle::Blocked } else { LifeCycle::Published };
                directory.recompile();
            }
        }
    }
}

fn tokens() -> Vec<String> {
    let of = |number: &str, extra: serde_json::Value| {
        let mut all = claims(json!({"azp": number, "sub": format!("u{number}"), "jti": format!("t{number}")}));
        all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        token_of("known", &all)
    };
    vec![
        of("1", json!({})),
        of("1", json!({"scope": "write", "exp": NOW + 2})),
        of("2", json!({"scope": "write"})),
        of("2", json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode([0xaa; 32])}})),
        of("1", json!({"token_type": "InternalKey"})),
        of("3", json!({})),
        of("1", json!({"token_type": "apiKey"})),
        of("2", json!({"token_type": "apiKey", "exp": NOW + 2})),
        of("2", json!({"token_type": "apiKey", "permittedIP": "10.0.0.1"})),
        of("2", json!({"token_type": "apiKey", "permittedReferer": "a.example"})),
    ]
}

/// A request, some of which look the same to all stages, and its connection.
#[derive(Debug, Clone)]
struct Sent {
    token: prop::sample::Index,
    method: usize,
    path: usize,
    beside: usize,
    key: usize,
    /// Whether there is an access token at all.
    bearer: bool,
    certificate: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let certificate = prop::bool::weighted(0.2);
    // Most look alike.
    let few = || prop_oneof![3 => Just(0_usize), 2 => 0..3_usize];
    (any::<prop::sample::Index>(), 0..5_usize, few(), 0..9_usize, 0..9_usize, any::<bool>(), certificate).prop_map(
        |(token, method, path, beside, key, bearer, certificate)| Sent {
            token,
            method,
            path,
            beside,
            key,
            bearer,
            certificate,
        },
    )
}

impl Sent {
    fn request(&self, tokens: &[String], number: usize) -> HeaderMap {
        let bearer = format!("Bearer {}", tokens[self.token.index(tokens.len())]);
        let method = ["GET", "POST", "PUT", "PATCH", "HEAD"][self.method];
        let line = format!("{method} /pets/1.0/x{}", ["", "/y", "/y?a=opaque-2"][self.path]);
        let key = [OPAQUE[0], OPAQUE[1], &tokens[6], &tokens[7], &tokens[8], &tokens[9]].get(self.key).copied();
        let key = key.map(|key| ("apikey", key));
        let beside = [
            vec![],
            vec![],
            vec![],
            vec![("internal-key", tokens[4].as_str())],
            vec![("content-length", "7")],
            vec![("apikey", "x"), ("referer", "a.example")],
            vec![("x-from", "7")],
            vec![("x-from", "8"), ("x-envoy-max-retries", "9")],
            vec![("x-wso2-cluster-header", "elsewhere"), ("upgrade", "websocket")],
        ];
        // Of which nobody asks.
        let id = number.to_string();
        let mut own = vec![("x-request-id", id.as_str())];
        own.extend(self.bearer.then_some(("authorization", bearer.as_str())));
        own.extend(key);
        request(&line, &[&own[..], &beside[self.beside]].concat())
    }
}

/// What comes of it, and what it counts against.
fn decided(
    directory: &TestDirectory,
    request: &HeaderMap,
    certificate: bool,
    now: u64,
) -> (String, Vec<(String, u64)>) {
    let (answers, now) = (Answers::default(), Timestamp(now));
    let counted = |counter: &Counter| (counter.key().to_owned(), counter.cost);
    if let Some(repeat) = again(directory, request, now) {
        return (describe_edits(repeat.edits()), repeat.counters().map(counted).collect());
    }
    let certificate = certificate.then(|| "aa".repeat(32));
    let connection = &TestConnection { certificate, ..TestConnection::default() };
    let decision = decide(&Cx { directory, request, answers: &answers, connection, now, callbacks: Callbacks::NONE });
    let settled = answers.settle();
    (describe(decision), settled.iter().map(|counter| counted(counter)).collect())
}

proptest! {
    #[test]
    fn what_is_remembered_is_never_seen(
        steps in prop::collection::vec((change(), sent(), 1..4_usize, 0..1_500_u64), 1..50),
    ) {
        let tokens = tokens();
        let mut changes = Vec::new();
        let mut remembering = directory(&changes);
        remembering.verdicts = Some(Verdicts::default());
        let mut now = NOW * 1000;
        for (change, sent, times, milliseconds) in steps {
            now += milliseconds;
            change.apply(&mut remembering);
            changes.push(change);
            if !matches!(change, Change::Nothing | Change::Stock(_)) {
                // As a directory does when a table changes.
                remembering.verdicts.as_ref().unwrap().clear();
            }
            let forgetful = directory(&changes);
            for number in 0..times {
                let request = sent.request(&tokens, number);
                let expected = decided(&forgetful, &request, sent.certificate, now);
                prop_assert_eq!(decided(&remembering, &request, sent.certificate, now), expected, "{:?} {:?}", sent, changes);
            }
        }
    }
}

/// Otherwise the comparison above would prove nothing of ways.
#[test]
fn ways_that_were_walked_twice_are_remembered() {
    let mut directory = directory(&[]);
    directory.verdicts = Some(Verdicts::default());
    let bearer = format!("Bearer {}", tokens()[0]);
    let call = |directory: &TestDirectory, now: u64, more: &[(&str, &str)]| {
        let request = request("GET /pets/1.0/x/y", &[&[("authorization", bearer.as_str())], more].concat());
        let (answers, connection) = (Answers::default(), &TestConnection::default());
        let (now, callbacks) = (Timestamp(now * 1000), Callbacks::NONE);
        again(directory, &request, now).is_some() || {
            let _ = decide(&Cx { directory, request: &request, answers: &answers, connection, now, callbacks });
            false
        }
    };
    let walked: Vec<bool> = (0..5).map(|_| call(&directory, NOW, &[])).collect();
    assert_eq!(walked, [false, false, true, true, true]);
    assert!(call(&directory, NOW, &[("cookie", "a"), ("x-request-id", "7")]), "nobody asks for these");
    assert!(!call(&directory, NOW, &[("x-from", "a")]), "a policy asks for this");
    assert!(!call(&directory, NOW + 1_000_000, &[]), "the token is over");
    directory.throttle = Rc::new(Throttle { deny: Vec::new(), custom: Vec::new() });
    directory.verdicts.as_ref().unwrap().clear();
    assert!(!call(&directory, NOW, &[]), "a table has changed");
    // What depends on more than headers is never remembered.
    let elsewhere = DenyCondition::Api { context: "/elsewhere".to_owned() };
    directory.throttle = Rc::new(Throttle { deny: vec![elsewhere], custom: Vec::new() });
    directory.verdicts.as_ref().unwrap().clear();
    assert!((0..5).all(|_| !call(&directory, NOW, &[])));
    // Nor is a request with a pass, which may be looked at the next time, where passes mean anything.
    directory.throttle = Rc::new(Throttle::default());
    let pass = [("x-tollgate-explain", "pass")];
    for (explain, repeated) in [(None, true), (Some(ExplainKey { key: jwk("explain") }), false)] {
        directory.settings = Some(Settings { explain, ..Settings::default() });
        directory.verdicts.as_ref().unwrap().clear();
        assert_eq!((0..5).any(|_| call(&directory, NOW, &pass)), repeated);
        assert!((0..5).any(|_| call(&directory, NOW, &[])), "without a pass");
    }
}

/// Whoever shows an API key, or nothing where nothing is asked for, goes ways too, even beside others who look alike from afar.
#[test]
fn ways_are_for_all_callers() {
    let tokens = tokens();
    let mut directory = directory(&[]);
    directory.verdicts = Some(Verdicts::default());
    let goes = |line: &str, headers: &[(&str, &str)]| {
        let (request, now) = (request(line, headers), Timestamp(NOW * 1000));
        let gone = again(&directory, &request, now).is_some();
        let _ = decided(&directory, &request, false, now.0);
        gone
    };
    let agent = ("user-agent", "a program with a long name of its own");
    for (line, headers) in [
        ("GET /pets/1.0/x", vec![("apikey", tokens[6].as_str()), agent]),
        ("PATCH /pets/1.0/x", vec![("apikey", OPAQUE[0]), agent]),
        ("PATCH /pets/1.0/x/y?a=opaque-1", vec![agent]),
        ("HEAD /pets/1.0/x/y/z", vec![agent]),
        ("HEAD /pets/1.0/x/y/z", vec![]),
    ] {
        let gone: Vec<bool> = (0..4).map(|_| goes(line, &headers)).collect();
        assert_eq!(gone, [false, false, true, true], "{line} {headers:?}");
    }
    let mut gone = 0;
    for turn in 0..30 {
        let key = OPAQUE[usize::from(turn % 10 == 9)];
        gone += usize::from(goes("PATCH /pets/1.0/x/w", &[("apikey", key), agent]));
    }
    assert!(gone > 15, "{gone} of 30");
}

/// Otherwise the comparison above would prove nothing. Tables change, and nobody says so.
#[test]
fn verdicts_are_remembered() {
    let tokens = tokens();
    let opaque: String = Sha256::digest(OPAQUE[0]).iter().map(|byte| format!("{byte:02x}")).collect();
    let bearer = format!("Bearer {}", tokens[0]);
    for (line, headers, revoked, remembered) in [
        ("GET /pets/1.0/x", vec![("authorization", bearer.as_str())], "t1", true),
        ("GET /pets/1.0/x", vec![("apikey", tokens[6].as_str())], "t1", true),
        ("PATCH /pets/1.0/x", vec![("apikey", OPAQUE[0])], opaque.as_str(), true),
        ("PATCH /pets/1.0/x?a=opaque-1", vec![], opaque.as_str(), true),
        // Where else it comes from counts as well.
        ("PATCH /pets/1.0/x", vec![("apikey", tokens[9].as_str()), ("referer", "a.example")], "t2", false),
        ("PUT /pets/1.0/x", vec![("authorization", bearer.as_str()), ("apikey", tokens[6].as_str())], "t1", false),
    ] {
        let mut directory = directory(&[]);
        directory.verdicts = Some(Verdicts::default());
        let request = request(line, &headers);
        let call = |directory: &TestDirectory| decided(directory, &request, false, NOW * 1000).0;
        let good = call(&directory);
        assert!(good.starts_with("->"), "{line}: {good}");
        directory.subscribers.revoked.push(revoked.to_owned());
        assert_eq!(call(&directory) == good, remembered, "{line} {headers:?}");
        directory.verdicts.as_ref().unwrap().clear();
        assert!(call(&directory).starts_with("401"), "{line}");
    }
}

/// What a request without credentials counts against is found once, where none are asked for.
#[test]
fn a_verdict_about_nobody_is_remembered() {
    let mut directory = directory(&[]);
    directory.api.tier = Some("A".to_owned());
    directory.recompile();
    directory.verdicts = Some(Verdicts::default());
    let limit = Limit { amount: 5, unit: QuotaUnit::Requests, window: Window { count: 1, unit: TimeUnit::Minute } };
    let request = request("HEAD /pets/1.0/x", &[]);
    for (limits, counted) in [(vec![limit], 1), (Vec::new(), 1)] {
        directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), Tier { limits, ..Tier::named("A") });
        assert_eq!(decided(&directory, &request, false, NOW * 1000).1.len(), counted);
    }
    directory.verdicts.as_ref().unwrap().clear();
    assert!(decided(&directory, &request, false, NOW * 1000).1.is_empty());
}

/// Whoever wants to know why is told of every stage, whether or not its outcome was known.
#[test]
fn explanations_leave_nothing_out() {
    let mut directory = directory(&[]);
    directory.verdicts = Some(Verdicts::default());
    let bearer = format!("Bearer {}", tokens()[0]);
    let request = request("GET /pets/1.0/x", &[("authorization", bearer.as_str())]);
    let explained = |directory: &TestDirectory| {
        let (answers, connection) = (Answers::default(), TestConnection::default());
        let now = Timestamp(NOW * 1000);
        let callbacks = Callbacks::NONE;
        let cx = Cx { directory, request: &request, answers: &answers, connection: &connection, now, callbacks };
        format!("{:?}", crate::explain::explain(&cx).1)
    };
    let first = explained(&directory);
    assert!(first.contains("authenticate"), "{first}");
    assert_eq!(explained(&directory), first);
}
