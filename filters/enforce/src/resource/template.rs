//! OpenAPI path templates: `/pet/{petId}`, `/pet/{petId}.api`, `/files/*`.
//!
//! The matching rules are those of Choreo Connect: a parameter takes one or more bytes of one segment, a trailing slash
//! is optional whichever way the template is written, and `/*` at the end takes nothing or any rest that starts at a slash.

use crate::Invalid;

/// Most parameters a template may have.
const MAX_PARAMETERS: usize = 32;

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    /// Names of the parameters, in order.
    names: Vec<String>,
    /// Ends in `/*`.
    wildcard: bool,
    /// Ends in `/`, which is the form the backend gets.
    trailing_slash: bool,
}

/// One segment: literals and parameters in turn, beginning and ending with a literal that may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// What stands before the first parameter.
    prefix: Vec<u8>,
    /// What stands behind each parameter.
    after_parameter: Vec<Vec<u8>>,
}

/// What the parameters and the wildcard of a template took of a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Captures<'p> {
    parameters: Vec<&'p [u8]>,
    /// What `/*` took: nothing, or a rest that begins with a slash.
    rest: &'p [u8],
}

impl Captures<'_> {
    /// What the parameter at that position took; nothing when there is none.
    #[must_use]
    pub fn parameter(&self, position: usize) -> &[u8] {
        self.parameters.get(position).copied().unwrap_or_default()
    }
}

impl Template {
    /// Compiles a template. A query part, which some definitions carry, is left out.
    ///
    /// # Errors
    /// When it does not begin with a slash, braces do not match, or it has more than 32 parameters.
    pub fn compile(template: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid(format!("path template {template:?}: {why}"));
        let path = template.split('?').next().unwrap_or(template);
        let path = path.strip_prefix('/').ok_or_else(|| invalid("does not begin with /"))?;
        let (path, wildcard) = match path.strip_suffix('*') {
            Some("") => ("", true),
            Some(before) if before.ends_with('/') => (before, true),
            _ => (path, false),
        };
        let trailing_slash = !wildcard && (path.is_empty() || path.ends_with('/'));
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut names = Vec::new();
        let segments = if path.is_empty() {
            Vec::new()
        } else {
            path.split('/')
                .map(|segment| Segment::compile(segment, &mut names))
                .collect::<Option<_>>()
                .ok_or_else(|| invalid("braces do not match"))?
        };
        let compiled = Self { segments, names, wildcard, trailing_slash };
        if compiled.names.len() > MAX_PARAMETERS {
            return Err(invalid("more than 32 parameters"));
        }
        Ok(compiled)
    }

    /// Names of its parameters, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The same, expanding to no slash at the end.
    #[must_use]
    pub fn without_trailing_slash(self) -> Self {
        Self { trailing_slash: false, ..self }
    }

    /// Whether it has neither parameters nor a wildcard, so that it matches one path only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.wildcard && self.segments.iter().all(|segment| segment.after_parameter.is_empty())
    }

    /// Whether it ends in `/*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Matches what is left of a path after the base path.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p [u8]) -> Option<Captures<'p>> {
        let mut captures = Captures::default();
        let mut rest = path;
        for segment in &self.segments {
            let after_slash = rest.strip_prefix(b"/")?;
            let end = after_slash.iter().position(|byte| *byte == b'/').unwrap_or(after_slash.len());
            let (text, remaining) = after_slash.split_at_checked(end)?;
            segment.matches(text, &mut captures.parameters)?;
            rest = remaining;
        }
        if self.wildcard {
            captures.rest = rest;
            return (rest.is_empty() || rest.starts_with(b"/")).then_some(captures);
        }
        matches!(rest, b"" | b"/").then_some(captures)
    }

    /// Appends the path with the captures put in, in the form the definition gives it.
    pub fn expand(&self, captures: &Captures, out: &mut Vec<u8>) {
        let mut parameters = captures.parameters.iter();
        for segment in &self.segments {
            out.push(b'/');
            out.extend_from_slice(&segment.prefix);
            for literal in &segment.after_parameter {
                if let Some(value) = parameters.next() {
                    out.extend_from_slice(value);
                }
                out.extend_from_slice(literal);
            }
        }
        out.extend_from_slice(captures.rest);
        if self.trailing_slash {
            out.push(b'/');
        }
    }
}

impl<'p> Captures<'p> {
    /// Those of another template, whose parameters take the values at these positions.
    #[must_use]
    pub fn rearranged(&self, positions: &[usize]) -> Self {
        let value = |position: &usize| self.parameters.get(*position).copied().unwrap_or_default();
        Captures { parameters: positions.iter().map(value).collect(), rest: b"" }
    }
}

impl Segment {
    fn compile(text: &str, names: &mut Vec<String>) -> Option<Self> {
        let (prefix, mut rest) = text.split_once('{').map_or((text, None), |(before, after)| (before, Some(after)));
        let mut segment = Self { prefix: literal(prefix)?, after_parameter: Vec::new() };
        while let Some(parameter) = rest {
            let (name, after) = parameter.split_once('}')?;
            if name.is_empty() || name.contains('{') {
                return None;
            }
            let (behind, next) = after.split_once('{').map_or((after, None), |(behind, next)| (behind, Some(next)));
            segment.after_parameter.push(literal(behind)?);
            names.push(name.to_owned());
            rest = next;
        }
        Some(segment)
    }

    /// Earlier parameters take as much as they can, like the greedy groups of the original's expressions. Going from the
    /// back and giving each later parameter as little as possible comes to the same without ever trying twice.
    fn matches<'p>(&self, text: &'p [u8], parameters: &mut Vec<&'p [u8]>) -> Option<()> {
        let mut rest = text.strip_prefix(self.prefix.as_slice())?;
        let Some((last, inner)) = self.after_parameter.split_last() else { return rest.is_empty().then_some(()) };
        rest = rest.strip_suffix(last.as_slice())?;
        let first = parameters.len();
        for separator in inner.iter().rev() {
            let (before, value) = split_at_last(rest, separator)?;
            parameters.insert(first, value);
            rest = before;
        }
        parameters.insert(first, rest);
        (!rest.is_empty()).then_some(())
    }
}

/// Splits at the last occurrence of `separator` that leaves at least one byte behind it.
fn split_at_last<'p>(text: &'p [u8], separator: &[u8]) -> Option<(&'p [u8], &'p [u8])> {
    let last_start = text.len().checked_sub(separator.len().checked_add(1)?)?;
    (0..=last_start).rev().find_map(|start| {
        let (before, from) = text.split_at_checked(start)?;
        Some((before, from.strip_prefix(separator)?))
    })
}

/// The bytes of a literal, which may hold anything but a stray closing brace.
fn literal(text: &str) -> Option<Vec<u8>> {
    (!text.contains('}')).then(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Matches `path` and expands the result; `None` when it does not match.
    fn through(template: &str, path: &str) -> Option<String> {
        let template = Template::compile(template).unwrap();
        let captures = template.matches(path.as_bytes())?;
        let mut out = Vec::new();
        template.expand(&captures, &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn check(template: &str, path: &str, expected: Option<&str>) {
        assert_eq!(through(template, path).as_deref(), expected, "{template} {path}");
    }

    /// The truth table of Choreo Connect's route expressions, base path left out.
    #[test]
    fn truth_table() {
        check("/pet/{petId}", "/pet/5", Some("/pet/5"));
        check("/pet/{petId}", "/pet/5/", Some("/pet/5"));
        check("/pet/{petId}", "/pet/5/test", None);
        check("/pet/{petId}/", "/pet/5", Some("/pet/5/"));
        check("/pet/{petId}/", "/pet/5/", Some("/pet/5/"));
        check("/pet/{petId}/info", "/pet/5/info", Some("/pet/5/info"));
        check("/pet/{petId}/tst/{petId}", "/pet/5/tst/3", Some("/pet/5/tst/3"));
        check("/pet/5", "/pett/5", None);
        check("/pet/*", "/pet", Some("/pet"));
        check("/pet/*", "/pet/", Some("/pet/"));
        check("/pet/*", "/pet/foo/bar", Some("/pet/foo/bar"));
        check("/pet/*", "/pet123", None);
        check("/pet/{petId}.api", "/pet/pet1.api", Some("/pet/pet1.api"));
        check("/pet/{petId}.api", "/pet/pet1", None);
        check("/pet/pet{petId}", "/pet/pet1", Some("/pet/pet1"));
        check("/pet/pet{petId}", "/pet/1", None);
    }

    #[test]
    fn further_forms() {
        check("/", "", Some("/"));
        check("/", "/", Some("/"));
        check("/", "/a", None);
        check("/*", "", Some(""));
        check("/*", "/", Some("/"));
        check("/*", "/a//b", Some("/a//b"));
        check("/{a}/*", "/x", Some("/x"));
        check("/{a}/*", "/x/y/z", Some("/x/y/z"));
        check("/{a}", "/", None);
        check("/{a}", "//", None);
        check("/{a}-{b}", "/1-2-3", Some("/1-2-3"));
        check("/{a}{b}", "/xy", Some("/xy"));
        check("/{a}{b}", "/x", None);
        check("/{a}-{b}", "/-1", None);
        check("/a?x={y}", "/a", Some("/a"));
        check("/pet/findByStatus", "/pet/findByStatus/", Some("/pet/findByStatus"));
    }

    #[test]
    fn earlier_parameters_are_greedy() {
        let template = Template::compile("/{a}-{b}.{c}").unwrap();
        let captures = template.matches(b"/1-2-3.4.5").unwrap();
        assert_eq!(captures.parameters, [&b"1-2"[..], b"3.4", b"5"]);
    }

    #[test]
    fn refuses_what_is_no_template() {
        for template in ["", "pet", "/{", "/}", "/{}", "/{a", "/{a{b}}", "/a}b"] {
            assert!(Template::compile(template).is_err(), "{template}");
        }
        assert!(Template::compile(&"/{p}".repeat(33)).is_err());
        assert!(Template::compile(&"/{p}".repeat(32)).is_ok());
    }
}
