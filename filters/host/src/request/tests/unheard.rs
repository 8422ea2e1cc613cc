//! Quota that was asked for, and whose answer nobody heard.

use tollgate_model::{MAX_UNHEARD, QuotaRequest};

use super::limits::{grant_all, limited, token};
use super::*;

const LOST_MS: u64 = 1_000;

/// A request that waits for quota, and what it asks.
fn waiting(envoy: &Rc<FakeEnvoy>, worker: &Rc<Worker>) -> (RequestFlow, CallId, QuotaRequest) {
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    envoy.begin_request(&[&line[..], &[("authorization", &token())]].concat());
    let mut flow = RequestFlow::new(Rc::clone(worker));
    assert_eq!(flow.on_request_headers(true), Flow::Stop);
    let call = envoy.calls.borrow_mut().pop().unwrap();
    (flow, call.id, serde_json::from_slice(&call.body).unwrap())
}

/// What a tick asks of the owner.
fn tick(envoy: &Rc<FakeEnvoy>, worker: &Rc<Worker>) -> Option<(CallId, QuotaRequest)> {
    worker.on_tick();
    let asked: Vec<_> = envoy.calls.borrow_mut().drain(..).collect();
    let quota = asked.into_iter().find(|call| call.header(":path") == Some("/v1/quota"));
    quota.map(|call| (call.id, serde_json::from_slice(&call.body).unwrap()))
}

#[test]
fn it_goes_back_and_is_said_until_that_is_heard() {
    let (envoy, worker) = worker_with(&limited());
    let (gone, _, first) = waiting(&envoy, &worker);
    assert_eq!(first.unheard, [] as [u64; 0]);
    drop(gone);
    let (call, told) = tick(&envoy, &worker).unwrap();
    assert_eq!((told.asks.len(), told.unheard), (0, vec![first.id.unwrap()]));
    // Nobody knows whether that was heard. A question for which nothing can be leased need not be told of.
    worker.on_response(call, Response { arrived: false, body: 0 });
    assert!(tick(&envoy, &worker).is_none(), "the owner has its pause");
    envoy.pass(LOST_MS);
    let (mut late, call, second) = waiting(&envoy, &worker);
    assert_eq!(second.unheard, [first.id.unwrap()]);
    late.on_response(call, Response { arrived: false, body: 0 });
    envoy.pass(LOST_MS);
    let (call, told) = tick(&envoy, &worker).unwrap();
    assert_eq!(told.unheard, [first.id.unwrap(), second.id.unwrap()]);
    let body = grant_all(&envoy, &serde_json::to_vec(&told).unwrap());
    worker.on_response(call, Response { arrived: true, body });
    assert!(tick(&envoy, &worker).is_none_or(|(_, told)| told.unheard.is_empty()));
}

#[test]
fn of_very_many_the_latest_are_said() {
    let (envoy, worker) = worker_with(&limited());
    let ids: Vec<u64> = (0..100).map(|_| waiting(&envoy, &worker).2.id.unwrap()).collect();
    let (_, told) = tick(&envoy, &worker).unwrap();
    assert_eq!(told.unheard, ids[ids.len() - MAX_UNHEARD..]);
}
