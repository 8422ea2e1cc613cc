use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::etcd::{changes, expiry};
use super::messages::end_of;
use super::*;
use crate::model::World;

#[test]
fn values_are_expiries_and_any_other_revokes_for_good() {
    for (value, expires) in [
        ("1900000000", 1_900_000_000),
        (" 1900000000999\n", 1_900_000_000),
        ("", Expiry::MAX),
        ("soon", Expiry::MAX),
        ("-1", Expiry::MAX),
        ("99999999999", Expiry::MAX),
    ] {
        assert_eq!(expiry(value.as_bytes()), expires, "{value}");
    }
    assert_eq!(expiry(b"\xff"), Expiry::MAX);
}

#[test]
fn a_prefix_ends_where_no_key_has_it() {
    for (prefix, end) in [(&b"/revoked/"[..], &b"/revoked0"[..]), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")] {
        assert_eq!(end_of(prefix), end);
    }
}

#[test]
fn lines_of_a_watch() {
    let kv = |key: &str, value: &str, revision: &str| json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value), "mod_revision": revision});
    let line = |result: serde_json::Value| json!({ "result": result }).to_string().into_bytes();
    let read = |line: &[u8]| changes(b"/revoked/", line);
    let created = line(json!({"header": {"revision": "4"}, "created": true}));
    assert_eq!(read(&created).unwrap(), (0, vec![]), "nothing has been told yet");
    assert_eq!(read(&line(json!({"header": {"revision": "5"}}))).unwrap(), (5, vec![]));
    let events = line(json!({"header": {"revision": "70"}, "events": [
        {"kv": kv("/revoked/a/b", "9", "5")}, {"type": "DELETE", "kv": kv("/revoked/c", "", "6")}, {"kv": kv("/revoked/", "1", "6")},
    ]}));
    let expected = vec![Change::Revoked("a/b".to_owned(), 9), Change::Removed("c".to_owned())];
    assert_eq!(read(&events).unwrap(), (6, expected));
    let compacted = line(json!({"header": {}, "canceled": true, "compact_revision": "9"}));
    assert!(matches!(read(&compacted), Err(EtcdError::Compacted)));
    for bad in [&br#"{"error":{"grpc_code":16}}"#[..], b"", b"{", br#"{"result":{"events":[{"kv":{"key":"%"}}]}}"#] {
        assert!(read(bad).is_err());
    }
}

#[test]
fn expired_tokens_go_when_enough_of_a_shard_has() {
    let world = WorldWriter::new(World::default());
    world.update(|world| {
        for number in 0..10_000_u32 {
            // Every other one is over.
            world.subscribers.revoke(RevokedBy::Etcd, &number.to_string(), if number % 2 == 0 { 1_000 } else { 5_000 });
        }
        world.subscribers.revoke(RevokedBy::Etcd, "for good", Expiry::MAX);
    });
    purge(&world, 1_000 + GRACE);
    assert_eq!(world.current().subscribers.revoked.len(), 10_001, "clocks may be wrong");
    let before = world.current();
    purge(&world, 2_000);
    let after = world.current();
    let left = after.subscribers.revoked.len();
    assert!(left < 6_000, "{left}");
    assert!(after.subscribers.revoked.iter().filter(|(_, revoked)| revoked.expires() > 2_000).count() == 5_001);
    assert!(
        after
            .subscribers
            .revoked
            .changed(&before.subscribers.revoked)
            .all(|(_, kept)| kept.values().all(|revoked| revoked.expires() > 2_000))
    );
}
