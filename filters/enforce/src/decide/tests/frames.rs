//! What frames of WebSockets count against, and when they pass.

use std::rc::Rc;

use tollgate_model::{
    ApiKind, Condition, ConditionKind, DecidedGroup, Decisions, DenyCondition, QuotaUnit, Tier, TierKind, Usage,
};

use super::limits::{API, APPLICATION, RESOURCE, SUBSCRIPTION, directory, throttled, tier};
use super::traffic_manager as manager;
use super::*;
use crate::{Counter, FrameDecision, FrameLimits, Stock, Throttle};

const PATH: &str = "GET /pets/1.0/pet/5";

/// The world of the limits, whose API is a WebSocket.
fn sockets() -> TestDirectory {
    let mut directory = directory();
    directory.api.kind = ApiKind::WebSocket;
    directory
}

fn handshake() -> HeaderMap {
    let bearer = format!("Bearer {}", token(json!({"azp": "ck", "sub": "alice"})));
    request(PATH, &[("authorization", &bearer), ("upgrade", "websocket"), ("sec-websocket-key", "a")])
}

fn cx<'c>(directory: &'c TestDirectory, request: &'c HeaderMap, answers: &'c Answers, callbacks: Callbacks) -> Cx<'c> {
    const CONNECTION: &TestConnection = &TestConnection { certificate: None, principal: None, peer: None };
    Cx { directory, request, answers, connection: CONNECTION, now: Timestamp(NOW * 1000), callbacks }
}

/// Opens a WebSocket.
fn open(directory: &TestDirectory, callbacks: Callbacks) -> (String, Option<Box<dyn FrameLimits>>) {
    let (request, answers) = (handshake(), Answers::default());
    let decision = decide_both(&cx(directory, &request, &answers, callbacks));
    let limits = answers.take_frames();
    assert!(answers.take_frames().is_none());
    (describe(decision), limits)
}

fn limits(directory: &TestDirectory) -> Box<dyn FrameLimits> {
    let (outcome, limits) = open(directory, Callbacks::ALL);
    assert!(outcome.starts_with("->"), "{outcome}");
    limits.unwrap()
}

/// One frame: what becomes of it, and what it is counted against.
fn frame(limits: &mut dyn FrameLimits, directory: &TestDirectory) -> (FrameDecision, Vec<String>) {
    let (request, answers) = (handshake(), Answers::default());
    let decision = limits.decide(&cx(directory, &request, &answers, Callbacks::ALL));
    (decision, answers.settle().iter().map(|counter| counter.key().to_owned()).collect())
}

#[test]
fn frames_count_at_the_three_levels_of_the_original() {
    let mut directory = sockets();
    let mut limits = limits(&directory);
    assert_eq!(
        frame(limits.as_mut(), &directory),
        (FrameDecision::Pass, vec![API.into(), SUBSCRIPTION.into(), APPLICATION.into()])
    );
    for key in [API, SUBSCRIPTION, APPLICATION] {
        let until = Timestamp(1);
        directory.quotas.stock.insert(key.to_owned(), Stock::Exhausted { until });
        assert_eq!(frame(limits.as_mut(), &directory), (FrameDecision::Drop, Vec::new()), "{key}");
        directory.quotas.stock.insert(key.to_owned(), Stock::Unknown { want: 7 });
        let (decision, counted) = frame(limits.as_mut(), &directory);
        assert!(matches!(decision, FrameDecision::Ask(Question::Quota { .. })) && counted.is_empty(), "{decision:?}");
        directory.quotas.stock.insert(key.to_owned(), Stock::Enough);
    }
    // Plans of single operations are for handshakes.
    let mut directory = sockets();
    directory.api.tier = None;
    directory.api.resources[0].operations[0].tier = Some("A".to_owned());
    let mut limits = self::limits(&directory);
    assert_eq!(frame(limits.as_mut(), &directory).1, [SUBSCRIPTION, APPLICATION]);
    directory.quotas.stock.insert(RESOURCE.to_owned(), Stock::Exhausted { until: Timestamp(1) });
    assert_eq!(open(&directory, Callbacks::ALL).0, throttled("900802"));
}

#[test]
fn frames_without_limits_are_left_alone() {
    let mut unlimited = sockets();
    unlimited.api.tier = None;
    for kind in [TierKind::Subscription, TierKind::Application] {
        let name = if kind == TierKind::Subscription { "S" } else { "P" };
        unlimited.subscribers.tiers.insert((kind, name.to_owned()), Tier::named(name));
    }
    let (outcome, limits) = open(&unlimited, Callbacks::NONE);
    assert!(outcome.starts_with("->") && limits.is_none(), "{outcome}");
    let (outcome, limits) = open(&directory(), Callbacks::ALL);
    assert!(limits.is_none(), "no WebSocket: {outcome}");
}

#[test]
fn limited_frames_that_nobody_sees_are_not_let_through() {
    // A Traffic Manager is to be told of every frame, whatever the plans.
    let mut unlimited = managed();
    unlimited.api.tier = None;
    for directory in [sockets(), managed(), unlimited] {
        let (outcome, limits) = open(&directory, Callbacks { frames: false, ..Callbacks::ALL });
        assert!(outcome.starts_with("500 102500") && limits.is_none(), "{outcome}");
    }
}

#[test]
fn what_changes_meanwhile_counts_from_the_next_frame_on() {
    let mut directory = sockets();
    let mut limits = limits(&directory);
    directory.throttle =
        Rc::new(Throttle { deny: vec![DenyCondition::Api { context: "/pets/1.0".to_owned() }], ..Throttle::default() });
    directory.revision += 1;
    assert_eq!(frame(limits.as_mut(), &directory).0, FrameDecision::Drop);
    directory.throttle = Rc::default();
    let bytes = tollgate_model::Limit { unit: QuotaUnit::Bytes, ..tier("A").limits[0] };
    directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), Tier { limits: vec![bytes], ..tier("A") });
    directory.revision += 1;
    assert_eq!(frame(limits.as_mut(), &directory).0, FrameDecision::Pass);
    let counter = Counter::new(API.to_owned(), bytes, 1, Default::default());
    assert!(limits.hold(&counter), "{limits:?}");
}

/// The world of a Traffic Manager, whose API is a WebSocket. Nothing is left of any quota here.
fn managed() -> TestDirectory {
    let mut directory = manager::directory();
    directory.api.kind = ApiKind::WebSocket;
    directory
}

#[test]
fn a_traffic_manager_is_told_how_long_each_frame_was() {
    let mut limits = limits(&managed());
    let usage = limits.usage(4_711).unwrap();
    let expected = told_of_handshake(&managed());
    let properties: serde_json::Value = serde_json::from_str(&usage.properties).unwrap();
    assert_eq!((&properties["messageSize"], &properties["azp"]), (&json!(4_711), &json!("ck")), "{properties}");
    assert_eq!(Usage { properties: expected.properties.clone(), ..usage }, expected);
    // A frame is no operation.
    let mut of_operation = managed();
    of_operation.api.tier = None;
    of_operation.api.resources[0].operations[0].tier = Some("A".to_owned());
    let of_handshake = told_of_handshake(&of_operation);
    let usage = self::limits(&of_operation).usage(1).unwrap();
    assert_eq!(
        (of_handshake.resource_key.as_str(), of_handshake.resource_tier.as_str()),
        (manager::KEY_OF_OPERATION, "A")
    );
    assert_eq!((usage.resource_key.as_str(), usage.resource_tier.as_str()), (manager::KEY_OF_API, "Unlimited"));
    // The plan of the API is another one now.
    let mut changed = managed();
    changed.api.tier = Some("Gold".to_owned());
    changed.revision += 1;
    assert_eq!(frame(limits.as_mut(), &changed).0, FrameDecision::Pass);
    assert_eq!(limits.usage(1).unwrap().api_tier, "Gold");
    assert_eq!(self::limits(&sockets()).usage(1), None, "counted here");
}

/// What a Traffic Manager is told of a handshake.
fn told_of_handshake(directory: &TestDirectory) -> Usage {
    let (request, answers) = (handshake(), Answers::default());
    let outcome = describe(decide_both(&cx(directory, &request, &answers, Callbacks::ALL)));
    let uses = answers.take_uses();
    assert_eq!(uses.len(), 1, "{outcome}");
    uses[0].clone()
}

#[test]
fn frames_heed_what_a_traffic_manager_decides_meanwhile() {
    let mut directory = managed();
    let mut limits = limits(&directory);
    let mut become_of = |directory: &TestDirectory| {
        let (decision, counted) = frame(limits.as_mut(), directory);
        assert!(counted.is_empty(), "nothing is counted here");
        decision
    };
    assert_eq!(become_of(&directory), FrameDecision::Pass);
    for (key, until, decision) in [
        (manager::KEY_OF_API, manager::LATER, FrameDecision::Drop),
        (manager::KEY_OF_SUBSCRIPTION, manager::LATER, FrameDecision::Drop),
        (manager::KEY_OF_APPLICATION, manager::LATER, FrameDecision::Drop),
        (manager::KEY_OF_APPLICATION, NOW * 1000, FrameDecision::Pass),
        (manager::KEY_OF_OPERATION, manager::LATER, FrameDecision::Pass),
        // A custom policy is for handshakes.
        ("alice@carbon.super:/pets/1.0", manager::LATER, FrameDecision::Pass),
    ] {
        directory.subscribers.decisions.insert(key.to_owned(), manager::until(until));
        assert_eq!(become_of(&directory), decision, "{key}");
        directory.subscribers.decisions.clear();
        assert_eq!(become_of(&directory), FrameDecision::Pass, "{key} is taken back");
    }
    // Conditions are about the handshake.
    for (pattern, decision) in [("^websocket$", FrameDecision::Drop), ("^other$", FrameDecision::Pass)] {
        let of = ConditionKind::Header { name: "upgrade".to_owned(), pattern: pattern.to_owned() };
        let conditions = vec![vec![Condition { of, invert: false }]];
        let groups = vec![DecidedGroup { number: 1, until: manager::LATER, conditions }];
        let decisions = Decisions { groups, ..Decisions::default() };
        directory.subscribers.decisions.insert(manager::KEY_OF_API.to_owned(), decisions);
        assert_eq!(become_of(&directory), decision, "{pattern}");
    }
    directory.subscribers.decisions.clear();
    directory.throttle =
        Rc::new(Throttle { deny: vec![DenyCondition::Api { context: "/pets/1.0".to_owned() }], ..Throttle::default() });
    directory.revision += 1;
    assert_eq!(become_of(&directory), FrameDecision::Drop);
}

#[test]
fn plans_that_only_count_and_plans_without_limits_drop_no_frame() {
    let mut lenient = managed();
    let plan = (TierKind::Subscription, "S".to_owned());
    lenient.subscribers.tiers.insert(plan, Tier { stop_on_quota_reach: false, ..tier("S") });
    lenient.api.tier = Some(Tier::UNLIMITED.to_owned());
    for key in [manager::KEY_OF_SUBSCRIPTION, manager::KEY_OF_API] {
        lenient.subscribers.decisions.insert(key.to_owned(), manager::until(manager::LATER));
    }
    assert_eq!(frame(limits(&lenient).as_mut(), &lenient).0, FrameDecision::Pass);
}
