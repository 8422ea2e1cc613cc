//! Names that an API brings along: which are allowed, and how others are made of them. What passes here is safe as a part
//! of a header value, of a table key and of a path.

use sha1::{Digest, Sha1};
use tollgate_model::keys::MAX_BASE_PATH_SEGMENTS;

/// Most bytes in a name, a virtual host, an organisation or an id.
const MAX_NAME: usize = 255;
const FORBIDDEN: &str = "holds a character that is not allowed here";
/// Most bytes in a base path.
const MAX_BASE_PATH: usize = 1_024;

/// Name of an API: `A-Za-z0-9_~. -`, and what other scripts write with. Clusters are named after it.
///
/// # Errors
/// What is wrong with it.
pub fn name(text: &str) -> Result<&str, &'static str> {
    bounded(text)?;
    if text.trim() != text {
        return Err("begins or ends with a space");
    }
    let allowed = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '~' | '.' | ' ' | '-' => true,
        // Nobody sees these, or they show the rest of a line in another order.
        '\u{ad}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => false,
        other => !other.is_ascii() && !other.is_control() && !other.is_whitespace(),
    };
    if text.chars().all(allowed) { Ok(text) } else { Err(FORBIDDEN) }
}

/// Version of an API: `A-Za-z0-9_.-`, as it becomes a part of the path.
///
/// # Errors
/// What is wrong with it.
pub fn version(text: &str) -> Result<&str, &'static str> {
    bounded(text)?;
    every(text, |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Whether the REST API takes the name and version for a removal. Those that are missing altogether are another problem.
#[must_use]
pub fn can_be_undeployed(name: &str, version: &str) -> bool {
    name.is_empty()
        || version.is_empty()
        || (name.len() >= 3 && name.is_ascii() && !name.contains(' ') && version.len() <= 15)
}

/// An id, an organisation or an environment: visible ASCII without separators of keys, paths and lists.
///
/// # Errors
/// What is wrong with it.
pub fn token(text: &str) -> Result<&str, &'static str> {
    bounded(text)?;
    every(text, |byte| byte.is_ascii_graphic() && !b"/\\:,;\"'<>{}".contains(&byte))
}

/// A header field name (RFC 9110 §5.1), in lower case.
///
/// # Errors
/// What is wrong with it.
pub fn header(text: &str) -> Result<String, &'static str> {
    bounded(text)?;
    every(text, |byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)).map(str::to_ascii_lowercase)
}

/// A virtual host in lower case: a host name, `*`, `*.example.com` or `example.*`.
///
/// # Errors
/// What is wrong with it.
pub fn virtual_host(text: &str) -> Result<String, &'static str> {
    bounded(text)?;
    let lower = text.to_ascii_lowercase();
    if lower == "*" {
        return Ok(lower);
    }
    let inner = lower.strip_prefix("*.").or_else(|| lower.strip_suffix(".*")).unwrap_or(&lower);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if inner.split('.').all(label) { Ok(lower) } else { Err("is no host name and no wildcard such as *.example.com") }
}

/// An exposed base path: absolute, without a trailing slash, of plain characters that need no decoding.
///
/// # Errors
/// What is wrong with it.
pub fn base_path(text: &str) -> Result<String, &'static str> {
    if text.len() > MAX_BASE_PATH {
        return Err("is too long");
    }
    let Some(rest) = text.strip_prefix('/') else { return Err("does not begin with /") };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Err("is empty, so that the API would take every path of the host");
    }
    every(rest, |byte| byte.is_ascii_alphanumeric() || b"~/_.-".contains(&byte))?;
    if rest.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty or a dot segment, which no request can match");
    }
    if rest.split('/').count() > MAX_BASE_PATH_SEGMENTS {
        return Err("has too many segments");
    }
    Ok(format!("/{rest}"))
}

/// The base path without its (last) version segment; `None` when it has none or nothing would be left.
#[must_use]
pub fn without_version(base_path: &str, version: &str) -> Option<String> {
    let mut segments: Vec<&str> = base_path.split('/').skip(1).collect();
    let position = segments.iter().rposition(|segment| *segment == version)?;
    segments.remove(position);
    if segments.is_empty() { None } else { Some(format!("/{}", segments.join("/"))) }
}

/// Id of an API that brings none: the hexadecimal SHA-1 of `name:version`.
#[must_use]
pub fn api_id(name: &str, version: &str) -> String {
    hex::encode(Sha1::digest(format!("{name}:{version}")))
}

/// Stable name of a resource within its API, for the name of its cluster.
#[must_use]
pub fn resource_id(template: &str) -> String {
    hex::encode(Sha1::digest(template))
}

fn bounded(text: &str) -> Result<(), &'static str> {
    match text.len() {
        0 => Err("is empty"),
        1..=MAX_NAME => Ok(()),
        _ => Err("is longer than 255 bytes"),
    }
}

fn every(text: &str, allowed: impl Fn(u8) -> bool) -> Result<&str, &'static str> {
    if text.bytes().all(allowed) { Ok(text) } else { Err(FORBIDDEN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths() {
        for (given, expected) in [
            ("/pizzashack/1.0.0", Some("/pizzashack/1.0.0")),
            ("/pizzashack/", Some("/pizzashack")),
            ("/t/foo.com/~a_b-c", Some("/t/foo.com/~a_b-c")),
            ("pizzashack", None),
            ("/", None),
            ("", None),
            ("//a", None),
            ("/a/../b", None),
            ("/a/./b", None),
            ("/a b", None),
            ("/a%2Fb", None),
            ("/a\0", None),
            ("/{version}", None),
            ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", Some("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16")),
            ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", None),
        ] {
            assert_eq!(base_path(given).ok().as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn virtual_hosts() {
        for (given, expected) in [
            ("LocalHost", Some("localhost")),
            ("*", Some("*")),
            ("*.wso2.com", Some("*.wso2.com")),
            ("us.*", Some("us.*")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("localhost:9090", None),
            ("a..b", None),
            ("a*b", None),
            ("*.*", None),
            ("", None),
            ("a\0b", None),
        ] {
            assert_eq!(virtual_host(given).ok().as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn the_last_version_segment_is_dropped_and_no_other() {
        for (path, version, expected) in [
            ("/pizza/1.0.0", "1.0.0", Some("/pizza")),
            ("/1.0.0/pizza/1.0.0", "1.0.0", Some("/1.0.0/pizza")),
            ("/pizza/1.0.0/x", "1.0.0", Some("/pizza/x")),
            ("/pizza/11.0.0", "1.0.0", None),
            ("/1.0.0", "1.0.0", None),
        ] {
            assert_eq!(without_version(path, version).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn names_and_tokens() {
        for (text, ok) in [
            ("SwaggerPetstore", true),
            ("Swagger Petstore", true),
            (" x", false),
            ("Größe 2", true),
            ("价格", true),
            ("मूल्य", true),
            ("é\u{a0}", false),
            ("a\u{202e}b", false),
            ("a\u{85}", false),
            ("a;b", false),
            ("a\n", false),
            ("", false),
            ("a/b", false),
        ] {
            assert_eq!(name(text).is_ok(), ok, "{text:?}");
        }
        for (text, ok) in [("carbon.super", true), ("a\0b", false), ("a b", false), ("a:b", false), ("6f9e-1", true)] {
            assert_eq!(token(text).is_ok(), ok, "{text:?}");
        }
        for (text, ok) in [("1.0.0", true), ("v1", true), ("1/0", false), ("1 0", false)] {
            assert_eq!(version(text).is_ok(), ok, "{text:?}");
        }
        assert_eq!(header("X-Auth").as_deref(), Ok("x-auth"));
        assert!(header("X Auth").is_err());
    }

    /// apictl and the original compute the same id.
    #[test]
    fn ids_are_those_of_the_original() {
        assert_eq!(api_id("PizzaShackAPI", "1.0.0"), "225943b3eb2ba89b79572ed7249c2bfff284bef7");
    }
}
