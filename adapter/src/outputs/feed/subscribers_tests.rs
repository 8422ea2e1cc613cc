use tollgate_model::{Application, Table, TokenHash};

use super::*;
use crate::model::RevokedBy;

fn application(number: u32) -> Application {
    Application { uuid: format!("app-{number}"), name: "A".to_owned(), ..Application::default() }
}

#[test]
fn one_event_encodes_one_shard() {
    let mut subscribers = Subscribers::default();
    for number in 0..20_000 {
        subscribers.set_application(application(number));
        subscribers.revoke(RevokedBy::Etcd, &format!("jti-{number}"), number);
    }
    let mut tables = SharedTables::default();
    let first = tables.apply(&subscribers);
    assert!(first.len() > 8_000 && first.iter().all(|(_, bytes)| bytes.len() < 4096));
    assert_eq!(tables.apply(&subscribers), []);

    subscribers.set_application(Application { tier: "Gold".to_owned(), ..application(7) });
    let changed = tables.apply(&subscribers);
    let [(slot, bytes)] = changed.as_slice() else { panic!("{} shards", changed.len()) };
    assert_eq!(*slot, Table::Application.slot(b"app-7"));
    let shard = Shard::decode(bytes).unwrap();
    let entry = shard.get(b"app-7").unwrap();
    let written: Application = serde_json::from_slice(entry.value).unwrap();
    assert_eq!((written.tier.as_str(), entry.needs), ("Gold", 2));

    subscribers.revoke(RevokedBy::Etcd, "another", 9);
    let changed = tables.apply(&subscribers);
    let [(slot, bytes)] = changed.as_slice() else { panic!("{} shards", changed.len()) };
    let hash = TokenHash::of("another");
    assert_eq!(*slot, Table::Revoked.slot(&hash.0));
    assert_eq!(RevokedShard::decode(bytes).unwrap().get(hash), Some(9));
    assert_eq!(tables.all().count(), first.len().max(tables.shards.len()));
}

#[test]
fn a_shard_that_runs_empty_is_sent_empty() {
    let mut subscribers = Subscribers::default();
    subscribers.set_application(application(1));
    let mut tables = SharedTables::default();
    tables.apply(&subscribers);
    subscribers.applications.remove(b"app-1");
    let changed = tables.apply(&subscribers);
    assert_eq!(changed.len(), 1);
    assert_eq!(Shard::decode(&changed[0].1).unwrap().entries, []);
}
