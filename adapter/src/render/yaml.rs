//! Objects as the documents of one YAML stream, with comments in front of each.

use serde_json::Value;

use super::{Document, RenderError};

/// Columns of a comment.
const WIDTH: usize = 120;

/// All documents.
pub(super) fn write(documents: &[Document]) -> Result<String, RenderError> {
    let mut text = String::new();
    for document in documents {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&comment(document.comment));
        text.push_str(&object(&document.object)?);
    }
    Ok(text)
}

/// One object.
pub(super) fn object(value: &Value) -> Result<String, RenderError> {
    // Folded texts would be hard to compare and to edit.
    let options =
        serde_saphyr::ser_options! { prefer_block_scalars: true, folded_wrap_chars: 4096, min_fold_chars: 4096 };
    let text = serde_saphyr::to_string_with_options(value, options)?;
    // Blank lines of a text in a block are blank, not indented.
    Ok(text.lines().flat_map(|line| [if line.trim().is_empty() { "" } else { line }, "\n"]).collect())
}

/// The lines of a comment.
pub(super) fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len().saturating_add(word.len()) >= WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let values = [
            json!({"a": "1", "b": "true", "c": "", "d": "x: y", "e": "# no comment", "f": ["-", "*", "null"], "g": {}}),
            json!({"text": "line one\nline two: {\n\n  indented # not a comment\n", "wide": "word ".repeat(200)}),
            json!([{"outbound": "outbound|8081||host"}, {"ends": "colon:"}, {"n": 5, "yes": true, "none": null}]),
        ];
        for value in values {
            let text = object(&value).unwrap();
            assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn documents_are_separated_and_commented() {
        let documents = [Document::new("First.", json!({"a": 1})), Document::new("", json!({"b": 2}))];
        assert_eq!(write(&documents).unwrap(), "# First.\na: 1\n---\nb: 2\n");
        let long = comment(&"word ".repeat(60));
        assert!(long.lines().count() > 1 && long.lines().all(|line| line.len() <= WIDTH && line.starts_with("# word")));
    }
}
