//! Responses with an interceptor: they wait, and then either go on or are replaced, never both.

use tollgate_enforce::HeaderMap;

use super::*;
use crate::fake::world::Row;

/// A worker on a gateway that makes all callbacks, whose API asks about every response of `/open`.
fn worker_with(includes: &serde_json::Value) -> (Rc<FakeEnvoy>, Rc<Worker>) {
    let envoy = FakeEnvoy::shared_rc();
    let callbacks = json!({"requestBody": true, "responseHeaders": true, "responseWait": true, "responseBody": true});
    let config = json!({"cluster": "adapter", "callbacks": callbacks}).to_string();
    let worker = Rc::new(crate::fake::enforcer(envoy.clone(), config.as_bytes()).unwrap());
    let service = json!({"cluster": "service", "authority": "s", "timeoutMs": 1000, "includes": includes});
    let rows: Vec<Row> = rows()
        .into_iter()
        .map(|mut row| {
            if let Some(operation) = row.3.pointer_mut("/resources/1/operations/0") {
                operation["interceptors"] = json!({ "response": service });
            }
            row
        })
        .collect();
    worker.on_tick();
    worker.on_tick();
    let body = frame(true, false, 1, &rows);
    let (poll, length) = (envoy.calls.borrow()[0].id, body.len());
    envoy.answer.replace(Some((200, body)));
    worker.on_response(poll, Response { arrived: true, body: length });
    envoy.calls.borrow_mut().clear();
    (envoy, worker)
}

/// A request that has passed, and a response of which this body is held.
fn responding(includes: &serde_json::Value, body: Option<&str>) -> (Rc<FakeEnvoy>, RequestFlow) {
    let (envoy, worker) = worker_with(includes);
    let (flow, action) = request(&envoy, &worker, "/pets/1.0/open", "");
    assert_eq!(action, Flow::Continue, "{:?} {:?}", envoy.replies.borrow(), envoy.lines.borrow());
    let headers = [(":status", "200"), ("x-secret", "s"), ("content-length", "4")];
    envoy.response.replace(headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into());
    envoy.bodies.borrow_mut()[Side::Response as usize] = body.map(|text| text.as_bytes().to_vec());
    (envoy, flow)
}

fn answer(envoy: &FakeEnvoy, flow: &mut RequestFlow, status: u16, body: &serde_json::Value) {
    let body = body.to_string().into_bytes();
    let response = Response { arrived: true, body: body.len() };
    envoy.answer.replace(Some((status, body)));
    let call = envoy.calls.borrow()[0].id;
    flow.on_response(CallId(99), response);
    assert_eq!(envoy.resumed.get() + envoy.replies.borrow().len(), 0, "somebody else's answer changes nothing");
    flow.on_response(call, response);
    flow.on_response(call, response);
}

fn header(envoy: &FakeEnvoy, name: &str) -> Option<String> {
    let map = HeaderMap::parse(envoy.headers(Fields::Response).unwrap()).unwrap();
    let found = map.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| value.to_vec());
    found.map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn a_response_waits_for_its_body_and_its_interceptor() {
    let (envoy, mut flow) = responding(&json!(["response_body"]), Some("body"));
    assert_eq!(flow.on_response_headers(false), Flow::Stop);
    assert_eq!(flow.on_response_body(2, false), Flow::Stop);
    assert_eq!(envoy.calls.borrow().len(), 0, "the body is not whole");
    assert_eq!(flow.on_response_body(4, true), Flow::Stop);
    let told: serde_json::Value = serde_json::from_slice(&envoy.calls.borrow()[0].body).unwrap();
    assert_eq!(told["responseBody"], "Ym9keQ==");
    answer(&envoy, &mut flow, 200, &json!({"body": "bG9uZ2Vy"}));
    assert_eq!((envoy.resumed.get(), envoy.replies.borrow().len()), (1, 0));
    assert_eq!(header(&envoy, "content-length").as_deref(), Some("6"));
    assert_eq!(envoy.bodies.borrow()[Side::Response as usize].as_deref(), Some(&b"longer"[..]));
}

#[test]
fn a_response_is_held_while_its_interceptor_is_asked() {
    let (envoy, mut flow) = responding(&json!([]), Some("body"));
    assert_eq!(flow.on_response_headers(false), Flow::Stop);
    assert_eq!(flow.on_response_body(4, true), Flow::Stop, "a part that is let go would take the headers with it");
    assert_eq!(flow.on_response_trailers(), Flow::Stop);
    answer(&envoy, &mut flow, 200, &json!({"headersToRemove": ["x-secret"]}));
    assert_eq!((envoy.resumed.get(), envoy.replies.borrow().len()), (1, 0));
    assert_eq!(header(&envoy, "x-secret"), None);
    assert_eq!(flow.on_response_body(4, true), Flow::Continue);
}

#[test]
fn a_response_that_is_replaced_does_not_go_on() {
    for (status, wanted) in [(500, json!({})), (200, json!([])), (200, json!({"responseCode": 204}))] {
        let (envoy, mut flow) = responding(&json!([]), Some("body"));
        assert_eq!(flow.on_response_headers(false), Flow::Stop);
        answer(&envoy, &mut flow, status, &wanted);
        assert_eq!((envoy.resumed.get(), envoy.replies.borrow().len()), (0, 1), "{wanted}");
        assert_eq!(flow.on_response_body(4, true), Flow::Stop, "{wanted}");
    }
}

#[test]
fn what_cannot_be_asked_or_edited_is_replaced() {
    let (envoy, mut flow) = responding(&json!([]), None);
    envoy.unreachable.set(true);
    assert_eq!((flow.on_response_headers(true), envoy.resumed.get()), (Flow::Stop, 0));
    assert_eq!(envoy.replies.borrow()[0].details, "tollgate_103500");

    let (envoy, mut flow) = responding(&json!([]), None);
    assert_eq!(flow.on_response_headers(true), Flow::Stop);
    envoy.frozen.set(true);
    answer(&envoy, &mut flow, 200, &json!({"headersToRemove": ["x-secret"]}));
    assert_eq!((envoy.resumed.get(), envoy.replies.borrow().len()), (0, 1));
}
