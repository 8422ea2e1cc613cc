//! Frames through a fake host: what is held, what goes nowhere, and what it costs.

use super::limits::{grant_all, limited, token};
use super::*;

/// The world of [`limited`], whose API is a WebSocket, on a gateway that shows frames or does not.
fn open(shows: bool, amount: u64) -> (Rc<FakeEnvoy>, RequestFlow, Flow) {
    let mut rows = limited();
    for (table, _, _, value) in &mut rows {
        match table {
            tollgate_model::Table::Api => value["kind"] = "WS".into(),
            tollgate_model::Table::Tier => {
                value["limits"] = json!([{"amount": amount, "window": {"count": 1, "unit": "day"}}]);
            }
            _ => {}
        }
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
    let mut flow = RequestFlow::new(worker);
    let mut action = flow.on_request_headers(false);
    if action == Flow::Stop && envoy.replies.borrow().is_empty() {
        answer(&envoy, &mut flow);
        action = if envoy.resumed.get() > 0 { Flow::Continue } else { Flow::Stop };
    }
    (envoy, flow, action)
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
