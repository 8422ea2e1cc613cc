//! What counts, and where it comes from. Secrets are never shown, and neither is what `$env{}` stands for.

use serde::Serialize;
use toml::Value;

use super::Reader;
use crate::config::keys::{Absent, Key, Status};

/// Stands for a secret.
const HIDDEN: &str = "\"***\"";

/// A key with what counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The key, with indices.
    pub key: String,
    /// The value as TOML, or what its absence means.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Nothing is configured.
    Default,
    /// This line of the file.
    File(usize),
    /// This environment variable.
    Environment(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(line) => write!(f, "file, line {line}"),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

impl Reader<'_> {
    /// Every key that is read, in the order of the documentation, with what counts.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let read =
            self.schema.keys().filter(|key| matches!(key.status, Status::Read | Status::Off(_) | Status::Fixed(_)));
        read.flat_map(|key| self.paths(key.path).into_iter().map(|path| self.value_of(key, path))).collect()
    }

    /// The path with every index that there is; with 0 where a list is not configured.
    fn paths(&self, path: &str) -> Vec<String> {
        let Some((list, rest)) = path.split_once("[]") else { return vec![path.to_owned()] };
        let elements = 0..self.count(list).max(1);
        elements.flat_map(|index| self.paths(&format!("{list}.{index}{rest}"))).collect()
    }

    fn value_of(&self, key: &Key, path: String) -> Effective {
        let lower = path.to_lowercase();
        let (value, source) = if let Some((name, value)) = self.overriding(&lower) {
            (shown(key, &Value::String(value.clone())), Source::Environment(name))
        } else if let Some(leaf) = self.leaves.get(&lower) {
            (shown(key, &leaf.value), Source::File(leaf.line))
        } else {
            let value = match key.absent {
                Absent::Value(value) => value.to_owned(),
                Absent::Otherwise(what) => format!("({what})"),
            };
            (value, Source::Default)
        };
        Effective { key: path, value, source }
    }
}

fn shown(key: &Key, value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        // A reference to a variable is no secret; what it stands for is.
        Value::String(text)
            if key.secret && text.starts_with("$env{") && text.find('}') == text.len().checked_sub(1) =>
        {
            quoted(text)
        }
        _ if key.secret => HIDDEN.to_owned(),
        Value::String(text) => quoted(&without_password(text)),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(key, item)).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// A URL without what stands between its scheme and an `@`.
fn without_password(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        result.push_str(before);
        result.push_str("://");
        let authority_end = after.find(['/', '?', '#', ' ', ',', '\'']).unwrap_or(after.len());
        let (authority, tail) = after.split_at_checked(authority_end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                result.push_str("***@");
                result.push_str(host);
            }
            None => result.push_str(authority),
        }
        rest = tail;
    }
    result.push_str(rest);
    result
}
