//! Memory of verdicts and ways is there to save time, and must never be seen: neither in a decision, nor in what is counted.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_model::{
    ApiKeyPlace, Application, ClientCertificate, Credential, DenyCondition, ExplainKey, HeaderPolicy, Issuer, KeyType,
    Limit, MutualSsl, Operation, Policies, QuotaUnit, RequestPolicy, Requirement, Secret, Security, Settings,
    Subscription, SubscriptionState, Tier, TierKind, TimeUnit, Window, keys,
};

use super::*;
use crate::testing::{issuer, operation, resource};
use crate::{CompiledIssuer, Counter, Stock, Throttle, Verdicts, again};

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
    let operations = vec![
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
    ]
}

/// A request, some of which look the same to all stages, and its connection.
#[derive(Debug, Clone)]
struct Sent {
    token: prop::sample::Index,
    method: usize,
    path: usize,
    beside: usize,
    certificate: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    let certificate = prop::bool::weighted(0.2);
    // Most look alike.
    let few = || prop_oneof![3 => Just(0_usize), 2 => 0..3_usize];
    (any::<prop::sample::Index>(), few(), few(), 0..9_usize, certificate)
        .prop_map(|(token, method, path, beside, certificate)| Sent { token, method, path, beside, certificate })
}

impl Sent {
    fn request(&self, tokens: &[String], number: usize) -> HeaderMap {
        let bearer = format!("Bearer {}", tokens[self.token.index(tokens.len())]);
        let line = format!("{} /pets/1.0/x{}", ["GET", "POST", "PUT"][self.method], ["", "/y", "/y?a=b"][self.path]);
        let beside = [
            vec![],
            vec![],
            vec![],
            vec![("internal-key", tokens[4].as_str())],
            vec![("content-length", "7")],
            vec![("apikey", "x")],
            vec![("x-from", "7")],
            vec![("x-from", "8"), ("x-envoy-max-retries", "9")],
            vec![("x-wso2-cluster-header", "elsewhere"), ("upgrade", "websocket")],
        ];
        // Of which nobody asks.
        let id = number.to_string();
        let own = [("authorization", bearer.as_str()), ("x-request-id", id.as_str())];
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

/// Otherwise the comparison above would prove nothing.
#[test]
fn verdicts_are_remembered() {
    let mut directory = directory(&[]);
    directory.verdicts = Some(Verdicts::default());
    let bearer = format!("Bearer {}", tokens()[0]);
    let request = request("GET /pets/1.0/x", &[("authorization", bearer.as_str())]);
    // The whole way and not its parts, which remember nothing.
    let call = |directory: &TestDirectory| {
        let (answers, connection) = (Answers::default(), TestConnection::default());
        let now = Timestamp(NOW * 1000);
        let callbacks = Callbacks::NONE;
        describe(decide(&Cx {
            directory,
            request: &request,
            answers: &answers,
            connection: &connection,
            now,
            callbacks,
        }))
    };
    let good = call(&directory);
    assert!(good.starts_with("->"), "{good}");
    directory.subscribers.revoked.push("t1".to_owned());
    assert_eq!(call(&directory), good, "nobody has said that a table has changed");
    directory.verdicts.as_ref().unwrap().clear();
    assert!(call(&directory).starts_with("401"));
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
