//! From a request to the text of its query, its operation's name and its variables.
//!
//! A body that a backend might read otherwise is refused: one that is encoded, one that is not JSON or raw GraphQL, one
//! with a member twice or with members of other protocols (stored queries), one that comes with a query in the URL.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::InvalidQuery;
use super::syntax::Value;
use crate::{Header, HeaderMap, query};

/// Most bytes of a body.
pub(crate) const MAX_BODY: usize = 1024 * 1024;
/// Most bytes of a query.
const MAX_QUERY: usize = 256 * 1024;
/// Most variables.
const MAX_VARIABLES: usize = 1_000;

/// Parameters by which servers take a query, or a part of one, from the URL, in preference to the body.
const IN_URL: [&str; 7] = ["query", "operationname", "variables", "extensions", "id", "documentid", "queryid"];

const CONTENT_TYPE: &str =
    "Invalid content type. Make sure the content type is application/json or application/graphql";

const STRUCTURE: &str = "Invalid GraphQL query body structure";

/// How the body holds the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"query": "...", "operationName": "...", "variables": {...}}`
    Json,
    /// The query itself.
    Raw,
}

/// What was posted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(super) query: String,
    pub(super) operation_name: Option<String>,
    pub(super) variables: HashMap<String, Value>,
}

/// The form that the headers announce.
pub(crate) fn check_headers(request: &HeaderMap) -> Result<Form, InvalidQuery> {
    let encoding = request.get("content-encoding");
    match encoding {
        Header::Absent => {}
        Header::One(value) if value.eq_ignore_ascii_case(b"identity") => {}
        _ => return Err(InvalidQuery::request("The body must not be encoded. Send it without a content-encoding")),
    }
    match request.get("content-type") {
        Header::Absent => Ok(Form::Json),
        Header::One(value) => form(value).ok_or_else(|| InvalidQuery::request(CONTENT_TYPE)),
        Header::Many => Err(InvalidQuery::request(CONTENT_TYPE)),
    }
}

/// The form of a media type. Its parameters may only say what is so anyway.
fn form(content_type: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(content_type).ok()?;
    let mut parts = text.split(';').map(str::trim);
    let form = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/json" => Form::Json,
        "application/graphql" => Form::Raw,
        _ => return None,
    };
    let charset_is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    parts.all(charset_is_utf8).then_some(form)
}

/// Refuses a URL with a query of its own. `url` is what begins with the question mark, or nothing.
pub(crate) fn check_url(url: &[u8]) -> Result<(), InvalidQuery> {
    let url = url.strip_prefix(b"?").unwrap_or(url);
    for parameter in url.split(|byte| matches!(byte, b'&' | b';')) {
        let name = parameter.split(|byte| matches!(byte, b'=' | b'[')).next().unwrap_or_default();
        let name = query::form_decoded(name).to_ascii_lowercase();
        let name = name.split(|byte| *byte == b'[').next().unwrap_or_default();
        if IN_URL.iter().any(|reserved| reserved.as_bytes() == name.trim_ascii()) {
            return Err(InvalidQuery::request("The URL must not hold a query or a part of one. Send it in the body"));
        }
    }
    Ok(())
}

/// Reads a body.
pub(crate) fn read(form: Form, body: &[u8]) -> Result<Posted, InvalidQuery> {
    let posted = match form {
        Form::Raw => match std::str::from_utf8(body) {
            Ok(query) => Posted { query: query.to_owned(), ..Posted::default() },
            Err(_) => return Err(InvalidQuery::request("The query is not UTF-8")),
        },
        Form::Json => {
            // Serde would take a list for the members in their order.
            if body.trim_ascii_start().first() != Some(&b'{') {
                return Err(InvalidQuery::request(STRUCTURE));
            }
            let message = |error: serde_json::Error| {
                let what = format!("{STRUCTURE}. {error}");
                InvalidQuery::request(&what.chars().take(300).collect::<String>())
            };
            let body: Body = serde_json::from_slice(body).map_err(message)?;
            Posted {
                query: body.query.map(Cow::into_owned).unwrap_or_default(),
                // graphql-java, too, takes an empty name for none.
                operation_name: body.operation_name.map(Cow::into_owned).filter(|name| !name.is_empty()),
                variables: body.variables.map(|variables| variables.0).unwrap_or_default(),
            }
        }
    };
    match posted.query.len() {
        _ if posted.query.trim().is_empty() => Err(InvalidQuery::request("Query cannot be empty")),
        0..=MAX_QUERY => Ok(posted),
        _ => Err(InvalidQuery::request(&format!("The query has more than {MAX_QUERY} bytes"))),
    }
}

/// <https://graphql.github.io/graphql-over-http/draft/#sec-Request-Parameters>. A member given twice is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", expecting = "an object with the member query")]
struct Body<'b> {
    #[serde(borrow, default)]
    query: Option<Cow<'b, str>>,
    #[serde(borrow, default)]
    operation_name: Option<Cow<'b, str>>,
    #[serde(default)]
    variables: Option<Variables>,
    /// Read by nobody here; said so because clients send it.
    #[serde(default, rename = "extensions")]
    _extensions: Option<IgnoredAny>,
}

/// Of the variables, what the weight of a query depends on, so that a large tree takes no memory.
struct Variables(HashMap<String, Value>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Variables;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of variables")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Variables, A::Error> {
                let mut found = HashMap::new();
                while let Some((name, Scalar(value))) = members.next_entry::<String, Scalar>()? {
                    if found.insert(name, value).is_some() || found.len() > MAX_VARIABLES {
                        return Err(A::Error::custom("a variable is there twice, or there are too many"));
                    }
                }
                Ok(Variables(found))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A value of a variable.
struct Scalar(Value);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar(Value::Other))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(Value::Number(u64::try_from(number).unwrap_or(0))))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(Value::Number(number)))
            }

            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The cast saturates.
            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                // Servers take 10.0 for an integer.
                Ok(Scalar(Value::Number(number.ceil() as u64)))
            }

            fn visit_str<E>(self, _: &str) -> Result<Scalar, E> {
                Ok(Scalar(Value::Other))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(Value::Other))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scalar, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(Value::Other))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
