//! The header map as Envoy hands it over, read once and never copied.
//!
//! The bytes are the pair encoding of proxy-wasm: a count, then the length of each name and value, then the names and
//! values, each followed by a zero byte (all integers u32, little endian). Values may hold any byte.

use crate::bytes;

/// Most headers a map may hold. Envoy itself stops at 1,024 pairs towards a filter.
const MAX_HEADERS: usize = 1024;

/// A request's headers.
#[derive(Debug)]
pub struct HeaderMap {
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
    /// Which lengths names have, modulo 64. Most questions are about headers that are not there, and end here.
    lengths: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    start: usize,
    name: usize,
    value: usize,
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
        let lengths = pairs.iter().fold(0, |lengths, pair| lengths | bit(pair.name));
        Ok(Self { bytes, pairs, lengths })
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
            pairs.push(Pair { start, name, value });
            start = start.checked_add(name)?.checked_add(value)?.checked_add(2)?;
        }
        (start <= bytes.len()).then_some(pairs)
    }

    /// Every header, in order, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().filter_map(|pair| self.read(*pair))
    }

    /// `None` cannot happen: [`HeaderMap::parse`] has checked every range.
    fn read(&self, pair: Pair) -> Option<(&[u8], &[u8])> {
        let (name, rest) = self.bytes.get(pair.start..)?.split_at_checked(pair.name)?;
        let (_, value) = rest.split_first()?;
        Some((name, value.get(..pair.value)?))
    }

    /// The header of that lower-case name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Header<'_> {
        if self.may_have(bit(name.len())) { self.find(name) } else { Header::Absent }
    }

    fn find(&self, name: &str) -> Header<'_> {
        let mut found = Header::Absent;
        for pair in self.pairs.iter().filter(|pair| pair.name == name.len()) {
            if let Some((candidate, value)) = self.read(*pair)
                && bytes::same(candidate, name.as_bytes())
            {
                match found {
                    Header::Absent => found = Header::One(value),
                    Header::One(_) | Header::Many => return Header::Many,
                }
            }
        }
        found
    }

    /// Whether there may be a header whose name has one of these lengths, a bit for each; see [`HeaderMap::length_of`].
    pub(crate) const fn may_have(&self, lengths: u64) -> bool {
        self.lengths & lengths != 0
    }

    /// What [`HeaderMap::may_have`] takes for a name.
    pub(crate) const fn length_of(name: &str) -> u64 {
        bit(name.len())
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

/// The bit of a length in [`HeaderMap::lengths`].
const fn bit(length: usize) -> u64 {
    1 << (length & 63)
}

fn take_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
        #[test]
        fn reads_what_was_written(pairs: Vec<(Vec<u8>, Vec<u8>)>) {
            let map = HeaderMap::parse(HeaderMap::encode(&pairs)).unwrap();
            let read: Vec<_> = map.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn any_bytes_are_a_map_or_an_error(bytes: Vec<u8>) {
            if let Ok(map) = HeaderMap::parse(bytes) {
                prop_assert!(map.iter().count() <= MAX_HEADERS);
            }
        }
    }
}
