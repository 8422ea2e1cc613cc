//! Services of a mesh: known by their connection, with subscriptions, scopes and quotas as if they had a token.

use tollgate_model::{
    Api, Application, Credential, KeyType, Limit, QuotaUnit, Requirement, Security, Subscription, SubscriptionState,
    Tier, TierKind, TimeUnit, Window, keys,
};

use super::*;
use crate::Stock;
use crate::testing::{operation, resource};

const CHECKOUT: &str = "spiffe://cluster.local/ns/shop/sa/checkout";
const UNKNOWN: &str =
    "401 900901: The calling workload is not known. Make sure you have provided the correct security credentials";
const PASSED: &str = "-> /v2/orders +cluster=prod";

/// `/orders` takes tokens and workloads, `/stock` workloads with the scope `write`, `/tokens` tokens only.
fn orders() -> Api {
    let one = |template: &str, requirements, scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        resource(template, vec![operation("GET", Security::AnyOf { requirements, scopes })])
    };
    let resources = vec![
        one("/orders", vec![Requirement::TOKEN, Requirement::WORKLOAD], &[]),
        one("/stock", vec![Requirement::WORKLOAD], &["write", "admin"]),
        resource("/tokens", vec![operation("GET", token_with(&[]))]),
    ];
    Api { resources, sandbox: Some(backend("sand", "/s")), ..api() }
}

fn directory(scopes: &[&str], side: KeyType, state: SubscriptionState) -> TestDirectory {
    let mut directory = TestDirectory::new(orders());
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let tables = &mut directory.subscribers;
    let credential = Credential { scopes, ..Credential::of("app".to_owned(), side) };
    tables.credentials.insert(keys::workload(CHECKOUT), credential);
    let application = Application {
        uuid: "app".to_owned(),
        tier: Tier::UNLIMITED.to_owned(),
        subscriber: "alice".to_owned(),
        ..Application::default()
    };
    tables.applications.insert("app".to_owned(), application);
    let subscription = Subscription { state, tier: Tier::UNLIMITED.to_owned() };
    tables.subscriptions.insert(keys::subscription("app", "pets"), subscription);
    directory
}

fn good() -> TestDirectory {
    directory(&["write"], KeyType::Production, SubscriptionState::Unblocked)
}

/// What becomes of a request of this workload.
fn call(directory: &TestDirectory, principal: Option<&str>, line: &str, headers: &[(&str, &str)]) -> String {
    let request = request(line, headers);
    let connection = TestConnection { principal: principal.map(str::to_owned), ..TestConnection::default() };
    describe(decide_on(&connection, directory, &request, &Answers::default()))
}

#[test]
fn a_workload_calls_for_its_application() {
    let orders = "GET /pets/1.0/orders";
    let directory = good();
    assert_eq!(call(&directory, Some(CHECKOUT), orders, &[]), PASSED);
    assert_eq!(call(&directory, None, orders, &[]), NO_CREDENTIALS);
    for other in ["spiffe://cluster.local/ns/shop/sa/checkouT", "spiffe://other/ns/shop/sa/checkout", "x", ""] {
        assert_eq!(call(&directory, Some(other), orders, &[]), UNKNOWN, "{other}");
    }
    assert_eq!(call(&directory, Some(&format!("{CHECKOUT},{CHECKOUT}")), orders, &[]), UNKNOWN);
    assert_eq!(call(&directory, Some(&"s".repeat(3_000)), orders, &[]), UNKNOWN);
    // Nor does it matter where nobody asks for it.
    assert_eq!(call(&directory, Some(CHECKOUT), "GET /pets/1.0/tokens", &[]), NO_CREDENTIALS);
    let sandbox = self::directory(&[], KeyType::Sandbox, SubscriptionState::Unblocked);
    assert_eq!(call(&sandbox, Some(CHECKOUT), orders, &[]), "-> /s/orders +cluster=sand");
}

/// What a caller writes into a request says nothing of its connection.
#[test]
fn headers_name_no_workload() {
    let xfcc = format!("By=spiffe://cluster.local/ns/a/sa/b;Hash=00;URI={CHECKOUT}");
    let directory = good();
    for header in ["x-forwarded-client-cert", "x-wso2-client-certificate", "x-spiffe-id", "io.istio.peer_principal"] {
        for value in [xfcc.as_str(), CHECKOUT] {
            let forged = [(header, value)];
            assert_eq!(call(&directory, None, "GET /pets/1.0/orders", &forged), NO_CREDENTIALS, "{header}");
            let stranger = Some("spiffe://cluster.local/ns/evil/sa/default");
            assert_eq!(call(&directory, stranger, "GET /pets/1.0/orders", &forged), UNKNOWN, "{header}");
        }
    }
}

#[test]
fn tokens_still_count_and_go_first() {
    let directory = good();
    let (good, bad) = (format!("Bearer {}", token(json!({}))), "Bearer a.b.c");
    let both = call(&directory, Some(CHECKOUT), "GET /pets/1.0/orders", &[("authorization", &good)]);
    assert_eq!(both, "-> /v2/orders -authorization +cluster=prod");
    // Whoever is known needs no token, and a bad one goes no further.
    let with_bad = call(&directory, Some(CHECKOUT), "GET /pets/1.0/orders", &[("authorization", bad)]);
    assert_eq!(with_bad, "-> /v2/orders -authorization +cluster=prod");
    let stranger =
        call(&directory, Some("spiffe://cluster.local/x"), "GET /pets/1.0/orders", &[("authorization", bad)]);
    assert!(stranger.starts_with("401 900901: Not a JWT token."), "{stranger}");
}

#[test]
fn workloads_hold_scopes() {
    let stock = "GET /pets/1.0/stock";
    for (scopes, passes) in [(&["write"][..], true), (&["a", "admin"], true), (&["read"], false), (&[], false)] {
        let directory = directory(scopes, KeyType::Production, SubscriptionState::Unblocked);
        let outcome = call(&directory, Some(CHECKOUT), stock, &[]);
        assert_eq!(outcome.starts_with("->"), passes, "{scopes:?}: {outcome}");
        assert!(passes || outcome.starts_with("403 900910"), "{outcome}");
    }
}

#[test]
fn workloads_need_a_subscription_in_use() {
    let orders = "GET /pets/1.0/orders";
    for (state, expected) in [
        (SubscriptionState::Unblocked, "->"),
        (SubscriptionState::ProdOnlyBlocked, "401 900907"),
        (SubscriptionState::Blocked, "401 900907"),
        (SubscriptionState::OnHold, "403 900909"),
        (SubscriptionState::Rejected, "403 900909"),
    ] {
        let outcome = call(&directory(&[], KeyType::Production, state), Some(CHECKOUT), orders, &[]);
        assert!(outcome.starts_with(expected), "{state:?}: {outcome}");
    }
    let without = |change: fn(&mut TestDirectory)| {
        let mut directory = good();
        change(&mut directory);
        call(&directory, Some(CHECKOUT), orders, &[])
    };
    assert!(without(|it| it.subscribers.subscriptions.clear()).starts_with("403 900908"));
    assert!(without(|it| it.subscribers.applications.clear()).starts_with("403 900908"));
    assert!(without(|it| it.subscribers.unreadable = true).starts_with("500 102500"));
}

/// Its quota is that of its application; the user of throttle keys is the workload.
#[test]
fn workloads_have_quotas() {
    let mut directory = good();
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limits = vec![Limit { amount: 1, unit: QuotaUnit::Requests, window }];
    let tier = Tier { limits, ..Tier::named("Gold") };
    directory.subscribers.tiers.insert((TierKind::Application, "Gold".to_owned()), tier);
    directory.subscribers.applications.get_mut("app").unwrap().tier = "Gold".to_owned();
    let key = format!("application|app:{CHECKOUT}@carbon.super");
    directory.quotas.stock.insert(key, Stock::Exhausted { until: Timestamp(NOW * 1000 + 1) });
    let outcome = call(&directory, Some(CHECKOUT), "GET /pets/1.0/orders", &[]);
    assert!(outcome.starts_with("429 900803"), "{outcome}: {:?}", directory.quotas.looks);
}
