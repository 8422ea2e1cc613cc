//! Limits: levels in their order, keys of the original, conditions, and what happens without the owner of the quotas.

use std::num::NonZero;
use std::rc::Rc;

use tollgate_model::{
    Application, Condition, ConditionGroup, ConditionKind, Credential, CustomPolicy, DenyCondition, IpRange, Issuer,
    KeyType, Limit, Posture, QuotaUnit, SpikeArrest, Subscription, SubscriptionState, Tier, TierKind, TimeUnit, Window,
    keys,
};

use super::*;
use crate::testing::issuer;
use crate::{CompiledIssuer, CompiledPolicy, Stock, Throttle};

pub(super) const PATH: &str = "GET /pets/1.0/pet/5";
pub(super) const GOOD: &str = "-> /v2/pet/5 -authorization +cluster=prod";
pub(super) const API: &str = "api|/pets/1.0:1.0";
pub(super) const RESOURCE: &str = "resource|/pets/1.0/1.0/pet/{id}:GET";
pub(super) const SUBSCRIPTION: &str = "subscription|7:/pets/1.0:1.0";
pub(super) const APPLICATION: &str = "application|7:alice@carbon.super";

fn limit(amount: u64) -> Limit {
    Limit { amount, unit: QuotaUnit::Requests, window: Window { count: 1, unit: TimeUnit::Minute } }
}

pub(super) fn tier(name: &str) -> Tier {
    Tier { limits: vec![limit(10)], ..Tier::named(name) }
}

/// Every level is limited, and there is quota everywhere.
pub(super) fn directory() -> TestDirectory {
    let mut api = api();
    api.tier = Some("A".to_owned());
    let mut directory = TestDirectory::new(api);
    directory.issuer = Rc::new(CompiledIssuer::compile(Issuer { validate_subscription: true, ..issuer() }).0);
    let tables = &mut directory.subscribers;
    let credential = Credential::of("u".to_owned(), KeyType::Production);
    tables.credentials.insert(keys::credential("test", "ck"), credential);
    let application = Application {
        uuid: "u".to_owned(),
        id: 7,
        name: "Web".to_owned(),
        subscriber: "bob".to_owned(),
        tier: "P".to_owned(),
        ..Application::default()
    };
    tables.applications.insert("u".to_owned(), application);
    let subscription = Subscription { state: SubscriptionState::Unblocked, tier: "S".to_owned() };
    tables.subscriptions.insert(keys::subscription("u", "pets"), subscription);
    for (kind, name) in [(TierKind::Api, "A"), (TierKind::Subscription, "S"), (TierKind::Application, "P")] {
        tables.tiers.insert((kind, name.to_owned()), tier(name));
    }
    for key in [API, RESOURCE, SUBSCRIPTION, APPLICATION] {
        directory.quotas.stock.insert(key.to_owned(), Stock::Enough);
    }
    directory
}

fn call(directory: &TestDirectory) -> String {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    outcome(directory, PATH, &[("authorization", &bearer), ("x-plan", "beta")])
}

pub(super) fn throttled(code: &str) -> String {
    format!("429 {code}: You have exceeded your quota")
}

fn exhausted(key: &str) -> TestDirectory {
    let mut directory = directory();
    directory.quotas.stock.insert(key.to_owned(), Stock::Exhausted { until: Timestamp(1) });
    directory
}

#[test]
fn levels_are_looked_at_in_their_order() {
    let directory = directory();
    assert_eq!(call(&directory), GOOD);
    let looks = directory.quotas.looks.borrow();
    assert_eq!(looks[..3], [API, SUBSCRIPTION, APPLICATION].map(str::to_owned));
    for (key, code) in [(API, "900800"), (SUBSCRIPTION, "900804"), (APPLICATION, "900803")] {
        assert_eq!(call(&exhausted(key)), throttled(code));
    }
}

#[test]
fn operations_count_where_the_api_has_no_plan() {
    let of_operation = || {
        let mut directory = exhausted(RESOURCE);
        directory.api.tier = None;
        directory.api.resources[0].operations[0].tier = Some("A".to_owned());
        directory
    };
    assert_eq!(call(&of_operation()), throttled("900802"));
    let mut with_plan = of_operation();
    with_plan.api.tier = Some("Unlimited".to_owned());
    assert_eq!(call(&with_plan), GOOD);
}

#[test]
fn a_dear_operation_counts_as_so_many_requests_at_every_level() {
    let costs = |cost: Option<u32>| {
        let mut directory = directory();
        directory.api.resources[0].operations[0].cost = cost.and_then(NonZero::new);
        let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
        let (request, answers) = (request(PATH, &[("authorization", &bearer)]), Answers::default());
        assert_eq!(describe(decide_with(&directory, &request, &answers)), GOOD);
        answers.settle().iter().map(|counter| counter.cost).collect::<Vec<_>>()
    };
    assert_eq!(costs(None), [1, 1, 1]);
    assert_eq!(costs(Some(3)), [3, 3, 3]);
}

#[test]
fn plans_may_count_without_refusing() {
    let mut counting = exhausted(SUBSCRIPTION);
    let plan = (TierKind::Subscription, "S".to_owned());
    counting.subscribers.tiers.insert(plan.clone(), Tier { stop_on_quota_reach: false, ..tier("S") });
    assert_eq!(call(&counting), GOOD);
    let mut shadow = exhausted(SUBSCRIPTION);
    shadow.subscribers.tiers.insert(plan, Tier { shadow: true, ..tier("S") });
    assert_eq!(call(&shadow), GOOD);
}

#[test]
fn bursts_are_limited_beside_the_quota() {
    let mut directory = directory();
    let spike_arrest = Some(SpikeArrest { requests: 2, seconds: 1 });
    let plan = (TierKind::Subscription, "S".to_owned());
    directory.subscribers.tiers.insert(plan, Tier { spike_arrest, ..tier("S") });
    let burst = format!("{SUBSCRIPTION}|burst");
    directory.quotas.stock.insert(burst, Stock::Exhausted { until: Timestamp(1) });
    assert_eq!(call(&directory), throttled("900804"));
}

#[test]
fn several_limits_of_a_plan_are_several_counters() {
    let mut directory = directory();
    let limits = vec![limit(10), limit(100)];
    directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), Tier { limits, ..tier("A") });
    directory.quotas.stock.insert(format!("{API}#1"), Stock::Exhausted { until: Timestamp(1) });
    assert_eq!(call(&directory), throttled("900800"));
}

#[test]
fn conditions_choose_the_limits() {
    let group = |pattern: &str, limits| ConditionGroup {
        number: 1,
        conditions: vec![Condition {
            of: ConditionKind::Header { name: "x-plan".to_owned(), pattern: pattern.to_owned() },
            invert: false,
        }],
        limits,
    };
    let with = |group| {
        let mut directory = exhausted(API);
        let plan = Tier { groups: vec![group], ..tier("A") };
        directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), plan);
        directory.quotas.stock.insert(format!("{API}_condition_1"), Stock::Enough);
        directory
    };
    assert_eq!(call(&with(group("^beta$", vec![limit(5)]))), GOOD);
    assert_eq!(call(&with(group("^alpha$", vec![limit(5)]))), throttled("900800"));
    // What cannot be compiled denies.
    assert_eq!(call(&with(group("(", vec![limit(5)]))), "500 102500: Error during validating the request");
}

#[test]
fn custom_policies_have_keys_of_their_own() {
    let policy = |shadow| {
        let policy = CustomPolicy {
            name: "mine".to_owned(),
            template: "$userId:$apiContext".to_owned(),
            limits: vec![limit(3)],
            shadow,
        };
        let mut directory = directory();
        let custom = vec![CompiledPolicy::try_from(policy).unwrap()];
        directory.throttle = Rc::new(Throttle { custom, ..Throttle::default() });
        let key = "custom|mine|alice@carbon.super:/pets/1.0".to_owned();
        directory.quotas.stock.insert(key, Stock::Exhausted { until: Timestamp(1) });
        directory
    };
    assert_eq!(call(&policy(false)), throttled("900806"));
    assert_eq!(call(&policy(true)), GOOD);
}

#[test]
fn deny_conditions_come_before_every_limit() {
    let range = |text: &str| IpRange { first: text.parse().unwrap(), last: text.parse().unwrap() };
    let ip = |text: &str, invert, tenant: Option<&str>| DenyCondition::Ip {
        range: range(text),
        invert,
        tenant: tenant.map(str::to_owned),
    };
    let key = |text: &str| text.to_owned();
    for (condition, denied) in [
        (DenyCondition::Api { context: key("/pets/1.0") }, true),
        (DenyCondition::Api { context: key("/pets") }, false),
        (DenyCondition::Application { key: key("bob:Web") }, true),
        (DenyCondition::Application { key: key("alice:Web") }, false),
        (DenyCondition::User { key: key("alice@carbon.super") }, true),
        (DenyCondition::User { key: key("alice") }, false),
        (DenyCondition::Subscription { key: key("/pets/1.0:1.0:bob-Web:PRODUCTION") }, true),
        (DenyCondition::Subscription { key: key("/pets/1.0:1.0:bob-Web:SANDBOX") }, false),
        (ip("10.1.2.3", false, None), true),
        (ip("10.1.2.3", true, None), false),
        (ip("10.1.2.4", true, Some("carbon.super")), true),
        (ip("10.1.2.3", false, Some("other.example")), false),
    ] {
        let text = format!("{condition:?}");
        let mut directory = exhausted(API);
        directory.throttle = Rc::new(Throttle { deny: vec![condition], ..Throttle::default() });
        let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
        let found = outcome(&directory, PATH, &[("authorization", &bearer), ("x-forwarded-for", "10.1.2.3")]);
        let blocked = "403 900805: You have been blocked from accessing the resource".to_owned();
        assert_eq!(found, if denied { blocked } else { throttled("900800") }, "{text}");
    }
}

#[test]
fn without_the_owner_the_posture_counts() {
    for (posture, passes) in [(Posture::Allow, true), (Posture::Local, true), (Posture::Deny, false)] {
        let mut directory = directory();
        directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), Tier { posture, ..tier("A") });
        directory.quotas.stock.insert(API.to_owned(), Stock::Lost);
        assert_eq!(call(&directory) == GOOD, passes, "{posture:?}");
    }
}

/// At the edge of a window one counter after the other turns out to be of the window before.
#[test]
fn who_has_waited_once_asks_for_all_levels_at_once() {
    let mut directory = directory();
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    let (request, mut answers) = (request(PATH, &[("authorization", &bearer)]), Answers::default());
    for (ends, expected) in [
        (API, vec![API]),
        (SUBSCRIPTION, vec![SUBSCRIPTION, API, APPLICATION]),
        (APPLICATION, vec![APPLICATION, API, SUBSCRIPTION]),
    ] {
        directory.quotas.stock.insert(ends.to_owned(), Stock::Unknown { want: 7 });
        let Decision::Ask(question) = decide_with(&directory, &request, &answers) else { panic!("no question") };
        let Question::Quota { asks, .. } = &question else { panic!("{question:?}") };
        assert_eq!(asks.iter().map(|ask| ask.key.as_str()).collect::<Vec<_>>(), expected, "{ends}");
        assert!(asks.iter().all(|ask| ask.want >= 7), "{asks:?}");
        answers.add(question, Answer::Granted);
        directory.quotas.stock.insert(ends.to_owned(), Stock::Enough);
    }
    assert!(matches!(decide_with(&directory, &request, &answers), Decision::Forward(_)));
}

#[test]
fn quota_is_asked_for_once_for_all_levels_and_taken_once() {
    let mut directory = directory();
    directory.quotas.stock.clear();
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    let request = request(PATH, &[("authorization", &bearer)]);
    let mut answers = Answers::default();
    let ask = |directory: &TestDirectory, answers: &Answers| decide_with(directory, &request, answers);
    let Decision::Ask(Question::Quota { round: 0, asks }) = ask(&directory, &answers) else { panic!("no question") };
    assert_eq!(asks.iter().map(|ask| ask.key.as_str()).collect::<Vec<_>>(), [API, SUBSCRIPTION, APPLICATION]);
    assert!(answers.settle().is_empty());
    answers.add(Question::Quota { round: 0, asks }, Answer::Granted);
    for key in [API, SUBSCRIPTION, APPLICATION] {
        directory.quotas.stock.insert(key.to_owned(), Stock::Enough);
    }
    assert!(matches!(ask(&directory, &answers), Decision::Forward(_)));
    assert_eq!(answers.settle().len(), 3);
    // However often it is decided from here on, it was counted.
    directory.quotas.stock.clear();
    assert!(matches!(ask(&directory, &answers), Decision::Forward(_)));
    assert!(answers.settle().is_empty());
}

#[test]
fn clients_are_told_how_their_limits_stand_where_that_is_wanted() {
    let told = |mut directory: TestDirectory, wanted: bool| {
        directory.settings = Some(tollgate_model::Settings { limit_headers: wanted, ..Default::default() });
        let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
        let request = request(PATH, &[("authorization", &bearer)]);
        let (answers, connection) = (Answers::default(), TestConnection::default());
        let (directory, now) = (&directory, Timestamp(NOW * 1000));
        let cx = Cx {
            directory,
            request: &request,
            answers: &answers,
            connection: &connection,
            now,
            callbacks: Callbacks::NONE,
        };
        let fields: Vec<(String, String)> = match decide_both(&cx) {
            Decision::Forward(edits) => {
                edits.response.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
            Decision::Reply(reply) => {
                reply.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
            }
            other => panic!("{other:?}"),
        };
        let of = |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        (of("ratelimit-policy").unwrap_or_default(), of("ratelimit").unwrap_or_default())
    };
    let pair = |policy: &str, limit: &str| (policy.to_owned(), limit.to_owned());
    assert_eq!(told(directory(), false), pair("", ""));
    assert_eq!(
        told(directory(), true),
        pair(
            r#""api";q=10;w=60, "subscription";q=10;w=60, "application";q=10;w=60"#,
            r#""api";r=4;t=31, "subscription";r=4;t=31, "application";r=4;t=31"#,
        )
    );
    // Who is refused learns of what stops him.
    assert_eq!(
        told(exhausted(SUBSCRIPTION), true),
        pair(r#""api";q=10;w=60, "subscription";q=10;w=60"#, r#""api";r=4;t=31, "subscription";r=0;t=31"#)
    );
    // Whoever is refused later on was counted, and learns of it all the same.
    let mut sandbox = directory();
    let credential = Credential::of("u".to_owned(), KeyType::Sandbox);
    sandbox.subscribers.credentials.insert(keys::credential("test", "ck"), credential);
    assert!(call(&sandbox).starts_with("401 900901: Sandbox key offered"), "{}", call(&sandbox));
    assert_eq!(told(sandbox, true), told(directory(), true));
    // A plan that refuses nobody is nobody's business.
    let mut shadow = exhausted(SUBSCRIPTION);
    let plan = (TierKind::Subscription, "S".to_owned());
    shadow.subscribers.tiers.insert(plan, Tier { shadow: true, ..tier("S") });
    assert!(!told(shadow, true).0.contains("subscription"));
}
