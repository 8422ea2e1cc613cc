//! Rows of OpenAPI, Swagger and AsyncAPI definitions and of the extensions that vendors write into them.

#![allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]

use serde_json::{Value, json};

use super::Base::{Http, Lambda, Mocked, Swagger, WebSocket};
use super::{At, Nothing, Refused, Row, Warned};

const GET: &str = "/definition/paths/~1pet~1{id}/get";
const HOST: &str = "/clusters/0/endpoints/0/host";

pub fn rows() -> Vec<Row> {
    [standard(), swagger(), channels(), endpoints(), cors(), security(), interceptors(), others(), unread()]
        .into_iter()
        .flatten()
        .collect()
}

/// What the standards themselves say.
fn standard() -> Vec<Row> {
    const SECURITY: &str = "/api/resources/0/operations/0/security";
    let scoped = vec![
        ("/definition/components/securitySchemes/default", json!({"type": "oauth2"})),
        ("/definition/security", json!([{"default": ["read"]}])),
    ];
    let key = |place: &str| {
        vec![
            ("/definition/components/securitySchemes/key", json!({"type": "apiKey", "in": place, "name": "K"})),
            ("/definition/security", json!([{"key": []}])),
        ]
    };
    let methods = ["post", "put", "patch", "delete", "head", "options", "trace"].map(|method| -> Row {
        let item = json!({method: {}});
        let at = At("/api/resources/0/operations/0/method", json!(method.to_uppercase()));
        ("paths", Http, vec![("/definition/paths/~1pet~1{id}", item)], at)
    });
    let mut rows = vec![
        ("info", Http, vec![("/definition/info", json!({"title": "Other", "version": "10"}))], Nothing),
        (
            "servers",
            Http,
            vec![("/definition/servers", json!([{"url": "https://server.example/v9"}]))],
            At(HOST, json!("server.example")),
        ),
        (
            "servers",
            Http,
            vec![("/definition/servers", json!([{"url": "https://server.example/v9"}]))],
            At("/api/basePath", json!("/v9")),
        ),
        ("servers", Http, vec![("/definition/servers", json!([{"url": "/"}]))], Nothing),
        (
            "paths.servers",
            Http,
            vec![("/definition/paths/~1pet~1{id}/servers", json!([{"url": "http://own.example/z"}]))],
            At("/api/resources/0/production/basePath", json!("/z")),
        ),
        ("security", Http, scoped.clone(), At(SECURITY, json!({"kind": "oauth2", "scopes": ["read"]}))),
        (
            "paths.security",
            Http,
            vec![scoped[0].clone(), ("/definition/paths/~1pet~1{id}/get/security", json!([{"default": ["write"]}]))],
            At(SECURITY, json!({"kind": "oauth2", "scopes": ["write"]})),
        ),
        ("paths.security", Http, vec![("/definition/paths/~1pet~1{id}/get/security", json!([]))], Nothing),
        (
            "components.securitySchemes",
            Http,
            key("header"),
            At(SECURITY, json!({"kind": "anyOf", "requirements": [{"apiKeys": [{"in": "header", "name": "k"}]}]})),
        ),
        (
            "components.securitySchemes",
            Http,
            key("query"),
            At(SECURITY, json!({"kind": "anyOf", "requirements": [{"apiKeys": [{"in": "query", "name": "K"}]}]})),
        ),
        ("components.securitySchemes", Http, key("cookie"), Refused("the place of the API key")),
        (
            "components.securitySchemes",
            Http,
            vec![
                ("/definition/components/securitySchemes/b", json!({"type": "http", "scheme": "basic"})),
                ("/definition/security", json!([{"b": []}])),
            ],
            Nothing,
        ),
        (
            "responses",
            Mocked,
            vec![(
                "/definition/paths/~1pet~1{id}/get/responses",
                json!({"404": {"content": {"text/plain": {"example": "gone"}}}}),
            )],
            At("/api/resources/0/operations/0/mock/responses/0/content/0/examples/0/body", json!("gone")),
        ),
    ];
    rows.extend(methods);
    rows
}

fn swagger() -> Vec<Row> {
    let host = ("/definition/host", json!("host.example"));
    vec![
        ("host", Swagger, vec![host.clone()], At(HOST, json!("host.example"))),
        (
            "basePath",
            Swagger,
            vec![host.clone(), ("/definition/basePath", json!("/v2"))],
            At("/api/basePath", json!("/v2")),
        ),
        (
            "schemes",
            Swagger,
            vec![host, ("/definition/schemes", json!(["http", "https"]))],
            At("/clusters/0/endpoints/0/port", json!(443)),
        ),
        (
            "securityDefinitions",
            Swagger,
            vec![
                ("/definition/securityDefinitions/key", json!({"type": "apiKey", "in": "query", "name": "K"})),
                ("/definition/security", json!([{"key": []}])),
            ],
            At("/api/resources/0/operations/0/security/requirements/0/apiKeys/0/name", json!("K")),
        ),
        (
            "paths",
            Swagger,
            vec![("/definition/paths/~1pet", json!({"options": {}}))],
            At("/api/resources/0/operations/0/method", json!("OPTIONS")),
        ),
    ]
}

fn channels() -> Vec<Row> {
    const PUBLISH: &str = "/definition/channels/~1room~1{name}/publish";
    vec![
        (
            "channels",
            WebSocket,
            vec![("/definition/channels", json!({"notes": {"subscribe": {}}}))],
            At("/api/resources/0/template", json!("/notes")),
        ),
        (
            "servers.production",
            WebSocket,
            vec![("/definition/servers/production", json!({"url": "wss://server.example/w", "protocol": "wss"}))],
            At("/clusters/0/endpoints/0/tls", json!(true)),
        ),
        (
            "servers.sandbox",
            WebSocket,
            vec![("/definition/servers/sandbox", json!({"url": "sandbox.example/w", "protocol": "ws"}))],
            At("/api/sandbox/basePath", json!("/w")),
        ),
        (
            "x-scopes",
            WebSocket,
            vec![("/definition/channels/~1room~1{name}/publish/x-scopes", json!(["talk"]))],
            At("/api/resources/0/operations/0/security/scopes", json!(["talk"])),
        ),
        (
            "x-uri-mapping",
            WebSocket,
            vec![("/definition/channels/~1room~1{name}/publish/x-uri-mapping", json!("/rooms?id={uri.var.name}"))],
            At("/api/resources/0/uriMapping", json!("/rooms?id={uri.var.name}")),
        ),
        // The original loses extensions of the whole definition.
        (
            "x-wso2-auth-header",
            WebSocket,
            vec![("/definition/x-wso2-auth-header", json!("X-Token"))],
            At("/api/authorizationHeader", json!("x-token")),
        ),
        (
            "x-auth-type",
            WebSocket,
            vec![("/definition/channels/~1room~1{name}/x-auth-type", json!("None"))],
            At("/api/resources/0/operations/0/security/kind", json!("unsecured")),
        ),
        (
            "x-throttling-tier",
            WebSocket,
            vec![(PUBLISH, json!({"x-throttling-tier": "Gold"}))],
            At("/api/resources/0/operations/0/tier", json!("Gold")),
        ),
    ]
}

fn endpoints() -> Vec<Row> {
    const PRODUCTION: &str = "/definition/x-wso2-production-endpoints";
    let plain = json!({"urls": ["http://ext.example/e"]});
    let with = |key: &str, value: Value| {
        let mut changed = plain.clone();
        changed[key] = value;
        vec![(PRODUCTION, changed)]
    };
    let advanced = |key: &str, value: Value| with("advanceEndpointConfig", json!({key: value}));
    let two = json!(["http://aa.example/e", "http://bb.example/e"]);
    let listed = |kind: &str| vec![(PRODUCTION, json!({"urls": two, "type": kind}))];
    let named = json!([{"spare": {"urls": ["http://spare.example/s"]}}]);
    let limits = [
        ("circuitBreakers.maxConnections", "maxConnections", 0),
        ("circuitBreakers.maxRequests", "maxRequests", 1),
        ("circuitBreakers.maxPendingRequests", "maxPendingRequests", 2),
        ("circuitBreakers.maxRetries", "maxRetries", 3),
        ("circuitBreakers.maxConnectionPools", "maxConnectionPools", 4),
    ];
    let limits = limits.map(|(name, key, at)| -> Row {
        let mut expected = [None, None, None, None, None];
        expected[at] = Some(7);
        (name, Http, advanced("circuitBreakers", json!({key: 7})), At("/clusters/0/limits", json!(expected)))
    });
    let mut rows: Vec<Row> = vec![
        ("x-wso2-production-endpoints", Http, with("type", json!("load_balance")), At(HOST, json!("ext.example"))),
        (
            "x-wso2-production-endpoints",
            Http,
            vec![("/definition/paths/~1pet~1{id}/x-wso2-production-endpoints", plain.clone())],
            At("/api/resources/0/production/basePath", json!("/e")),
        ),
        (
            "x-wso2-sandbox-endpoints",
            Http,
            vec![("/definition/x-wso2-sandbox-endpoints", plain.clone())],
            At("/api/sandbox/basePath", json!("/e")),
        ),
        (
            "x-wso2-sandbox-endpoints",
            Http,
            vec![("/definition/paths/~1pet~1{id}/x-wso2-sandbox-endpoints", plain.clone())],
            At("/api/resources/0/sandbox/basePath", json!("/e")),
        ),
        (
            "x-wso2-endpoints",
            Http,
            vec![("/definition/x-wso2-endpoints", named.clone()), (PRODUCTION, json!("#/x-wso2-endpoints/spare"))],
            At("/api/production/basePath", json!("/s")),
        ),
        (
            "x-wso2-endpoints",
            Http,
            vec![(PRODUCTION, json!("#/x-wso2-endpoints/none"))],
            Refused("refers to no endpoints"),
        ),
        // Interceptors may choose among them.
        (
            "x-wso2-endpoints",
            Http,
            vec![
                ("/definition/x-wso2-endpoints", named),
                ("/definition/x-wso2-request-interceptor", json!({"serviceURL": "http://in.example"})),
            ],
            At("/api/endpoints/0/name", json!("spare")),
        ),
        ("urls", Http, with("urls", two.clone()), At("/clusters/0/endpoints/1/priority", json!(0))),
        ("urls", Http, with("urls", json!(["http://-bad-/"])), Refused("URL")),
        ("type: failover", Http, listed("failover"), At("/clusters/0/endpoints/1/priority", json!(1))),
        ("type: load_balance", Http, listed("load_balance"), At("/clusters/0/endpoints/1/priority", json!(0))),
        (
            "securityConfig",
            Http,
            with("securityConfig", json!({"type": "basic", "username": "me", "password": "hush"})),
            At("/api/production/authorization", json!("Basic bWU6aHVzaA==")),
        ),
        (
            "advanceEndpointConfig.timeoutInMillis",
            Http,
            advanced("timeoutInMillis", json!(1234)),
            At("/api/production/timeoutMs", json!(1234)),
        ),
        // The gateway's greatest timeout is a minute.
        ("advanceEndpointConfig.timeoutInMillis", Http, advanced("timeoutInMillis", json!(90_000)), Warned("60000")),
        (
            "advanceEndpointConfig.retryConfig",
            Http,
            advanced("retryConfig", json!({"count": 2, "statusCodes": [503]})),
            At("/api/production/retry", json!({"count": 2, "statusCodes": [503]})),
        ),
        ("advanceEndpointConfig.retryConfig", Http, advanced("retryConfig", json!({"count": 9})), Warned("5")),
        (
            "advanceEndpointConfig.retryConfig",
            Http,
            advanced("retryConfig", json!({"count": 2, "statusCodes": [200]})),
            Warned("401"),
        ),
        (
            "consul(...)",
            Http,
            vec![(PRODUCTION, json!({"urls": ["consul([dc1,dc2].[ns].pets.[v1,*],https://default.example:8443)"]}))],
            At("/clusters/0/endpoints/0/port", json!(8443)),
        ),
    ];
    rows.extend(limits);
    rows
}

fn cors() -> Vec<Row> {
    let row = |name, key: &str, value: Value, at| -> Row {
        let rules = json!({"accessControlAllowOrigins": ["https://a.example"], key: value});
        (name, Http, vec![("/definition/x-wso2-cors", rules)], At(at, value))
    };
    vec![
        (
            "x-wso2-cors.corsConfigurationEnabled",
            Http,
            vec![("/definition/x-wso2-cors", json!({"corsConfigurationEnabled": false}))],
            At("/api/cors", json!(null)),
        ),
        row(
            "x-wso2-cors.accessControlAllowOrigins",
            "accessControlAllowOrigins",
            json!(["https://b.example"]),
            "/api/cors/allowOrigins",
        ),
        row(
            "x-wso2-cors.accessControlAllowMethods",
            "accessControlAllowMethods",
            json!(["GET"]),
            "/api/cors/allowMethods",
        ),
        row(
            "x-wso2-cors.accessControlAllowHeaders",
            "accessControlAllowHeaders",
            json!(["x-a"]),
            "/api/cors/allowHeaders",
        ),
        row(
            "x-wso2-cors.accessControlExposeHeaders",
            "accessControlExposeHeaders",
            json!(["x-b"]),
            "/api/cors/exposeHeaders",
        ),
        row(
            "x-wso2-cors.accessControlAllowCredentials",
            "accessControlAllowCredentials",
            json!(true),
            "/api/cors/allowCredentials",
        ),
    ]
}

fn security() -> Vec<Row> {
    const KIND: &str = "/api/resources/0/operations/0/security/kind";
    let levels = ["/definition/", "/definition/paths/~1pet~1{id}/", "/definition/paths/~1pet~1{id}/get/"];
    let mut rows: Vec<Row> = Vec::new();
    for (level, disable, auth_type) in [
        (levels[0], "/definition/x-wso2-disable-security", "/definition/x-auth-type"),
        (
            levels[1],
            "/definition/paths/~1pet~1{id}/x-wso2-disable-security",
            "/definition/paths/~1pet~1{id}/x-auth-type",
        ),
        (
            levels[2],
            "/definition/paths/~1pet~1{id}/get/x-wso2-disable-security",
            "/definition/paths/~1pet~1{id}/get/x-auth-type",
        ),
    ] {
        assert!(disable.starts_with(level));
        rows.push(("x-wso2-disable-security", Http, vec![(disable, json!(true))], At(KIND, json!("unsecured"))));
        rows.push(("x-auth-type", Http, vec![(auth_type, json!("None"))], At(KIND, json!("unsecured"))));
        rows.push(("x-auth-type", Http, vec![(auth_type, json!("Application"))], Nothing));
    }
    rows.push((
        "x-wso2-auth-header",
        Http,
        vec![("/definition/x-wso2-auth-header", json!("X-Token"))],
        At("/api/authorizationHeader", json!("x-token")),
    ));
    rows
}

fn interceptors() -> Vec<Row> {
    let service = json!({"serviceURL": "http://in.example:81", "clusterTimeout": 2, "requestTimeout": 3,
        "includes": ["request_body"]});
    let at = |place: &'static str| vec![(place, service.clone())];
    vec![
        (
            "x-wso2-request-interceptor",
            Http,
            at("/definition/x-wso2-request-interceptor"),
            At("/api/resources/0/operations/0/interceptors/request/authority", json!("in.example:81")),
        ),
        (
            "x-wso2-request-interceptor",
            Http,
            at("/definition/paths/~1pet~1{id}/x-wso2-request-interceptor"),
            At("/api/resources/0/operations/0/interceptors/request/authority", json!("in.example:81")),
        ),
        (
            "x-wso2-request-interceptor",
            Http,
            at("/definition/paths/~1pet~1{id}/get/x-wso2-request-interceptor"),
            At("/api/resources/0/operations/0/interceptors/request/authority", json!("in.example:81")),
        ),
        (
            "x-wso2-response-interceptor",
            Http,
            at("/definition/paths/~1pet~1{id}/get/x-wso2-response-interceptor"),
            At("/api/resources/0/operations/0/interceptors/response/authority", json!("in.example:81")),
        ),
        ("serviceURL", Http, vec![("/definition/x-wso2-request-interceptor", json!({}))], Refused("no serviceURL")),
        ("clusterTimeout", Http, at("/definition/x-wso2-request-interceptor"), At("/clusters/1/connect", json!(2000))),
        (
            "requestTimeout",
            Http,
            at("/definition/x-wso2-request-interceptor"),
            At("/api/resources/0/operations/0/interceptors/request/timeoutMs", json!(3000)),
        ),
        (
            "includes",
            Http,
            at("/definition/x-wso2-request-interceptor"),
            At("/api/resources/0/operations/0/interceptors/request/includes", json!(["request_body"])),
        ),
        // The most specific one counts.
        (
            "x-wso2-request-interceptor",
            Http,
            vec![
                ("/definition/x-wso2-request-interceptor", json!({"serviceURL": "http://general.example"})),
                ("/definition/paths/~1pet~1{id}/get/x-wso2-request-interceptor", service.clone()),
            ],
            At("/api/resources/0/operations/0/interceptors/request/authority", json!("in.example:81")),
        ),
        ("x-wso2-request-interceptor", Mocked, at("/definition/x-wso2-request-interceptor"), Warned("is not asked")),
    ]
}

fn others() -> Vec<Row> {
    const TIER: &str = "/api/resources/0/operations/0/tier";
    vec![
        (
            "x-wso2-basePath",
            Http,
            vec![("/definition/x-wso2-basePath", json!("/zoo/{version}"))],
            At("/api/basePath", json!("/zoo/1.0.0")),
        ),
        ("x-wso2-basePath", Http, vec![("/definition/x-wso2-basePath", json!("/a b"))], Refused("the base path")),
        (
            "x-wso2-throttling-tier",
            Http,
            vec![("/definition/x-wso2-throttling-tier", json!("Gold"))],
            At("/api/tier", json!("Gold")),
        ),
        (
            "x-wso2-throttling-tier",
            Http,
            vec![
                ("/definition/x-wso2-throttling-tier", json!("Gold")),
                ("/definition/x-throttling-tier", json!("Tin")),
            ],
            At("/api/tier", json!("Gold")),
        ),
        (
            "x-throttling-tier",
            Http,
            vec![("/definition/x-throttling-tier", json!("Gold"))],
            At("/api/tier", json!("Gold")),
        ),
        (
            "x-throttling-tier",
            Http,
            vec![("/definition/paths/~1pet~1{id}/get/x-throttling-tier", json!("Gold"))],
            At(TIER, json!("Gold")),
        ),
        (
            "x-tollgate-cost",
            Http,
            vec![("/definition/paths/~1pet~1{id}/get/x-tollgate-cost", json!(3))],
            At("/api/resources/0/operations/0/cost", json!(3)),
        ),
        (
            "x-tollgate-cost",
            WebSocket,
            vec![("/definition/channels/~1room~1{name}/publish", json!({"x-tollgate-cost": 3}))],
            At("/api/resources/0/operations/0/cost", json!(3)),
        ),
        (
            "x-tollgate-cost",
            Http,
            vec![("/definition/paths/~1pet~1{id}/get/x-tollgate-cost", json!(0))],
            Refused("a number from 1"),
        ),
        (
            "x-wso2-http2-backend-enabled",
            Http,
            vec![("/definition/x-wso2-http2-backend-enabled", json!(true))],
            At("/clusters/0/http2", json!(true)),
        ),
        (
            "x-amzn-resource-name",
            Lambda,
            vec![(
                "/definition/paths/~1pet~1{id}/get/x-amzn-resource-name",
                json!("arn:aws:lambda:eu-west-1:123456789012:function:dogs"),
            )],
            At("/clusters/0/lambda/arn", json!("arn:aws:lambda:eu-west-1:123456789012:function:dogs")),
        ),
        (
            "x-amzn-resource-name",
            Lambda,
            vec![(
                "/definition/paths/~1pet~1{id}/put/x-amzn-resource-name",
                json!("arn:aws:lambda:eu-west-1:123456789012:function:dogs"),
            )],
            Refused("another function"),
        ),
    ]
}

/// What has no effect, and what is said of it.
fn unread() -> Vec<Row> {
    let mut rows: Vec<Row> = vec![
        (
            "x-wso2-pass-request-payload-to-enforcer",
            Http,
            vec![("/definition/x-wso2-pass-request-payload-to-enforcer", json!(true))],
            Warned("asks for bodies where it needs them"),
        ),
        (
            "x-wso2-pass-request-payload-to-enforcer",
            Http,
            vec![("/definition/x-wso2-pass-request-payload-to-enforcer", json!(false))],
            Nothing,
        ),
        (
            "x-mediation-script",
            Http,
            vec![("/definition/paths/~1pet~1{id}/get/x-mediation-script", json!("mc.x()"))],
            Warned("scripts are not run"),
        ),
        ("x-wso2-*", Http, vec![("/definition/x-wso2-corss", json!({}))], Warned("did you mean x-wso2-cors?")),
    ];
    for (name, place, value) in [
        ("x-wso2-label", "/definition/x-wso2-label", json!(["Default"])),
        ("x-wso2-application-security", "/definition/x-wso2-application-security", json!({"optional": false})),
        ("x-wso2-mutual-ssl", "/definition/x-wso2-mutual-ssl", json!("Optional")),
        ("x-wso2-transports", "/definition/x-wso2-transports", json!(["https"])),
        ("x-wso2-response-cache", "/definition/x-wso2-response-cache", json!({"enabled": true})),
        ("x-wso2-api-key-header", "/definition/x-wso2-api-key-header", json!("ApiKey")),
    ] {
        rows.push((name, Http, vec![(place, value)], Nothing));
    }
    rows.push(("x-other-vendor", Http, vec![(GET, json!({"x-other-vendor": 1, "responses": {}}))], Nothing));
    rows
}
