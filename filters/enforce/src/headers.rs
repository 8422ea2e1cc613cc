//! The header map as Envoy hands it over, read once and never copied.
//!
//! The bytes are the pair encoding of proxy-wasm: a count, then the length of each name and value, then the names and
//! values, each followed by a zero byte (all integers u32, little endian). Values may hold any byte.

use std::cell::Cell;

use crate::bytes;

/// Most headers a map may hold. Envoy itself stops at 1,024 pairs towards a filter.
const MAX_HEADERS: usize = 1024;

/// A request's headers.
#[derive(Debug)]
pub struct HeaderMap {
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
    /// Which marks names have. Most questions are about headers that are not there, and end here.
    marks: u64,
    /// Marks of the names that were asked for.
    asked: Cell<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    start: usize,
    name: usize,
    value: usize,
    /// [`mark`] of the name.
    mark: u64,
}

/// What was looked at of a header map, to tell whether another one would have looked the same.
#[derive(Debug)]
pub(crate) struct Excerpt {
    bytes: Box<[u8]>,
    pairs: Box<[Pair]>,
    /// Marks of the names that were asked for, whether or not there was such a header.
    asked: u64,
}

/// The bytes are not a header map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedHeaders;

/// How often a header occurs. Decisions about access must not depend on which of several values somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'h> {
    /// Not at all.
    Absent,
    /// Once, with this value.
    One(&'h [u8]),
    /// More than once.
    Many,
}

impl HeaderMap {
    /// Takes over the encoded map.
    ///
    /// # Errors
    /// When the bytes are not a whole map, or hold more than 1,024 headers.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, MalformedHeaders> {
        let pairs = Self::pairs(&bytes).ok_or(MalformedHeaders)?;
        let marks = pairs.iter().fold(0, |marks, pair| marks | pair.mark);
        Ok(Self { bytes, pairs, marks, asked: Cell::new(0) })
    }

    fn pairs(bytes: &[u8]) -> Option<Vec<Pair>> {
        if bytes.is_empty() {
            return Some(Vec::new());
        }
        let (count, mut sizes) = take_u32(bytes)?;
        if count > MAX_HEADERS {
            return None;
        }
        let mut start = count.checked_mul(8)?.checked_add(4)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, rest) = take_u32(sizes)?;
            let (value, rest) = take_u32(rest)?;
            sizes = rest;
            let mark = mark(bytes.get(start..)?.get(..name)?);
            pairs.push(Pair { start, name, value, mark });
            start = start.checked_add(name)?.checked_add(value)?.checked_add(2)?;
        }
        (start <= bytes.len()).then_some(pairs)
    }

    /// Every header, in order, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.asked.set(u64::MAX);
        self.pairs.iter().filter_map(|pair| read(&self.bytes, *pair))
    }

    /// Every value of the header of that lower-case name, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.may_have(mark(name.as_bytes()));
        self.of(name.as_bytes())
    }

    fn of(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        let pairs = self.pairs.iter().filter(move |pair| pair.name == name.len());
        pairs.filter_map(move |pair| {
            let (candidate, value) = read(&self.bytes, *pair)?;
            bytes::same(candidate, name).then_some(value)
        })
    }

    /// The header of that lower-case name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Header<'_> {
        if self.may_have(mark(name.as_bytes())) { self.find(name) } else { Header::Absent }
    }

    fn find(&self, name: &str) -> Header<'_> {
        let mut values = self.of(name.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Header::Absent,
            (Some(value), None) => Header::One(value),
            (Some(_), Some(_)) => Header::Many,
        }
    }

    /// Whether there may be a header whose name has one of these marks; see [`HeaderMap::mark_of`].
    pub(crate) fn may_have(&self, marks: u64) -> bool {
        self.asked.set(self.asked.get() | marks);
        self.marks & marks != 0
    }

    /// What [`HeaderMap::may_have`] takes for a name.
    pub(crate) const fn mark_of(name: &str) -> u64 {
        mark(name.as_bytes())
    }

    /// What was looked at so far; nothing when that is everything, or has more than so many bytes.
    pub(crate) fn excerpt(&self, most: usize) -> Option<Excerpt> {
        let asked = self.asked.get();
        let (mut bytes, mut pairs) = (Vec::new(), Vec::new());
        for pair in self.pairs.iter().filter(|pair| pair.mark & asked != 0) {
            pairs.push(Pair { start: bytes.len(), ..*pair });
            bytes.extend_from_slice(text(&self.bytes, *pair)?);
        }
        let known = asked != u64::MAX && bytes.len() <= most;
        known.then(|| Excerpt { bytes: bytes.into(), pairs: pairs.into(), asked })
    }

    /// A pseudo header, of which Envoy guarantees at most one.
    pub(crate) fn pseudo(&self, name: &str) -> Option<&[u8]> {
        match self.get(name) {
            Header::One(value) => Some(value),
            Header::Absent | Header::Many => None,
        }
    }

    /// Writes the encoding that [`HeaderMap::parse`] reads.
    #[must_use]
    pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Vec<u8> {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut out = size(pairs.len()).to_vec();
        for (name, value) in pairs {
            out.extend_from_slice(&size(name.as_ref().len()));
            out.extend_from_slice(&size(value.as_ref().len()));
        }
        for (name, value) in pairs {
            for part in [name.as_ref(), value.as_ref()] {
                out.extend_from_slice(part);
                out.push(0);
            }
        }
        out
    }
}

impl Excerpt {
    /// Whether whoever looked at the other map looks at the same in this one. What was not asked for may be anything.
    pub(crate) fn is_of(&self, map: &HeaderMap) -> bool {
        let mut known = self.pairs.iter();
        let same = map.pairs.iter().filter(|pair| pair.mark & self.asked != 0).all(|pair| {
            known.next().is_some_and(|other| {
                (pair.name, pair.value) == (other.name, other.value)
                    && text(&map.bytes, *pair)
                        .is_some_and(|one| text(&self.bytes, *other).is_some_and(|other| bytes::same(one, other)))
            })
        });
        same && known.next().is_none()
    }
}

/// `None` cannot happen: [`HeaderMap::parse`] has checked every range.
fn read(bytes: &[u8], pair: Pair) -> Option<(&[u8], &[u8])> {
    let (name, rest) = bytes.get(pair.start..)?.split_at_checked(pair.name)?;
    let (_, value) = rest.split_first()?;
    Some((name, value.get(..pair.value)?))
}

/// Name and value, with the zero byte after each.
fn text(bytes: &[u8], pair: Pair) -> Option<&[u8]> {
    bytes.get(pair.start..)?.get(..pair.name.checked_add(pair.value)?.checked_add(2)?)
}

/// One of 64 bits for a name, by its length and three of its letters. The factors are chosen so that names of which every request
/// has another value (ids, traces) share none with those that are usually asked for.
const fn mark(name: &[u8]) -> u64 {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 1 };
    let Some(middle) = name.split_at(name.len() / 2).1.first() else { return 1 };
    let [length, ..] = name.len().to_le_bytes();
    let sum = length.wrapping_mul(43).wrapping_add(middle.wrapping_mul(47));
    let sum = sum.wrapping_add(last.wrapping_mul(9)).wrapping_add(first.wrapping_mul(62));
    1 << (sum & 63)
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
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
        let excerpt = first.excerpt(64).unwrap();
        for (pairs, same) in [
            (vec![("authorization", "a"), ("x-request-id", "1"), ("cookie", "x")], true),
            (vec![("x-request-id", "2"), ("authorization", "a")], true),
            (vec![("authorization", "b"), ("x-request-id", "1")], false),
            (vec![("authorization", "a"), ("authorization", "a")], false),
            (vec![("authorization", "a"), ("apikey", "")], false),
            (vec![("x-request-id", "1")], false),
        ] {
            assert_eq!(excerpt.is_of(&map(&pairs)), same, "{pairs:?}");
        }
        assert!(first.excerpt(15).is_none(), "it has 16 bytes");
        assert_eq!(first.all("x-request-id").collect::<Vec<_>>(), [b"1"]);
        assert!(!first.excerpt(64).unwrap().is_of(&map(&[("authorization", "a"), ("x-request-id", "2")])));
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
}
