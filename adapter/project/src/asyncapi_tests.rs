use serde_json::json;
use tollgate_model::Security;

use super::*;
use crate::security::NamedSchemes;

const FRAME: Frame<'_> = Frame {
    version: "1.0.0",
    security: NamedSchemes::NONE,
    servers: true,
    mocked: false,
    lambda: None,
    intercepts: false,
};

#[track_caller]
fn check(change: &Value, errors: &[&str], warnings: &[&str]) -> Definition {
    let mut definition = json!({"asyncapi": "2.0.0", "channels": {"/notifications": {"publish": {}}}});
    for (key, value) in change.as_object().unwrap() {
        definition[key] = value.clone();
    }
    let mut problems = Problems::new();
    let found = read(&Node::root("asyncapi.yaml", &definition), FRAME, &CompileOptions::default(), &mut problems);
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let (wrong, worth): (Vec<_>, Vec<_>) =
        problems.iter().partition(|one| problems.errors().any(|other| other == *one));
    assert_eq!((wrong.len(), worth.len()), (errors.len(), warnings.len()), "{all:#?}");
    for (text, part) in wrong.iter().zip(errors).chain(worth.iter().zip(warnings)) {
        assert!(text.to_string().contains(part), "{text} lacks {part:?}");
    }
    found
}

/// Security of the only channel of that content: none for an open one, else its scopes.
#[track_caller]
fn scopes(channel: Value, warnings: &[&str]) -> Option<Vec<String>> {
    match check(&json!({"channels": {"/rooms/{id}": channel}}), &[], warnings).resources[0].operations[0]
        .security
        .clone()
    {
        Security::Unsecured => None,
        Security::OAuth2 { scopes } => Some(scopes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn channels_become_resources_and_extensions_of_the_api_count() {
    let found = check(
        &json!({
            "x-wso2-basePath": "/chat/{version}",
            "x-wso2-auth-header": "X-Token",
            "x-wso2-cors": {"corsConfigurationEnabled": false},
            "x-wso2-sandbox-endpoints": {"urls": ["ws://sandbox"]},
            "servers": {"production": {"url": "wss://host.io/v2", "protocol": "wss"}, "sandbox": {"url": "two.io:81"}},
            "channels": {
                "/rooms/{id}": {"parameters": {"id": {}}, "subscribe": {"x-uri-mapping": "/rooms?room={uri.var.id}"}},
                "plain": {"publish": {"x-uri-mapping": ""}},
                "/*": {},
            },
        }),
        &[],
        &[],
    );
    assert_eq!(found.base_path.as_deref(), Some("/chat/1.0.0"));
    assert_eq!((found.authorization_header.as_deref(), found.cors), (Some("x-token"), None));
    let production = found.servers.unwrap();
    let endpoint = &production.endpoints[0];
    assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.tls), ("host.io", 443, true));
    assert_eq!((production.base_path.as_str(), production.web_socket), ("/v2", true));
    assert_eq!(found.sandbox_servers.unwrap().endpoints[0].port, 81);
    assert_eq!(found.sandbox.unwrap().endpoints[0].host, "sandbox");
    let resources: Vec<_> = found
        .resources
        .iter()
        .map(|one| (one.template.as_str(), one.uri_mapping.as_deref(), one.operations[0].method.as_str()))
        .collect();
    let mapped = Some("/rooms?room={uri.var.id}");
    assert_eq!(resources, [("/rooms/{id}", mapped, "GET"), ("/plain", None, "GET"), ("/*", None, "GET")]);
}

#[test]
fn security_of_channels() {
    let some = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let differs = &["x-scopes of subscribe differs"][..];
    for (channel, expected, warnings) in [
        (json!({}), some(&[]), &[][..]),
        (json!({"publish": {"x-scopes": ["a", "b"]}}), some(&["a", "b"]), &[]),
        (json!({"subscribe": {"x-scopes": ["c"]}}), some(&["c"]), &[]),
        (json!({"publish": {"x-scopes": ["a"]}, "subscribe": {"x-scopes": ["c"]}}), some(&["a"]), differs),
        (json!({"publish": {"x-scopes": []}, "subscribe": {"x-scopes": ["c"]}}), some(&["c"]), &[]),
        (json!({"publish": {}, "subscribe": {"x-scopes": ["c"]}}), some(&["c"]), &[]),
        (json!({"x-auth-type": "None"}), None, &[]),
        (json!({"x-auth-type": "Any"}), some(&[]), &[]),
        (json!({"x-wso2-disable-security": true}), None, &[]),
        (json!({"publish": {"x-auth-type": "None"}}), some(&[]), &["for one direction"]),
    ] {
        assert_eq!(scopes(channel.clone(), warnings), expected, "{channel}");
    }
    let open = check(&json!({"x-wso2-disable-security": true}), &[], &[]);
    assert_eq!(open.resources[0].operations[0].security, Security::Unsecured);
}

#[test]
fn schemes_of_api_yaml_hold_for_channels() {
    let definition = json!({"asyncapi": "2.0.0", "channels": {"/a": {"publish": {"x-scopes": ["s"]}}}});
    let security = NamedSchemes { oauth2: true, api_key: true, ..NamedSchemes::NONE };
    let mut problems = Problems::new();
    let root = Node::root("asyncapi.yaml", &definition);
    let found = read(&root, Frame { security, ..FRAME }, &CompileOptions::default(), &mut problems);
    let security = &found.resources[0].operations[0].security;
    assert_eq!((security.requirements().len(), security.scopes()), (3, &["s".to_owned()][..]));
}

#[test]
fn mistakes_are_reported() {
    let channel = |content: Value| json!({"channels": {"/rooms/{id}": content}});
    for (change, errors, warnings) in [
        (json!({"asyncapi": "3.0.0"}), &["AsyncAPI 3.0.0 cannot be read"][..], &[][..]),
        (json!({"asyncapi": null}), &["no AsyncAPI"], &[]),
        (json!({"channels": {}}), &["no channels"], &[]),
        (json!({"channels": {"/a b": {}}}), &["no plain request path"], &[]),
        (json!({"channels": {"/{a}": {}, "/{b}": {}}}), &["matches the same handshakes"], &[]),
        (json!({"servers": {"production": {"url": "kafka://host"}}}), &["scheme kafka"], &[]),
        (json!({"servers": {"production": {}}}), &["no url"], &[]),
        (json!({"servers": {"live": {"url": "ws://host"}}}), &[], &["server live is not read"]),
        (json!({"x-wso2-http2-backend-enabled": true}), &[], &["HTTP/2 towards"]),
        (channel(json!({"publsh": {}})), &["did you mean publish?"], &[]),
        (channel(json!({"$ref": "#/x"})), &["refers to another place"], &[]),
        (channel(json!({"x-wso2-production-endpoints": {"urls": []}})), &[], &["of a channel has no effect"]),
        (channel(json!({"publish": {"x-uri-mapping": "/{uri.var.other}"}})), &["no parameter \"other\""], &[]),
        (channel(json!({"publish": {"x-scopes": "read"}})), &["a list is expected"], &[]),
        (channel(json!({"publish": {"security": [{"oauth2": ["a"]}]}})), &["written as x-scopes"], &[]),
        (channel(json!({"publish": {"security": [{"oauth2": []}]}})), &[], &["of one direction"]),
        (channel(json!({"publish": {"x-amzn-resource-name": "arn:a"}})), &[], &["x-amzn-resource-name"]),
        (json!({"x-wso2-request-interceptor": {}}), &[], &["x-wso2-request-interceptor"]),
        (channel(json!({"x-wso2-disable-security": "yes"})), &["true or false"], &[]),
    ] {
        check(&change, errors, warnings);
    }
}
