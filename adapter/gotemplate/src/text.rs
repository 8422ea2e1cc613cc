//! How values look as text.

use serde_json::{Number, Value};

/// A value as `{{ }}` prints it.
///
/// # Errors
/// When it is not there, or is a list or a map, which Go prints in a notation of its own.
pub(crate) fn printed(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => Ok(number_text(number)),
        Value::Null => Err("there is no such value, so it cannot be printed".to_owned()),
        Value::Array(_) | Value::Object(_) => Err("a list or a map cannot be printed".to_owned()),
    }
}

/// Without `.0`, as Go prints a whole number whatever its type.
fn number_text(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => whole.to_string(),
        (_, Some(whole), _) => whole.to_string(),
        (_, _, Some(float)) => float.to_string(),
        _ => number.to_string(),
    }
}

/// A text in double quotes, as `%q` writes it; YAML reads it as the same text.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A text with the characters escaped that mean something in HTML.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A text as part of a query.
pub(crate) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// `printf`, with the verbs `%s`, `%v`, `%d`, `%q`, `%t` and `%%`.
///
/// # Errors
/// When a verb is another one or has flags, or the values do not fit.
pub(crate) fn formatted(format: &str, values: &[&Value]) -> Result<String, String> {
    let (mut out, mut values) = (String::new(), values.iter());
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let verb = characters.next().ok_or("the format ends with a %")?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| format!("there is no value for %{verb}"))?;
        match (verb, value) {
            ('v', value) | ('s', value @ Value::String(_)) | ('t', value @ Value::Bool(_)) => {
                out.push_str(&printed(value)?);
            }
            ('d', value @ Value::Number(number)) if !number.is_f64() => out.push_str(&printed(value)?),
            ('q', Value::String(text)) => out.push_str(&quoted(text)),
            ('s' | 't' | 'd' | 'q', _) => return Err(format!("the value for %{verb} has another type")),
            _ => return Err(format!("the verb %{verb} is not supported")),
        }
    }
    if values.next().is_some() {
        return Err("there are more values than verbs".to_owned());
    }
    Ok(out)
}
