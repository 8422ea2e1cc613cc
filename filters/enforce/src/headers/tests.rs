//! What maps answer, and which look the same.

use proptest::prelude::*;

use super::*;
use crate::stages::mediate::STEERING;

/// The first two have the same mark.
const NAMES: [&str; 5] = ["authorization", "x-real-ip", "cookie", "x-a", "x-b"];

#[test]
fn counts_occurrences() {
    let encoded = HeaderMap::encode(&[("a", &b"1"[..]), ("b", b"\xff\x00"), ("a", b"2"), ("c", b"")]);
    let map = HeaderMap::parse(encoded).unwrap();
    assert_eq!(map.get("a"), Header::Many);
    assert_eq!(map.get("b"), Header::One(b"\xff\x00"));
    assert_eq!(map.get("c"), Header::One(b""));
    assert_eq!(map.get("d"), Header::Absent);
}

#[test]
fn refuses_too_many() {
    let pairs = vec![("a", "b"); MAX_HEADERS + 1];
    assert_eq!(HeaderMap::parse(HeaderMap::encode(&pairs)).err(), Some(MalformedHeaders));
    assert!(HeaderMap::parse(HeaderMap::encode(&pairs[..MAX_HEADERS])).is_ok());
}

/// What the usual request is asked for, and what differs from one request to the next.
#[test]
fn names_of_which_every_request_has_another_value_have_marks_of_their_own() {
    let asked = [
        ":path",
        ":method",
        ":authority",
        "authorization",
        "upgrade",
        "internal-key",
        "apikey",
        "origin",
        "x-tollgate-explain",
        "x-wso2-cluster-header",
        "x-wso2-client-certificate",
        "content-length",
    ];
    let asked = asked.iter().chain(&STEERING).fold(0, |marks, name| marks | mark(name.as_bytes()));
    for name in [
        "x-request-id",
        "traceparent",
        "tracestate",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-parentspanid",
        "b3",
        "x-amzn-trace-id",
        "x-cloud-trace-context",
        "uber-trace-id",
        "x-correlation-id",
        "x-forwarded-proto",
        "cookie",
        "referer",
        "date",
        "if-none-match",
        "if-modified-since",
        "user-agent",
        "accept",
    ] {
        assert_eq!(mark(name.as_bytes()) & asked, 0, "{name}");
    }
}

#[test]
fn an_excerpt_is_of_every_map_that_looks_the_same() {
    let map = |pairs: &[(&str, &str)]| HeaderMap::parse(HeaderMap::encode(pairs)).unwrap();
    let first = map(&[("authorization", "a"), ("x-request-id", "1"), ("cookie", "x")]);
    assert_eq!((first.get("authorization"), first.get("apikey")), (Header::One(b"a"), Header::Absent));
    assert_eq!(first.get("internal-key"), Header::Absent);
    let excerpt = first.excerpt(64).unwrap();
    for (pairs, same) in [
        (vec![("authorization", "a"), ("x-request-id", "1"), ("cookie", "x")], true),
        (vec![("authorization", "a"), ("x-request-id", "2"), ("cookie", "y")], true),
        (vec![("authorization", "a"), ("x-request-id", "long"), ("cookie", "")], true),
        (vec![("x-request-id", "2"), ("authorization", "a")], true),
        // As long as the header of another name, which nobody asked for.
        (vec![("authorization", "a"), ("internal-key", "1"), ("cookie", "x")], false),
        (vec![("authorization", "b"), ("x-request-id", "1"), ("cookie", "x")], false),
        (vec![("authorization", "b"), ("x-request-id", "1")], false),
        (vec![("authorization", "a"), ("authorization", "a")], false),
        (vec![("authorization", "a"), ("apikey", "")], false),
        (vec![("x-request-id", "1")], false),
    ] {
        assert_eq!(excerpt.is_of(&map(&pairs)), same, "{pairs:?}");
    }
    assert!(first.excerpt(61).is_none(), "it has 62 bytes: lengths, names, and a value");
    assert_eq!(first.all("x-request-id").collect::<Vec<_>>(), [b"1"]);
    assert!(!first.excerpt(1_000).unwrap().is_of(&map(&[("authorization", "a"), ("x-request-id", "2")])));
    assert_eq!(first.iter().count(), 3);
    assert!(first.excerpt(1_000).is_none(), "everything was looked at");
}

proptest! {
    #[test]
    fn reads_what_was_written(pairs: Vec<(Vec<u8>, Vec<u8>)>) {
        let map = HeaderMap::parse(HeaderMap::encode(&pairs)).unwrap();
        let read: Vec<_> = map.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(read, pairs);
    }

    /// Whoever asked this much of one map would have been told the same by the other.
    #[test]
    fn maps_of_one_excerpt_answer_alike(
        one in prop::collection::vec((0..NAMES.len(), 0..3_u8), 0..6),
        other in prop::collection::vec((0..NAMES.len(), 0..3_u8), 0..6),
        asked in prop::collection::vec(0..NAMES.len(), 0..4),
    ) {
        let map = |pairs: &[(usize, u8)]| {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (NAMES[*name], [*value])).collect();
            HeaderMap::parse(HeaderMap::encode(&pairs)).unwrap()
        };
        let (one, other) = (map(&one), map(&other));
        let answers = |map: &HeaderMap| -> Vec<Option<Option<Vec<u8>>>> {
            let answer = |name: &usize| match map.get(NAMES[*name]) {
                Header::Absent => None,
                Header::One(value) => Some(Some(value.to_vec())),
                Header::Many => Some(None),
            };
            asked.iter().map(answer).collect()
        };
        let told = answers(&one);
        let excerpt = one.excerpt(1_000).unwrap();
        prop_assert!(excerpt.is_of(&one));
        if excerpt.is_of(&other) {
            prop_assert_eq!(answers(&other), told);
        }
    }

    #[test]
    fn any_bytes_are_a_map_or_an_error(bytes: Vec<u8>) {
        if let Ok(map) = HeaderMap::parse(bytes) {
            prop_assert!(map.iter().count() <= MAX_HEADERS);
        }
    }
}
