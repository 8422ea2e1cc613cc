//! Requests against a fake host: what the client and the backend see, and how many host calls it takes.

use serde_json::json;
use tollgate_model::contract::EVIDENCE_STATE;

use super::*;
use crate::fake::FakeEnvoy;
use crate::fake::world::{Row, frame, rows};
use crate::{Abi, Side};

/// Base64url without padding, which the tests need for tokens only.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().chain([&0; 2]).take(3).fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        for digit in 0..=chunk.len() {
            out.push(char::from(ALPHABET[number >> (18 - 6 * digit) & 63]));
        }
    }
    out
}

fn bearer(kid: &str) -> String {
    let header = json!({"alg": "RS256", "kid": kid}).to_string();
    let claims = json!({"iss": "i", "exp": 1_000_060}).to_string();
    format!("Bearer {}.{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()), base64url(b"signature"))
}

/// A worker with the snapshot of [`rows`].
fn worker() -> (Rc<FakeEnvoy>, Rc<Worker>) {
    worker_with(&rows())
}

fn worker_with(rows: &[Row]) -> (Rc<FakeEnvoy>, Rc<Worker>) {
    worker_configured(r#"{"cluster": "adapter"}"#, rows)
}

fn worker_configured(configuration: &str, rows: &[Row]) -> (Rc<FakeEnvoy>, Rc<Worker>) {
    let envoy = FakeEnvoy::shared_rc();
    envoy.signature.set(Some(true));
    let worker = Rc::new(crate::fake::enforcer(envoy.clone(), configuration.as_bytes()).unwrap());
    worker.on_tick();
    worker.on_tick();
    let body = frame(true, false, 1, rows);
    let (poll, length) = (envoy.calls.borrow()[0].id, body.len());
    envoy.answer.replace(Some((200, body)));
    worker.on_response(poll, Response { arrived: true, body: length });
    envoy.calls.borrow_mut().clear();
    (envoy, worker)
}

fn request(envoy: &FakeEnvoy, worker: &Rc<Worker>, path: &str, authorization: &str) -> (RequestFlow, Flow) {
    let line = [(":method", "GET"), (":path", path), (":authority", "localhost")];
    envoy
        .begin_request(&[&line[..], &[("authorization", authorization), ("x-wso2-cluster-header", "stolen")]].concat());
    envoy.host_calls.borrow_mut().clear();
    let mut flow = RequestFlow::new(Rc::clone(worker));
    let action = flow.on_request_headers(true);
    (flow, action)
}

#[test]
fn a_good_request_goes_on_as_the_backend_wants_it() {
    let (envoy, worker) = worker();
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/pet/5?x=y", &bearer("k"));
    assert_eq!(flow, Flow::Continue);
    assert_eq!(envoy.header(":path").as_deref(), Some("/v2/pet/5?x=y"));
    assert_eq!(envoy.header("x-wso2-cluster-header").as_deref(), Some("prod"));
    assert_eq!(envoy.header("authorization"), None);
    assert_eq!(envoy.resumed.get(), 0, "a request that was never stopped is not resumed");
}

/// The budget: a request whose token is known costs one read of the headers, one of the clock, and its edits.
#[test]
fn host_calls_stay_within_the_budget() {
    let (envoy, worker) = worker();
    request(&envoy, &worker, "/pets/1.0/pet/5", &bearer("k"));
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    envoy.begin_request(&[&line[..], &[("authorization", &bearer("k"))]].concat());
    envoy.host_calls.borrow_mut().clear();
    assert_eq!(RequestFlow::new(worker).on_request_headers(true), Flow::Continue);
    let calls = envoy.host_calls.borrow();
    // Removes the token, sets path and cluster.
    assert_eq!(*calls, ["headers", "now", "remove_header", "set_header", "set_header"]);
}

#[test]
fn a_bad_request_is_answered_once() {
    let (envoy, worker) = worker();
    envoy.signature.set(Some(false));
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/pet/5", &bearer("k"));
    assert_eq!(flow, Flow::Stop);
    let replies = envoy.replies.borrow();
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [401]);
    assert_eq!(envoy.resumed.get(), 0);
}

#[test]
fn before_the_first_snapshot_nothing_passes() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = Rc::new(crate::fake::enforcer(envoy.clone(), br#"{"cluster": "adapter"}"#).unwrap());
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/open", "");
    assert_eq!((flow, envoy.replies.borrow()[0].status), (Flow::Stop, 503));
}

/// The process is ready as soon as its leader is; the others must not be late.
#[test]
fn a_worker_that_has_not_ticked_yet_serves_the_snapshot_of_the_process() {
    let envoy = FakeEnvoy::shared_rc();
    let late = Rc::new(crate::fake::enforcer(envoy.clone(), br#"{"cluster": "adapter"}"#).unwrap());
    let leader = crate::fake::enforcer(envoy.clone(), br#"{"cluster": "adapter"}"#).unwrap();
    leader.on_tick();
    leader.on_tick();
    let body = frame(true, false, 1, &rows());
    let (poll, length) = (envoy.calls.borrow()[0].id, body.len());
    envoy.answer.replace(Some((200, body)));
    leader.on_response(poll, Response { arrived: true, body: length });
    let (_, flow) = request(&envoy, &late, "/pets/1.0/open", "");
    assert_eq!(flow, Flow::Continue);
}

/// Runs a request with an unknown key and gives the call-out this answer.
fn with_new_key(answer: Option<(u16, Vec<u8>)>) -> (Rc<FakeEnvoy>, Vec<u16>) {
    let (envoy, worker) = worker();
    let (mut flow, action) = request(&envoy, &worker, "/pets/1.0/pet/5", &bearer("new"));
    assert_eq!(action, Flow::Stop);
    let call = envoy.calls.borrow()[0].clone();
    assert_eq!((call.header(":method"), call.header(":path")), (Some("POST"), Some("/v1/keys")));
    assert_eq!(call.body, br#"{"issuer":"i","kid":"new"}"#);

    let response = Response { arrived: answer.is_some(), body: answer.as_ref().map_or(0, |(_, body)| body.len()) };
    envoy.answer.replace(answer);
    flow.on_response(CallId(99), response);
    assert_eq!(envoy.resumed.get() + envoy.replies.borrow().len(), 0, "somebody else's answer changes nothing");
    flow.on_response(call.id, response);
    flow.on_response(call.id, response);
    let statuses = envoy.replies.borrow().iter().map(|reply| reply.status).collect();
    (envoy, statuses)
}

fn keys(kid: &str) -> Vec<u8> {
    let key = json!({"kty": "RSA", "kid": kid, "n": "g".repeat(342), "e": "AQAB"});
    json!({"keys": [key]}).to_string().into_bytes()
}

#[test]
fn a_request_waits_for_a_new_key_and_goes_on() {
    let (envoy, statuses) = with_new_key(Some((200, keys("new"))));
    assert_eq!((envoy.resumed.get(), statuses), (1, vec![]));
    assert_eq!(envoy.header("x-wso2-cluster-header").as_deref(), Some("prod"));
}

#[test]
fn a_request_whose_key_does_not_come_is_refused() {
    for answer in
        [Some((200, keys("other"))), Some((404, vec![])), Some((200, b"{".to_vec())), Some((503, vec![])), None]
    {
        let (envoy, statuses) = with_new_key(answer);
        assert_eq!((envoy.resumed.get(), statuses), (0, vec![401]));
    }
}

#[test]
fn a_question_that_cannot_be_asked_is_answered_at_once() {
    let (envoy, worker) = worker();
    envoy.unreachable.set(true);
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/pet/5", &bearer("new"));
    assert_eq!((flow, envoy.replies.borrow()[0].status), (Flow::Stop, 401));
}

#[test]
fn consent_for_a_page_of_another_origin_travels_in_filter_state() {
    let (envoy, worker) = worker();
    let line = [(":method", "GET"), (":path", "/pets/1.0/open"), (":authority", "localhost")];
    envoy.begin_request(&[&line[..], &[("origin", "https://a.example")]].concat());
    assert_eq!(RequestFlow::new(worker).on_request_headers(true), Flow::Continue);
    let state = envoy.state.borrow();
    assert_eq!(state.get("tollgate.allow_origin").map(String::as_str), Some("https://a.example"));
    assert_eq!(state.get("tollgate.vary").map(String::as_str), Some("origin"));
    assert_eq!(state.len(), 2);
}

#[test]
fn a_request_that_cannot_be_edited_does_not_pass() {
    let (envoy, worker) = worker();
    envoy.frozen.set(true);
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/open", "");
    assert_eq!((flow, envoy.replies.borrow()[0].status), (Flow::Stop, 500));
}

/// It is let go without a state of its own, sees nothing of what follows, and is refused all the same when it cannot be edited.
#[test]
fn a_request_that_goes_the_way_of_an_earlier_one() {
    let (envoy, worker) = worker();
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    let again = || {
        envoy.begin_request(&[&line[..], &[("authorization", &bearer("k"))]].concat());
        let mut flow = RequestFlow::new(Rc::clone(&worker));
        let action = flow.on_request_headers(false);
        (flow, action)
    };
    for turn in 0..4 {
        let (mut flow, action) = again();
        assert_eq!(action, Flow::Continue);
        assert_eq!(matches!(flow.course, Course::Repeated), turn > 1, "a way is remembered when it was walked twice");
        assert_eq!(envoy.header("x-wso2-cluster-header").as_deref(), Some("prod"));
        assert_eq!(flow.on_request_body(7, true), Flow::Continue);
        assert_eq!(flow.on_response_headers(false), Flow::Continue);
        assert_eq!(flow.on_response_body(7, true), Flow::Continue);
    }
    assert!(envoy.replies.borrow().is_empty());
    envoy.frozen.set(true);
    let (mut flow, action) = again();
    assert_eq!((action, envoy.replies.borrow()[0].status), (Flow::Stop, 500));
    assert_eq!(flow.on_request_body(7, true), Flow::Stop, "it was answered");
}

#[test]
fn without_envoys_function_signatures_are_checked_here() {
    let (envoy, worker) = worker();
    envoy.signature.set(None);
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/pet/5", &bearer("k"));
    assert_eq!((flow, envoy.replies.borrow()[0].status), (Flow::Stop, 401));
    assert_eq!(envoy.counters.borrow()["tollgate_portable_signatures_total"], 1);
}

mod chain;
mod frames;
mod interceptors;
mod limits;
mod unheard;
mod uses;
