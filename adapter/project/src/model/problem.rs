//! What is wrong with something a user gave us: what, where, why, and how to fix it.
//!
//! Problems are collected, not thrown: whoever reads configuration reports all it finds at once. Must never hold secrets,
//! since problems travel to logs, to REST clients and to the status page.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Accepted, but probably not what was meant.
    Warning,
    /// Refused.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it stops the deployment.
    pub severity: Severity,
    /// File it was found in, relative to the project, or the configuration file. Empty when it concerns the whole.
    pub file: String,
    /// Line of that file, counted from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// JSON pointer (RFC 6901) inside the file, or the key of the configuration. Empty when it concerns the whole file.
    pub pointer: String,
    /// What is wrong.
    pub what: String,
    /// Why that is a problem.
    pub why: String,
    /// How to fix it.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let place = match (self.file.as_str(), self.pointer.as_str()) {
            ("", "") => String::new(),
            (file, "") => format!("{file}{line}: "),
            ("", pointer) => format!("{pointer}: "),
            (file, pointer) => format!("{file}{line}#{pointer}: "),
        };
        write!(f, "{place}{}", self.what)?;
        if !self.why.is_empty() {
            write!(f, "; {}", self.why)?;
        }
        if !self.fix.is_empty() {
            write!(f, " (fix: {})", self.fix)?;
        }
        Ok(())
    }
}

/// Collects problems. Holds at most [`Problems::LIMIT`] of them, so that a hostile file cannot make a huge report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Most problems that are kept; an error is always kept, if need be in the place of the last one.
    pub const LIMIT: usize = 200;

    /// None so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() >= Self::LIMIT {
            if problem.severity == Severity::Warning || self.has_errors() {
                return;
            }
            self.list.pop();
        }
        self.list.push(problem);
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        for problem in other.list {
            self.push(problem);
        }
    }

    /// Adds an error.
    pub fn error(&mut self, at: (&str, &str), what: impl Into<String>, why: &str, fix: &str) {
        self.push(problem(Severity::Error, at, what.into(), why, fix));
    }

    /// Adds a warning.
    pub fn warn(&mut self, at: (&str, &str), what: impl Into<String>, why: &str, fix: &str) {
        self.push(problem(Severity::Warning, at, what.into(), why, fix));
    }

    /// Adds an error of a line.
    pub fn error_at(&mut self, file: &str, line: Option<usize>, key: &str, what: impl Into<String>, fix: &str) {
        self.push(Problem { line, ..problem(Severity::Error, (file, key), what.into(), "", fix) });
    }

    /// Adds a warning of a line.
    pub fn warn_at(&mut self, file: &str, line: Option<usize>, key: &str, what: impl Into<String>, fix: &str) {
        self.push(Problem { line, ..problem(Severity::Warning, (file, key), what.into(), "", fix) });
    }

    /// Whether at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter().filter(|problem| problem.severity == Severity::Error)
    }

    /// All of them as a list.
    #[must_use]
    pub fn into_vec(self) -> Vec<Problem> {
        self.list
    }
}

impl<'p> IntoIterator for &'p Problems {
    type Item = &'p Problem;
    type IntoIter = std::slice::Iter<'p, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn problem(severity: Severity, at: (&str, &str), what: String, why: &str, fix: &str) -> Problem {
    let (file, pointer) = at;
    Problem {
        severity,
        file: file.to_owned(),
        line: None,
        pointer: pointer.to_owned(),
        what,
        why: why.to_owned(),
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_report_still_takes_an_error() {
        let mut problems = Problems::new();
        for number in 0..Problems::LIMIT * 2 {
            problems.warn(("api.yaml", ""), format!("warning {number}"), "", "");
        }
        assert!(!problems.has_errors());
        problems.error(("api.yaml", "/data/name"), "there is no name", "", "");
        assert!(problems.has_errors());
        assert_eq!(problems.iter().count(), Problems::LIMIT);
    }

    #[test]
    fn text_says_where_what_why_and_how() {
        let mut problems = Problems::new();
        problems.error(("api.yaml", "/data/name"), "there is no name", "every API needs one", "add it");
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["api.yaml#/data/name: there is no name; every API needs one (fix: add it)"]);
    }
}
