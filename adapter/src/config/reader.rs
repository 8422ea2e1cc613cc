//! Reads single settings out of config.toml and its overrides, and knows in the end which were never read.
//!
//! Keys are matched without regard to case, as in the original. `$env{NAME}` inside a text is replaced when the setting is
//! read, so that a missing variable matters only where it is used. An environment variable `CC_<SECTION>_<KEY>` overrides
//! the file. Every mistake is collected, and names its key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::{Table, Value};

use crate::model::Problems;

/// Prefix of overriding environment variables.
const OVERRIDE: &str = "CC_";
/// Deepest nesting of tables that is followed.
const MAX_DEPTH: usize = 16;

/// The environment of the process.
pub type Environment = BTreeMap<String, String>;

/// A configuration that is being read.
#[derive(Debug)]
pub struct Reader<'e> {
    file: String,
    leaves: BTreeMap<String, Leaf>,
    used: BTreeSet<String>,
    environment: &'e Environment,
    /// What was found wrong so far.
    pub problems: Problems,
}

#[derive(Debug)]
struct Leaf {
    /// The key as it is written.
    shown: String,
    value: Value,
}

impl<'e> Reader<'e> {
    /// Reads the text of a file; an unreadable one is a problem.
    #[must_use]
    pub fn new(file: &str, text: &str, environment: &'e Environment) -> Self {
        let mut reader = Self {
            file: file.to_owned(),
            leaves: BTreeMap::new(),
            used: BTreeSet::new(),
            environment,
            problems: Problems::new(),
        };
        match text.parse::<Table>() {
            Ok(table) => reader.flatten("", "", table, 0),
            Err(error) => {
                let what = error.to_string().trim_end().to_owned();
                reader.problems.error((file, ""), what, "the file is not valid TOML", "correct it at that place");
            }
        }
        reader
    }

    fn flatten(&mut self, key: &str, shown: &str, table: Table, depth: usize) {
        for (name, value) in table {
            let join =
                |prefix: &str, name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            let (key, shown) = (join(key, &name.to_lowercase()), join(shown, &name));
            self.flatten_value(key, shown, value, depth.saturating_add(1));
        }
    }

    fn flatten_value(&mut self, key: String, shown: String, value: Value, depth: usize) {
        match value {
            Value::Table(table) if depth < MAX_DEPTH => self.flatten(&key, &shown, table, depth),
            Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_table) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.flatten_value(
                        format!("{key}.{index}"),
                        format!("{shown}.{index}"),
                        item,
                        depth.saturating_add(1),
                    );
                }
            }
            value => {
                if let Some(other) = self.leaves.insert(key, Leaf { shown: shown.clone(), value }) {
                    self.error(
                        &shown,
                        &format!("the key is there twice, also as {}", other.shown),
                        "remove one of the two",
                    );
                }
            }
        }
    }

    /// Reports an error of a key.
    pub fn error(&mut self, key: &str, what: &str, fix: &str) {
        let file = self.file.clone();
        self.problems.error((&file, key), what, "", fix);
    }

    /// Reports a warning of a key.
    pub fn warn(&mut self, key: &str, what: &str, fix: &str) {
        let file = self.file.clone();
        self.problems.warn((&file, key), what, "", fix);
    }

    /// How many elements a list of tables has.
    #[must_use]
    pub fn count(&self, key: &str) -> usize {
        let prefix = format!("{}.", key.to_lowercase());
        let indices: BTreeSet<usize> =
            self.leaves.keys().filter_map(|leaf| leaf.strip_prefix(&prefix)?.split('.').next()?.parse().ok()).collect();
        indices.len()
    }

    /// A text. An empty one counts as not set.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = match self.take(key)? {
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
        match self.take(key)? {
            Value::Boolean(flag) => Some(flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => self.wrong_type(key, "true or false"),
        }
    }

    /// A whole number within a range, as such or as a text of digits.
    pub fn number(&mut self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match self.take(key)? {
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
        let numbers: Option<Vec<u16>> = match self.take(key)? {
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
        let items = match self.take(key)? {
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
        if let Some(Value::String(text)) = self.peek(key)
            && text.is_empty()
        {
            self.take(key);
            return Some(None);
        }
        let number = self.number(key, 0..=u32::from(u16::MAX))?;
        Some(u16::try_from(number).ok().filter(|port| *port != 0))
    }

    /// Leaves a key, and all below it, unread without a warning: something else that is configured makes it idle.
    pub fn ignore(&mut self, key: &str) {
        let key = key.to_lowercase();
        let prefix = format!("{key}.");
        let idle = self.leaves.keys().filter(|leaf| **leaf == key || leaf.starts_with(&prefix)).cloned();
        self.used.extend(idle);
    }

    /// All environment variables.
    #[must_use]
    pub const fn environment(&self) -> &'e Environment {
        self.environment
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
        let prefix = format!("{key}.");
        self.leaves.keys().any(|leaf| *leaf == key || leaf.starts_with(&prefix))
    }

    /// Leaves everything below that key unread on purpose: what is switched off needs not even be right.
    pub fn skip(&mut self, section: &str) {
        let prefix = format!("{}.", section.to_lowercase());
        let below: Vec<String> = self.leaves.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        self.used.extend(below);
    }

    /// Warns of everything that nobody read, and gives the problems back.
    #[must_use]
    pub fn finish(mut self) -> Problems {
        let unread: Vec<String> = self
            .leaves
            .iter()
            .filter(|(key, _)| !self.used.contains(*key))
            .map(|(_, leaf)| leaf.shown.clone())
            .collect();
        for shown in unread {
            self.warn(&shown, "this key is not used by this release", "remove it if it was misspelt");
        }
        let overriding: BTreeSet<String> = self.used.iter().map(|key| override_name(key)).collect();
        let unknown: Vec<String> = self
            .environment
            .keys()
            .filter(|name| name.starts_with(OVERRIDE) && !overriding.contains(*name))
            .cloned()
            .collect();
        for name in unknown {
            self.warn(
                &name,
                "this environment variable overrides no key of this release",
                "unset it if it was misspelt",
            );
        }
        self.problems
    }

    fn peek(&self, key: &str) -> Option<Value> {
        let key = key.to_lowercase();
        let overriding = self.environment.get(&override_name(&key)).map(|text| Value::String(text.clone()));
        overriding.or_else(|| self.leaves.get(&key).map(|leaf| leaf.value.clone()))
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let value = self.peek(key);
        let lower = key.to_lowercase();
        if value.is_none() && self.has(key) {
            self.error(key, "a single value is expected here, not a table", "write the key = value");
        }
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

fn override_name(key: &str) -> String {
    format!("{OVERRIDE}{}", key.to_uppercase().replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn settings_are_found_whatever_their_case() {
        let none = Environment::new();
        let text = "[ROUTER]\nlistenerport = 1\n[[adapter.Server.Users]]\nUserName = 'a'";
        let mut reader = Reader::new("config.toml", text, &none);
        assert_eq!(reader.number("router.listenerPort", 0..=9), Some(1));
        assert_eq!(reader.text("adapter.server.users.0.username").as_deref(), Some("a"));
        assert!(reader.problems.is_empty());
    }

    #[test]
    fn lists_of_tables_are_counted_and_read_by_index() {
        let none = Environment::new();
        let mut reader = Reader::new("c", "[[a.list]]\nname='x'\n[[a.list]]\nname='y'", &none);
        assert_eq!(reader.count("a.List"), 2);
        assert_eq!(reader.text("a.list.1.name").as_deref(), Some("y"));
    }

    #[test]
    fn the_environment_is_substituted_and_overrides() {
        let set = environment(&[("pwd", "secret"), ("CC_A_PORT", "7"), ("CC_A_TYPO", "x")]);
        let mut reader = Reader::new(
            "c",
            "[a]\nx='<$env{pwd}>'\ny='$env{missing}'\nport=5\nz='$env{never read}'\nw='$env{open'",
            &set,
        );
        assert_eq!(reader.text("a.x").as_deref(), Some("<secret>"));
        assert_eq!(reader.number("a.port", 0..=9), Some(7));
        assert_eq!(reader.text("a.y"), None);
        assert_eq!(reader.text("a.w"), None);
        let problems = reader.finish();
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.errors().count(), 2, "{text:?}");
        assert!(text[0].contains("variable missing is not set"), "{text:?}");
        assert!(text.iter().any(|line| line.contains("CC_A_TYPO")), "{text:?}");
        assert!(!text.iter().any(|line| line.contains("secret")), "{text:?}");
    }

    #[test]
    fn every_wrong_type_is_reported_with_its_key() {
        let none = Environment::new();
        let mut reader = Reader::new("c", "a=1\nb='x'\nc=70000\nd=[1,'x']\ne=-1\n[f]\ng=1", &none);
        assert_eq!(reader.text("a"), None);
        assert_eq!(reader.flag("b"), None);
        assert_eq!(reader.port("c"), None);
        assert_eq!(reader.numbers("d", 0..=9), None);
        assert_eq!(reader.number("e", 0..=9), None);
        assert_eq!(reader.text("f"), None);
        let keys: Vec<String> = reader.problems.errors().map(|problem| problem.pointer.clone()).collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f"]);
    }

    #[test]
    fn ports_can_be_switched_off() {
        let none = Environment::new();
        for (text, expected) in [
            ("p=0", Some(None)),
            ("p=''", Some(None)),
            ("p='9843'", Some(Some(9843))),
            ("p=80", Some(Some(80))),
            ("", None),
        ] {
            assert_eq!(Reader::new("c", text, &none).port("p"), expected, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_and_a_file_that_is_no_toml_are_errors() {
        let none = Environment::new();
        assert!(Reader::new("c", "[a]\nkey=1\nKey=2", &none).problems.has_errors());
        assert!(Reader::new("c", "a = = 1", &none).problems.has_errors());
    }

    proptest! {
        /// However a key is written, it is found and nothing is left unread.
        #[test]
        fn case_never_matters(upper in proptest::collection::vec(any::<bool>(), 20)) {
            let mut flip = upper.into_iter().cycle();
            let key: String = "router.listenerPort".chars()
                .map(|character| if flip.next() == Some(true) { character.to_ascii_uppercase() } else { character })
                .collect();
            let none = Environment::new();
            let mut reader = Reader::new("c", &format!("{key} = 5"), &none);
            prop_assert_eq!(reader.number("router.listenerPort", 0..=9), Some(5));
            prop_assert!(reader.finish().is_empty());
        }
    }
}
