//! Query policies. What they do not name keeps its place and its spelling.

use std::borrow::Cow;

use tollgate_model::RequestPolicy;

use crate::query;

/// The query, with its question mark or empty, after the policies.
pub(crate) fn edit<'q>(query: &'q [u8], policies: &[RequestPolicy]) -> Cow<'q, [u8]> {
    let mut query = Cow::Borrowed(query);
    for policy in policies {
        match policy {
            RequestPolicy::SetQuery { name, value } => {
                let parameter = [encoded(name), b"=".to_vec(), encoded(value)].concat();
                query = Cow::Owned(replaced(&query, name, Some(&parameter)));
            }
            RequestPolicy::RemoveQuery { name } => query = Cow::Owned(replaced(&query, name, None)),
            _ => {}
        }
    }
    query
}

/// The query with the parameter in the place of the first of that name, or at the end.
fn replaced(query: &[u8], name: &str, parameter: Option<&[u8]>) -> Vec<u8> {
    let mut parameter = parameter;
    let pieces = query.strip_prefix(b"?").unwrap_or(query);
    let mut kept: Vec<&[u8]> = Vec::new();
    for piece in pieces.split(|byte| *byte == b'&') {
        if is_named(piece, name.as_bytes()) {
            kept.extend(parameter.take());
        } else {
            kept.push(piece);
        }
    }
    if let Some(parameter) = parameter {
        // An empty query is one empty piece.
        kept.retain(|piece| !pieces.is_empty() || !piece.is_empty());
        kept.push(parameter);
    }
    if kept.iter().all(|piece| piece.is_empty()) {
        return Vec::new();
    }
    [b"?".as_slice(), &kept.join(&b"&"[..])].concat()
}

/// Whether a server finds this name, be it one that decodes or one that compares what is written.
fn is_named(piece: &[u8], name: &[u8]) -> bool {
    let written = piece.split(|byte| *byte == b'=').next().unwrap_or(piece);
    !piece.is_empty() && (written == name || query::is_named(piece, name))
}

/// Percent-encoded but for the unreserved characters of RFC 3986 §2.3, so that every server reads the same text.
fn encoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(name: &str, value: &str) -> RequestPolicy {
        RequestPolicy::SetQuery { name: name.to_owned(), value: value.to_owned() }
    }

    fn remove(name: &str) -> RequestPolicy {
        RequestPolicy::RemoveQuery { name: name.to_owned() }
    }

    #[test]
    fn parameters_are_set_and_removed_and_the_rest_stays() {
        for (query, policies, expected) in [
            ("", vec![set("a", "1")], "?a=1"),
            ("?", vec![set("a", "1")], "?a=1"),
            ("?b=%7e&c", vec![set("a", "1 &=é")], "?b=%7e&c&a=1%20%26%3D%C3%A9"),
            ("?a=0&b=2&a=3", vec![set("a", "1")], "?a=1&b=2"),
            ("?z=1&%61=0&b=%2B", vec![set("a", "1")], "?z=1&a=1&b=%2B"),
            ("?b=2&&c", vec![set("a", "1")], "?b=2&&c&a=1"),
            ("?a=0&b=2&a", vec![remove("a")], "?b=2"),
            ("?a+b=0&b=2", vec![remove("a b")], "?b=2"),
            ("?a=0", vec![remove("a")], ""),
            ("?b==%zz&x=y?z", vec![remove("a")], "?b==%zz&x=y?z"),
            ("?a=1&b=2", vec![remove("a"), set("c", "3"), remove("b"), set("c", "4")], "?c=4"),
            ("", vec![remove("a")], ""),
        ] {
            assert_eq!(String::from_utf8(edit(query.as_bytes(), &policies).into_owned()).unwrap(), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_set_parameter_is_there_once(query in "(\\?[a-c%=&+1-6]{0,30})?", value: String) {
            let out = edit(query.as_bytes(), &[set("a", &value)]);
            let pieces: Vec<&[u8]> = out.strip_prefix(b"?").unwrap().split(|byte| *byte == b'&').collect();
            let named: Vec<_> = pieces.iter().filter(|piece| is_named(piece, b"a")).collect();
            prop_assert_eq!(named.len(), 1);
            let read = query::only(&out, b"a").unwrap();
            prop_assert_eq!(read.as_ref(), value.as_bytes());
            prop_assert!(edit(&out, &[remove("a")]).is_empty() || !out.is_empty());
        }

        #[test]
        fn any_bytes_are_a_query(query: Vec<u8>, name: String) {
            let out = edit(&query, &[remove(&name), set("x", &name)]);
            prop_assert!(out.starts_with(b"?"));
        }
    }
}
