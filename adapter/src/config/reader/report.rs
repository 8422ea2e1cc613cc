//! What is said in the end: switches that must be off, keys without a meaning, and keys that nobody knows. The table of keys
//! decides.

use std::collections::BTreeSet;

use toml::Value;

use super::{Kind, Reader, below};
use crate::config::keys::{Absent, Key, Status, pattern};
use crate::model::Problems;

impl Reader<'_> {
    /// Refuses what this gateway has not got, when it is switched on: whoever did relies on what it does.
    pub fn refuse_unsupported(&mut self) {
        for key in self.schema.keys() {
            match key.status {
                Status::Off(instead) if key.absent == Absent::Value("false") => {
                    if self.flag(key.path) == Some(true) {
                        self.error(key.path, &format!("{} is not supported by this release", key.meaning), instead);
                    }
                }
                Status::Off(instead) => {
                    if self.has(key.path) {
                        self.error(key.path, &format!("{} cannot be had in this gateway", key.meaning), instead);
                    }
                }
                Status::Fixed(instead) => {
                    let lower = key.path.to_lowercase();
                    if self.peek(&lower).is_some_and(|value| !is_usual(key, &value)) {
                        self.error(key.path, &format!("the value cannot be changed: {}", key.meaning), instead);
                    }
                    self.take(key.path, Kind::Text);
                }
                Status::Read | Status::Idle | Status::Behind(_) => {}
            }
        }
    }

    /// Warns of everything that nobody read, and gives the problems back.
    #[must_use]
    pub fn finish(mut self) -> Problems {
        self.report_unread();
        self.problems
    }

    /// Warns of everything that nobody read.
    pub(in crate::config) fn report_unread(&mut self) {
        let unread = self.leaves.iter().filter(|(key, _)| !self.used.contains(*key));
        let unread: Vec<(String, String, Value)> =
            unread.map(|(key, leaf)| (key.clone(), leaf.shown.clone(), leaf.value.clone())).collect();
        for (key, shown, value) in unread {
            let place = self.leaves.get(&key).map(|leaf| leaf.line);
            if let Some((what, fix)) = self.unread(&key, &shown, &value) {
                self.problems.warn_at(&self.file, place, &shown, what, &fix);
            }
        }
        self.report_variables();
    }

    /// What to say of a key that nobody read, if anything.
    fn unread(&self, key: &str, shown: &str, value: &Value) -> Option<(String, String)> {
        match self.schema.find(key) {
            Some(known) => idle(known, value),
            None => {
                let suggestion = self.schema.suggest(shown).filter(|path| *path != pattern(shown));
                let fix = suggestion.map_or_else(|| "remove it".to_owned(), |path| format!("did you mean {path}?"));
                Some(("this key is not known, and not used".to_owned(), fix))
            }
        }
    }

    fn report_variables(&mut self) {
        let Some(prefix) = self.schema.overriding else { return };
        let used: BTreeSet<String> = self.used.iter().filter_map(|key| Some(self.overriding(key)?.0)).collect();
        let variables = self.environment.iter().filter(|(name, _)| name.starts_with(prefix) && !used.contains(*name));
        for (name, value) in variables {
            let found = match self.key_of(name) {
                Some(known) => idle(known, &Value::String(value.clone())),
                None => Some(self.unknown_variable(name)),
            };
            if let Some((what, fix)) = found {
                self.problems.warn_at("", None, &format!("${name}"), what, &fix);
            }
        }
    }

    /// The key that a variable overrides.
    fn key_of(&self, name: &str) -> Option<&'static Key> {
        // What stands in the place of an index in the name of a variable.
        let shape = |name: &str| {
            let is_index = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let parts: Vec<&str> = name.split('_').map(|part| if is_index(&part) { "[]" } else { part }).collect();
            parts.join("_")
        };
        let wanted = shape(name);
        self.schema.keys().find(|key| {
            let variable = self.schema.variable(&key.path.replace("[]", ".0"));
            variable.is_some_and(|variable| match variable.strip_suffix('*') {
                Some(table) => wanted.strip_prefix(&shape(table)).is_some_and(|rest| !rest.is_empty()),
                None => shape(&variable) == wanted,
            })
        })
    }

    fn unknown_variable(&self, name: &str) -> (String, String) {
        let section = self.schema.fixed.iter().find(|section| {
            let prefix = self.schema.overriding.unwrap_or_default();
            name.strip_prefix(prefix)
                .and_then(|rest| below(&rest.to_lowercase().replace('_', "."), section).map(|_| ()))
                .is_some()
        });
        if let Some(section) = section {
            let fix = format!("write it into [{section}] of the file, with $env{{...}} if need be");
            return (format!("[{section}] is not overridden by environment variables, so this one has no effect"), fix);
        }
        let variables: Vec<String> =
            self.schema.keys().filter_map(|key| self.schema.variable(&key.path.replace("[]", ".0"))).collect();
        let close = tollgate_project::did_you_mean(name, variables.iter().map(String::as_str));
        let fix = close.map_or_else(|| "unset it".to_owned(), |close| format!("did you mean {close}?"));
        ("this environment variable overrides no key".to_owned(), fix)
    }
}

/// A key that is known and was not read: it has no meaning here, or not with the rest of the configuration.
fn idle(key: &Key, value: &Value) -> Option<(String, String)> {
    let has_meaning = key.status != Status::Idle;
    (!has_meaning && !is_usual(key, value))
        .then(|| (format!("this key has no effect: {}", key.meaning), "remove it".to_owned()))
}

/// Whether the value is the usual one, as such or as a text.
fn is_usual(key: &Key, value: &Value) -> bool {
    let Absent::Value(usual) = key.absent else { return false };
    let text = |value: &str| value.trim_matches('"').to_owned();
    match value {
        Value::String(value) => *value == text(usual),
        other => other.to_string() == text(usual),
    }
}
