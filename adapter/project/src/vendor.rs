//! Vendor extensions of a definition: which exist, on which level, and what becomes of each. Their values are read where
//! they are used; here every other one is warned of, so that none is ignored in silence.

use super::document::Node;
use super::throttling;
use super::unsupported::{did_you_mean, ignore};
use crate::model::Problems;

/// Where in the definition an extension stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Top of the definition.
    Api,
    /// A path item.
    Path,
    /// An operation.
    Operation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// Another module reads it.
    Read,
    /// Accepted without effect, for this reason.
    Warned(&'static str),
    /// Written by API Manager into every export and never read by a gateway.
    Unread,
}

use Level::{Api, Operation, Path};
use Treatment::{Read, Unread, Warned};

const EVERYWHERE: &[Level] = &[Api, Path, Operation];
const API: &[Level] = &[Api];

const EXTENSIONS: &[(&str, &[Level], Treatment)] = &[
    ("x-wso2-basePath", API, Read),
    ("x-wso2-production-endpoints", &[Api, Path], Read),
    ("x-wso2-sandbox-endpoints", &[Api, Path], Read),
    ("x-wso2-endpoints", API, Read),
    ("x-wso2-disable-security", EVERYWHERE, Read),
    ("x-auth-type", EVERYWHERE, Read),
    ("x-wso2-auth-header", API, Read),
    ("x-wso2-http2-backend-enabled", API, Read),
    ("x-wso2-request-interceptor", EVERYWHERE, Read),
    ("x-wso2-response-interceptor", EVERYWHERE, Read),
    ("x-amzn-resource-name", &[Operation], Read),
    ("x-wso2-throttling-tier", &[Api, Operation], Read),
    ("x-throttling-tier", &[Api, Operation], Read),
    (throttling::COST, &[Operation], Read),
    ("x-wso2-cors", API, Read),
    ("x-wso2-pass-request-payload-to-enforcer", API, Warned("the enforcer asks for bodies where it needs them")),
    ("x-mediation-script", EVERYWHERE, Warned("scripts are not run, as with Choreo Connect")),
    ("x-wso2-label", EVERYWHERE, Unread),
    ("x-wso2-application-security", EVERYWHERE, Unread),
    ("x-wso2-mutual-ssl", EVERYWHERE, Unread),
    ("x-wso2-transports", EVERYWHERE, Unread),
    ("x-wso2-response-cache", EVERYWHERE, Unread),
    ("x-wso2-api-key-header", EVERYWHERE, Unread),
];

/// Names of all extensions.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    EXTENSIONS.iter().map(|(name, _, _)| *name)
}

/// Checks the extensions among the members of `node`.
pub fn check(node: &Node<'_>, level: Level, problems: &mut Problems) {
    for (key, member) in node.members(problems) {
        if member.value().is_null() {
            continue;
        }
        match EXTENSIONS.iter().find(|(name, _, _)| *name == key) {
            Some((_, levels, treatment)) => treat(&member, key, levels.contains(&level), *treatment, problems),
            None if key.starts_with("x-wso2-") => {
                let names = EXTENSIONS.iter().map(|(name, _, _)| *name);
                let fix = did_you_mean(key, names)
                    .map_or_else(|| "remove it".to_owned(), |close| format!("did you mean {close}?"));
                member.warn(problems, format!("the extension {key} is not known"), "it has no effect", &fix);
            }
            None => {}
        }
    }
}

/// Says of extensions that other kinds of APIs read that this one does not.
pub fn ignore_foreign(node: &Node<'_>, keys: &[&str], problems: &mut Problems) {
    for key in keys {
        if let Some(member) = node.get(key) {
            ignore(&member, &format!("the extension {key}"), "APIs of this type have no use for it", problems);
        }
    }
}

fn treat(member: &Node<'_>, key: &str, here: bool, treatment: Treatment, problems: &mut Problems) {
    match treatment {
        Unread => {}
        _ if !here => member.warn(
            problems,
            format!("the extension {key} is not read on this level"),
            "it has no effect here",
            "move it to the level it belongs to",
        ),
        Read => {}
        Warned(why) => {
            if member.value() != false {
                member.warn(problems, format!("the extension {key} is not applied"), why, "remove it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Severity;

    #[track_caller]
    fn check_one(key: &str, value: serde_json::Value, level: Level, expected: Option<(Severity, &str)>) {
        let document = json!({ key: value });
        let mut problems = Problems::new();
        check(&Node::root("swagger.yaml", &document), level, &mut problems);
        let found: Vec<(Severity, String)> = problems.iter().map(|p| (p.severity, p.to_string())).collect();
        match expected {
            None => assert_eq!(found, [], "{key}"),
            Some((severity, part)) => {
                assert_eq!(found.len(), 1, "{key}: {found:?}");
                assert_eq!(found[0].0, severity);
                assert!(found[0].1.contains(part), "{found:?}");
            }
        }
    }

    #[test]
    fn every_extension_has_its_treatment() {
        use Severity::Warning;
        for (key, value, level, expected) in [
            ("x-wso2-basePath", json!("/a"), Api, None),
            ("x-wso2-basePath", json!("/a"), Path, Some((Warning, "this level"))),
            ("x-wso2-basepath", json!("/a"), Api, Some((Warning, "did you mean x-wso2-basePath?"))),
            ("x-wso2-request-interceptor", json!({}), Operation, None),
            ("x-wso2-response-interceptor", json!({}), Api, None),
            ("x-amzn-resource-name", json!("arn:"), Operation, None),
            ("x-wso2-throttling-tier", json!("10PerMin"), Api, None),
            ("x-throttling-tier", json!("10PerMin"), Operation, None),
            ("x-tollgate-cost", json!(3), Operation, None),
            ("x-tollgate-cost", json!(3), Api, Some((Warning, "this level"))),
            ("x-wso2-cors", json!({}), Api, None),
            ("x-wso2-cors", json!({}), Operation, Some((Warning, "this level"))),
            ("x-mediation-script", json!("x"), Operation, Some((Warning, "not applied"))),
            ("x-wso2-mutual-ssl", json!("Optional"), Api, None),
            ("x-other-vendor", json!({}), Api, None),
            ("x-wso2-cors", json!(null), Api, None),
        ] {
            check_one(key, value, level, expected);
        }
    }
}
