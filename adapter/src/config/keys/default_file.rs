//! The default config.toml: every key that is read, with its meaning and its default. What has no default is commented out.

use std::fmt::Write as _;

use super::{Absent, Key, Schema, Status};

/// Widest line of a comment.
const WIDTH: usize = 120;

/// The keys of one table of the file.
struct Table {
    path: String,
    keys: Vec<&'static Key>,
}

/// The file. Reading it is the same as reading none.
#[must_use]
pub fn default_file(schema: &Schema) -> String {
    let mut text = String::new();
    for section in schema.sections {
        comment(&mut text, section.about);
        for table in tables(section.keys) {
            write_table(&mut text, &table);
        }
    }
    text
}

fn tables(keys: &'static [Key]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for key in keys {
        let written = match key.status {
            Status::Read | Status::Fixed(_) => true,
            Status::Off(_) => matches!(key.absent, Absent::Value(_)),
            Status::Idle | Status::Behind(_) => false,
        };
        if !written {
            continue;
        }
        let path = key.path.rsplit_once('.').map_or("", |(path, _)| path);
        match tables.iter_mut().find(|table| table.path == path) {
            Some(table) => table.keys.push(key),
            None => tables.push(Table { path: path.to_owned(), keys: vec![key] }),
        }
    }
    tables
}

fn write_table(text: &mut String, table: &Table) {
    let header = match table.path.strip_suffix("[]") {
        Some(list) => format!("[[{}]]", list.replace("[]", "")),
        None => format!("[{}]", table.path),
    };
    // An element of a list that is not there by default would be one without its required keys.
    let idle = table.path.contains("[]") && table.keys.iter().any(|key| matches!(key.absent, Absent::Otherwise(_)));
    let mark = if idle { "# " } else { "" };
    // Writing to a string cannot fail.
    if !table.path.is_empty() {
        let _ = writeln!(text, "{mark}{header}");
    }
    for key in &table.keys {
        let name = key.path.rsplit('.').next().unwrap_or_default();
        comment(text, &described(key));
        let _ = match key.absent {
            Absent::Value(value) => writeln!(text, "{mark}{name} = {value}"),
            Absent::Otherwise(what) => writeln!(text, "# {name} =    # when absent: {}", what.replace('`', "")),
        };
    }
    text.push('\n');
}

fn described(key: &Key) -> String {
    let meaning = key.meaning.replace('`', "");
    match key.status {
        Status::Off(instead) => {
            format!("{meaning}: not supported by this release, so it must be false; instead: {instead}")
        }
        Status::Fixed(_) => format!("{meaning}; it cannot be changed"),
        Status::Read | Status::Idle | Status::Behind(_) => meaning,
    }
}

/// A comment, broken into lines.
fn comment(text: &mut String, words: &str) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.len().saturating_add(word.len()) >= WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = "#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
