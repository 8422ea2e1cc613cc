//! `api.yaml` as API Manager writes it, and with mistakes in it.

use serde_json::{Value, json};

use super::*;

fn with(change: &Value) -> Value {
    let mut data = json!({"name": "Pets", "version": "1.0.0", "context": "/pets", "type": "HTTP",
        "endpointConfig": {"endpoint_type": "http", "production_endpoints": {"url": "http://aa/x"}}});
    for (key, value) in change.as_object().unwrap() {
        data[key] = value.clone();
    }
    json!({"type": "api", "version": "v4.2.0", "data": data})
}

#[track_caller]
fn check(change: &Value, expected: &[&str]) -> Option<Metadata> {
    let document = with(change);
    let mut problems = Problems::new();
    let found = read(&Node::root("api.yaml", &document), &CompileOptions::default(), &mut problems);
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), expected.len(), "{change}: {text:?}");
    for (text, part) in text.iter().zip(expected) {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    found
}

#[test]
fn a_plain_api_is_read() {
    let plain = check(&json!({}), &[]).unwrap();
    assert_eq!(plain.base_path, "/pets/1.0.0");
    assert_eq!(plain.id, names::api_id("Pets", "1.0.0"));
    assert_eq!(plain.organization, "carbon.super");
    assert_eq!(plain.life_cycle, LifeCycle::Published);
    let full = check(
        &json!({"id": "6f-1", "organizationId": "acme", "isDefaultVersion": true, "authorizationHeader": "X-Token",
                "securityScheme": ["oauth2", "oauth_basic_auth_api_key_mandatory"], "lifeCycleStatus": "PROTOTYPED"}),
        &[],
    )
    .unwrap();
    assert_eq!((full.id.as_str(), full.organization.as_str()), ("6f-1", "acme"));
    assert_eq!(full.authorization_header.as_deref(), Some("x-token"));
    assert!(full.default_version && full.security.oauth2);
    assert_eq!(full.life_cycle, LifeCycle::Prototyped);
}

#[test]
fn life_cycles() {
    for (status, implementation, expected) in [
        ("PUBLISHED", "", LifeCycle::Published),
        ("CREATED", "", LifeCycle::Published),
        ("DEPRECATED", "", LifeCycle::Published),
        ("PUBLISHED", "prototyped", LifeCycle::Prototyped),
        ("BLOCKED", "prototyped", LifeCycle::Blocked),
    ] {
        let change = json!({"lifeCycleStatus": status, "endpointConfig": {"implementation_status": implementation}});
        assert_eq!(check(&change, &[]).unwrap().life_cycle, expected, "{status} {implementation}");
    }
    for (status, expected, part) in [
        ("RETIRED", LifeCycle::Published, "retired"),
        ("STAGED", LifeCycle::Published, "no state of the usual"),
        ("BLOCKD", LifeCycle::Blocked, "did you mean BLOCKED?"),
    ] {
        assert_eq!(check(&json!({"lifeCycleStatus": status}), &[part]).unwrap().life_cycle, expected, "{status}");
    }
}

#[test]
fn mistakes_and_what_has_no_effect_are_reported() {
    for (change, expected) in [
        (json!({"name": "P s"}), &["cannot undeploy"][..]),
        (json!({"name": "Größe"}), &["cannot undeploy"]),
        (json!({"version": "1.0.0-SNAPSHOT-of-today"}), &["cannot undeploy"]),
        (json!({"name": null, "version": null, "context": null}), &["no name", "no version", "no context"]),
        (json!({"version": 1.0}), &["in quotes"]),
        (json!({"version": "1/0"}), &["not allowed"]),
        (json!({"id": "a\u{0}b"}), &["not allowed"]),
        (json!({"isDefaultVersion": "true"}), &["true or false"]),
        (json!({"type": "GRAPHQL"}), &["there are 0 operations"]),
        (json!({"type": "SSE"}), &["no type of API"]),
        (json!({"endpointImplementationType": "MOCKED"}), &["no known implementation"]),
        (
            json!({"endpointImplementationType": "MOCKED_OAS", "endpointConfig": {"endpoint_type": "default",
                   "production_endpoints": {"url": "default"}}}),
            &[],
        ),
        (json!({"endpointImplementationType": "INLINE"}), &["inline scripts"]),
        (json!({"securityScheme": ["basic_auth"]}), &["basic_auth"]),
        (json!({"securityScheme": ["oauth"]}), &["did you mean oauth2?"]),
        (json!({"securityScheme": ["oauth_basic_auth_api_key_optional"]}), &[]),
        (json!({"securityScheme": ["kerberos"]}), &["no known security scheme"]),
        (json!({"apiPolicies": {"request": [{"policyName": "x"}], "response": null}}), &["policy of the request flow"]),
        (
            json!({"endpointConfig": {"endpoint_type": "service", "production_endpoints": {"url": "http://aa"}}}),
            &["the endpoint type service has no effect"],
        ),
        (json!({"apiThrottlingPolicy": "Gold"}), &[]),
        (json!({"operations": [{"throttlingPolicy": "10PerMin"}]}), &[]),
        (
            json!({"type": "SOAP", "operations": [{"operationPolicies": {"request": [{"policyName": "x"}], "response": []}}]}),
            &["policy of the request flow has no effect"],
        ),
        (json!({"endpointConfig": {"endpoint_type": "awslambda"}}), &["AWS Lambda"]),
        (
            json!({"endpointConfig": {"endpoint_security": {"production": {"enabled": true, "type": "OAUTH"}}}}),
            &["endpoint security of type OAUTH has no effect"],
        ),
        (json!({"endpointConfig": {"endpoint_security": {"production": {"enabled": false}}}}), &[]),
    ] {
        check(&change, expected);
    }
    let mut problems = Problems::new();
    assert!(
        read(&Node::root("api.yaml", &json!({"type": "mcp"})), &CompileOptions::default(), &mut problems).is_none()
    );
    assert_eq!(problems.errors().count(), 2);
}
