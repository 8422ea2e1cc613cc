//! The text of a configuration file as flat settings: key in lower case, value, and line. Must know nothing of what keys mean.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Value;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, map::Map};

use crate::model::Problems;

/// Deepest nesting of tables that is followed.
const MAX_DEPTH: usize = 16;
/// Most settings of a file.
const MAX_LEAVES: usize = 100_000;

/// One setting of the file.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// The key as it is written.
    pub shown: String,
    /// The value as it is written.
    pub value: Value,
    /// Where, counted from 1.
    pub line: usize,
}

/// All settings of a file, by their keys in lower case.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// Takes a file apart. Every mistake of its syntax is reported; what is sound around them is read all the same.
pub(super) fn read(file: &str, text: &str, problems: &mut Problems) -> Leaves {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| lines.number(&span));
        let what = format!("the file is not valid TOML: {}", error.message());
        problems.error_at(file, line, "", what, "correct it at that place");
    }
    let mut flat = Flattening { file, lines, leaves: Leaves::new(), problems };
    flat.table(&Name::default(), table.get_ref(), 0);
    flat.leaves
}

/// A key, as it is compared and as it is shown.
#[derive(Debug, Default)]
struct Name {
    key: String,
    shown: String,
}

impl Name {
    fn child(&self, name: &str) -> Self {
        if self.key.is_empty() {
            return Self { key: name.to_lowercase(), shown: name.to_owned() };
        }
        Self { key: format!("{}.{}", self.key, name.to_lowercase()), shown: format!("{}.{name}", self.shown) }
    }
}

struct Flattening<'r> {
    file: &'r str,
    lines: Lines,
    leaves: Leaves,
    problems: &'r mut Problems,
}

impl Flattening<'_> {
    fn table(&mut self, name: &Name, table: &DeTable<'_>, depth: usize) {
        for (key, value) in table {
            let line = self.lines.number(&key.span());
            self.value(&name.child(key.get_ref()), value, line, depth.saturating_add(1));
        }
    }

    fn value(&mut self, name: &Name, value: &Spanned<DeValue<'_>>, line: usize, depth: usize) {
        match value.get_ref() {
            DeValue::Table(table) if depth < MAX_DEPTH => self.table(name, table, depth),
            DeValue::Array(items)
                if depth < MAX_DEPTH && !items.is_empty() && items.iter().all(|item| item.get_ref().is_table()) =>
            {
                for (index, item) in items.iter().enumerate() {
                    self.value(&name.child(&index.to_string()), item, line, depth.saturating_add(1));
                }
            }
            value => self.leaf(name, plain(value, 0), line),
        }
    }

    fn leaf(&mut self, name: &Name, value: Option<Value>, line: usize) {
        let Some(value) = value.filter(|_| self.leaves.len() < MAX_LEAVES) else {
            let what = "the value is too large, or the file has too many";
            return self.problems.error_at(self.file, Some(line), &name.shown, what, "make it smaller");
        };
        let leaf = Leaf { shown: name.shown.clone(), value, line };
        if let Some(other) = self.leaves.insert(name.key.clone(), leaf) {
            let what = format!("the key is there twice, also as {} in line {}", other.shown, other.line);
            self.problems.error_at(self.file, Some(line), &name.shown, what, "remove one of the two");
        }
    }
}

/// The value without its places; none if it does not fit.
fn plain(value: &DeValue<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let deeper = depth.saturating_add(1);
    Some(match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(moment) => Value::Datetime(*moment),
        DeValue::Array(items) => {
            let items: Option<Vec<Value>> = items.iter().map(|item| plain(item.get_ref(), deeper)).collect();
            Value::Array(items?)
        }
        DeValue::Table(table) => {
            let members: Option<Map<String, Value>> = table
                .iter()
                .map(|(key, item)| Some((key.get_ref().clone().into_owned(), plain(item.get_ref(), deeper)?)))
                .collect();
            Value::Table(members?)
        }
    })
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(position, _)| position).collect())
    }

    /// The line in which a span begins, counted from 1.
    fn number(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|end| *end < span.start).saturating_add(1)
    }
}
