//! The part of Go's `text/template` that definitions of API policies are written in.
//!
//! Supported: text, comments, trim markers, fields (`.x.y`), variables, `if`, `else if`, `else`, `with`, `range`, pipelines,
//! parentheses, and the [functions](functions). Not supported, and refused: `define`, `template`, `block`, `break`,
//! `continue`, methods, and complex numbers. Unlike Go, printing a value that is not there is an error instead of
//! `<no value>`.
//!
//! Templates come from outside: source, nesting, steps and output are bounded, and no input makes this crate panic. Must never
//! do I/O.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod functions;
mod lex;
mod parse;
mod render;
mod text;

use serde_json::Value;

/// Most bytes of a template.
pub const MAX_SOURCE: usize = 256 * 1024;
/// Deepest nesting of blocks and parentheses.
pub const MAX_DEPTH: usize = 32;
/// Most steps of a rendering: nodes visited and operands evaluated.
pub const MAX_STEPS: usize = 100_000;
/// Most bytes of text that functions work on during a rendering.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of a rendering.
pub const MAX_OUTPUT: usize = 1024 * 1024;

/// A template that can be rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    nodes: Vec<parse::Node>,
}

/// A place in a template. Both count from one; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Why a template cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {what}", at.line, at.column)]
pub struct TemplateError {
    /// Where.
    pub at: Position,
    /// What. Holds no values of the data, which may be secret.
    pub what: String,
    /// Name of the value that is not there, if that is what is wrong.
    pub missing: Option<String>,
}

impl TemplateError {
    fn new(at: Position, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), missing: None }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is too large, or not a template of the supported kind.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE {
            let what = format!("the template has more than {MAX_SOURCE} bytes");
            return Err(TemplateError::new(Position { line: 1, column: 1 }, what));
        }
        Ok(Self { nodes: parse::parse(&lex::lex(source)?)? })
    }

    /// Renders it with `data` as the dot.
    ///
    /// # Errors
    /// When a value is missing or of the wrong type, or the rendering takes too many steps or bytes.
    pub fn render(&self, data: &Value) -> Result<String, TemplateError> {
        render::render(&self.nodes, data)
    }
}

#[cfg(test)]
mod tests;
