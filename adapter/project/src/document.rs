//! YAML and JSON documents, and a cursor that reads them and reports every mistake with its JSON pointer.
//!
//! Parsing is bounded (size, depth, aliases), and a key that appears twice is an error, since one of the two would be
//! ignored. Must never guess: a value of the wrong type is a problem, not a default.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::strict_json;
use crate::model::Problems;

/// Parses a file. `None` after a problem was reported.
pub fn parse(file: &str, bytes: &[u8], problems: &mut Problems) -> Option<Value> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            problems.error(
                (file, ""),
                format!("the file is not UTF-8 ({error})"),
                "it cannot be read",
                "save it as UTF-8",
            );
            return None;
        }
    };
    let parsed = if file.ends_with(".json") {
        strict_json::parse(text).map_err(|error| error.to_string())
    } else {
        parse_yaml(text)
    };
    match parsed {
        Ok(value) => Some(value),
        Err(error) => {
            problems.error((file, ""), format!("the file cannot be parsed: {error}"), "", "correct it at that place");
            None
        }
    }
}

fn parse_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_documents: 1,
            max_nodes: 1_000_000,
            max_events: 3_000_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_merge_keys: 1_000,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// A value of a document together with where it is.
#[derive(Debug, Clone)]
pub struct Node<'v> {
    file: &'v str,
    pointer: String,
    value: &'v Value,
}

impl<'v> Node<'v> {
    /// The whole document.
    #[must_use]
    pub const fn root(file: &'v str, value: &'v Value) -> Self {
        Self { file, pointer: String::new(), value }
    }

    /// The value itself.
    #[must_use]
    pub const fn value(&self) -> &'v Value {
        self.value
    }

    /// Where it is: file and JSON pointer.
    #[must_use]
    pub fn at(&self) -> (&str, &str) {
        (self.file, &self.pointer)
    }

    /// The member of that name; `None` when it is absent or null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.as_object()?.get(key).filter(|value| !value.is_null())?;
        Some(self.child(key, value))
    }

    /// What a JSON pointer (RFC 6901) below this leads to.
    #[must_use]
    pub fn descendant(&self, pointer: &str) -> Option<Self> {
        let value = self.value.pointer(pointer)?;
        Some(Self { file: self.file, pointer: format!("{}{pointer}", self.pointer), value })
    }

    /// What a reference such as `#/components/pathItems/pet` leads to. This must be the whole document.
    #[must_use]
    pub fn referred(&self, reference: &str) -> Option<Self> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        self.descendant(&pointer)
    }

    /// Members of an object. Anything else is a problem.
    pub fn members(&self, problems: &mut Problems) -> Vec<(&'v str, Self)> {
        let Some(members) = self.object(problems) else { return Vec::new() };
        members.iter().map(|(key, value)| (key.as_str(), self.child(key, value))).collect()
    }

    /// Items of a list. Anything else is a problem.
    pub fn items(&self, problems: &mut Problems) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type("a list", problems);
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)).collect()
    }

    /// An object. Anything else is a problem.
    pub fn object(&self, problems: &mut Problems) -> Option<&'v Map<String, Value>> {
        let object = self.value.as_object();
        if object.is_none() {
            self.wrong_type("an object", problems);
        }
        object
    }

    /// A text. Anything else is a problem; a number above all, because `1.10` would be read as `1.1`.
    pub fn text(&self, problems: &mut Problems) -> Option<&'v str> {
        let text = self.value.as_str();
        if text.is_none() {
            let fix = if self.value.is_number() { "write it in quotes" } else { "write a text" };
            self.error(
                problems,
                "a text is expected here",
                "any other type would be read differently from how it looks",
                fix,
            );
        }
        text
    }

    /// A list of texts.
    pub fn texts(&self, problems: &mut Problems) -> Vec<&'v str> {
        self.items(problems).iter().filter_map(|item| item.text(problems)).collect()
    }

    /// A boolean. Anything else, the text `"true"` too, is a problem.
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.wrong_type("true or false", problems);
        }
        boolean
    }

    /// A whole number, as such or as a text of digits. Anything else is a problem.
    pub fn number(&self, problems: &mut Problems) -> Option<u64> {
        let number = self.value.as_u64().or_else(|| self.value.as_str()?.trim().parse().ok());
        if number.is_none() {
            self.wrong_type("a whole number that is not negative", problems);
        }
        number
    }

    /// Reports an error here.
    pub fn error(&self, problems: &mut Problems, what: impl Into<String>, why: &str, fix: &str) {
        problems.error(self.at(), what, why, fix);
    }

    /// Reports a warning here.
    pub fn warn(&self, problems: &mut Problems, what: impl Into<String>, why: &str, fix: &str) {
        problems.warn(self.at(), what, why, fix);
    }

    fn wrong_type(&self, expected: &str, problems: &mut Problems) {
        self.error(
            problems,
            format!("{expected} is expected here"),
            "a value of another type has no meaning",
            "correct the value",
        );
    }

    fn child(&self, key: &str, value: &'v Value) -> Self {
        let mut pointer = String::with_capacity(self.pointer.len().saturating_add(key.len()).saturating_add(1));
        pointer.push_str(&self.pointer);
        pointer.push('/');
        // Files may have millions of values, and hardly any of their names needs escaping.
        if key.contains(['~', '/']) {
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        } else {
            pointer.push_str(key);
        }
        Self { file: self.file, pointer, value }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn yaml(text: &str) -> Result<Value, String> {
        let mut problems = Problems::new();
        parse("x.yaml", text.as_bytes(), &mut problems)
            .ok_or_else(|| problems.iter().map(ToString::to_string).collect::<String>())
    }

    #[test]
    fn yaml_and_json_are_read() {
        assert_eq!(
            yaml("a: 1\nb: [x, 'y']\n200: ok\nc: yes\nd: true").unwrap(),
            json!({"a":1,"b":["x","y"],"200":"ok","c":"yes","d":true})
        );
        let mut problems = Problems::new();
        assert_eq!(parse("x.json", b"{\"a\":1}", &mut problems), Some(json!({"a":1})));
        assert!(problems.is_empty());
    }

    #[test]
    fn merge_keys_and_anchors_work() {
        assert_eq!(
            yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}").unwrap(),
            json!({"a":{"k":1},"b":{"k":1},"c":{"k":1,"l":2}})
        );
    }

    #[test]
    fn what_is_hostile_or_ambiguous_is_refused() {
        assert!(yaml("a: 1\na: 2").is_err(), "duplicate key");
        assert!(yaml("a: 1\n---\nb: 2").is_err(), "second document");
        assert!(yaml(&"[".repeat(10_000)).is_err(), "depth");
        assert!(yaml(&(0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()).is_err(), "depth");
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![previous; 10].join(",")));
        }
        assert!(yaml(&bomb).is_err(), "alias bomb");
        let mut problems = Problems::new();
        assert!(parse("x.json", "[".repeat(10_000).as_bytes(), &mut problems).is_none());
        assert!(parse("x.json", b"{\"a\":1,\"a\":2}", &mut problems).is_none());
        assert!(parse("x.yaml", b"\xff\xfe", &mut problems).is_none());
    }

    #[test]
    fn every_mistake_is_reported_where_it_is() {
        let value = json!({"a/b": {"c": 1.1}, "d": "true", "e": [1]});
        let mut problems = Problems::new();
        let root = Node::root("x.yaml", &value);
        assert_eq!(root.get("a/b").unwrap().get("c").unwrap().text(&mut problems), None);
        assert_eq!(root.get("d").unwrap().boolean(&mut problems), None);
        assert!(root.get("e").unwrap().texts(&mut problems).is_empty());
        assert!(root.get("d").unwrap().items(&mut problems).is_empty());
        let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a~1b/c", "/d", "/e/0", "/d"]);
    }
}
