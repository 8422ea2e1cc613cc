//! The poll loop, seen from outside: what the adapter says, and what requests then see.

use std::rc::Rc;

use serde_json::json;
use tollgate_enforce::{Directory, Revocations, Subscribers, Unreadable};
use tollgate_model::wire::{Cursor, FeedFrame, RevokedShard};
use tollgate_model::{CutoffKind, SCHEMA, Table, TokenHash, keys};

use crate::fake::FakeEnvoy;
use crate::fake::world::{Row, api, frame, rows};
use crate::{Response, Worker};

const CONFIG: &[u8] = br#"{"cluster": "adapter", "environment": "Default"}"#;

/// A worker that leads and has a poll under way.
fn leader(envoy: &Rc<FakeEnvoy>) -> Worker {
    let worker = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    for _ in 0..2 {
        worker.on_tick();
        envoy.now.set(envoy.now.get() + 100);
    }
    assert_eq!(envoy.calls.borrow().len(), 1, "the leader polls");
    worker
}

/// Answers the last call-out; `None` for a connection that broke.
fn answer(envoy: &FakeEnvoy, worker: &Worker, answer: Option<(u16, Vec<u8>)>) {
    let call = envoy.calls.borrow().last().unwrap().id;
    let response = Response { arrived: answer.is_some(), body: answer.as_ref().map_or(0, |(_, body)| body.len()) };
    envoy.answer.replace(answer);
    worker.on_response(call, response);
}

fn cluster(worker: &Worker) -> Option<String> {
    let api = worker.directory.api(b"localhost", "pets").ok()??;
    Some(format!("{api:?}").split("cluster: \"").nth(1)?.split('"').next()?.to_owned())
}

fn last_path(envoy: &FakeEnvoy) -> String {
    envoy.calls.borrow().last().unwrap().header(":path").unwrap().to_owned()
}

#[test]
fn a_snapshot_reaches_every_worker() {
    let envoy = FakeEnvoy::shared_rc();
    let leader = leader(&envoy);
    let follower = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    assert_eq!(last_path(&envoy), "/v1/feed?since=0.0");
    assert_eq!(envoy.calls.borrow()[0].header("x-tollgate-node"), Some("id/instanceIdentifier"));

    answer(&envoy, &leader, Some((200, frame(true, false, 3, &rows()))));
    assert_eq!(cluster(&leader).as_deref(), Some("prod"));
    assert!(follower.directory.settings().is_none());
    follower.on_tick();
    assert_eq!(cluster(&follower).as_deref(), Some("prod"));
    assert_eq!(follower.directory.route(b"localhost", b"/pets/1.0"), Ok(Some("pets".into())));
    assert!(follower.directory.has_virtual_host(b"localhost"));
    assert_eq!(last_path(&envoy), "/v1/feed?since=1.3", "the next poll is under way");
    assert_eq!(envoy.calls.borrow().len(), 2);
}

#[test]
fn a_change_replaces_what_was_cached() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()))));
    assert_eq!(cluster(&worker).as_deref(), Some("prod"));
    let change: Row = (Table::Api, keys::api("localhost", "pets"), 1, api("other"));
    answer(&envoy, &worker, Some((200, frame(false, false, 2, &[change]))));
    assert_eq!(cluster(&worker).as_deref(), Some("other"));
    assert!(worker.directory.settings().is_some(), "the rest stays");
}

#[test]
fn a_reset_empties_what_it_does_not_mention() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()))));
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()[..2]))));
    assert!(worker.directory.settings().is_some());
    assert_eq!(worker.directory.route(b"localhost", b"/pets/1.0"), Ok(None));
    assert!(!worker.directory.has_virtual_host(b"localhost"));
    assert_eq!(cluster(&worker), None);
}

#[test]
fn a_series_shows_when_it_is_complete() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, true, 2, &rows()[..3]))));
    assert!(worker.directory.settings().is_none());
    assert_eq!(last_path(&envoy), "/v1/feed?since=1.2");
    answer(&envoy, &worker, Some((200, frame(false, false, 5, &rows()[3..]))));
    assert!(worker.directory.settings().is_some());
    assert_eq!(cluster(&worker).as_deref(), Some("prod"));
}

#[test]
fn a_series_that_breaks_off_starts_again() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, true, 2, &rows()[..3]))));
    answer(&envoy, &worker, None);
    envoy.now.set(envoy.now.get() + 200);
    worker.on_tick();
    assert_eq!(last_path(&envoy), "/v1/feed?since=0.0");
}

#[test]
fn failures_leave_the_snapshot_and_back_off() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()))));
    for bad in [None, Some((503, Vec::new())), Some((200, b"no frame".to_vec())), Some((404, Vec::new()))] {
        answer(&envoy, &worker, bad);
        let polls = envoy.calls.borrow().len();
        worker.on_tick();
        assert_eq!(envoy.calls.borrow().len(), polls, "polls again at once");
        envoy.now.set(envoy.now.get() + 5_000);
        // The lease has run out meanwhile; it is claimed and read back.
        worker.on_tick();
        worker.on_tick();
        assert_eq!(envoy.calls.borrow().len(), polls + 1, "polls again after a pause");
        assert_eq!(cluster(&worker).as_deref(), Some("prod"));
    }
    assert_eq!(envoy.counters.borrow()["tollgate_feed_failures_total"], 4);
}

#[test]
fn without_a_cluster_the_poll_is_tried_again() {
    let envoy = FakeEnvoy::shared_rc();
    envoy.unreachable.set(true);
    let worker = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    for _ in 0..3 {
        worker.on_tick();
    }
    envoy.unreachable.set(false);
    assert_eq!(envoy.calls.borrow().len(), 0);
    envoy.now.set(envoy.now.get() + 1_000);
    worker.on_tick();
    assert_eq!(envoy.calls.borrow().len(), 1);
}

#[test]
fn what_cannot_be_read_is_denied_and_said() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    let mut rows = rows();
    rows[2].2 = SCHEMA + 1;
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows))));
    assert!(worker.directory.api(b"localhost", "pets").is_err());
    assert!(worker.directory.settings().is_some(), "everything else is read");
    let said = envoy.calls.borrow().last().unwrap().header("x-tollgate-problems").unwrap().to_owned();
    let why = format!("needs schema {}, this filter knows {SCHEMA}", SCHEMA + 1);
    assert_eq!(said, format!(r#"1 denied; api "localhost pets": {why}"#));
    assert_eq!(envoy.counters.borrow()["tollgate_unreadable_total"], 1);
    assert!(envoy.lines.borrow().iter().any(|line| line.contains(&why)));

    // A release that can be read takes the denial back.
    let good: Row = (Table::Api, keys::api("localhost", "pets"), 1, api("prod"));
    answer(&envoy, &worker, Some((200, frame(false, false, 2, &[good]))));
    assert!(worker.directory.api(b"localhost", "pets").is_ok());
    assert_eq!(envoy.calls.borrow().last().unwrap().header("x-tollgate-problems"), None);
}

#[test]
fn a_route_that_cannot_be_read_is_denied() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    let mut rows = rows();
    rows[4].2 = SCHEMA + 1;
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows))));
    assert_eq!(worker.directory.route(b"localhost", b"/pets/1.0"), Err(tollgate_enforce::Unreadable));
    assert_eq!(worker.directory.route(b"localhost", b"/pets"), Ok(None));
}

#[test]
fn unreadable_settings_leave_the_last_good_ones() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()))));
    let broken: Row = (Table::Settings, vec![], 1, json!({"authorizationHeader": 1}));
    answer(&envoy, &worker, Some((200, frame(false, false, 2, &[broken]))));
    assert_eq!(worker.directory.settings().unwrap().authorization_header, "authorization");
}

#[test]
fn plugin_configuration_is_checked() {
    for (configuration, accepted) in [
        (&b"{\"cluster\": \"a\"}"[..], true),
        (b"{\"cluster\": \"a\", \"authority\": \"b\", \"environment\": \"c\"}", true),
        (b"", false),
        (b"{}", false),
        (b"{\"cluster\": \"a\", \"enviroment\": \"c\"}", false),
        (b"\xff", false),
    ] {
        assert_eq!(crate::fake::enforcer(FakeEnvoy::shared_rc(), configuration).is_ok(), accepted);
    }
}

/// A frame with a shard of revoked tokens.
fn revoked(revision: u64, ids: &[&str]) -> Vec<u8> {
    let mut hashes: Vec<TokenHash> = ids.iter().map(|id| TokenHash::of(id)).collect();
    hashes.sort_unstable();
    let shards: Vec<Vec<u8>> = hashes
        .chunk_by(|a, b| Table::Revoked.slot(&a.0) == Table::Revoked.slot(&b.0))
        .map(|hashes| {
            let records = hashes.iter().map(|hash| (*hash, 0));
            RevokedShard::encode(Table::Revoked.slot(&hashes[0].0), records).unwrap()
        })
        .collect();
    let shards = shards.iter().map(Vec::as_slice).collect();
    FeedFrame { reset: false, more: false, cursor: Cursor { epoch: 1, revision }, shards }.encode().unwrap()
}

#[test]
fn a_revoked_token_is_known_to_every_worker_and_asked_for_once() {
    let envoy = FakeEnvoy::shared_rc();
    let leader = leader(&envoy);
    let follower = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    answer(&envoy, &leader, Some((200, frame(true, false, 1, &rows()))));
    for worker in [&leader, &follower] {
        worker.on_tick();
        assert_eq!(worker.directory.is_revoked("bad"), Ok(false));
    }
    answer(&envoy, &leader, Some((200, revoked(2, &["bad"]))));
    for worker in [&leader, &follower] {
        worker.on_tick();
        assert_eq!(worker.directory.is_revoked("bad"), Ok(true));
        let before = envoy.host_calls.borrow().len();
        assert_eq!(worker.directory.is_revoked("bad"), Ok(true));
        assert_eq!(worker.directory.is_revoked("good"), Ok(false), "of an empty slot nothing has to be read");
        assert_eq!(envoy.host_calls.borrow().len(), before);
    }
    let gone = RevokedShard::encode(Table::Revoked.slot(&TokenHash::of("bad").0), []).unwrap();
    let frame = FeedFrame { reset: false, more: false, cursor: Cursor { epoch: 1, revision: 3 }, shards: vec![&gone] };
    answer(&envoy, &leader, Some((200, frame.encode().unwrap())));
    follower.on_tick();
    assert_eq!(follower.directory.is_revoked("bad"), Ok(false));
}

/// An open WebSocket tells by it whether anything may have changed.
#[test]
fn every_snapshot_has_a_number_of_its_own_even_those_of_another_adapter() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    let mut numbers = Vec::new();
    for cursor in [Cursor { epoch: 1, revision: 1 }, Cursor { epoch: 1, revision: 2 }, Cursor { epoch: 2, revision: 2 }]
    {
        let frame = FeedFrame { reset: true, more: false, cursor, shards: Vec::new() };
        answer(&envoy, &worker, Some((200, frame.encode().unwrap())));
        numbers.push(worker.directory.revision());
    }
    assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] != numbers[2], "{numbers:?}");
}

#[test]
fn subscribers_are_read_once_and_again_when_they_change() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    let application = |tier: &str| -> Row {
        let value = json!({"uuid": "a", "id": 1, "name": "A", "subscriber": "s", "tier": tier});
        (Table::Application, b"a".to_vec(), 2, value)
    };
    let key = keys::cutoff(CutoffKind::User, "alice");
    let cutoff: Row = (Table::Cutoff, key, 2, json!({"before": 7}));
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &[rows(), vec![application("Gold")]].concat()))));
    let tier = || worker.directory.application("a").unwrap().map(|application| application.tier.clone());
    assert_eq!(tier().as_deref(), Some("Gold"));
    let before = envoy.host_calls.borrow().len();
    assert_eq!(tier().as_deref(), Some("Gold"));
    assert_eq!(worker.directory.application("b"), Ok(None));
    assert_eq!(worker.directory.cutoff(CutoffKind::User, "alice"), Ok(None));
    assert_eq!(envoy.host_calls.borrow().len(), before, "known, or known to be empty");

    answer(&envoy, &worker, Some((200, frame(false, false, 2, &[application("Silver"), cutoff]))));
    assert_eq!(tier().as_deref(), Some("Silver"));
    let cutoff = |user| worker.directory.cutoff(CutoffKind::User, user).unwrap().map(|cutoff| cutoff.before);
    assert_eq!((cutoff("alice"), cutoff("bob")), (Some(7), None));

    let mut newer = application("Gold");
    newer.2 = SCHEMA + 1;
    answer(&envoy, &worker, Some((200, frame(false, false, 3, &[newer]))));
    assert_eq!(worker.directory.application("a"), Err(Unreadable));
    assert!(envoy.calls.borrow().last().unwrap().header("x-tollgate-problems").unwrap().contains("application"));
}

/// The leader is ahead of the others: they may read what no index they have seen speaks of, and it may be undone before they
/// see the next one.
#[test]
fn what_was_read_ahead_of_the_index_is_read_again() {
    let envoy = FakeEnvoy::shared_rc();
    let leader = leader(&envoy);
    let follower = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    let application = |tier: &str| -> Row {
        (
            Table::Application,
            b"a".to_vec(),
            2,
            json!({"uuid": "a", "id": 1, "name": "A", "subscriber": "s", "tier": tier}),
        )
    };
    let pets = |cluster: &str| -> Row { (Table::Api, keys::api("localhost", "pets"), 1, api(cluster)) };
    let tier = || follower.directory.application("a").unwrap().map(|application| application.tier.clone());
    answer(&envoy, &leader, Some((200, frame(true, false, 1, &[rows(), vec![application("Gold")]].concat()))));
    answer(&envoy, &leader, Some((200, revoked(2, &["bad"]))));
    follower.on_tick();

    answer(&envoy, &leader, Some((200, frame(false, false, 3, &[application("Silver"), pets("other")]))));
    let gone = RevokedShard::encode(Table::Revoked.slot(&TokenHash::of("bad").0), []).unwrap();
    let undone = FeedFrame { reset: false, more: false, cursor: Cursor { epoch: 1, revision: 4 }, shards: vec![&gone] };
    answer(&envoy, &leader, Some((200, undone.encode().unwrap())));
    assert_eq!((tier().as_deref(), cluster(&follower).as_deref()), (Some("Silver"), Some("other")));
    assert_eq!(follower.directory.is_revoked("bad"), Ok(false));

    answer(&envoy, &leader, Some((200, frame(false, false, 5, &[application("Gold"), pets("prod")]))));
    answer(&envoy, &leader, Some((200, revoked(6, &["bad"]))));
    follower.on_tick();
    assert_eq!((tier().as_deref(), cluster(&follower).as_deref()), (Some("Gold"), Some("prod")));
    assert_eq!(follower.directory.is_revoked("bad"), Ok(true));
}

#[test]
fn what_a_series_that_broke_off_wrote_is_read_again() {
    let envoy = FakeEnvoy::shared_rc();
    let leader = leader(&envoy);
    let follower = crate::fake::enforcer(envoy.clone(), CONFIG).unwrap();
    let route = |id: &str| -> Row { (Table::Route, keys::route("localhost", "/pets/1.0"), 1, json!(id)) };
    let found = || follower.directory.route(b"localhost", b"/pets/1.0").unwrap();
    answer(&envoy, &leader, Some((200, frame(true, false, 1, &rows()))));
    // The index is there; before the follower looks, the next series has begun.
    answer(&envoy, &leader, Some((200, frame(true, true, 2, &[route("other")]))));
    follower.on_tick();
    assert_eq!(found().as_deref(), Some("other"));
    answer(&envoy, &leader, None);
    envoy.now.set(envoy.now.get() + 200);
    leader.on_tick();
    answer(&envoy, &leader, Some((200, frame(true, false, 3, &rows()))));
    follower.on_tick();
    assert_eq!(found().as_deref(), Some("pets"));
}

/// The index has a version of every slot; it is not for every tick.
#[test]
fn a_tick_without_news_reads_a_few_bytes() {
    let envoy = FakeEnvoy::shared_rc();
    let worker = leader(&envoy);
    answer(&envoy, &worker, Some((200, frame(true, false, 1, &rows()))));
    worker.on_tick();
    envoy.copied.set(0);
    worker.on_tick();
    assert!(envoy.copied.get() <= 32, "{} bytes", envoy.copied.get());
}
