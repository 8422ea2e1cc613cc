//! What a Traffic Manager is told of requests: in time, once, and again when nobody heard it.

use tollgate_model::{Table, UsageReport};

use super::*;

fn counted_elsewhere() -> (Rc<FakeEnvoy>, Rc<Worker>) {
    let mut rows = rows();
    for (_, _, _, value) in rows.iter_mut().filter(|(table, ..)| *table == Table::Settings) {
        value["trafficManager"] = json!({});
    }
    worker_with(&rows)
}

/// Reports that are on their way since the last tick.
pub(super) fn told(envoy: &FakeEnvoy, worker: &Worker) -> Vec<(CallId, UsageReport)> {
    worker.on_tick();
    let calls: Vec<_> = envoy.calls.borrow_mut().drain(..).collect();
    let reports = calls.iter().filter(|call| call.header(":path") == Some("/v1/usage"));
    reports.map(|call| (call.id, serde_json::from_slice(&call.body).unwrap())).collect()
}

/// The same, each with how many uses it tells of.
fn reports(envoy: &FakeEnvoy, worker: &Worker) -> Vec<(CallId, u32)> {
    let count = |report: UsageReport| report.uses.iter().map(|(count, _)| count).sum();
    told(envoy, worker).into_iter().map(|(call, report)| (call, count(report))).collect()
}

fn answer(envoy: &FakeEnvoy, worker: &Worker, call: CallId, status: Option<u16>) {
    envoy.answer.replace(status.map(|status| (status, Vec::new())));
    worker.on_response(call, Response { arrived: status.is_some(), body: 0 });
}

fn pass(envoy: &FakeEnvoy, worker: &Rc<Worker>, times: usize) {
    for _ in 0..times {
        let (_, flow) = request(envoy, worker, "/pets/1.0/pet/5", &bearer("k"));
        assert_eq!(flow, Flow::Continue);
    }
}

#[test]
fn uses_are_reported_together_and_none_is_lost_on_the_way() {
    let (envoy, worker) = counted_elsewhere();
    assert_eq!(reports(&envoy, &worker), []);
    pass(&envoy, &worker, 3);
    // Who is refused is no use.
    let (_, flow) = request(&envoy, &worker, "/pets/1.0/pet/5", "Bearer nonsense");
    assert_eq!(flow, Flow::Stop);
    let first = reports(&envoy, &worker);
    assert_eq!(first.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3]);
    assert_eq!(reports(&envoy, &worker), [], "it is under way");
    pass(&envoy, &worker, 1);
    answer(&envoy, &worker, first[0].0, None);
    assert_eq!(reports(&envoy, &worker), [], "a pause after a failure");
    envoy.now.set(envoy.now.get() + 1_000);
    let second = reports(&envoy, &worker);
    assert_eq!(second.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4], "nobody heard of three");
    answer(&envoy, &worker, second[0].0, Some(503));
    envoy.now.set(envoy.now.get() + 1_000);
    let third = reports(&envoy, &worker);
    assert_eq!(third.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4], "nor of four");
    answer(&envoy, &worker, third[0].0, Some(200));
    assert_eq!(reports(&envoy, &worker), []);
}

#[test]
fn what_is_refused_for_what_it_is_is_lost_and_counted() {
    let (envoy, worker) = counted_elsewhere();
    for (refusals, status) in [400, 404, 413].into_iter().enumerate() {
        pass(&envoy, &worker, 2);
        let reports_sent = reports(&envoy, &worker);
        answer(&envoy, &worker, reports_sent[0].0, Some(status));
        envoy.now.set(envoy.now.get() + 1_000);
        assert_eq!(reports(&envoy, &worker), [], "{status} would come again");
        assert_eq!(envoy.counters.borrow()["tollgate_uses_lost_total"], 2 * (refusals as u64 + 1));
    }
}

#[test]
fn without_a_traffic_manager_nobody_is_told() {
    let (envoy, worker) = worker();
    pass(&envoy, &worker, 2);
    assert_eq!(reports(&envoy, &worker), []);
}
