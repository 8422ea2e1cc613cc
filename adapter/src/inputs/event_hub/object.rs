//! JSON objects of API Manager: tolerant of what is not known, of how names are written and of how numbers are, strict about what
//! is needed. Names have no case here: the original reads them so, and API Manager does not always write them alike.

use serde_json::{Map, Value};

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Something else than an object, or than a list of such.
    #[error("{0} is expected")]
    Expected(&'static str),
    /// A member is missing or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member means nothing.
    #[error("{0} cannot be understood")]
    Unclear(&'static str),
}

/// An object.
#[derive(Debug, Clone, Copy)]
pub struct Object<'v>(&'v Map<String, Value>);

impl<'v> Object<'v> {
    /// The object that a value is.
    ///
    /// # Errors
    /// When it is none.
    pub fn of(value: &'v Value) -> Result<Self, ShapeError> {
        value.as_object().map(Self).ok_or(ShapeError::Expected("an object"))
    }

    /// A member that is not null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'v Value> {
        let exact = self.0.get(name);
        let any = || self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        exact.or_else(any).filter(|value| !value.is_null())
    }

    /// A text that is not empty. Numbers are taken for texts where API Manager may write either.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let text = match self.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn needed(&self, name: &'static str) -> Result<String, ShapeError> {
        let text = self.text(name).ok_or(ShapeError::Missing(name))?;
        // It becomes a part of keys, in which parts are kept apart by such a character.
        if text.contains('\0') { Err(ShapeError::Unclear(name)) } else { Ok(text) }
    }

    /// A whole number, in whatever form.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        whole(self.get(name)?)
    }

    /// A truth, also as a text.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// An object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.get(name)?.as_object().map(Self)
    }

    /// The elements of a list; none when it is absent.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
        self.get(name).and_then(Value::as_array).into_iter().flatten()
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
        self.0.iter()
    }

    /// Tenant; API Manager's lists misspell it.
    #[must_use]
    pub fn tenant(&self) -> Option<String> {
        self.text("tenantDomain").or_else(|| self.text("tenanDomain"))
    }

    /// Milliseconds since 1970; 0 when it does not say.
    #[must_use]
    pub fn stamp(&self) -> i64 {
        self.number("timeStamp").unwrap_or(0)
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| from_float(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| from_float(text.trim().parse().ok()?)),
        _ => None,
    }
}

/// Beyond 2^53 a floating point number does not say which whole number it stands for.
fn from_float(float: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "it is within the bounds")]
    (float.is_finite() && float.abs() <= EXACT).then_some(float as i64)
}

/// The elements of an answer: of its `list`, or of itself where it is a list.
///
/// # Errors
/// When there is neither.
pub fn elements(answer: &Value) -> Result<&Vec<Value>, ShapeError> {
    let list = match answer {
        Value::Array(list) => Some(list),
        other => Object::of(other).ok().and_then(|object| object.get("list")?.as_array()),
    };
    list.ok_or(ShapeError::Expected("a list"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_found_in_any_spelling() {
        let value = json!({
            "TimeStamp": 1.7e12, "b": "12", "c": "1.5E3", "d": 1e300, "e": "x", "f": null, "G": "TRUE", "h": " ",
            "tenanDomain": "t.com", "n": 7, "z": "a\0b",
        });
        let object = Object::of(&value).unwrap();
        assert_eq!(object.stamp(), 1_700_000_000_000);
        let numbers = ["b", "c", "d", "e", "f", "absent"].map(|name| object.number(name));
        assert_eq!(numbers, [Some(12), Some(1500), None, None, None, None]);
        assert_eq!((object.flag("g"), object.flag("b"), object.tenant().as_deref()), (Some(true), None, Some("t.com")));
        assert_eq!((object.needed("N"), object.needed("h")), (Ok("7".to_owned()), Err(ShapeError::Missing("h"))));
        assert_eq!(object.needed("z"), Err(ShapeError::Unclear("z")));
        assert_eq!(Object::of(&json!([])).err(), Some(ShapeError::Expected("an object")));
    }

    #[test]
    fn lists_are_found_or_the_answer_is_wrong() {
        for (answer, expected) in [
            (json!({"list": [1], "count": 1}), Some(1)),
            (json!([1, 2]), Some(2)),
            (json!({"list": null}), None),
            (json!({}), None),
            (json!("list"), None),
        ] {
            assert_eq!(elements(&answer).ok().map(Vec::len), expected, "{answer}");
        }
    }
}
