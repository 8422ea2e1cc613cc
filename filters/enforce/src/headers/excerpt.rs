//! What was looked at of a header map, to tell whether another one would have looked the same.
//!
//! Most maps that do so also have the same names in the same order, and values that are as long: then it is a comparison of
//! bytes, and nothing of the map need be read.

use std::ops::Range;

use super::{HeaderMap, Span, table};
use crate::bytes;

/// What was looked at.
#[derive(Debug)]
pub(crate) struct Excerpt {
    /// Length of the map's encoding.
    length: usize,
    /// Which parts of the encoding are kept: all but values that nobody asked for.
    parts: Box<[Range<usize>]>,
    /// They, one behind the other.
    bytes: Box<[u8]>,
    /// Where in there the headers are that were asked for.
    spans: Box<[Span]>,
    /// Marks of the names that were asked for, whether or not there was such a header.
    asked: u64,
}

impl HeaderMap {
    /// What was looked at so far; nothing when that is everything, or so many bytes do not suffice.
    pub(crate) fn excerpt(&self, most: usize) -> Option<Excerpt> {
        let asked = self.asked.get();
        if asked == u64::MAX {
            return None;
        }
        let mut kept = table(&self.bytes)?.as_flattened().len().checked_add(4)?;
        let (mut parts, mut spans) = (Vec::new(), Vec::new());
        parts.push(0..kept);
        for pair in &self.layout().pairs {
            let Span { start, name, .. } = pair.span;
            let end = if pair.mark & asked == 0 {
                start.checked_add(name)?
            } else {
                spans.push(Span { start: kept, ..pair.span });
                pair.span.end()?
            };
            match parts.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = end,
                None => parts.push(start..end),
            }
            kept = kept.checked_add(end.checked_sub(start)?)?;
        }
        if kept > most {
            return None;
        }
        let mut bytes = Vec::with_capacity(kept);
        for part in &parts {
            bytes.extend_from_slice(self.bytes.get(part.clone())?);
        }
        let (parts, bytes, spans) = (parts.into(), bytes.into(), spans.into());
        Some(Excerpt { length: self.bytes.len(), parts, bytes, spans, asked })
    }
}

impl Excerpt {
    /// Whether whoever looked at the other map looks at the same in this one. What was not asked for may be anything.
    pub(crate) fn is_of(&self, map: &HeaderMap) -> bool {
        self.is_of_twin(&map.bytes) || self.is_of_like(map)
    }

    /// Whether it is a map that is laid out alike, and the same but for values that were not asked for.
    fn is_of_twin(&self, map: &[u8]) -> bool {
        let mut rest = &*self.bytes;
        self.length == map.len()
            && self.parts.iter().all(|part| {
                let Some(there) = map.get(part.clone()) else { return false };
                let Some((here, others)) = rest.split_at_checked(there.len()) else { return false };
                rest = others;
                bytes::same(here, there)
            })
    }

    /// Whether it is a map that has the same of what was asked for, in the same order, among whatever else.
    fn is_of_like(&self, map: &HeaderMap) -> bool {
        let mut known = self.spans.iter();
        let same = map.layout().pairs.iter().filter(|pair| pair.mark & self.asked != 0).all(|pair| {
            known.next().is_some_and(|known| {
                (pair.span.name, pair.span.value) == (known.name, known.value)
                    && pair
                        .span
                        .text(&map.bytes)
                        .is_some_and(|one| known.text(&self.bytes).is_some_and(|other| bytes::same(one, other)))
            })
        });
        same && known.next().is_none()
    }
}

impl Span {
    /// Name and value, with the zero byte after each.
    fn text(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.start..self.end()?)
    }
}
