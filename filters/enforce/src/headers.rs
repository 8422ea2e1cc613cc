//! The header map as Envoy hands it over, read once and never copied.
//!
//! The bytes are the pair encoding of proxy-wasm: a count, then the length of each name and value, then the names and
//! values, each followed by a zero byte (all integers u32, little endian). Values may hold any byte.

mod excerpt;

use std::cell::{Cell, OnceCell};

pub(crate) use self::excerpt::Excerpt;
use crate::bytes;

/// Most headers a map may hold. Envoy itself stops at 1,024 pairs towards a filter.
const MAX_HEADERS: usize = 1024;

const PATH: &str = ":path";
const AUTHORIZATION: &str = "authorization";

/// A request's headers.
#[derive(Debug)]
pub struct HeaderMap {
    bytes: Vec<u8>,
    /// Where the path and what tells callers apart are; see [`HeaderMap::path_and_caller`].
    usual: Option<(Span, Span)>,
    /// Made when the first question comes; a request that goes the way of another one asks none.
    layout: OnceCell<Layout>,
    /// Marks of the names that were asked for.
    asked: Cell<u64>,
}

/// Where everything is.
#[derive(Debug)]
struct Layout {
    pairs: Vec<Pair>,
    /// Which marks names have. Most questions are about headers that are not there, and end here.
    marks: u64,
    /// Which of them several names have. Of the others one header has been found when the first one is.
    doubled: u64,
}

/// Where a header is, and how long its name and its value are.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    name: usize,
    value: usize,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    span: Span,
    /// [`mark`] of the name.
    mark: u64,
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
        let (mut path, mut authorization, mut doubled) = (None, None, false);
        let mut longest: Option<Span> = None;
        for span in spans(table(&bytes).ok_or(MalformedHeaders)?) {
            // Each one, or the sum of their lengths could wrap around.
            span.end().filter(|end| *end <= bytes.len()).ok_or(MalformedHeaders)?;
            if longest.is_none_or(|longest| longest.value < span.value) {
                longest = Some(span);
            }
            let (wanted, found) = match span.name {
                5 => (PATH, &mut path),
                13 => (AUTHORIZATION, &mut authorization),
                _ => continue,
            };
            if bytes::same(span.name_in(&bytes), wanted.as_bytes()) {
                doubled |= found.replace(span).is_some();
            }
        }
        let usual = path.zip(authorization.or(longest)).filter(|_| !doubled);
        Ok(Self { bytes, usual, layout: OnceCell::new(), asked: Cell::new(0) })
    }

    fn layout(&self) -> &Layout {
        self.layout.get_or_init(|| Layout::of(&self.bytes))
    }

    /// Two values that tell most requests apart: of `:path`, and of `authorization` or else the longest one there is, which is probably
    /// an API key, or what a client says of itself. Nothing follows from them, so they count as asked for only when somebody asks.
    /// None when the first two are there more than once.
    pub(crate) fn path_and_caller(&self) -> Option<(&[u8], &[u8])> {
        let (path, caller) = self.usual?;
        Some((path.read(&self.bytes)?.1, caller.read(&self.bytes)?.1))
    }

    /// Every header, in order, names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.asked.set(u64::MAX);
        self.layout().pairs.iter().filter_map(|pair| pair.span.read(&self.bytes))
    }

    /// Every value of the header of that lower-case name, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let mark = mark(name.as_bytes());
        self.may_have(mark);
        self.of(name.as_bytes(), mark)
    }

    fn of(&self, name: &[u8], mark: u64) -> impl Iterator<Item = &[u8]> {
        let pairs = self.layout().pairs.iter().filter(move |pair| pair.mark == mark);
        pairs.filter_map(move |pair| {
            let (candidate, value) = pair.span.read(&self.bytes)?;
            bytes::same(candidate, name).then_some(value)
        })
    }

    /// The header of that lower-case name.
    #[must_use]
    #[inline]
    pub fn get(&self, name: &str) -> Header<'_> {
        let mark = mark(name.as_bytes());
        if self.may_have(mark) { self.find(name, mark) } else { Header::Absent }
    }

    fn find(&self, name: &str, mark: u64) -> Header<'_> {
        let mut values = self.of(name.as_bytes(), mark);
        match values.next() {
            None => Header::Absent,
            Some(value) if self.layout().doubled & mark == 0 || values.next().is_none() => Header::One(value),
            Some(_) => Header::Many,
        }
    }

    /// Whether there may be a header whose name has one of these marks; see [`HeaderMap::mark_of`].
    pub(crate) fn may_have(&self, marks: u64) -> bool {
        self.asked.set(self.asked.get() | marks);
        self.layout().marks & marks != 0
    }

    /// What [`HeaderMap::may_have`] takes for a name.
    pub(crate) const fn mark_of(name: &str) -> u64 {
        mark(name.as_bytes())
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

impl Layout {
    fn of(bytes: &[u8]) -> Self {
        let spans = spans(table(bytes).unwrap_or_default());
        let mut pairs = Vec::with_capacity(spans.len());
        let (mut marks, mut doubled) = (0, 0);
        for span in spans {
            let mark = mark(span.name_in(bytes));
            doubled |= marks & mark;
            marks |= mark;
            pairs.push(Pair { span, mark });
        }
        Self { pairs, marks, doubled }
    }
}

impl Span {
    /// Behind the zero byte of the value.
    fn end(self) -> Option<usize> {
        self.start.checked_add(self.name)?.checked_add(self.value)?.checked_add(2)
    }

    /// The name. It is there where [`HeaderMap::parse`] has looked.
    fn name_in(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..).and_then(|bytes| bytes.get(..self.name)).unwrap_or_default()
    }

    /// Name and value, if they and the zero bytes are there. They are where [`HeaderMap::parse`] has looked.
    fn read(self, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
        let (name, rest) = bytes.get(self.start..self.end()?)?.split_at_checked(self.name)?;
        let (_, value) = rest.split_first()?;
        Some((name, value.split_last()?.1))
    }
}

/// The lengths of names and values.
fn table(bytes: &[u8]) -> Option<&[[u8; 8]]> {
    if bytes.is_empty() {
        return Some(&[]);
    }
    let (count, sizes) = bytes.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok().filter(|count| *count <= MAX_HEADERS)?;
    sizes.as_chunks::<8>().0.get(..count)
}

/// What follows that table, as long as it does.
fn spans(table: &[[u8; 8]]) -> impl ExactSizeIterator<Item = Span> {
    let mut start = table.as_flattened().len().saturating_add(4);
    table.iter().map(move |sizes| {
        let [a, b, c, d, e, f, g, h] = *sizes;
        let size = |bytes| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        let span = Span { start, name: size([a, b, c, d]), value: size([e, f, g, h]) };
        start = span.end().unwrap_or(usize::MAX);
        span
    })
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

#[cfg(test)]
mod tests;
