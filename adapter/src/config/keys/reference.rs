//! The reference of keys in docs/configuration.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Absent, Key, Schema, Section, Status};
use crate::config::reader::Kind;

/// The reference, with what kinds of values the code reads.
pub(super) fn reference(schema: &Schema, kinds: &BTreeMap<String, Kind>) -> String {
    let mut text = String::new();
    for section in schema.sections {
        let heading = if section.name.contains('.') { section.name.to_owned() } else { format!("[{}]", section.name) };
        let _ = writeln!(text, "## `{heading}`\n\n{}\n", section.about);
        text.push_str(&read_keys(section, kinds));
        text.push_str(&other_keys(section));
    }
    if !schema.aliases.is_empty() {
        text.push_str("## Older names\n\nThey are read, and warned of.\n\n| older name | name |\n|---|---|\n");
        for alias in schema.aliases {
            let _ = writeln!(text, "| `{}` | `{}` |", alias.old, alias.new);
        }
        text.push('\n');
    }
    text
}

fn read_keys(section: &Section, kinds: &BTreeMap<String, Kind>) -> String {
    let mut text = String::new();
    for key in section.keys.iter().filter(|key| key.status == Status::Read) {
        let default = match key.absent {
            Absent::Value(value) => format!("`{value}`"),
            Absent::Otherwise(what) => what.to_owned(),
        };
        let kind = kinds.get(&key.path.to_lowercase()).map(kind).unwrap_or_default();
        let added = if key.added { " *(added)*" } else { "" };
        let _ = writeln!(text, "| {} | {kind} | {default} | {}{added} |", name(key, section), key.meaning);
    }
    if text.is_empty() {
        return text;
    }
    format!("| key | type | default | meaning |\n|---|---|---|---|\n{text}\n")
}

/// What is not read, in one table.
fn other_keys(section: &Section) -> String {
    let mut rows = String::new();
    for key in section.keys {
        let row = match (key.status, key.absent) {
            (Status::Off(instead), _) => format!("refused when on: {} is not supported; {instead}", key.meaning),
            (Status::Fixed(instead), Absent::Value(usual)) => {
                format!("refused unless `{usual}`: {}; {instead}", key.meaning)
            }
            (Status::Idle, _) => format!("no effect: {}", key.meaning),
            (Status::Behind(switch), _) => format!("not read, because `{switch}` cannot be on"),
            (Status::Read | Status::Fixed(_), _) => continue,
        };
        let _ = writeln!(rows, "| {} | {row} |", name(key, section));
    }
    if rows.is_empty() {
        return rows;
    }
    format!("| key of Choreo Connect | what becomes of it |\n|---|---|\n{rows}\n")
}

/// The name within its section.
fn name(key: &Key, section: &Section) -> String {
    let rest = key.path.strip_prefix(section.name).and_then(|rest| rest.strip_prefix('.')).unwrap_or(key.path);
    format!("`{rest}`")
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Texts => "texts".to_owned(),
        Kind::Flag => "boolean".to_owned(),
        Kind::Number(range) => format!("{} to {}", range.start(), range.end()),
        Kind::Numbers(range) => format!("list of {} to {}", range.start(), range.end()),
    }
}
