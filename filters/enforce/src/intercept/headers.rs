//! Changes to headers, as a service wants them and within what it may.
//!
//! Names of the gateway itself and those that frame a message are left alone: a service that could write them would steer
//! the router, or make one message look like two.

use std::collections::BTreeMap;

use crate::{Edits, HeaderEdit};

/// Longest name of a header.
const MAX_NAME: usize = 256;
/// The gateway's own.
const PREFIXES: [&str; 2] = ["x-wso2", "x-envoy"];
/// Written by whoever sends the message, and `host`, which the route writes.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The pseudo headers that may be set, of the message at hand.
pub(super) type Reserved = [&'static str];
/// Of a request.
pub(super) const OF_REQUESTS: &Reserved = &[":path", ":method"];
/// Of a response.
pub(super) const OF_RESPONSES: &Reserved = &[":status"];

/// Changes that may be made.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Pseudo headers with their new values.
    pub(super) pseudo: BTreeMap<&'static str, String>,
    /// Removals first, then replacements, then additions.
    pub(super) edits: Vec<HeaderEdit>,
}

impl Changes {
    /// `None` when a name or a value is none.
    pub(super) fn read(
        remove: &[String],
        replace: BTreeMap<String, String>,
        add: BTreeMap<String, String>,
        pseudo: &Reserved,
    ) -> Option<Self> {
        let mut changes = Self::default();
        for name in remove {
            let name = name.to_ascii_lowercase();
            // A message cannot be without one of these.
            if !name.starts_with(':') && !is_reserved(checked(&name)?) {
                changes.edits.push(HeaderEdit::Remove(name.into()));
            }
        }
        let replaced = replace.into_iter().map(|(name, value)| (name, value, false));
        let added = add.into_iter().map(|(name, value)| (name, value, true));
        for (name, value, besides) in replaced.chain(added) {
            let name = name.to_ascii_lowercase();
            if !is_value(&value) {
                return None;
            }
            if name.starts_with(':') {
                if let Some(known) = pseudo.iter().find(|known| **known == name) {
                    changes.pseudo.insert(known, value);
                }
            } else if !is_reserved(checked(&name)?) {
                let (name, value) = (name.into(), value.into_bytes());
                changes.edits.push(if besides { HeaderEdit::Add(name, value) } else { HeaderEdit::Set(name, value) });
            }
        }
        Some(changes)
    }
}

/// Puts changes on top of what is to be done with a request anyway.
pub(super) fn apply(changes: Vec<HeaderEdit>, edits: &mut Edits) {
    for change in changes {
        match change {
            HeaderEdit::Remove(name) => {
                edits.set.retain(|(other, _)| *other != name);
                edits.add.retain(|(other, _)| *other != name);
                edits.remove.push(name);
            }
            HeaderEdit::Set(name, value) => {
                edits.set.retain(|(other, _)| *other != name);
                edits.add.retain(|(other, _)| *other != name);
                edits.set.push((name, value));
            }
            HeaderEdit::Add(name, value) => edits.add.push((name, value)),
        }
    }
}

/// Whether it is left as it is.
pub(super) fn is_reserved(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || FRAMING.contains(&name)
}

/// The name, if it is one (RFC 9110 §5.1).
fn checked(name: &str) -> Option<&str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    Some(name).filter(|name| !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(token))
}

fn is_value(value: &str) -> bool {
    !value.contains(['\r', '\n', '\0'])
}
