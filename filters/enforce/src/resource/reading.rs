//! The two readings of a path, and why there are two.
//!
//! Servers disagree about `%2F`, `..`, `//`, `\` and `;x`: some take them literally, others decode, resolve, merge or cut
//! them. Whoever finds a path that the gateway reads one way and the backend another gets past the gateway's rules.
//! So a path that holds any of these is read twice, literally and as the most lenient server would, and the request is
//! refused unless both readings reach the same resource. A path without them has one reading and costs one scan.
//! The path itself is never rewritten to please a reading.

/// Most rounds of percent-decoding. A path that is still encoded after that many is nobody's honest request.
const MAX_DECODING_ROUNDS: usize = 4;

/// What the lenient reading of a path is.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// This path.
    Path(Vec<u8>),
    /// The path steps out of its root, holds control characters, or does not come to an end: refuse it.
    Refused,
}

/// Whether everybody reads the path alike.
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    path.iter().all(|byte| {
        let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or(Class::Read);
        let plain = class == Class::Plain || class == Class::Segment && !after_slash;
        after_slash = *byte == b'/';
        plain
    })
}

/// What a byte does to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing.
    Plain,
    /// Nothing, unless it begins a segment: slashes and dots.
    Segment,
    /// Servers read it in different ways.
    Read,
}

/// Of all bytes, so that a path is looked through without a branch for each kind.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let (mut rest, mut byte) = (classes.as_mut_slice(), 0_u8);
    while let [class, others @ ..] = rest {
        *class = match byte {
            b'%' | b';' | b'\\' | b'?' | b'#' | 0..=0x20 | 0x7f => Class::Read,
            b'/' | b'.' => Class::Segment,
            _ => Class::Plain,
        };
        byte = byte.wrapping_add(1);
        rest = others;
    }
    classes
};

/// The path as the most lenient server would read it: decoded until nothing changes, backslashes as slashes, path
/// parameters, query and fragment cut off, slashes merged, dot segments resolved.
#[must_use]
pub fn lenient(path: &[u8]) -> Reading {
    let Some(decoded) = decode_fully(path) else { return Reading::Refused };
    // A server that decodes before it looks for the query ends the path here.
    let decoded = decoded.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    if decoded.iter().any(u8::is_ascii_control) {
        return Reading::Refused;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut trailing_slash = false;
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        trailing_slash = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." => {
                if segments.pop().is_none() {
                    return Reading::Refused;
                }
            }
            name => segments.push(name),
        }
    }
    let mut out = Vec::with_capacity(decoded.len());
    for segment in segments {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if trailing_slash || out.is_empty() {
        out.push(b'/');
    }
    Reading::Path(out)
}

fn decode_fully(path: &[u8]) -> Option<Vec<u8>> {
    let mut current = path.to_vec();
    for _ in 0..MAX_DECODING_ROUNDS {
        let next = decode_once(&current);
        if next == current {
            return Some(current);
        }
        current = next;
    }
    None
}

/// Decodes every valid escape; an invalid one stays as it is.
fn decode_once(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match (*first, escaped_byte(after)) {
            (b'%', Some((byte, after_escape))) => {
                out.push(byte);
                rest = after_escape;
            }
            (byte, _) => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

fn escaped_byte(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = after_percent.split_first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(((digit(*high)? << 4) | digit(*low)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let expected = expected.map_or(Reading::Refused, |path| Reading::Path(path.as_bytes().to_vec()));
        assert_eq!(lenient(path.as_bytes()), expected, "{path}");
    }

    #[test]
    fn lenient_readings() {
        check("/a/b", Some("/a/b"));
        check("/a/b/", Some("/a/b/"));
        check("/a//b", Some("/a/b"));
        check("/a/./b", Some("/a/b"));
        check("/a/../b", Some("/b"));
        check("/a/b/..", Some("/a/"));
        check("/..", None);
        check("/a/../../b", None);
        check("/a%2Fb", Some("/a/b"));
        check("/a%252fb", Some("/a/b"));
        check("/%2525252525252e", None);
        check("/a/%2e%2E/b", Some("/b"));
        check("/a\\..\\b", Some("/b"));
        check("/a;x=1/b;y", Some("/a/b"));
        check("/a/..;x/b", Some("/b"));
        check("/;/a", Some("/a"));
        check("/a%00", None);
        check("/a%23b", Some("/a"));
        check("/a%3Fb/..", Some("/a"));
        check("/100%", Some("/100%"));
        check("/caf%C3%A9", Some("/café"));
        check("/%61dmin", Some("/admin"));
    }

    #[test]
    fn plain_paths() {
        for path in ["/", "/a", "/a/b.c", "/a/b..c", "/caf\u{e9}", "/a-b_c~d/e,f:g@h!i$"] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
        for path in ["//", "/a//", "/.", "/a/..", "/.hidden", "/a;b", "/a%20b", "/a\\b", "/a#b", "/a b", "/a\u{7f}"] {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        /// One scan must never spare a path that somebody reads otherwise.
        #[test]
        fn plain_paths_have_one_reading(path in "/[ -~]{0,40}") {
            if is_plain(path.as_bytes()) {
                prop_assert_eq!(lenient(path.as_bytes()), Reading::Path(path.into_bytes()));
            }
        }

        #[test]
        fn lenient_reading_is_final(path: Vec<u8>) {
            if let Reading::Path(once) = lenient(&path) {
                prop_assert_eq!(lenient(&once), Reading::Path(once.clone()));
            }
        }
    }
}
