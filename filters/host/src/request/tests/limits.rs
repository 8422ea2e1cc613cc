//! What limits cost a request in host calls.

use tollgate_model::{QuotaAnswer, QuotaGrant, QuotaRequest, Table, TierKind, keys};

use super::*;
use crate::fake::world::{Row, api};

/// Calls that return bytes, which cost most.
const DEAR: [&str; 6] = ["headers", "shared", "body", "answer_body", "property", "foreign"];
const REQUESTS: usize = 1_000;

fn plan(kind: TierKind, name: &str) -> Row {
    let limits = json!([{"amount": 1_000_000, "window": {"count": 1, "unit": "day"}}]);
    (Table::Tier, keys::tier(kind, name), 1, json!({"name": name, "limits": limits}))
}

/// An API with a plan, a subscription with one, an application with one, and a custom policy.
pub(super) fn limited() -> Vec<Row> {
    let mut rows = rows();
    for (table, _, _, value) in &mut rows {
        match table {
            Table::Issuer => value["validateSubscription"] = true.into(),
            Table::Api => {
                *value = api("prod");
                value["tier"] = "Plan".into();
            }
            _ => {}
        }
    }
    let application = json!({"uuid": "u", "id": 7, "name": "web", "subscriber": "alice", "tier": "Plan"});
    let credential = json!({"application": "u", "keyType": "PRODUCTION"});
    let limits = json!([{"amount": 1_000_000, "window": {"count": 1, "unit": "day"}}]);
    rows.extend([
        (Table::Application, b"u".to_vec(), 1, application),
        (Table::Credential, keys::credential("test", "web"), 1, credential),
        (Table::Subscription, keys::subscription("u", "pets"), 1, json!({"state": "UNBLOCKED", "tier": "Plan"})),
        (Table::Throttle, keys::custom("p"), 1, json!({"name": "p", "template": "$userId", "limits": limits})),
        plan(TierKind::Api, "Plan"),
        plan(TierKind::Subscription, "Plan"),
        plan(TierKind::Application, "Plan"),
    ]);
    rows
}

pub(super) fn token() -> String {
    let header = json!({"alg": "RS256", "kid": "k"}).to_string();
    let claims = json!({"iss": "i", "exp": 1_000_060, "azp": "web", "sub": "bob"}).to_string();
    format!("Bearer {}.{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()), base64url(b"signature"))
}

/// The owner gives whatever is wanted.
pub(super) fn grant_all(envoy: &FakeEnvoy, body: &[u8]) -> usize {
    grant_until(3_600_000, envoy, body)
}

/// The same, of a window that ends so long after the question.
fn grant_until(ends_in_ms: u64, envoy: &FakeEnvoy, body: &[u8]) -> usize {
    let request: QuotaRequest = serde_json::from_slice(body).unwrap();
    let grant = |want| QuotaGrant { window: 1, granted: want, left: 0, starts_in_ms: 0, ends_in_ms, retry_in_ms: 0 };
    let grants = request.asks.iter().map(|ask| grant(ask.want)).collect();
    let answer = serde_json::to_vec(&QuotaAnswer { grants }).unwrap();
    let length = answer.len();
    envoy.answer.replace(Some((200, answer)));
    length
}

/// The window ends while the answer is on its way, again and again.
#[test]
fn nobody_is_refused_for_coming_at_the_end_of_a_window() {
    let (envoy, worker) = worker_with(&limited());
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    for _ in 0..3 {
        envoy.begin_request(&[&line[..], &[("authorization", &token())]].concat());
        let mut flow = RequestFlow::new(Rc::clone(&worker));
        assert_eq!(flow.on_request_headers(true), Flow::Stop);
        envoy.resumed.set(0);
        let next = || envoy.calls.borrow_mut().pop();
        let mut ends = [5; 6].into_iter();
        while let Some(call) = next() {
            envoy.pass(5);
            let body = grant_until(ends.next().unwrap_or(1_000), &envoy, &call.body);
            flow.on_response(call.id, Response { arrived: true, body });
        }
        assert_eq!(envoy.resumed.get(), 1, "{:?}", envoy.replies.borrow());
        assert_eq!(envoy.header("x-wso2-cluster-header").as_deref(), Some("prod"));
        envoy.pass(2_000);
    }
}

fn pass(envoy: &Rc<FakeEnvoy>, worker: &Rc<Worker>) {
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    envoy.begin_request(&[&line[..], &[("authorization", &token())]].concat());
    let mut flow = RequestFlow::new(Rc::clone(worker));
    if flow.on_request_headers(true) == Flow::Stop {
        let call = envoy.calls.borrow_mut().pop().unwrap_or_else(|| panic!("{:?}", envoy.replies.borrow()));
        let body = grant_all(envoy, &call.body);
        flow.on_response(call.id, Response { arrived: true, body });
    }
    assert_eq!(envoy.header("x-wso2-cluster-header").as_deref(), Some("prod"), "{:?}", envoy.replies.borrow());
}

fn tick(envoy: &Rc<FakeEnvoy>, worker: &Rc<Worker>) {
    worker.on_tick();
    let asked: Vec<_> = envoy.calls.borrow_mut().drain(..).collect();
    for call in asked.into_iter().filter(|call| call.header(":path") == Some("/v1/quota")) {
        let body = grant_all(envoy, &call.body);
        worker.on_response(call.id, Response { arrived: true, body });
    }
}

/// What a thousand warm requests cost: calls that return bytes, and others.
fn cost(rows: &[Row]) -> (usize, usize) {
    let (envoy, worker) = worker_with(rows);
    for turn in 0..2_000 {
        pass(&envoy, &worker);
        if turn % 20 == 0 {
            tick(&envoy, &worker);
        }
    }
    let (mut dear, mut cheap) = (0, 0);
    for turn in 0..REQUESTS {
        envoy.host_calls.borrow_mut().clear();
        pass(&envoy, &worker);
        let calls = envoy.host_calls.borrow().clone();
        let (of_bytes, others): (Vec<&str>, Vec<&str>) = calls.iter().partition(|call| DEAR.contains(call));
        (dear, cheap) = (dear + of_bytes.len(), cheap + others.len());
        if turn % 20 == 0 {
            tick(&envoy, &worker);
        }
    }
    (dear, cheap)
}

/// Four levels on warm keys: the clock, and once in so many requests a chunk from shared data.
#[test]
fn four_levels_cost_no_host_call_that_returns_bytes() {
    let (dear_without, cheap_without) = cost(&rows());
    let (dear, cheap) = cost(&limited());
    assert_eq!(dear_without, REQUESTS, "the headers of each");
    assert!(dear - dear_without <= REQUESTS / 10, "{dear} calls that return bytes, {dear_without} without limits");
    assert!(cheap - cheap_without <= REQUESTS * 12 / 10, "{cheap} other calls, {cheap_without} without limits");
}

/// The same world with a plan of bytes for the application.
fn of_bytes(amount: u64) -> Vec<Row> {
    let mut rows = limited();
    let application = keys::tier(TierKind::Application, "Plan");
    for (_, key, _, value) in rows.iter_mut().filter(|(table, ..)| *table == Table::Tier) {
        if *key == application {
            value["limits"] = json!([{"amount": amount, "unit": "bytes", "window": {"count": 1, "unit": "day"}}]);
        }
    }
    rows
}

#[test]
fn bytes_that_have_passed_count_when_the_stream_is_over() {
    let (envoy, worker) = worker_with(&of_bytes(100_000));
    // However little it announces: 400 bytes up and 60,000 down.
    for _ in 0..2 {
        pass(&envoy, &worker);
    }
    envoy.numbers.borrow_mut().extend([("request.size".to_owned(), 400), ("response.size".to_owned(), 60_000)]);
    pass(&envoy, &worker);
    pass(&envoy, &worker);
    envoy.numbers.borrow_mut().clear();
    envoy.begin_request(&[
        (":method", "GET"),
        (":path", "/pets/1.0/pet/5"),
        (":authority", "localhost"),
        ("authorization", &token()),
    ]);
    let mut flow = RequestFlow::new(Rc::clone(&worker));
    let mut flowing = flow.on_request_headers(true);
    for _ in 0..4 {
        let Some(call) = envoy.calls.borrow_mut().pop() else { break };
        let refused = QuotaAnswer {
            grants: vec![QuotaGrant {
                window: 1,
                granted: 0,
                left: 0,
                starts_in_ms: 0,
                ends_in_ms: 3_600_000,
                retry_in_ms: 9,
            }],
        };
        let answer = serde_json::to_vec(&refused).unwrap();
        let body = answer.len();
        envoy.answer.replace(Some((200, answer)));
        flow.on_response(call.id, Response { arrived: true, body });
        flowing = Flow::Stop;
    }
    assert_eq!(flowing, Flow::Stop);
    let replies = envoy.replies.borrow();
    assert_eq!(replies.last().map(|reply| (reply.status, reply.details)), Some((429, "tollgate_900803")));
}

/// Whoever is not held to bytes pays nothing for those who are.
#[test]
fn only_callers_with_a_limit_of_bytes_pay_for_it() {
    let looks = |rows: &[Row]| {
        let (envoy, worker) = worker_with(rows);
        pass(&envoy, &worker);
        envoy.host_calls.borrow_mut().clear();
        pass(&envoy, &worker);
        let calls = envoy.host_calls.borrow();
        calls.iter().filter(|call| **call == "number").count()
    };
    assert_eq!((looks(&limited()), looks(&of_bytes(1_000))), (0, 2));
}
