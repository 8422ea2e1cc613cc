//! The record that the enforcer has left of a request; the other side is `stages/observe.rs` of the filters.

use serde::Deserialize;

/// Most bytes of one; the enforcer writes some hundred.
const MAX: usize = 64 * 1024;

/// A record. What is absent was not found out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Usage {
    outcome: String,
    pub(super) code: Option<String>,
    pub(super) virtual_host: String,
    pub(super) api: String,
    pub(super) api_name: Option<String>,
    pub(super) api_version: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) method: Option<String>,
    pub(super) key_type: Option<String>,
    pub(super) application: Option<String>,
    pub(super) application_name: Option<String>,
    pub(super) subscriber: Option<String>,
}

/// What the gateway has done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It went on.
    Forwarded,
    /// A mock, or an interceptor, has answered in the backend's place.
    Served,
    /// It was refused with this code.
    Refused(u32),
    /// A preflight, or the like, which is nobody's use of an API.
    Trivial,
}

impl Usage {
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        if record.len() > MAX {
            return None;
        }
        serde_json::from_slice(record).ok()
    }

    pub(super) fn done(&self) -> Done {
        match self.code.as_deref() {
            _ if self.outcome == "forwarded" => Done::Forwarded,
            Some("mock" | "intercepted") => Done::Served,
            Some(code) => {
                let digits = code.split_once('_').map_or(code, |(digits, _)| digits);
                digits.parse().map_or(Done::Trivial, Done::Refused)
            }
            None => Done::Trivial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_what_was_done() {
        for (record, done) in [
            (r#"{"outcome":"forwarded","apiName":"a\"b","later":1}"#, Some(Done::Forwarded)),
            (r#"{"outcome":"answered","code":"mock"}"#, Some(Done::Served)),
            (r#"{"outcome":"answered","code":"intercepted"}"#, Some(Done::Served)),
            (r#"{"outcome":"answered","code":"900901"}"#, Some(Done::Refused(900_901))),
            (r#"{"outcome":"answered","code":"102500_evidence"}"#, Some(Done::Refused(102_500))),
            (r#"{"outcome":"answered","code":"preflight"}"#, Some(Done::Trivial)),
            (r#"{"outcome":"answered"}"#, Some(Done::Trivial)),
            (r#"{"outcome":1}"#, None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(Usage::read(record.as_bytes()).map(|usage| usage.done()), done, "{record}");
        }
        let long = format!(r#"{{"outcome":"{}"}}"#, "a".repeat(MAX));
        assert_eq!(Usage::read(long.as_bytes()), None);
    }
}
