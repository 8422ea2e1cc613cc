//! Examples of a definition that stand in for a backend (`endpointImplementationType: MOCKED_OAS`).
//!
//! References are followed inside the document and nowhere else. As a reference makes an example count as often as it is
//! referred to, all that is looked at is paid for from one purse.

use std::cell::Cell;

use serde_json::Value;
use tollgate_model::{Mock, MockContent, MockExample, MockResponse};

use super::dialect::Dialect;
use super::document::Node;
use super::names;
use crate::model::Problems;

/// Most bytes of all examples of an API; it is a table entry that every worker of a gateway reads.
const MAX_BYTES: usize = 4 << 20;
/// What it costs to look at a member, in bytes.
const MEMBER: usize = 16;
/// Longest chain of references.
const MAX_REFERENCES: usize = 16;
/// Name of an example that has none.
const UNNAMED: &str = "default";
/// Headers that frame a message, which an example cannot set.
const FRAMING: [&str; 4] = ["connection", "content-length", "content-type", "transfer-encoding"];

/// Reads the examples of a definition.
#[derive(Debug)]
pub struct Mocks<'v> {
    definition: Node<'v>,
    dialect: Dialect,
    room: Cell<usize>,
}

impl<'v> Mocks<'v> {
    /// The examples of that definition.
    #[must_use]
    pub const fn new(definition: Node<'v>, dialect: Dialect) -> Self {
        Self { definition, dialect, room: Cell::new(MAX_BYTES) }
    }

    /// What stands in for the backend of an operation. Empty when there is no example.
    pub fn of(&self, operation: &Node<'v>, problems: &mut Problems) -> Mock {
        let mut responses = Vec::new();
        let all = operation.get("responses").map(|all| self.members(&all, problems)).unwrap_or_default();
        for (code, response) in all.into_iter().filter(|(code, _)| !code.starts_with("x-")) {
            if !is_status(code) {
                response.warn(
                    problems,
                    format!("{code} is no status of an answer"),
                    "its examples are not used",
                    "write a status such as 200, a range such as 2XX, or default",
                );
                continue;
            }
            let Some(response) = self.resolved(response, problems) else { continue };
            let content = self.content(&response, problems);
            if !content.is_empty() {
                responses.push(MockResponse {
                    code: code.to_owned(),
                    headers: self.headers(&response, problems),
                    content,
                });
            }
        }
        if responses.is_empty() {
            operation.warn(
                problems,
                "the operation has no example",
                "the API is mocked, so it is answered 501",
                "add an example to one of its responses",
            );
        }
        Mock { responses }
    }

    fn content(&self, response: &Node<'v>, problems: &mut Problems) -> Vec<MockContent> {
        let list = match self.dialect {
            Dialect::OpenApi3 => response.get("content"),
            Dialect::Swagger2 => response.get("examples"),
        };
        let mut found = Vec::new();
        for (media_type, node) in list.map(|list| self.members(&list, problems)).unwrap_or_default() {
            let examples = match self.dialect {
                Dialect::OpenApi3 => self.examples(media_type, &node, problems),
                Dialect::Swagger2 => {
                    self.example(media_type, UNNAMED, &node, node.value(), problems).into_iter().collect()
                }
            };
            if examples.is_empty() {
                continue;
            }
            if !is_media_type(media_type) {
                node.error(
                    problems,
                    format!("{media_type:?} is no media type"),
                    "it becomes the content-type of the answer",
                    "write for example application/json",
                );
            }
            found.push(MockContent { content_type: media_type.to_owned(), examples });
        }
        found
    }

    fn examples(&self, media_type: &str, node: &Node<'v>, problems: &mut Problems) -> Vec<MockExample> {
        let mut found = Vec::new();
        for (name, example) in node.get("examples").map(|all| self.members(&all, problems)).unwrap_or_default() {
            let Some(example) = self.resolved(example, problems) else { continue };
            match example.value().get("value") {
                Some(value) => found.extend(self.example(media_type, name, &example, value, problems)),
                None => example.warn(
                    problems,
                    format!("the example {name} has no value"),
                    "it is not used, and what externalValue names is not fetched",
                    "add a value",
                ),
            }
        }
        if let Some(single) = node.get("example") {
            found.extend(self.example(media_type, UNNAMED, &single, single.value(), problems));
        }
        found
    }

    fn example(
        &self,
        media_type: &str,
        name: &str,
        at: &Node<'v>,
        value: &Value,
        problems: &mut Problems,
    ) -> Option<MockExample> {
        let body = match value {
            // The original puts any text in quotes. That is right for JSON, and spoils everything else.
            Value::String(text) if !is_json(media_type) => text.clone(),
            value => value.to_string(),
        };
        self.pay(name.len().saturating_add(body.len()), at, problems)
            .then(|| MockExample { name: name.to_owned(), body })
    }

    /// Headers with an example; its JSON text is their value, as in the original.
    fn headers(&self, response: &Node<'v>, problems: &mut Problems) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, header) in response.get("headers").map(|all| self.members(&all, problems)).unwrap_or_default() {
            let Some(header) = self.resolved(header, problems) else { continue };
            let Some(example) = header.get("example") else { continue };
            let value = example.value().to_string();
            if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
                let why = "it frames the answer, so the gateway sets it";
                header.warn(problems, format!("the example of the header {name} is not used"), why, "remove it");
            } else if names::header(name).is_err() || value.chars().any(char::is_control) {
                let why = "its name or its value holds a character that HTTP does not allow there";
                header.error(problems, format!("the header {name:?} cannot be sent"), why, "correct the example");
            } else if self.pay(name.len().saturating_add(value.len()), &header, problems) {
                found.push((name.to_owned(), value));
            }
        }
        found
    }

    /// Members, once they are paid for.
    fn members(&self, node: &Node<'v>, problems: &mut Problems) -> Vec<(&'v str, Node<'v>)> {
        let count = node.value().as_object().map_or(0, serde_json::Map::len);
        if self.pay(count.saturating_mul(MEMBER), node, problems) { node.members(problems) } else { Vec::new() }
    }

    /// Whether there is enough left; what is too much is reported once.
    fn pay(&self, cost: usize, at: &Node<'v>, problems: &mut Problems) -> bool {
        let room = self.room.get();
        let left = room.checked_sub(cost.max(1));
        self.room.set(left.unwrap_or(0));
        if left.is_none() && room > 0 {
            at.error(
                problems,
                "the examples of the API are too large",
                "together they may have 4 MiB, and an example counts wherever it is referred to",
                "shorten them",
            );
        }
        left.is_some()
    }

    fn resolved(&self, node: Node<'v>, problems: &mut Problems) -> Option<Node<'v>> {
        let mut node = node;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = node.get("$ref") else { return Some(node) };
            let text = reference.text(problems)?;
            let Some(target) = self.definition.referred(text) else {
                reference.error(
                    problems,
                    format!("{text:?} refers to nothing in this document"),
                    "other documents are never read",
                    "refer to a part of this one, as in #/components/examples/<name>",
                );
                return None;
            };
            node = target;
        }
        node.error(problems, "the references lead nowhere", "they go in circles or are too many", "shorten the chain");
        None
    }
}

/// `200`, `20X`, `2XX` or `default`, of a kind that may answer a request.
fn is_status(code: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit();
    let any = |byte: u8| byte.eq_ignore_ascii_case(&b'x');
    match code.as_bytes() {
        b"default" => true,
        [b'2'..=b'5', second, third] => {
            (digit(*second) && (digit(*third) || any(*third))) || (any(*second) && any(*third))
        }
        _ => false,
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or(media_type).trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.len() <= 255 && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
#[path = "mock_tests.rs"]
mod tests;
