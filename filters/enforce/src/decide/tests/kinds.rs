//! What differs from one kind of API to the next.

use tollgate_model::{Api, ApiKind, Settings};

use super::*;
use crate::graphql::testing::graphql_digest;
use crate::testing::{operation, resource};

const UPGRADE: (&str, &str) = ("upgrade", "websocket");
const NO_UPGRADE: &str = "400 400: This API is a WebSocket, which is opened by an upgrade.";
const REFUSED: &str = "403 403: This API does not take upgrades to that protocol.";

/// A WebSocket API with channels of all sorts.
fn chat() -> Api {
    let channel = |template: &str, mapping: Option<&str>, scopes: &[&str]| tollgate_model::Resource {
        uri_mapping: mapping.map(str::to_owned),
        ..resource(template, vec![operation("GET", token_with(scopes))])
    };
    let mut open = resource("/open", vec![operation("GET", tollgate_model::Security::Unsecured)]);
    open.uri_mapping = Some("/public".to_owned());
    Api {
        kind: ApiKind::WebSocket,
        resources: vec![
            channel("/rooms/{id}", Some("/chat/{uri.var.id}?room={uri.var.id}"), &[]),
            channel("/plain/{id}", None, &[]),
            channel("/admin", None, &["admin"]),
            channel("/all/*", None, &[]),
            open,
        ],
        ..api()
    }
}

#[test]
fn a_channel_is_opened_by_an_upgrade() {
    let directory = TestDirectory::new(chat());
    let bearer = format!("Bearer {}", token(json!({})));
    let admin = format!("Bearer {}", token(json!({"scope": "admin"})));
    #[rustfmt::skip]
    let table = [
        ("GET /pets/1.0/rooms/5", vec![UPGRADE, ("authorization", bearer.as_str())], "-> /v2/chat/5?room=5 -authorization +cluster=prod"),
        ("GET /pets/1.0/rooms/5?room=6&a=b", vec![UPGRADE, ("authorization", &bearer)], "-> /v2/chat/5?a=b&room=5 -authorization +cluster=prod"),
        ("GET /pets/1.0/plain/5?a=b", vec![UPGRADE, ("authorization", &bearer)], "-> /v2?a=b -authorization +cluster=prod"),
        ("GET /pets/1.0/all/a/b", vec![UPGRADE, ("authorization", &bearer)], "-> /v2 -authorization +cluster=prod"),
        ("GET /pets/1.0/open", vec![("upgrade", "WebSocket")], "-> /v2/public +cluster=prod"),
        ("GET /pets/1.0/admin", vec![UPGRADE, ("authorization", &admin)], "-> /v2 -authorization +cluster=prod"),
        ("GET /pets/1.0/admin", vec![UPGRADE, ("authorization", &bearer)], "403 900910: User is NOT authorized to access the Resource: /admin. Scope validation failed."),
        ("GET /pets/1.0/rooms/5", vec![UPGRADE], NO_CREDENTIALS),
        ("GET /pets/1.0/rooms/5", vec![("authorization", &bearer)], NO_UPGRADE),
        ("GET /pets/1.0/open", vec![("upgrade", "h2c")], REFUSED),
        ("GET /pets/1.0/open", vec![UPGRADE, UPGRADE], REFUSED),
        ("GET /pets/1.0/elsewhere", vec![UPGRADE], NOT_FOUND),
        ("POST /pets/1.0/open", vec![UPGRADE], NOT_FOUND),
        ("OPTIONS /pets/1.0/open", vec![], "204"),
    ];
    for (line, mut headers, expected) in table {
        headers.push(("sec-websocket-key", "a"));
        assert_eq!(outcome(&directory, line, &headers), expected, "{line} {headers:?}");
    }
}

#[test]
fn nothing_but_a_websocket_api_becomes_a_tunnel() {
    let bearer = format!("Bearer {}", token(json!({})));
    for kind in [ApiKind::Http, ApiKind::Soap, ApiKind::GraphQl] {
        let graphql = (kind == ApiKind::GraphQl).then(graphql_digest);
        let directory = TestDirectory::new(Api { kind, graphql, ..api() });
        for upgrade in ["websocket", "WebSocket", "h2c", "TLS/1.2", ""] {
            let headers = [("upgrade", upgrade), ("authorization", &bearer)];
            assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &headers), REFUSED, "{kind:?} {upgrade}");
        }
    }
}

#[test]
fn the_life_cycle_of_every_kind() {
    for (kind, upgrade) in [(ApiKind::Http, None), (ApiKind::Soap, None), (ApiKind::WebSocket, Some(UPGRADE))] {
        let with = |life_cycle| TestDirectory::new(Api { kind, life_cycle, ..api() });
        let headers: Vec<(&str, &str)> = upgrade.into_iter().collect();
        let path = if kind == ApiKind::WebSocket { "/v2" } else { "/v2/pet/5" };
        let prototype = outcome(&with(LifeCycle::Prototyped), "GET /pets/1.0/pet/5", &headers);
        let key = upgrade.map_or("", |_| " +sec-websocket-key=AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(prototype, format!("-> {path} +cluster=prod{key}"), "{kind:?}");
        let blocked = outcome(&with(LifeCycle::Blocked), "GET /pets/1.0/public/a", &headers);
        assert!(blocked.starts_with("503 700700"), "{kind:?}: {blocked}");
    }
}

#[test]
fn soap_callers_get_faults_where_the_gateway_is_told_to() {
    let mut directory = TestDirectory::new(Api { kind: ApiKind::Soap, ..api() });
    let soap = [("content-type", "text/xml"), ("soapaction", "\"a\""), ("origin", "https://page.example")];
    assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &soap), NO_CREDENTIALS, "JSON unless told otherwise");
    directory.settings = Some(Settings { soap_faults: true, ..Settings::default() });
    assert_eq!(outcome(&directory, "GET /pets/1.0/pet/5", &[]), NO_CREDENTIALS, "JSON to others");
    for line in ["GET /pets/1.0/pet/5", "GET /elsewhere"] {
        let request = request(line, &soap);
        let Decision::Reply(reply) = decide_with(&directory, &request, &Answers::default()) else { panic!("{line}") };
        let body = String::from_utf8(reply.body).unwrap();
        assert!(body.starts_with("<soapenv:Envelope") && body.contains("<soapenv:Fault>"), "{line}: {body}");
        assert_eq!(reply.headers[0], ("content-type".into(), "text/xml".to_owned()));
    }
}
