//! The functions that a template can call: `and or not eq ne lt le gt ge len index isParamExists print println printf html
//! urlquery`.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use crate::render::Val;
use crate::text::{formatted, html, printed, query};
use crate::{Position, TemplateError};

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Length,
    Index,
    /// `isParamExists map "name"`, which Choreo Connect adds to Go's own.
    ParameterExists,
    Print,
    PrintLine,
    Format,
    Html,
    Query,
}

impl Function {
    /// The function of that name.
    pub(crate) fn named(name: &str, at: Position) -> Result<Self, TemplateError> {
        Ok(match name {
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            "len" => Self::Length,
            "index" => Self::Index,
            "isParamExists" => Self::ParameterExists,
            "print" => Self::Print,
            "println" => Self::PrintLine,
            "printf" => Self::Format,
            "html" => Self::Html,
            "urlquery" => Self::Query,
            _ => return Err(TemplateError::new(at, format!("there is no function {name} in definitions of policies"))),
        })
    }

    /// Whether this argument decides already.
    pub(crate) fn stops_at(self, value: &Value) -> bool {
        match self {
            Self::And => !truth(value),
            Self::Or => truth(value),
            _ => false,
        }
    }
}

/// Go's idea of a true value: neither false, nor zero, nor empty.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_none_or(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// Calls a function.
pub(crate) fn call<'r>(function: Function, arguments: &[Val<'r>]) -> Result<Val<'r>, String> {
    match function {
        // Whatever decides earlier has stopped the evaluation, so the last one is the value.
        Function::And | Function::Or => {
            arguments.last().cloned().ok_or_else(|| "this function needs an argument".to_owned())
        }
        Function::Index => index(arguments),
        _ => value_of(function, &arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map(Cow::Owned),
    }
}

fn value_of(function: Function, arguments: &[&Value]) -> Result<Value, String> {
    let text = match (function, arguments) {
        (Function::Not, [value]) => return Ok(Value::Bool(!truth(value))),
        (Function::Equal, [first, others @ ..]) if !others.is_empty() => {
            // Every one is compared, so that a wrong type is found wherever it stands.
            let equal = others.iter().map(|other| equal(first, other)).collect::<Result<Vec<bool>, String>>()?;
            return Ok(Value::Bool(equal.contains(&true)));
        }
        (Function::NotEqual, [a, b]) => return equal(a, b).map(|equal| Value::Bool(!equal)),
        (Function::Less, [a, b]) => return compare(a, b).map(|order| Value::Bool(order.is_lt())),
        (Function::LessOrEqual, [a, b]) => return compare(a, b).map(|order| Value::Bool(order.is_le())),
        (Function::Greater, [a, b]) => return compare(a, b).map(|order| Value::Bool(order.is_gt())),
        (Function::GreaterOrEqual, [a, b]) => return compare(a, b).map(|order| Value::Bool(order.is_ge())),
        (Function::Length, [value]) => return length(value),
        (Function::ParameterExists, [Value::Object(map), Value::String(name)]) => {
            return Ok(Value::Bool(map.contains_key(name)));
        }
        (Function::ParameterExists, _) => return Err("isParamExists takes a map and a name".to_owned()),
        (Function::Format, [Value::String(format), values @ ..]) => formatted(format, values)?,
        (Function::Print, values) => joined(values)?,
        (Function::PrintLine, values) => format!("{}\n", texts(values)?.join(" ")),
        (Function::Html, values) => html(&joined(values)?),
        (Function::Query, values) => query(&joined(values)?),
        _ => return Err("this function takes other arguments".to_owned()),
    };
    Ok(Value::String(text))
}

fn texts(values: &[&Value]) -> Result<Vec<String>, String> {
    values.iter().map(|value| printed(value)).collect()
}

/// As Go's `Sprint`: a space between two values neither of which is a text.
fn joined(values: &[&Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut after_text = true;
    for value in values {
        if !after_text && !value.is_string() {
            out.push(' ');
        }
        out.push_str(&printed(value)?);
        after_text = value.is_string();
    }
    Ok(out)
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        _ => compare(a, b).map(Ordering::is_eq),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Ordering, String> {
    let order = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        },
        _ => None,
    };
    order.ok_or_else(|| "values of these types cannot be compared".to_owned())
}

fn length(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(items) => Ok(items.len().into()),
        Value::Object(members) => Ok(members.len().into()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Err("this value has no length".to_owned()),
    }
}

fn index<'r>(arguments: &[Val<'r>]) -> Result<Val<'r>, String> {
    let (value, keys) = arguments.split_first().ok_or("index takes a list or a map, and keys")?;
    let mut value = value.clone();
    for key in keys {
        value = match (value, key.as_ref()) {
            (Cow::Borrowed(Value::Object(members)), Value::String(key)) => {
                members.get(key).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
            (Cow::Borrowed(Value::Array(items)), Value::Number(at)) => {
                let item = at.as_u64().and_then(|at| items.get(usize::try_from(at).ok()?));
                Cow::Borrowed(item.ok_or("the index is out of range")?)
            }
            _ => return Err("this key does not fit".to_owned()),
        };
    }
    Ok(value)
}
