//! Path templates of resources: which are usable, and which two match the same requests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Most bytes in a template.
const MAX_TEMPLATE: usize = 2_048;

/// Checks a template and drops its query part, which never matched anything.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &str) -> Result<String, &'static str> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.len() > MAX_TEMPLATE {
        return Err("is too long");
    }
    let Some(rest) = path.strip_prefix('/') else { return Err("does not begin with /") };
    if path.bytes().any(|byte| !byte.is_ascii_graphic() || b"#\\;\"<>".contains(&byte)) {
        return Err("holds a character that no plain request path holds");
    }
    let wildcard_inside = rest.strip_suffix('*').unwrap_or(rest).contains('*');
    if wildcard_inside || (rest.ends_with('*') && !path.ends_with("/*")) {
        return Err("has a * that is not its last segment");
    }
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    if !segments.is_empty() && segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty or a dot segment");
    }
    let mut open = false;
    let mut length: usize = 0;
    for byte in path.bytes() {
        match (byte, open) {
            (b'{', false) => (open, length) = (true, 0),
            (b'}', true) if length > 0 => open = false,
            (b'{' | b'}' | b'/', true) | (b'}', false) => {
                return Err("has braces that do not enclose a parameter name");
            }
            _ => length = length.saturating_add(1),
        }
    }
    if open { Err("has braces that do not enclose a parameter name") } else { Ok(path.to_owned()) }
}

/// Templates with parameter names left out and without a trailing slash: those that match the same requests are equal.
fn shape(template: &str) -> String {
    let mut shape = String::with_capacity(template.len());
    let mut inside = false;
    for character in template.chars() {
        match character {
            '{' => {
                inside = true;
                shape.push_str("{}");
            }
            '}' => inside = false,
            _ if inside => {}
            other => shape.push(other),
        }
    }
    shape.truncate(shape.trim_end_matches('/').len());
    shape
}

/// Which methods of which shapes are taken, and by which template.
#[derive(Debug, Default)]
pub struct Taken {
    by_shape: BTreeMap<(String, String), String>,
}

impl Taken {
    /// Takes a method of a template; answers the first template that took it if it is taken already.
    pub fn take(&mut self, template: &str, method: &str) -> Option<String> {
        match self.by_shape.entry((shape(template), method.to_owned())) {
            Entry::Occupied(first) => Some(first.get().clone()),
            Entry::Vacant(free) => {
                free.insert(template.to_owned());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/*", Some("/*")),
            ("/pet/{petId}", Some("/pet/{petId}")),
            ("/pet/{petId}.api", Some("/pet/{petId}.api")),
            ("/pet/pet{petId}/", Some("/pet/pet{petId}/")),
            ("/pet/*", Some("/pet/*")),
            ("/find?tag={tag}", Some("/find")),
            ("pet", None),
            ("/pet*", None),
            ("/*/pet", None),
            ("/a/**", None),
            ("/a//b", None),
            ("/a/../b", None),
            ("/a/./b", None),
            ("/{}", None),
            ("/{a", None),
            ("/a}", None),
            ("/{a/b}", None),
            ("/{{a}}", None),
            ("/a b", None),
            ("/a;b", None),
            ("/a\0", None),
        ] {
            assert_eq!(check(path).ok().as_deref(), expected, "{path:?}");
        }
    }

    #[test]
    fn shapes() {
        for (a, b, same) in [
            ("/pet/{a}", "/pet/{b}/", true),
            ("/pet/{a}", "/pet/{a}.x", false),
            ("/pet/*", "/pet", false),
            ("/pet/{a}/*", "/pet/{b}/*", true),
            ("/", "/", true),
        ] {
            assert_eq!(shape(a) == shape(b), same, "{a} {b}");
        }
    }
}
