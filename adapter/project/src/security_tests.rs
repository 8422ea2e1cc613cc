//! What an operation accepts, for every way of saying it.

use serde_json::json;

use super::*;

const OAUTH2: NamedSchemes = NamedSchemes { oauth2: true, ..NamedSchemes::NONE };
const API_KEYS: NamedSchemes = NamedSchemes { api_key: true, ..NamedSchemes::NONE };
const BOTH: NamedSchemes = NamedSchemes { oauth2: true, api_key: true, ..NamedSchemes::NONE };
const SPIFFE: NamedSchemes = NamedSchemes { spiffe: true, ..NamedSchemes::NONE };
const OAUTH2_OR_SPIFFE: NamedSchemes = NamedSchemes { oauth2: true, spiffe: true, ..NamedSchemes::NONE };
const CERTIFICATES: NamedSchemes = NamedSchemes { mutual_ssl: true, ..NamedSchemes::NONE };

fn definition() -> Value {
    json!({"components": {"securitySchemes": {
        "default": {"type": "oauth2"}, "other": {"type": "oauth2"}, "basic": {"type": "http"}, "odd": {"type": "magic"},
        "head": {"type": "apiKey", "in": "header", "name": "X-Key"}, "query": {"type": "apiKey", "in": "query", "name": "Key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "a"}, "bad": {"type": "apiKey", "in": "header", "name": "a b"},
        "nameless": {"type": "apiKey", "in": "query"}, "tls": {"type": "mutualTLS"}}},
        "security": [{"default": []}]})
}

/// `open`, or the alternatives: `token`, `header:x`, `query:x`, joined by `+`, separated by spaces, and `| scopes`.
fn describe(security: &Security) -> String {
    if *security == Security::Unsecured {
        return "open".to_owned();
    }
    let place = |place: &ApiKeyPlace| match place {
        ApiKeyPlace::Header { name } => format!("header:{name}"),
        ApiKeyPlace::Query { name } => format!("query:{name}"),
    };
    let one = |requirement: &Requirement| {
        let token = requirement.token.then(|| "token".to_owned());
        let workload = requirement.workload.then(|| "workload".to_owned());
        let all = token.into_iter().chain(requirement.api_keys.iter().map(place)).chain(workload);
        all.collect::<Vec<_>>().join("+")
    };
    let alternatives: Vec<String> = security.requirements().iter().map(one).collect();
    let scopes = security.scopes();
    let scopes = if scopes.is_empty() { String::new() } else { format!(" | {}", scopes.join(" ")) };
    format!("{}{scopes}", alternatives.join(" "))
}

#[track_caller]
fn check(operation: &Value, named: NamedSchemes, expected: &str, errors: usize) {
    let definition = definition();
    let mut problems = Problems::new();
    let schemes = Schemes::new(Node::root("swagger.yaml", &definition), Dialect::OpenApi3, named);
    let found = schemes.of(&Node::root("swagger.yaml", operation), false, &mut problems);
    assert_eq!(describe(&found), expected, "{operation}");
    assert_eq!(problems.errors().count(), errors, "{operation}: {problems:?}");
}

#[test]
fn security_of_operations() {
    const NONE: NamedSchemes = NamedSchemes::NONE;
    for (operation, named, expected, errors) in [
        (json!({}), NONE, "token", 0),
        (json!({"security": []}), NONE, "token", 0),
        (json!({"security": [{}]}), NONE, "token", 0),
        (json!({"security": [{"default": ["a", "b"]}]}), NONE, "token | a b", 0),
        (json!({"security": [{"default": []}, {"other": ["c"]}]}), NONE, "token | c", 0),
        (json!({"security": [{"default": ["a"], "other": ["c"]}]}), NONE, "token | a", 1),
        (json!({"security": [{"basic": ["role"]}]}), NONE, "token", 0),
        (json!({"security": [{"head": []}]}), NONE, "header:x-key", 0),
        (json!({"security": [{"query": []}]}), NONE, "query:Key", 0),
        (json!({"security": [{"query": []}, {"head": []}, {"head": []}]}), NONE, "query:Key header:x-key", 0),
        (json!({"security": [{"default": ["a"]}, {"head": []}]}), NONE, "token header:x-key | a", 0),
        (json!({"security": [{"default": ["a"], "head": []}]}), NONE, "token+header:x-key | a", 0),
        (json!({"security": [{"head": [], "query": []}]}), NONE, "header:x-key+query:Key", 0),
        (json!({"security": [{"head": []}, {}]}), NONE, "header:x-key token", 0),
        (json!({"security": [{"cookie": []}]}), NONE, "token", 1),
        (json!({"security": [{"bad": []}]}), NONE, "token", 1),
        (json!({"security": [{"nameless": []}]}), NONE, "token", 1),
        // What nobody can tell the meaning of asks for a token.
        (json!({"security": [{"tls": []}]}), NONE, "token", 0),
        (json!({"security": [{"odd": []}]}), NONE, "token", 0),
        (json!({"security": [{"missing": ["a"]}]}), NONE, "token | a", 0),
        (json!({"security": [{"missing": ["a"]}]}), OAUTH2, "token | a", 0),
        (json!({"security": [{"missing": [], "head": []}]}), NONE, "token+header:x-key", 0),
        (json!({"security": "none"}), NONE, "token", 1),
        // api.yaml replaces what the definition accepts, and keeps its scopes.
        (json!({"security": [{"head": []}]}), OAUTH2, "token", 0),
        (json!({"security": [{"default": ["a"]}]}), OAUTH2, "token | a", 0),
        (json!({"security": [{"default": ["a"]}]}), API_KEYS, "header:apikey query:apikey | a", 0),
        (json!({"security": [{"default": ["a"]}]}), BOTH, "token header:apikey query:apikey | a", 0),
        (json!({}), BOTH, "token header:apikey query:apikey", 0),
        (json!({"security": [{"default": ["a"]}, {"head": []}]}), CERTIFICATES, "token header:x-key | a", 0),
        // Identities of workloads: besides what is asked for, or where the definition says.
        (json!({}), SPIFFE, "token workload", 0),
        (json!({"security": [{"default": ["a"]}]}), SPIFFE, "token workload | a", 0),
        (json!({"security": [{"head": []}]}), SPIFFE, "header:x-key workload", 0),
        (json!({"security": [{"head": []}]}), OAUTH2_OR_SPIFFE, "token workload", 0),
        (json!({"security": [{"tls": ["a"]}]}), SPIFFE, "workload | a", 0),
        (json!({"security": [{"default": ["a"], "tls": []}]}), SPIFFE, "token+workload | a", 0),
        (json!({"security": [{"default": ["a"], "tls": ["b"]}]}), SPIFFE, "token+workload | a", 1),
        (json!({"security": [{"default": []}, {"head": [], "tls": []}]}), SPIFFE, "token header:x-key+workload", 0),
        (json!({"security": [{"tls": []}]}), OAUTH2_OR_SPIFFE, "token workload", 0),
        // Switched off.
        (json!({"x-wso2-disable-security": true}), BOTH, "open", 0),
        (json!({"x-wso2-disable-security": "true"}), NONE, "token", 1),
        (json!({"x-wso2-disable-security": false, "x-auth-type": "None"}), NONE, "token", 0),
        (json!({"x-auth-type": "None"}), NONE, "open", 0),
        (json!({"x-auth-type": "Application & Application User"}), NONE, "token", 0),
        (json!({"x-wso2-disable-security": true, "security": [{"tls": []}]}), NONE, "open", 0),
        (json!({"x-wso2-disable-security": true, "security": [{"cookie": []}]}), NONE, "open", 1),
    ] {
        check(&operation, named, expected, errors);
    }
}

#[test]
fn what_is_said_nearer_to_the_operation_wins() {
    let definition = definition();
    let mut problems = Problems::new();
    let schemes = Schemes::new(Node::root("swagger.yaml", &definition), Dialect::OpenApi3, NamedSchemes::NONE);
    for (operation, above, unsecured) in [
        (json!({}), true, true),
        (json!({"x-wso2-disable-security": false}), true, false),
        (json!({"x-auth-type": "Any"}), true, false),
    ] {
        let found = schemes.of(&Node::root("swagger.yaml", &operation), above, &mut problems);
        assert_eq!(found == Security::Unsecured, unsecured, "{operation}");
    }
}
