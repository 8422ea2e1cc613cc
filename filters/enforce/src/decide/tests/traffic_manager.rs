//! A Traffic Manager counts: its decisions hold at every level, and it is told of what passes and of nothing else.

use tollgate_model::{Condition, ConditionKind, CustomPolicy, DecidedGroup, Decisions, TrafficManager, Usage};

use super::limits::{API, APPLICATION, GOOD, PATH, RESOURCE, SUBSCRIPTION, directory as counted_here, throttled, tier};
use super::*;
use crate::{CompiledPolicy, Stock, Throttle};

pub(super) const KEY_OF_API: &str = "/pets/1.0:1.0";
pub(super) const KEY_OF_SUBSCRIPTION: &str = "7:/pets/1.0:1.0";
pub(super) const KEY_OF_APPLICATION: &str = "7:alice@carbon.super";
pub(super) const KEY_OF_OPERATION: &str = "/pets/1.0/1.0/pet/{id}:GET";
pub(super) const LATER: u64 = NOW * 1000 + 1;

/// Nothing is left of any quota, which is nobody's business here.
pub(super) fn directory() -> TestDirectory {
    let mut directory = counted_here();
    for key in [API, RESOURCE, SUBSCRIPTION, APPLICATION] {
        directory.quotas.stock.insert(key.to_owned(), Stock::Exhausted { until: Timestamp(u64::MAX) });
    }
    let settings = directory.settings.as_mut().unwrap();
    settings.traffic_manager = Some(TrafficManager { headers: true, query: true, claims: true });
    let custom = CustomPolicy {
        name: "c".to_owned(),
        template: "$userId:$apiContext".to_owned(),
        limits: Vec::new(),
        shadow: false,
    };
    let custom = vec![CompiledPolicy::try_from(custom).unwrap()];
    directory.throttle = Rc::new(Throttle { deny: Vec::new(), custom });
    directory
}

/// What comes of the request, and what the Traffic Manager is told.
fn call(directory: &TestDirectory) -> (String, Vec<Usage>) {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    let headers = [("authorization", bearer.as_str()), ("x-plan", "gold"), ("x-forwarded-for", "1.2.3.4")];
    let (request, answers) = (request(&format!("{PATH}?q=a%20b&messageSize=9"), &headers), Answers::default());
    let decision = decide_with(directory, &request, &answers);
    assert!(answers.settle().is_empty(), "nothing is counted here");
    let uses = answers.take_uses();
    assert!(answers.take_uses().is_empty(), "nobody is told twice");
    (describe(decision), uses)
}

fn decided(key: &str, decisions: Decisions) -> TestDirectory {
    let mut directory = directory();
    directory.subscribers.decisions.insert(key.to_owned(), decisions);
    directory
}

pub(super) fn until(until: u64) -> Decisions {
    Decisions { until: Some(until), ..Decisions::default() }
}

#[test]
fn what_is_decided_holds_at_every_level() {
    let passes = GOOD.replace("/pet/5", "/pet/5?q=a%20b&messageSize=9");
    assert_eq!(call(&directory()).0, passes);
    for (key, code) in [
        (KEY_OF_API, "900800"),
        (KEY_OF_SUBSCRIPTION, "900804"),
        (KEY_OF_APPLICATION, "900803"),
        ("alice@carbon.super:/pets/1.0", "900806"),
    ] {
        assert_eq!(call(&decided(key, until(LATER))), (throttled(code), Vec::new()), "{key}");
        assert_eq!(call(&decided(key, until(NOW * 1000))).0, passes, "{key}: over");
    }
    // The API has a plan, so its operations have none of their own.
    assert_eq!(call(&decided(KEY_OF_OPERATION, until(LATER))).0, passes);
    let of_operation = |tier: Option<&str>| {
        let mut directory = decided(KEY_OF_OPERATION, until(LATER));
        directory.api.tier = None;
        directory.api.resources[0].operations[0].tier = tier.map(str::to_owned);
        call(&directory).0
    };
    assert_eq!(of_operation(None), passes, "an operation without a plan is not throttled");
    assert_eq!(of_operation(Some("A")), throttled("900802"));
}

#[test]
fn a_plan_that_only_counts_refuses_nobody() {
    let mut lenient = decided(KEY_OF_SUBSCRIPTION, until(LATER));
    let plan = (tollgate_model::TierKind::Subscription, "S".to_owned());
    lenient.subscribers.tiers.insert(plan, tollgate_model::Tier { stop_on_quota_reach: false, ..tier("S") });
    assert_eq!(call(&lenient).1.len(), 1);
}

#[test]
fn groups_of_conditions_are_looked_at_for_apis() {
    let of = ConditionKind::Header { name: "x-plan".to_owned(), pattern: "^gold$".to_owned() };
    let gold = vec![vec![Condition { of, invert: false }]];
    let group = DecidedGroup { number: 1, until: LATER, conditions: gold };
    let decisions =
        |groups: &[DecidedGroup], rest: Option<DecidedGroup>| Decisions { until: None, groups: groups.to_vec(), rest };
    assert_eq!(call(&decided(KEY_OF_API, decisions(std::slice::from_ref(&group), None))).0, throttled("900800"));
    assert_eq!(call(&decided(KEY_OF_API, decisions(&[], Some(group)))).1.len(), 1, "gold is not the rest");
}

#[test]
fn it_is_told_of_a_use_in_its_own_terms() {
    let (_, uses) = call(&directory());
    let [usage] = uses.as_slice() else { panic!("{uses:?}") };
    let properties: serde_json::Value = serde_json::from_str(&usage.properties).unwrap();
    let expected = Usage {
        app_key: KEY_OF_APPLICATION.to_owned(),
        app_tier: "P".to_owned(),
        api_key: KEY_OF_API.to_owned(),
        api_tier: "A".to_owned(),
        subscription_key: KEY_OF_SUBSCRIPTION.to_owned(),
        subscription_tier: "S".to_owned(),
        resource_key: KEY_OF_API.to_owned(),
        resource_tier: "A".to_owned(),
        user_id: "alice@carbon.super".to_owned(),
        api_context: "/pets/1.0".to_owned(),
        api_version: "1.0".to_owned(),
        app_tenant: "carbon.super".to_owned(),
        api_tenant: "carbon.super".to_owned(),
        app_id: "7".to_owned(),
        api_name: usage.api_name.clone(),
        properties: usage.properties.clone(),
    };
    assert_eq!(*usage, expected);
    for (name, value) in [("x-plan", json!("gold")), ("q", json!("a b")), ("azp", json!("ck")), ("ipv6", json!(0))] {
        assert_eq!(properties[name], value, "{name} of {properties}");
    }
    assert_eq!(properties.get("authorization"), None);
    assert_eq!(properties.get("messageSize"), None, "a client does not say how much it sent");
}

/// What cannot be read may forbid anything.
#[test]
fn a_decision_that_cannot_be_read_denies() {
    let of = ConditionKind::Header { name: "x".to_owned(), pattern: "(".to_owned() };
    let conditions = vec![vec![Condition { of, invert: false }]];
    let groups = vec![DecidedGroup { number: 1, until: LATER, conditions }];
    let (outcome, uses) = call(&decided(KEY_OF_API, Decisions { groups, ..Decisions::default() }));
    assert!(outcome.starts_with("500 102500") && uses.is_empty(), "{outcome}");
}
