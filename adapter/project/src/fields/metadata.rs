//! Rows of api.yaml, and of the files beside it.

#![allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]

use serde_json::json;

use super::Base::{GraphQl, Http, Lambda, WebSocket};
use super::{At, Nothing, Refused, Row, Warned};

const CONFIG: &str = "/data/endpointConfig";

pub fn rows() -> Vec<Row> {
    [api(), security(), cors(), endpoints(), functions(), operations()].into_iter().flatten().collect()
}

fn api() -> Vec<Row> {
    vec![
        ("id", Http, vec![("/data/id", json!("6f-1"))], At("/api/id", json!("6f-1"))),
        ("Id", Http, vec![("/data/Id", json!("6f-1"))], At("/api/id", json!("6f-1"))),
        ("name", Http, vec![("/data/name", json!("Dogs"))], At("/api/name", json!("Dogs"))),
        ("name", Http, vec![("/data/name", json!(""))], Refused("there is no name")),
        ("version", Http, vec![("/data/version", json!("2.0"))], At("/api/basePath", json!("/pets/2.0"))),
        ("version", Http, vec![("/data/version", json!(""))], Refused("there is no version")),
        ("context", Http, vec![("/data/context", json!("/dogs"))], At("/api/basePath", json!("/dogs/1.0.0"))),
        ("context", Http, vec![("/data/context", json!(""))], Refused("there is no context")),
        ("revisionId", Http, vec![("/data/revisionId", json!(3))], Nothing),
        ("type", Http, vec![("/data/type", json!("soap"))], At("/type", json!("SOAP"))),
        ("type", WebSocket, vec![("/data/type", json!("HTTP"))], Refused("no WebSocket API")),
        ("type", Http, vec![("/data/type", json!("SSE"))], Refused("SSE is no type of API")),
        ("type", Http, vec![("/data/type", json!("WEBSUB"))], Refused("WEBSUB is no type of API")),
        (
            "lifeCycleStatus",
            Http,
            vec![("/data/lifeCycleStatus", json!("BLOCKED"))],
            At("/api/lifeCycle", json!("BLOCKED")),
        ),
        (
            "lifeCycleStatus",
            Http,
            vec![("/data/lifeCycleStatus", json!("PROTOTYPED"))],
            At("/api/lifeCycle", json!("PROTOTYPED")),
        ),
        (
            "endpointImplementationType",
            Http,
            vec![("/data/endpointImplementationType", json!("MOCKED_OAS"))],
            At("/api/resources/0/operations/0/mock/responses/0/code", json!("200")),
        ),
        ("endpointImplementationType", Http, vec![("/data/endpointImplementationType", json!("TEMPLATE"))], Nothing),
        (
            "endpointImplementationType",
            Http,
            vec![("/data/endpointImplementationType", json!("INLINE"))],
            Refused("inline scripts"),
        ),
        (
            "authorizationHeader",
            Http,
            vec![("/data/authorizationHeader", json!("X-Token"))],
            At("/api/authorizationHeader", json!("x-token")),
        ),
        ("organizationId", Http, vec![("/data/organizationId", json!("acme"))], At("/api/organization", json!("acme"))),
        (
            "apiThrottlingPolicy",
            Http,
            vec![("/data/apiThrottlingPolicy", json!("Gold"))],
            At("/api/tier", json!("Gold")),
        ),
        (
            "isDefaultVersion",
            Http,
            vec![("/data/isDefaultVersion", json!(true))],
            At("/api/defaultBasePath", json!("/pets")),
        ),
    ]
}

fn security() -> Vec<Row> {
    const SECURITY: &str = "/api/resources/0/operations/0/security";
    let scheme = |names: serde_json::Value| vec![("/data/securityScheme", names)];
    let key =
        json!([{"apiKeys": [{"in": "header", "name": "apikey"}]}, {"apiKeys": [{"in": "query", "name": "apikey"}]}]);
    vec![
        (
            "securityScheme",
            Http,
            scheme(json!(["api_key"])),
            At(SECURITY, json!({"kind": "anyOf", "requirements": key})),
        ),
        // Of the definition's schemes, what oauth2 leaves is the token.
        (
            "securityScheme",
            Http,
            vec![
                ("/data/securityScheme", json!(["oauth2"])),
                ("/definition/security", json!([{"key": []}])),
                ("/definition/components/securitySchemes/key", json!({"type": "apiKey", "in": "header", "name": "k"})),
                ("/definition/paths/~1pet~1{id}/get/security", json!([{"default": ["read"]}])),
                ("/definition/components/securitySchemes/default", json!({"type": "oauth2"})),
            ],
            At(SECURITY, json!({"kind": "oauth2", "scopes": ["read"]})),
        ),
        (
            "securityScheme",
            Http,
            scheme(json!(["oauth2", "mutualssl"])),
            At("/api/mutualSsl", json!({"mandatory": false, "applicationSecurity": false, "certificates": []})),
        ),
        ("securityScheme", Http, scheme(json!(["basic_auth"])), Warned("basic_auth is not accepted")),
        ("securityScheme", Http, scheme(json!(["oauth_basic_auth_api_key_mandatory"])), Nothing),
    ]
}

fn cors() -> Vec<Row> {
    let enabled = ("/data/corsConfiguration/corsConfigurationEnabled", json!(true));
    let row = |name, pointer, value: serde_json::Value, at| -> Row {
        let origins = ("/data/corsConfiguration/accessControlAllowOrigins", json!(["https://b.example"]));
        (name, GraphQl, vec![enabled.clone(), origins, (pointer, value.clone())], At(at, value))
    };
    vec![
        (
            "corsConfiguration.corsConfigurationEnabled",
            GraphQl,
            vec![("/data/corsConfiguration/corsConfigurationEnabled", json!(false))],
            At("/api/cors", json!(null)),
        ),
        row(
            "corsConfiguration.accessControlAllowOrigins",
            "/data/corsConfiguration/accessControlAllowOrigins",
            json!(["https://a.example"]),
            "/api/cors/allowOrigins",
        ),
        row(
            "corsConfiguration.accessControlAllowMethods",
            "/data/corsConfiguration/accessControlAllowMethods",
            json!(["POST"]),
            "/api/cors/allowMethods",
        ),
        row(
            "corsConfiguration.accessControlAllowHeaders",
            "/data/corsConfiguration/accessControlAllowHeaders",
            json!(["x-a"]),
            "/api/cors/allowHeaders",
        ),
        (
            "corsConfiguration.accessControlAllowCredentials",
            GraphQl,
            vec![
                enabled.clone(),
                ("/data/corsConfiguration/accessControlAllowCredentials", json!(true)),
                ("/data/corsConfiguration/accessControlAllowOrigins", json!(["https://a.example"])),
            ],
            At("/api/cors/allowCredentials", json!(true)),
        ),
    ]
}

fn endpoints() -> Vec<Row> {
    const HOST: &str = "/clusters/0/endpoints/0/host";
    const PRODUCTION: &str = "/data/endpointConfig/production_endpoints";
    const SANDBOX: &str = "/data/endpointConfig/sandbox_endpoints";
    let several = json!([{"url": "http://aa.example/x"}, {"url": "http://bb.example/x"}]);
    let basic = json!({"enabled": true, "type": "BASIC", "username": "me", "password": "hush"});
    let with = |key: &str, value: serde_json::Value| {
        let mut changed = basic.clone();
        changed[key] = value;
        vec![("/data/endpointConfig/endpoint_security/production", changed)]
    };
    vec![
        (
            "endpointConfig.endpoint_type",
            Http,
            vec![("/data/endpointConfig/endpoint_type", json!("load_balance"))],
            Nothing,
        ),
        (
            "endpointConfig.endpoint_type",
            Http,
            vec![("/data/endpointConfig/endpoint_type", json!("service"))],
            Warned("the endpoint type service has no effect"),
        ),
        ("endpointConfig.algoCombo", Http, vec![("/data/endpointConfig/algoCombo", json!("RoundRobin"))], Nothing),
        (
            "endpointConfig.sessionManagement",
            Http,
            vec![("/data/endpointConfig/sessionManagement", json!("none"))],
            Nothing,
        ),
        ("endpointConfig.sessionTimeOut", Http, vec![("/data/endpointConfig/sessionTimeOut", json!("10"))], Nothing),
        (
            "endpointConfig.production_endpoints",
            Http,
            vec![(PRODUCTION, json!({"url": "https://other.example/y"}))],
            At(
                "/clusters/0/endpoints",
                json!([{"host": "other.example", "port": 443, "tls": true, "priority": 0,
                "trusted": false, "discovery": null}]),
            ),
        ),
        (
            "endpointConfig.production_endpoints",
            Http,
            vec![(PRODUCTION, several.clone())],
            At("/clusters/0/endpoints/1/priority", json!(0)),
        ),
        ("endpointConfig.production_endpoints", Http, vec![(PRODUCTION, json!({"url": "/y"}))], Refused("the URL")),
        ("endpointConfig.production_endpoints", Http, vec![(PRODUCTION, json!({"url": " "}))], Refused("the URL")),
        (
            "endpointConfig.production_endpoints",
            Http,
            vec![(CONFIG, json!({}))],
            Refused("neither a production nor a sandbox"),
        ),
        (
            "endpointConfig.production_endpoints.config.actionDuration",
            Http,
            vec![("/data/endpointConfig/production_endpoints/config/actionDuration", json!("3000"))],
            At("/api/production/timeoutMs", json!(3000)),
        ),
        (
            "endpointConfig.production_endpoints.config.retryTimeOut",
            Http,
            vec![("/data/endpointConfig/production_endpoints/config/retryTimeOut", json!("3"))],
            At("/api/production/retry", json!({"count": 3, "statusCodes": [504]})),
        ),
        (
            "endpointConfig.production_failovers",
            Http,
            vec![("/data/endpointConfig/production_failovers", json!([{"url": "http://bb.example/x"}]))],
            At("/clusters/0/endpoints/1/priority", json!(1)),
        ),
        (
            "endpointConfig.sandbox_endpoints",
            Http,
            vec![(SANDBOX, json!({"url": "http://sandbox.example/y"}))],
            At("/api/sandbox/basePath", json!("/y")),
        ),
        (
            "endpointConfig.sandbox_endpoints.config.actionDuration",
            Http,
            vec![(SANDBOX, json!({"url": "http://aa.example", "config": {"actionDuration": "7"}}))],
            At("/api/sandbox/timeoutMs", json!(7)),
        ),
        (
            "endpointConfig.sandbox_endpoints.config.retryTimeOut",
            Http,
            vec![(SANDBOX, json!({"url": "http://aa.example", "config": {"retryTimeOut": "2"}}))],
            At("/api/sandbox/retry/count", json!(2)),
        ),
        (
            "endpointConfig.sandbox_failovers",
            Http,
            vec![
                (SANDBOX, json!({"url": "http://aa.example"})),
                ("/data/endpointConfig/sandbox_failovers", json!([{"url": "http://bb.example"}])),
            ],
            At("/clusters/1/endpoints/1/priority", json!(1)),
        ),
        (
            "endpointConfig.implementation_status",
            Http,
            vec![("/data/endpointConfig/implementation_status", json!("prototyped"))],
            At("/api/lifeCycle", json!("PROTOTYPED")),
        ),
        (
            "endpointConfig.endpoint_security.production",
            Http,
            with("enabled", json!(true)),
            At("/api/production/authorization", json!("Basic bWU6aHVzaA==")),
        ),
        (
            "endpointConfig.endpoint_security.sandbox",
            Http,
            vec![
                (SANDBOX, json!({"url": "http://aa.example"})),
                ("/data/endpointConfig/endpoint_security/sandbox", basic.clone()),
            ],
            At("/api/sandbox/authorization", json!("Basic bWU6aHVzaA==")),
        ),
        ("endpoint_security.enabled", Http, with("enabled", json!(false)), Nothing),
        (
            "endpoint_security.type",
            Http,
            with("type", json!("OAUTH")),
            Warned("endpoint security of type OAUTH has no effect"),
        ),
        (
            "endpoint_security.username",
            Http,
            with("username", json!("you")),
            At("/api/production/authorization", json!("Basic eW91Omh1c2g=")),
        ),
        (
            "endpoint_security.password",
            Http,
            with("password", json!("x")),
            At("/api/production/authorization", json!("Basic bWU6eA==")),
        ),
        (
            "endpoint_security.customparameters",
            Http,
            with("customparameters", json!({"a": "b"})),
            At("/api/production/authorization", json!("Basic bWU6aHVzaA==")),
        ),
        ("endpointConfig.production_endpoints", Http, vec![(PRODUCTION, several)], At(HOST, json!("aa.example"))),
    ]
}

fn functions() -> Vec<Row> {
    let stored = vec![
        ("/data/endpointConfig/access_method", json!("stored")),
        ("/data/endpointConfig/amznAccessKey", json!("id")),
        ("/data/endpointConfig/amznSecretKey", json!("hush")),
        ("/data/endpointConfig/amznRegion", json!("us-east-1")),
    ];
    let signed = At("/clusters/0/lambda/key", json!(["id", "hush"]));
    let mut without = stored.clone();
    without.truncate(2);
    vec![
        (
            "endpointConfig.endpoint_type",
            Http,
            vec![("/data/endpointConfig/endpoint_type", json!("awslambda"))],
            Refused("the operation names no function"),
        ),
        ("endpointConfig.access_method", Lambda, stored.clone(), signed),
        (
            "endpointConfig.access_method",
            Lambda,
            vec![("/data/endpointConfig/access_method", json!("role-supplied"))],
            Nothing,
        ),
        ("endpointConfig.amznAccessKey", Lambda, vec![stored[0].clone()], Refused("there is no amznAccessKey")),
        ("endpointConfig.amznSecretKey", Lambda, without, Refused("there is no amznSecretKey")),
        ("endpointConfig.amznRegion", Lambda, vec![stored[3].clone()], Nothing),
        (
            "endpointConfig.amznRoleArn",
            Lambda,
            vec![("/data/endpointConfig/amznRoleArn", json!("arn:aws:iam::1:role/x"))],
            Warned("a role to assume has no effect"),
        ),
    ]
}

fn operations() -> Vec<Row> {
    const OPERATION: &str = "/data/operations/0";
    const POLICIES: &str = "/api/resources/0/operations/0/policies";
    let policy = |flow: &str, parameters: serde_json::Value| {
        let one = json!({"policyName": "mark", "policyVersion": "v1", "parameters": parameters});
        let operation = json!({"id": "", "target": "/pet/{id}", "verb": "GET", "operationPolicies": {flow: [one]}});
        vec![(OPERATION, operation)]
    };
    let set = |value: &str| json!({"change": "set", "name": "x-mark", "value": value});
    let of_request = |value: &str| json!([{"kind": "header", "change": "set", "name": "x-mark", "value": value}]);
    let missing = |key: &str| {
        let mut one = json!({"policyName": "mark", "policyVersion": "v1"});
        one[key] = json!("other");
        vec![(OPERATION, json!({"target": "/pet/{id}", "verb": "GET", "operationPolicies": {"request": [one]}}))]
    };
    vec![
        ("operations[].id", GraphQl, vec![("/data/operations/0/id", json!("5"))], Nothing),
        (
            "operations[].target",
            GraphQl,
            vec![("/data/operations/0/target", json!("books"))],
            At("/api/graphql/operations/0/field", json!("books")),
        ),
        ("operations[].verb", GraphQl, vec![("/data/operations/0/verb", json!("MUTATION"))], Refused("mutation")),
        (
            "operations[].authType",
            GraphQl,
            vec![("/data/operations/0/authType", json!("None"))],
            At("/api/graphql/operations/0/security/kind", json!("unsecured")),
        ),
        (
            "operations[].throttlingPolicy",
            GraphQl,
            vec![("/data/operations/0/throttlingPolicy", json!("Gold"))],
            At("/api/graphql/operations/0/tier", json!("Gold")),
        ),
        (
            "operations[].scopes",
            GraphQl,
            vec![("/data/operations/0/scopes", json!(["read"]))],
            At("/api/graphql/operations/0/security/scopes", json!(["read"])),
        ),
        // Those of HTTP APIs are read from the definition.
        (
            "operations[].throttlingPolicy",
            Http,
            vec![(
                OPERATION,
                json!({"target": "/pet/{id}", "verb": "GET",
            "throttlingPolicy": "Gold", "authType": "None"}),
            )],
            Nothing,
        ),
        (
            "operations[].scopes",
            Http,
            vec![(OPERATION, json!({"target": "/pet/{id}", "verb": "GET", "scopes": ["read"]}))],
            Refused("the scopes of GET /pet/{id} are missing in the definition"),
        ),
        (
            "operations[].operationPolicies.request",
            Http,
            policy("request", json!({"value": "a"})),
            At("/api/resources/0/operations/0/policies/request", of_request("a")),
        ),
        (
            "operations[].operationPolicies.response",
            Http,
            policy("response", json!({"value": "a"})),
            At("/api/resources/0/operations/0/policies/response", json!([set("a")])),
        ),
        ("operations[].operationPolicies.fault", Http, policy("fault", json!({})), Warned("fault")),
        ("policyName", Http, missing("policyName"), Refused("the project has no policy other of version v1")),
        ("policyVersion", Http, missing("policyVersion"), Refused("the project has no policy mark of version other")),
        ("parameters", Http, policy("request", json!({})), At(POLICIES, json!({"request": of_request("plain")}))),
    ]
}
