//! What frames of WebSockets count against, and when they pass.

use std::rc::Rc;

use tollgate_model::{ApiKind, DenyCondition, QuotaUnit, Tier, TierKind};

use super::limits::{API, APPLICATION, RESOURCE, SUBSCRIPTION, directory, throttled, tier};
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
fn open(directory: &TestDirectory, callbacks: Callbacks) -> (String, Option<Box<FrameLimits>>) {
    let (request, answers) = (handshake(), Answers::default());
    let decision = decide_both(&cx(directory, &request, &answers, callbacks));
    let limits = answers.take_frames();
    assert!(answers.take_frames().is_none());
    (describe(decision), limits)
}

fn limits(directory: &TestDirectory) -> Box<FrameLimits> {
    let (outcome, limits) = open(directory, Callbacks::ALL);
    assert!(outcome.starts_with("->"), "{outcome}");
    limits.unwrap()
}

/// One frame: what becomes of it, and what it is counted against.
fn frame(limits: &mut FrameLimits, directory: &TestDirectory) -> (FrameDecision, Vec<String>) {
    let (request, answers) = (handshake(), Answers::default());
    let decision = limits.decide(&cx(directory, &request, &answers, Callbacks::ALL));
    (decision, answers.settle().iter().map(|counter| counter.key().to_owned()).collect())
}

#[test]
fn frames_count_at_the_three_levels_of_the_original() {
    let mut directory = sockets();
    let mut limits = limits(&directory);
    assert_eq!(
        frame(&mut limits, &directory),
        (FrameDecision::Pass, vec![API.into(), SUBSCRIPTION.into(), APPLICATION.into()])
    );
    for key in [API, SUBSCRIPTION, APPLICATION] {
        let until = Timestamp(1);
        directory.quotas.stock.insert(key.to_owned(), Stock::Exhausted { until });
        assert_eq!(frame(&mut limits, &directory), (FrameDecision::Drop, Vec::new()), "{key}");
        directory.quotas.stock.insert(key.to_owned(), Stock::Unknown { want: 7 });
        let (decision, counted) = frame(&mut limits, &directory);
        assert!(matches!(decision, FrameDecision::Ask(Question::Quota { .. })) && counted.is_empty(), "{decision:?}");
        directory.quotas.stock.insert(key.to_owned(), Stock::Enough);
    }
    // Plans of single operations are for handshakes.
    let mut directory = sockets();
    directory.api.tier = None;
    directory.api.resources[0].operations[0].tier = Some("A".to_owned());
    let mut limits = self::limits(&directory);
    assert_eq!(frame(&mut limits, &directory).1, [SUBSCRIPTION, APPLICATION]);
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
    // Counted by somebody who is not asked here.
    let mut managed = sockets();
    managed.settings =
        Some(tollgate_model::Settings { traffic_manager: Some(Default::default()), ..Default::default() });
    assert!(open(&managed, Callbacks::NONE).1.is_none());
}

#[test]
fn limited_frames_that_nobody_sees_are_not_let_through() {
    let (outcome, limits) = open(&sockets(), Callbacks { frames: false, ..Callbacks::ALL });
    assert!(outcome.starts_with("500 102500") && limits.is_none(), "{outcome}");
}

#[test]
fn what_changes_meanwhile_counts_from_the_next_frame_on() {
    let mut directory = sockets();
    let mut limits = limits(&directory);
    directory.throttle =
        Rc::new(Throttle { deny: vec![DenyCondition::Api { context: "/pets/1.0".to_owned() }], ..Throttle::default() });
    directory.revision += 1;
    assert_eq!(frame(&mut limits, &directory).0, FrameDecision::Drop);
    directory.throttle = Rc::default();
    let bytes = tollgate_model::Limit { unit: QuotaUnit::Bytes, ..tier("A").limits[0] };
    directory.subscribers.tiers.insert((TierKind::Api, "A".to_owned()), Tier { limits: vec![bytes], ..tier("A") });
    directory.revision += 1;
    assert_eq!(frame(&mut limits, &directory).0, FrameDecision::Pass);
    let counter = Counter::new(API.to_owned(), bytes, 1, Default::default());
    assert!(limits.hold(&counter), "{limits:?}");
}
