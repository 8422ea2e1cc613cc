//! Endpoint security: what the gateway says to a backend that wants to know it. Must never show a name or a password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_model::Secret;

use super::document::Node;
use super::unsupported::ignore;
use crate::model::Problems;

/// Credentials of HTTP's Basic scheme (RFC 7617), as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// File and JSON pointer of who asked for them.
    place: (String, String),
    username: Option<Secret>,
    password: Option<Secret>,
}

impl Credentials {
    /// Nothing yet, asked for at that place.
    #[must_use]
    pub fn unknown(file: &str, pointer: &str) -> Self {
        Self { place: (file.to_owned(), pointer.to_owned()), username: None, password: None }
    }

    /// These, with what is given replaced.
    #[must_use]
    pub fn with(self, username: Option<Secret>, password: Option<Secret>) -> Self {
        Self { username: username.or(self.username), password: password.or(self.password), ..self }
    }

    /// Value of the `authorization` header; a problem when it cannot be sent. A part that is missing is told as an empty one,
    /// as in the original: apictl exports no passwords unless it is told to.
    pub fn authorization(&self, problems: &mut Problems) -> Option<Secret> {
        let at = (self.place.0.as_str(), self.place.1.as_str());
        for (what, part) in [("username", &self.username), ("password", &self.password)] {
            if part.is_none() {
                problems.warn(
                    at,
                    format!("endpoint security has no {what}"),
                    "the backend is told an empty one",
                    &format!(
                        "add the {what}, or set the variable api_<id>_prod_basic_{what} or api_<id>_sand_basic_{what}"
                    ),
                );
            }
        }
        let [username, password] =
            [&self.username, &self.password].map(|part| part.as_ref().map_or("", Secret::expose));
        if username.contains(':') || [username, password].iter().any(|text| text.chars().any(char::is_control)) {
            problems.error(
                at,
                "the name or the password cannot be sent",
                "RFC 7617 allows no control characters, and no colon in the name",
                "choose others",
            );
            return None;
        }
        Some(Secret::from(format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))))
    }
}

/// Reads `securityConfig` of an extension or a side of `endpoint_security`. They differ in what a missing `enabled` means.
/// Only Basic is spoken; a backend that wants anything else is sent nothing, as in the original.
pub fn read(node: &Node<'_>, enabled_by_default: bool, problems: &mut Problems) -> Option<Credentials> {
    node.object(problems)?;
    let enabled = match node.get("enabled") {
        Some(flag) => flag.boolean(problems)?,
        None => enabled_by_default,
    };
    if !enabled {
        return None;
    }
    let Some(kind) = node.get("type") else {
        node.warn(problems, "endpoint security has no type", "the backend is told nothing", "write type: basic");
        return None;
    };
    let text = kind.text(problems)?;
    if !text.eq_ignore_ascii_case("basic") {
        if !text.eq_ignore_ascii_case("none") {
            ignore(&kind, &format!("endpoint security of type {text}"), "the backend is told no credentials", problems);
        }
        return None;
    }
    // API Manager writes an empty text where nothing was entered.
    let secret = |key: &str, problems: &mut Problems| {
        let text = node.get(key)?.text(problems).filter(|text| !text.is_empty())?;
        Some(Secret::from(text.to_owned()))
    };
    let (file, pointer) = node.at();
    let (username, password) = (secret("username", problems), secret("password", problems));
    Some(Credentials::unknown(file, pointer).with(username, password))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(value: &Value, enabled_by_default: bool, expected: Result<Option<&str>, &[&str]>) {
        let mut problems = Problems::new();
        let found = read(&Node::root("api.yaml", value), enabled_by_default, &mut problems);
        let header = found.as_ref().and_then(|credentials| credentials.authorization(&mut problems));
        let report: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let shown = format!("{report:?} {found:?} {header:?}");
        assert!(!shown.contains("secret") && !shown.contains("alice"), "{shown}");
        match expected {
            Ok(expected) => {
                assert_eq!(report, [""; 0], "{value}");
                assert_eq!(header.as_ref().map(Secret::expose), expected, "{value}");
            }
            Err(parts) => {
                assert_eq!(report.len(), parts.len(), "{report:?}");
                assert!(report.iter().zip(parts).all(|(text, part)| text.contains(part)), "{report:?}");
            }
        }
    }

    #[test]
    fn credentials_are_read_and_never_shown() {
        let full = json!({"type": "BASIC", "username": "alice", "password": "secret: ä"});
        let header = Some("Basic YWxpY2U6c2VjcmV0OiDDpA==");
        check(&full, true, Ok(header));
        check(&full, false, Ok(None));
        let mut on = full.clone();
        on["enabled"] = json!(true);
        check(&on, false, Ok(header));
        on["enabled"] = json!(false);
        check(&on, true, Ok(None));
        on["enabled"] = json!("secret");
        check(&on, true, Err(&["true or false"]));
        for (value, parts) in [
            (json!({"username": "alice", "password": "secret"}), &["no type"][..]),
            (json!({"type": "DIGEST", "username": "alice", "password": "secret"}), &["type DIGEST has no effect"]),
            (json!({"type": "basic"}), &["no username", "no password"]),
            (json!({"type": "basic", "username": "alice", "password": ""}), &["no password"]),
            (json!({"type": "basic", "username": "alice", "password": 1}), &["in quotes", "no password"]),
            (json!({"type": "basic", "username": "alice:x", "password": "secret"}), &["cannot be sent"]),
            (json!({"type": "basic", "username": "alice", "password": "secret\n"}), &["cannot be sent"]),
            (json!("basic"), &["an object"]),
        ] {
            check(&value, true, Err(parts));
        }
        check(&json!({"type": "NONE"}), true, Ok(None));
    }

    #[test]
    fn what_is_missing_is_told_as_empty() {
        for (value, expected) in [
            (json!({"type": "basic"}), "Basic Og=="),
            (json!({"type": "basic", "username": "admin", "password": ""}), "Basic YWRtaW46"),
        ] {
            let mut problems = Problems::new();
            let found = read(&Node::root("api.yaml", &value), true, &mut problems).unwrap();
            assert_eq!(found.authorization(&mut problems).as_ref().map(Secret::expose), Some(expected));
            assert!(!problems.has_errors() && !problems.is_empty());
        }
    }
}
