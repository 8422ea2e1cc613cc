//! Conditions of advanced policies: which requests a group of limits is for.

use std::borrow::Cow;
use std::net::IpAddr;

use regex_lite::Regex;
use tollgate_model::{Condition, ConditionKind, IpRange};

/// Longest value that a pattern is tried on; of a longer one, the beginning.
const MAX_VALUE: usize = 4096;
/// Bytes a compiled pattern may take.
const MAX_PATTERN: usize = 64 * 1024;

/// What conditions ask about a request.
pub(crate) trait Traits {
    /// Address of the client.
    fn client(&self) -> Option<IpAddr>;
    /// A header; with several values, joined by commas.
    fn header(&self, name: &str) -> Option<Cow<'_, str>>;
    /// A query parameter, decoded.
    fn query(&self, name: &str) -> Option<Cow<'_, str>>;
    /// A claim of the token, as text.
    fn claim(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Conditions that must all hold.
#[derive(Debug)]
pub(crate) struct Conditions(Vec<Compiled>);

#[derive(Debug)]
struct Compiled {
    of: Of,
    invert: bool,
}

#[derive(Debug)]
enum Of {
    Ip(IpRange),
    Header(String, Regex),
    Query(String, Regex),
    Claim(String, Regex),
}

impl Conditions {
    /// Compiles their patterns.
    ///
    /// # Errors
    /// Names the pattern that is none. Look-around and back references are not supported.
    pub(crate) fn compile(conditions: &[Condition]) -> Result<Self, String> {
        conditions.iter().map(Compiled::new).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a request is meant.
    pub(crate) fn hold(&self, request: &dyn Traits) -> bool {
        self.0.iter().all(|condition| condition.of.holds(request) != condition.invert)
    }
}

impl Compiled {
    fn new(condition: &Condition) -> Result<Self, String> {
        let of = match &condition.of {
            ConditionKind::Ip { range } => Of::Ip(*range),
            ConditionKind::Header { name, pattern } => Of::Header(name.to_ascii_lowercase(), compile(pattern)?),
            ConditionKind::Query { name, pattern } => Of::Query(name.clone(), compile(pattern)?),
            ConditionKind::Claim { name, pattern } => Of::Claim(name.clone(), compile(pattern)?),
        };
        Ok(Self { of, invert: condition.invert })
    }
}

impl Of {
    fn holds(&self, request: &dyn Traits) -> bool {
        match self {
            Self::Ip(range) => request.client().is_some_and(|client| range.contains(client)),
            Self::Header(name, pattern) => request.header(name).is_some_and(|value| found(pattern, &value)),
            Self::Query(name, pattern) => request.query(name).is_some_and(|value| found(pattern, &value)),
            Self::Claim(name, pattern) => request.claim(name).is_some_and(|value| found(pattern, &value)),
        }
    }
}

/// Whether conditions can use this pattern.
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    compile(pattern).map(drop)
}

fn compile(pattern: &str) -> Result<Regex, String> {
    regex_lite::RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN)
        .build()
        .map_err(|error| format!("{pattern:?} is no pattern: {error}"))
}

fn found(pattern: &Regex, value: &str) -> bool {
    let end = (0..=MAX_VALUE.min(value.len())).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    value.get(..end).is_some_and(|value| pattern.is_match(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Request;

    impl Traits for Request {
        fn client(&self) -> Option<IpAddr> {
            "10.0.0.7".parse().ok()
        }

        fn header(&self, name: &str) -> Option<Cow<'_, str>> {
            (name == "user-agent").then_some(Cow::Borrowed("curl/8.1"))
        }

        fn query(&self, name: &str) -> Option<Cow<'_, str>> {
            (name == "plan").then_some(Cow::Borrowed("gold"))
        }

        fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
            (name == "role").then_some(Cow::Borrowed("admin,user"))
        }
    }

    fn ip(first: &str, last: &str) -> ConditionKind {
        ConditionKind::Ip { range: IpRange { first: first.parse().unwrap(), last: last.parse().unwrap() } }
    }

    fn header(name: &str, pattern: &str) -> ConditionKind {
        ConditionKind::Header { name: name.to_owned(), pattern: pattern.to_owned() }
    }

    #[test]
    fn all_of_them_must_hold() {
        let query = |pattern: &str| ConditionKind::Query { name: "plan".to_owned(), pattern: pattern.to_owned() };
        let claim = |pattern: &str| ConditionKind::Claim { name: "role".to_owned(), pattern: pattern.to_owned() };
        for (conditions, holds) in [
            (vec![], true),
            (vec![(ip("10.0.0.0", "10.0.0.7"), false)], true),
            (vec![(ip("10.0.0.0", "10.0.0.7"), true)], false),
            (vec![(ip("10.0.0.8", "10.0.0.9"), true)], true),
            (vec![(header("User-Agent", "^curl"), false)], true),
            (vec![(header("User-Agent", "^wget"), false)], false),
            (vec![(header("X-None", "."), false)], false),
            // An absent header is not like the pattern.
            (vec![(header("X-None", "."), true)], true),
            (vec![(query("^gold$"), false), (claim("user"), false)], true),
            (vec![(query("^gold$"), false), (claim("guest"), false)], false),
        ] {
            let text = format!("{conditions:?}");
            let conditions: Vec<Condition> =
                conditions.into_iter().map(|(of, invert)| Condition { of, invert }).collect();
            assert_eq!(Conditions::compile(&conditions).unwrap().hold(&Request), holds, "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        let condition = Condition { of: header("a", "(unclosed"), invert: false };
        assert!(Conditions::compile(&[condition]).unwrap_err().contains("(unclosed"));
    }
}
