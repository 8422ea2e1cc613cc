//! GraphQL: what a request's body asks for, and what that weighs.
//!
//! [`request`] takes the query out of the body, [`syntax`] parses it, [`analysis`] checks it against the [`schema`], weighs
//! it and finds the fields of the root type it asks for; `stages/ask.rs` decides about those. Backends read the same body again,
//! so whatever two servers might read in two ways is refused: members given twice, two queries, unknown members, other
//! encodings. Must never answer a query itself.

mod analysis;
mod limits;
mod request;
mod schema;
mod syntax;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt;

pub(crate) use analysis::{Analysis, analyse};
pub(crate) use limits::check_limits;
pub(crate) use request::{Form, MAX_BODY, check_headers, check_url, read};
pub use schema::CompiledGraphQl;

/// Most bytes of a name that are repeated to the client.
const MAX_ECHO: usize = 80;

/// Why a body holds no query that could be decided about, in the words the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidQuery(String);

impl InvalidQuery {
    /// The request is not made as it should be.
    fn request(what: &str) -> Self {
        Self(what.to_owned())
    }

    /// The query is not in the language.
    fn syntax(what: &str) -> Self {
        Self(format!("Invalid syntax. {what}"))
    }

    /// The query does not fit the schema.
    fn payload(what: &str) -> Self {
        Self(format!("Payload is invalid. {what}"))
    }
}

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of the client's, short enough to be repeated.
fn echo(name: &str) -> &str {
    let mut end = name.len().min(MAX_ECHO);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default()
}
