//! Cross-origin rules of an API: the extension `x-wso2-cors`. What passes here is safe as a part of a response header.

use tollgate_model::Cors;

use super::document::Node;
use super::names;
use super::unsupported::did_you_mean;
use crate::model::Problems;

const KNOWN: [&str; 6] = [
    "corsConfigurationEnabled",
    "accessControlAllowOrigins",
    "accessControlAllowMethods",
    "accessControlAllowHeaders",
    "accessControlAllowCredentials",
    "accessControlExposeHeaders",
];
/// Most items of a list.
const MAX_ITEMS: usize = 200;
/// Most bytes in an origin pattern.
const MAX_ORIGIN: usize = 512;

/// Reads the extension. `None` when it is switched off, so that pages of other origins get no consent.
pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Cors> {
    let before = problems.errors().count();
    check_members(node, problems);
    let enabled = node.get("corsConfigurationEnabled").is_none_or(|on| on.boolean(problems) == Some(true));
    let cors = Cors {
        allow_origins: list(node, "accessControlAllowOrigins", origin, problems),
        allow_methods: list(node, "accessControlAllowMethods", token, problems),
        allow_headers: list(node, "accessControlAllowHeaders", token, problems),
        expose_headers: list(node, "accessControlExposeHeaders", token, problems),
        allow_credentials: node.get("accessControlAllowCredentials").and_then(|on| on.boolean(problems)) == Some(true),
    };
    if enabled && cors.allow_origins.is_empty() && problems.errors().count() == before {
        node.warn(
            problems,
            "no origin is allowed",
            "pages of other origins cannot call the API",
            "add accessControlAllowOrigins, or set corsConfigurationEnabled to false",
        );
    }
    enabled.then_some(cors)
}

/// Whether a text can be matched with origins.
///
/// # Errors
/// What is wrong with it.
pub fn origin(text: &str) -> Result<(), &'static str> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if text.is_empty() || text.len() > MAX_ORIGIN || !visible {
        return Err("is no origin such as https://example.com or https://*.example.com");
    }
    Ok(())
}

/// Whether a text is a method, the name of a header, or `*`.
///
/// # Errors
/// What is wrong with it.
pub fn token(text: &str) -> Result<(), &'static str> {
    names::header(text).map(|_| ())
}

/// The names with dashes that are found in old samples were never read, so they get a suggestion rather than an effect.
fn check_members(node: &Node<'_>, problems: &mut Problems) {
    for (key, member) in node.members(problems) {
        if KNOWN.contains(&key) {
            continue;
        }
        let plain = |text: &str| text.replace('-', "").to_lowercase();
        let same = KNOWN.into_iter().find(|known| {
            plain(known) == plain(key) || plain(known).strip_suffix('s').is_some_and(|known| known == plain(key))
        });
        let fix = same
            .or_else(|| did_you_mean(key, KNOWN))
            .map_or_else(|| "remove it".to_owned(), |close| format!("did you mean {close}?"));
        member.warn(problems, format!("{key} is not known here"), "it has no effect", &fix);
    }
}

fn list(
    node: &Node<'_>,
    key: &str,
    check: fn(&str) -> Result<(), &'static str>,
    problems: &mut Problems,
) -> Vec<String> {
    let Some(list) = node.get(key) else { return Vec::new() };
    let items = list.items(problems);
    if items.len() > MAX_ITEMS {
        list.error(problems, format!("there are {} items", items.len()), "at most 200 are sent", "list fewer of them");
        return Vec::new();
    }
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = item.text(problems) else { continue };
        match check(text) {
            Ok(()) => texts.push(text.to_owned()),
            Err(what) => {
                item.error(problems, format!("{text:?} {what}"), "it becomes a part of a header", "correct it");
            }
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: Option<&Cors>, reported: &[(&str, &str)]) {
        let mut problems = Problems::new();
        let found = read(&Node::root("swagger.yaml", value), &mut problems);
        let report: Vec<(&str, &str)> = problems.iter().map(|one| (one.pointer.as_str(), one.what.as_str())).collect();
        assert_eq!(report.len(), reported.len(), "{report:?}");
        for ((place, text), (expected, part)) in report.iter().zip(reported) {
            assert!(place == expected && text.contains(part), "{place}: {text}");
        }
        if !problems.has_errors() {
            assert_eq!(found.as_ref(), expected, "{value}");
        }
    }

    fn nothing() -> Cors {
        Cors {
            allow_origins: vec![],
            allow_methods: vec![],
            allow_headers: vec![],
            expose_headers: vec![],
            allow_credentials: false,
        }
    }

    #[test]
    fn the_extension_is_read() {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let full = Cors {
            allow_origins: strings(&["https://a.example", "https://*.b.example"]),
            allow_methods: strings(&["GET", "PUT"]),
            allow_headers: strings(&["Authorization", "*"]),
            expose_headers: strings(&["X-Trace"]),
            allow_credentials: true,
        };
        let value = json!({
            "corsConfigurationEnabled": true,
            "accessControlAllowOrigins": full.allow_origins,
            "accessControlAllowMethods": full.allow_methods,
            "accessControlAllowHeaders": full.allow_headers,
            "accessControlExposeHeaders": full.expose_headers,
            "accessControlAllowCredentials": true,
        });
        check(&value, Some(&full), &[]);
        let any = Cors { allow_origins: strings(&["*"]), ..nothing() };
        check(&json!({"accessControlAllowOrigins": ["*"]}), Some(&any), &[]);
        check(&json!({"corsConfigurationEnabled": false, "accessControlAllowOrigins": ["*"]}), None, &[]);
        check(&json!({}), Some(&nothing()), &[("", "no origin is allowed")]);
    }

    #[test]
    fn mistakes_are_reported_where_they_are() {
        for (value, place, part) in [
            (json!(true), "", "an object"),
            (json!({"corsConfigurationEnabled": "true"}), "/corsConfigurationEnabled", "true or false"),
            (json!({"accessControlAllowOrigins": "*"}), "/accessControlAllowOrigins", "a list"),
            (json!({"accessControlAllowOrigins": [1]}), "/accessControlAllowOrigins/0", "a text"),
            (json!({"accessControlAllowOrigins": ["a\r\nb"]}), "/accessControlAllowOrigins/0", "no origin"),
            (json!({"accessControlAllowMethods": ["GET, PUT"]}), "/accessControlAllowMethods/0", "not allowed"),
            (json!({"accessControlExposeHeaders": [""]}), "/accessControlExposeHeaders/0", "is empty"),
            (json!({"accessControlAllowCredentials": 1}), "/accessControlAllowCredentials", "true or false"),
            (json!({"accessControlAllowHeaders": vec!["a"; 201]}), "/accessControlAllowHeaders", "201 items"),
        ] {
            let mut value = value;
            if let Some(members) = value.as_object_mut() {
                members.entry("accessControlAllowOrigins").or_insert_with(|| json!(["*"]));
            }
            check(&value, None, &[(place, part)]);
        }
        let dashes = json!({"accessControlAllowOrigins": ["*"], "access-control-allow-origin": ["*"],
                            "accessControlAllowHeader": [], "other": 1});
        let mut problems = Problems::new();
        read(&Node::root("swagger.yaml", &dashes), &mut problems);
        let fixes: Vec<&str> = problems.iter().map(|problem| problem.fix.as_str()).collect();
        assert_eq!(
            fixes,
            ["did you mean accessControlAllowOrigins?", "did you mean accessControlAllowHeaders?", "remove it"]
        );
    }
}
