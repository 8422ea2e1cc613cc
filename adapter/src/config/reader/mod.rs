//! Reads single settings out of a configuration file and its overrides, and knows in the end which were never read.
//!
//! Keys are matched without regard to case, as in the original. `$env{NAME}` inside a text is replaced when the setting is
//! read, so that a missing variable matters only where it is used. An environment variable `CC_<SECTION>_<KEY>` overrides
//! the file. Every mistake is collected, and names its key and line. Must never report a value: it may be a secret.

mod effective;
mod leaves;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::Value;

use self::leaves::{Leaf, Leaves};
use super::keys::{CONFIG, Schema, pattern};
use crate::model::Problems;

pub use effective::{Effective, Source};

/// Most elements of a list of tables.
const MAX_ELEMENTS: usize = 1024;

/// The environment of the process.
pub type Environment = BTreeMap<String, String>;

/// What kind of value a key was read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A text, also for paths, durations and choices.
    Text,
    /// A list of texts.
    Texts,
    /// True or false.
    Flag,
    /// A whole number of that range.
    Number(RangeInclusive<u32>),
    /// A list of whole numbers of that range.
    Numbers(RangeInclusive<u16>),
}

/// A configuration that is being read.
#[derive(Debug)]
pub struct Reader<'e> {
    file: String,
    schema: &'static Schema,
    leaves: Leaves,
    used: BTreeSet<String>,
    /// Kinds of values by pattern of the key.
    asked: BTreeMap<String, Kind>,
    environment: &'e Environment,
    /// What was found wrong so far.
    pub problems: Problems,
}

impl<'e> Reader<'e> {
    /// Reads the text of a config.toml; an unreadable one is a problem.
    #[must_use]
    pub fn new(file: &str, text: &str, environment: &'e Environment) -> Self {
        Self::of(&CONFIG, file, text, environment)
    }

    /// Reads the text of a file with such keys.
    #[must_use]
    pub fn of(schema: &'static Schema, file: &str, text: &str, environment: &'e Environment) -> Self {
        let mut problems = Problems::new();
        let leaves = leaves::read(file, text, &mut problems);
        let (file, used, asked) = (file.to_owned(), BTreeSet::new(), BTreeMap::new());
        let mut reader = Self { file, schema, leaves, used, asked, environment, problems };
        reader.rename_aliases();
        reader
    }

    /// Settings by an older name become settings by the name that counts.
    fn rename_aliases(&mut self) {
        for alias in self.schema.aliases {
            let (old, new) = (alias.old.to_lowercase(), alias.new.to_lowercase());
            let named: Vec<String> = self.leaves.keys().filter(|key| below(key, &old).is_some()).cloned().collect();
            for key in named {
                let Some(leaf) = self.leaves.get(&key).cloned() else { continue };
                let rest = below(&key, &old).unwrap_or_default();
                // Where only the case differs, the spelling says which name was meant.
                if old == new && !leaf.shown.starts_with(alias.old) {
                    continue;
                }
                let renamed = format!("{new}{rest}");
                let fix = format!("write {} instead", alias.new);
                self.problems.warn_at(
                    &self.file,
                    Some(leaf.line),
                    &leaf.shown,
                    "this is an older name of the key",
                    &fix,
                );
                if old == new {
                    continue;
                }
                self.leaves.remove(&key);
                if let Some(other) = self.leaves.get(&renamed) {
                    let what = format!("the key is there twice, also as {} in line {}", other.shown, other.line);
                    self.problems.error_at(&self.file, Some(leaf.line), &leaf.shown, what, "remove one of the two");
                } else {
                    self.leaves.insert(renamed, leaf);
                }
            }
        }
    }

    /// Reports an error of a key.
    pub fn error(&mut self, key: &str, what: &str, fix: &str) {
        let (file, line) = self.place(key);
        self.problems.error_at(&file, line, key, what, fix);
    }

    /// Reports a warning of a key.
    pub fn warn(&mut self, key: &str, what: &str, fix: &str) {
        let (file, line) = self.place(key);
        self.problems.warn_at(&file, line, key, what, fix);
    }

    /// Where a key, or the first below it, has its value from.
    fn place(&self, key: &str) -> (String, Option<usize>) {
        let key = key.to_lowercase();
        if let Some((variable, _)) = self.overriding(&key) {
            return (format!("${variable}"), None);
        }
        let leaf = self.leaves.get(&key).or_else(|| self.leaves_below(&key).next());
        (self.file.clone(), leaf.map(|leaf| leaf.line))
    }

    fn leaves_below(&self, key: &str) -> impl Iterator<Item = &Leaf> {
        let prefix = format!("{key}.");
        let from = self.leaves.range(prefix.clone()..);
        from.take_while(move |(leaf, _)| leaf.starts_with(&prefix)).map(|(_, leaf)| leaf)
    }

    /// How many elements a list of tables has; the environment may add some.
    #[must_use]
    pub fn count(&self, key: &str) -> usize {
        let key = key.to_lowercase();
        let prefix = format!("{key}.");
        let index = |rest: &str, end: char| rest.split(end).next()?.parse::<usize>().ok();
        let in_file = self.leaves.keys().filter_map(|leaf| index(leaf.strip_prefix(&prefix)?, '.'));
        let variables = self.schema.variable(&prefix);
        let variables = variables.iter().flat_map(|prefix| {
            self.environment.keys().filter_map(|name| index(name.strip_prefix(prefix.as_str())?, '_'))
        });
        let indices: BTreeSet<usize> = in_file.chain(variables).collect();
        (0..MAX_ELEMENTS).find(|index| !indices.contains(index)).unwrap_or(MAX_ELEMENTS)
    }

    /// A text. An empty one counts as not set.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = match self.take(key, Kind::Text)? {
            Value::String(text) => self.substitute(key, &text)?,
            _ => return self.wrong_type(key, "a text"),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// A path.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// A boolean.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let text = match self.take(key, Kind::Flag)? {
            Value::Boolean(flag) => return Some(flag),
            Value::String(text) => self.substitute(key, &text)?,
            _ => String::new(),
        };
        match text.trim().to_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong_type(key, "true or false"),
        }
    }

    /// A whole number within a range, as such or as a text of digits.
    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.take(key, Kind::Number(range.clone()))? {
            Value::Integer(number) => u32::try_from(number).ok(),
            Value::String(text) => self.substitute(key, &text)?.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.wrong_type(key, &format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// A list of whole numbers within a range.
    pub fn numbers(&mut self, key: &str, range: RangeInclusive<u16>) -> Option<Vec<u16>> {
        let numbers: Option<Vec<u16>> = match self.take(key, Kind::Numbers(range.clone()))? {
            Value::Array(items) => items.iter().map(|item| u16::try_from(item.as_integer()?).ok()).collect(),
            Value::String(text) => text.split(',').map(|item| item.trim().parse().ok()).collect(),
            _ => None,
        };
        match numbers.filter(|numbers| numbers.iter().all(|number| range.contains(number))) {
            Some(numbers) => Some(numbers),
            None => self.wrong_type(key, &format!("a list of numbers from {} to {}", range.start(), range.end())),
        }
    }

    /// A list of texts, as such or as one text with commas. It may be empty.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let items = match self.take(key, Kind::Texts)? {
            Value::Array(items) => items,
            Value::String(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
            _ => return self.wrong_type(key, "a list of texts"),
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else { return self.wrong_type(key, "a list of texts") };
            texts.push(self.substitute(key, &text)?);
        }
        Some(texts)
    }

    /// A TCP port; `Some(None)` when it is switched off by 0 or an empty text.
    pub fn port(&mut self, key: &str) -> Option<Option<u16>> {
        if let Some(Value::String(text)) = self.peek(&key.to_lowercase())
            && text.is_empty()
        {
            self.take(key, Kind::Number(0..=u32::from(u16::MAX)));
            return Some(None);
        }
        let number = self.number(key, 0..=u32::from(u16::MAX))?;
        Some(u16::try_from(number).ok().filter(|port| *port != 0))
    }

    /// Leaves a key, and all below it, unread without a warning: something else that is configured makes it idle.
    pub fn ignore(&mut self, key: &str) {
        let key = key.to_lowercase();
        let idle = self.leaves.keys().filter(|leaf| below(leaf, &key).is_some()).cloned();
        self.used.extend(idle);
    }

    /// All environment variables.
    #[must_use]
    pub const fn environment(&self) -> &'e Environment {
        self.environment
    }

    /// What was asked for so far: kinds of values by pattern of the key.
    #[cfg(test)]
    pub(in crate::config) const fn asked(&self) -> &BTreeMap<String, Kind> {
        &self.asked
    }

    /// An environment variable that stands for a default.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// Whether anything is set below that key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let key = key.to_lowercase();
        self.leaves.contains_key(&key) || self.leaves_below(&key).next().is_some()
    }

    /// Leaves everything below that key unread on purpose: what is switched off needs not even be right.
    pub fn skip(&mut self, section: &str) {
        self.ignore(section);
    }

    /// The variable that overrides a key, if it is set, and its value. Older names of the key count too.
    fn overriding(&self, key: &str) -> Option<(String, &'e String)> {
        let older = self.schema.aliases.iter().filter_map(|alias| {
            let rest = below(key, &alias.new.to_lowercase())?;
            Some(format!("{}{rest}", alias.old.to_lowercase()))
        });
        let mut names = std::iter::once(key.to_owned()).chain(older).filter_map(|key| self.schema.variable(&key));
        names.find_map(|name| Some((self.environment.get(&name)?, name)).map(|(value, name)| (name, value)))
    }

    fn peek(&self, key: &str) -> Option<Value> {
        let overriding = self.overriding(key).map(|(_, text)| Value::String(text.clone()));
        overriding.or_else(|| self.leaves.get(key).map(|leaf| leaf.value.clone()))
    }

    fn take(&mut self, key: &str, kind: Kind) -> Option<Value> {
        let lower = key.to_lowercase();
        let value = self.peek(&lower);
        if value.is_none() && self.has(key) {
            self.error(key, "a single value is expected here, not a table", "write the key = value");
        }
        self.asked.insert(pattern(&lower), kind);
        self.used.insert(lower);
        value
    }

    fn substitute(&mut self, key: &str, text: &str) -> Option<String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("$env{") {
            let Some((name, after)) = after.split_once('}') else {
                self.error(key, "$env{ is not closed", "write $env{NAME}");
                return None;
            };
            let Some(value) = self.environment.get(name) else {
                self.error(
                    key,
                    &format!("the environment variable {name} is not set"),
                    &format!("set {name}, or write the value into the file"),
                );
                return None;
            };
            result.push_str(before);
            result.push_str(value);
            rest = after;
        }
        result.push_str(rest);
        Some(result)
    }

    fn wrong_type<T>(&mut self, key: &str, expected: &str) -> Option<T> {
        self.error(key, &format!("{expected} is expected here"), "correct the value");
        None
    }
}

/// What follows a table's name in the name of something in it; empty for the name itself.
fn below<'k>(key: &'k str, table: &str) -> Option<&'k str> {
    key.strip_prefix(table).filter(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests;
