//! Frames through a fake host: what is held, what goes nowhere, and what it costs.

use serde_json::Value;
use tollgate_model::Table;

use super::limits::{grant_all, limited, token};
use super::uses::told;
use super::*;

/// The world of [`limited`], whose API is a WebSocket, on a gateway that shows frames or does not.
fn open(shows: bool, amount: u64) -> (Rc<FakeEnvoy>, RequestFlow, Flow) {
    let (envoy, _, flow, action) = open_with(shows, |table, value| {
        if table == Table::Tier {
            value["limits"] = json!([{"amount": amount, "window": {"count": 1, "unit": "day"}}]);
        }
    });
    (envoy, flow, action)
}

fn open_with(shows: bool, change: impl Fn(Table, &mut Value)) -> (Rc<FakeEnvoy>, Rc<Worker>, RequestFlow, Flow) {
    let mut rows = limited();
    for (table, _, _, value) in &mut rows {
        if *table == Table::Api {
            value["kind"] = "WS".into();
        }
        change(*table, value);
    }
    let callbacks = if shows { r#"{"frames": true}"# } else { "{}" };
    let configuration = format!(r#"{{"cluster": "adapter", "callbacks": {callbacks}}}"#);
    let (envoy, worker) = worker_configured(&configuration, &rows);
    envoy.begin_request(&[
        (":method", "GET"),
        (":path", "/pets/1.0/pet/5"),
        (":authority", "localhost"),
        ("upgrade", "websocket"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("authorization", &token()),
    ]);
    envoy.numbers.borrow_mut().insert("response.code".to_owned(), 101);
    let mut flow = RequestFlow::new(Rc::clone(&worker));
    let mut action = flow.on_request_headers(false);
    if action == Flow::Stop && envoy.replies.borrow().is_empty() {
        answer(&envoy, &mut flow);
        action = if envoy.resumed.get() > 0 { Flow::Continue } else { Flow::Stop };
    }
    (envoy, worker, flow, action)
}

fn answer(envoy: &Rc<FakeEnvoy>, flow: &mut RequestFlow) {
    let call = envoy.calls.borrow_mut().pop().unwrap();
    let body = grant_all(envoy, &call.body);
    flow.on_response(call.id, Response { arrived: true, body });
}

/// Shows bytes of one direction, and says what is left of them.
fn show(envoy: &FakeEnvoy, flow: &mut RequestFlow, side: Side, bytes: &[u8]) -> (Flow, Vec<u8>) {
    envoy.bodies.borrow_mut()[side as usize] = Some(bytes.to_vec());
    let action = match side {
        Side::Request => flow.on_request_body(bytes.len(), false),
        Side::Response => flow.on_response_body(bytes.len(), false),
    };
    (action, envoy.bodies.borrow()[side as usize].clone().unwrap())
}

const TEXT: &[u8] = b"\x81\x02hi";
const PING: &[u8] = b"\x89\x00";

#[test]
fn where_frames_are_not_shown_nobody_with_limits_opens_any() {
    let (envoy, _, action) = open(false, 100);
    assert_eq!(action, Flow::Stop);
    assert_eq!(envoy.replies.borrow()[0].details, "tollgate_102500_callbacks");
}

#[test]
fn what_is_above_the_limit_goes_nowhere() {
    // The handshake is one, and two frames are left.
    let (envoy, mut flow, action) = open(true, 3);
    assert_eq!((action, envoy.header("sec-websocket-extensions")), (Flow::Continue, None));
    assert_eq!(show(&envoy, &mut flow, Side::Request, TEXT), (Flow::Continue, TEXT.to_vec()));
    assert_eq!(show(&envoy, &mut flow, Side::Response, TEXT), (Flow::Continue, TEXT.to_vec()));
    envoy.unreachable.set(true);
    for side in [Side::Request, Side::Response] {
        let mixed = [TEXT, PING, TEXT].concat();
        assert_eq!(show(&envoy, &mut flow, side, &mixed), (Flow::Continue, PING.to_vec()));
        assert_eq!(show(&envoy, &mut flow, side, TEXT), (Flow::Continue, Vec::new()));
        // Cut in two, as it may arrive.
        assert_eq!(show(&envoy, &mut flow, side, &TEXT[..1]), (Flow::Continue, Vec::new()));
        let rest = [&TEXT[1..], PING].concat();
        assert_eq!(show(&envoy, &mut flow, side, &rest), (Flow::Continue, PING.to_vec()));
    }
    assert_eq!(envoy.counters.borrow().get("tollgate_frames_dropped_total"), Some(&8));
}

#[test]
fn a_message_that_cannot_be_finished_ends_the_connection() {
    let (envoy, mut flow, _) = open(true, 2);
    assert_eq!(show(&envoy, &mut flow, Side::Request, b"\x01\x02hi").0, Flow::Continue);
    envoy.unreachable.set(true);
    assert_eq!(show(&envoy, &mut flow, Side::Request, b"\x80\x02hi").0, Flow::Stop);
    assert!(envoy.closed.get());
    assert_eq!(show(&envoy, &mut flow, Side::Response, TEXT).0, Flow::Stop, "nothing more passes");
}

#[test]
fn both_directions_wait_for_one_answer() {
    let (envoy, mut flow, _) = open(true, 1_000_000);
    // Other streams have used up what was leased.
    let mut passed = 0;
    while envoy.calls.borrow().is_empty() {
        assert!(passed < 10_000, "it asks at last");
        show(&envoy, &mut flow, Side::Request, TEXT);
        passed += 1;
    }
    envoy.resumed.set(0);
    let held = [TEXT, TEXT].concat();
    assert_eq!(show(&envoy, &mut flow, Side::Request, &held), (Flow::Stop, held.clone()));
    assert_eq!(show(&envoy, &mut flow, Side::Response, TEXT), (Flow::Stop, TEXT.to_vec()));
    assert_eq!((envoy.calls.borrow().len(), flow.on_request_trailers()), (1, Flow::Stop));
    answer(&envoy, &mut flow);
    assert_eq!(envoy.resumed.get(), 2);
    assert_eq!(envoy.bodies.borrow()[0].as_deref(), Some(held.as_slice()));
    envoy.host_calls.borrow_mut().clear();
    show(&envoy, &mut flow, Side::Request, TEXT);
    assert!(!envoy.host_calls.borrow().contains(&"call"), "there is enough for more");
}

#[test]
fn what_opens_no_websocket_has_no_frames() {
    let (envoy, mut flow, _) = open(true, 1);
    envoy.numbers.borrow_mut().insert("response.code".to_owned(), 403);
    assert_eq!(show(&envoy, &mut flow, Side::Response, b"no frames"), (Flow::Continue, b"no frames".to_vec()));
}

/// Opens one where a Traffic Manager counts.
fn open_managed() -> (Rc<FakeEnvoy>, Rc<Worker>, RequestFlow) {
    let (envoy, worker, flow, action) = open_with(true, |table, value| {
        if table == Table::Settings {
            value["trafficManager"] = json!({});
        }
    });
    assert_eq!((action, sizes(&envoy, &worker)), (Flow::Continue, vec![(1, None)]), "the handshake is a use");
    (envoy, worker, flow)
}

/// How often, and with what size of a message.
fn sizes(envoy: &FakeEnvoy, worker: &Worker) -> Vec<(u32, Option<u64>)> {
    let size = |properties: &str| serde_json::from_str::<Value>(properties).unwrap()["messageSize"].as_u64();
    let mut sizes: Vec<_> = told(envoy, worker)
        .into_iter()
        .flat_map(|(_, report)| report.uses)
        .map(|(count, usage)| (count, size(&usage.properties)))
        .collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_traffic_manager_is_told_of_every_frame_when_it_is_over() {
    let (envoy, worker, mut flow) = open_managed();
    for side in [Side::Request, Side::Response] {
        let mixed = [TEXT, PING, TEXT, b"\x82\x00", b"\x82\x7e\x01\x00", &[0; 250]].concat();
        assert_eq!(show(&envoy, &mut flow, side, &mixed), (Flow::Continue, mixed.clone()));
        assert_eq!(sizes(&envoy, &worker), [(1, Some(2)), (2, Some(4))]);
        show(&envoy, &mut flow, side, &[0; 5]);
        assert_eq!(sizes(&envoy, &worker), []);
        show(&envoy, &mut flow, side, &[0]);
        assert_eq!(sizes(&envoy, &worker), [(1, Some(260))]);
    }
    show(&envoy, &mut flow, Side::Request, PING);
    assert_eq!(sizes(&envoy, &worker), [], "what controls the connection is no use");
}

#[test]
fn frames_without_end_and_those_cut_off_are_told_of() {
    let (envoy, worker, mut flow) = open_managed();
    let piece = 256 * 1024;
    show(&envoy, &mut flow, Side::Request, &[&[0x82, 0x7f, 0x7f][..], &[0xff; 7]].concat());
    for _ in 0..3 {
        show(&envoy, &mut flow, Side::Request, &vec![0; piece]);
        assert_eq!(sizes(&envoy, &worker), []);
    }
    show(&envoy, &mut flow, Side::Request, &vec![0; piece]);
    assert_eq!(sizes(&envoy, &worker), [(1, Some(4 * piece as u64 + 10))]);
    show(&envoy, &mut flow, Side::Request, &[0; 7]);
    show(&envoy, &mut flow, Side::Response, &TEXT[..3]);
    drop(flow);
    assert_eq!(sizes(&envoy, &worker), [(1, Some(3)), (1, Some(7))]);
}

/// Every size is a use of its own, and a client chooses them.
#[test]
fn more_sizes_than_can_wait_are_lost_and_counted() {
    const SIZES: u16 = 4_200;
    const WAIT: u64 = 4_096;
    let (envoy, _, mut flow) = open_managed();
    for size in 0..SIZES {
        let frame = [&[0x82, 126][..], &size.to_be_bytes(), &vec![0; size.into()]].concat();
        assert_eq!(show(&envoy, &mut flow, Side::Request, &frame).0, Flow::Continue);
    }
    assert_eq!(envoy.counters.borrow()["tollgate_uses_lost_total"], u64::from(SIZES) - WAIT);
    // One that waits already is counted together with it.
    show(&envoy, &mut flow, Side::Request, &[0x82, 126, 0, 0]);
    assert_eq!(envoy.counters.borrow()["tollgate_uses_lost_total"], u64::from(SIZES) - WAIT);
}
