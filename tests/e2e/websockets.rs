//! WebSocket APIs: who opens a tunnel, where it leads, and that nothing else becomes one.

mod counted_elsewhere;
mod frames;
mod peers;

use std::collections::BTreeMap;

use reqwest::Method;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tollgate_tests::http::{Answer, raw_request, send_raw};
use tollgate_tests::{Gateway, Settings, eventually, locate, project};

use self::peers::{Handshake, SocketBackend, over_http2};
use crate::apis::pets;

const CHAT: &str = "/chat/1.0.0";
const INVALID: &str = "900901";

/// A gateway with the sample project, whose text may be changed.
async fn with(backend: &SocketBackend, change: impl Fn(String) -> String) -> Gateway {
    let gateway = Gateway::start().await.unwrap();
    deploy(&gateway, backend, change).await;
    served(&gateway).await;
    gateway
}

/// Waits until every worker has the API.
async fn served(gateway: &Gateway) {
    eventually("the API is served", async || {
        gateway.all_answer(&format!("{CHAT}/lobby"), 16, |status| status == 400).await
    })
    .await
    .unwrap();
}

async fn deploy(gateway: &Gateway, backend: &SocketBackend, change: impl Fn(String) -> String) {
    let folder = locate::root().join("tests/projects/websocket");
    let files: BTreeMap<String, Vec<u8>> = ["api.yaml", "Definitions/asyncapi.yaml"]
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            let text = change(text.replace("127.0.0.1:8080", &backend.authority()));
            (name.to_owned(), text.into_bytes())
        })
        .collect();
    gateway.adapter.deploy(project::archive(&files).unwrap()).await.unwrap();
}

#[tokio::test]
async fn channels_lead_where_their_mapping_says_without_credentials() {
    let backend = SocketBackend::start(None).await.unwrap();
    let gateway = with(&backend, |text| text).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    for (path, expected) in [
        ("/notifications", "/v2/notifications"),
        ("/noMapping?a=b", "/v2?a=b"),
        ("/rooms/5", "/v2/rooms/5?room=5"),
        ("/rooms/a%20b?room=6&c=d", "/v2/rooms/a%20b?c=d&room=a%20b"),
    ] {
        let headers = [("authorization", token.as_str()), ("x-own", "1"), ("x-wso2-cluster-header", "other")];
        let Handshake::Open(mut socket) = Handshake::of(&gateway, &format!("{CHAT}{path}"), &headers).await.unwrap()
        else {
            panic!("{path} is refused")
        };
        let seen = socket.seen().await.unwrap();
        assert_eq!(seen["path"], expected, "{path}");
        assert_eq!((&seen["headers"]["x-own"], seen["headers"].get("authorization")), (&"1".into(), None), "{seen}");
        assert_eq!(seen["headers"].get("x-wso2-cluster-header"), None, "{seen}");
        for text in ["one", "two"] {
            assert_eq!(socket.echo(text).await.unwrap(), text);
        }
        socket.close().await.unwrap();
    }
    let listed = gateway.adapter.list_of("type:ws").await.unwrap();
    assert_eq!((&listed["count"], &listed["list"][0]["apiType"]), (&1.into(), &"WS".into()), "{listed}");
    assert_eq!(gateway.adapter.list_of("type:http").await.unwrap()["count"], 0);
}

#[tokio::test]
async fn the_handshake_is_refused_like_any_other_request() {
    let backend = SocketBackend::start(None).await.unwrap();
    let gateway = with(&backend, |text| text).await;
    let plain = format!("Bearer {}", gateway.token("").await.unwrap());
    let scoped = format!("Bearer {}", gateway.token("moderator").await.unwrap());
    for (path, credentials, expected) in [
        ("/notifications", None, Some((401, INVALID))),
        ("/notifications", Some("Bearer nonsense"), Some((401, INVALID))),
        ("/moderation", Some(plain.as_str()), Some((403, "900910"))),
        ("/moderation", Some(&scoped), None),
        ("/lobby", None, None),
        ("/news/of/today", None, None),
        ("/elsewhere", Some(&plain), Some((404, "404"))),
    ] {
        let headers: Vec<_> = credentials.into_iter().map(|value| ("authorization", value)).collect();
        match (Handshake::of(&gateway, &format!("{CHAT}{path}"), &headers).await.unwrap(), expected) {
            (Handshake::Open(_), None) => {}
            (Handshake::Refused(status, body), Some((expected, code))) => {
                assert_eq!((status, &body["code"]), (expected, &code.into()), "{path}: {body}");
            }
            (Handshake::Open(_), Some(_)) => panic!("{path} is open"),
            (Handshake::Refused(status, body), None) => panic!("{path} is refused: {status} {body}"),
        }
    }
    // A plain request, with whatever token, opens nothing and reaches no backend.
    let before = backend.count();
    let answer =
        gateway.get(&format!("{CHAT}/notifications"), Some(plain.trim_start_matches("Bearer "))).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &"400".into()));
    let options = Answer::of(gateway.request(Method::OPTIONS, &format!("{CHAT}/notifications"))).await.unwrap();
    assert_eq!((options.status.as_u16(), options.header("allow")), (204, Some("GET, OPTIONS")));
    assert_eq!(backend.count(), before);
}

/// What follows an upgrade passes the gateway unseen, so it must not follow one to an API of another kind.
#[tokio::test]
async fn no_other_api_becomes_a_tunnel() {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    gateway.backend.forget();
    for (path, protocol) in [
        ("/pets/1.0.0/health", "websocket"),
        ("/pets/1.0.0/health", "WebSocket"),
        ("/pets/1.0.0/pet/5", "websocket"),
        ("/pets/1.0.0/pet/5", "other"),
    ] {
        let headers: [(&str, &[u8]); 5] = [
            ("connection", b"Upgrade"),
            ("upgrade", protocol.as_bytes()),
            ("sec-websocket-version", b"13"),
            ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("authorization", token.as_bytes()),
        ];
        let mut request = raw_request("GET", path.as_bytes(), &headers);
        request.extend_from_slice(b"GET /pets/1.0.0/admin HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = send_raw(gateway.ports.http, &request).await.unwrap();
        assert_eq!(answer.status, Some(403), "{path} {protocol}: {}", answer.text);
    }
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn a_backend_with_tls_and_a_client_with_http_2() {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("backend.pem");
    std::fs::write(&trusted, pair.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(pair.cert.der().to_vec())], key)
        .unwrap();
    let backend = SocketBackend::start(Some(tls)).await.unwrap();
    let extra = format!("[router.upstream.tls]\ntrustedCertPath = '{}'\n", trusted.display());
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    deploy(&gateway, &backend, |text| text.replace("ws://", "wss://")).await;
    served(&gateway).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let headers = [("authorization", token.as_str())];
    eventually("the tunnel opens", async || {
        match Handshake::of(&gateway, &format!("{CHAT}/notifications"), &headers).await? {
            Handshake::Open(mut socket) => {
                assert_eq!(socket.echo("hello").await?, "hello");
                Ok(())
            }
            Handshake::Refused(status, body) => anyhow::bail!("{status} {body}"),
        }
    })
    .await
    .unwrap();

    let before = backend.count();
    let (status, received) = over_http2(&gateway, &format!("{CHAT}/lobby"), None).await.unwrap();
    assert_eq!(status, 200);
    assert!(received.contains("/v2/lobby"), "{received}");
    let (status, received) = over_http2(&gateway, &format!("{CHAT}/notifications"), None).await.unwrap();
    assert_eq!(status, 401, "{received}");
    let (status, _) = over_http2(&gateway, &format!("{CHAT}/notifications"), Some(&token)).await.unwrap();
    assert_eq!((status, backend.count()), (200, before + 2));
}

#[tokio::test]
async fn blocked_and_prototyped_channels() {
    let backend = SocketBackend::start(None).await.unwrap();
    let gateway = with(&backend, |text| text).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let becomes = async |text: &str, headers: &[(&str, &str)], path: &str, expected: u16, code: Option<&str>| {
        deploy(&gateway, &backend, |whole| {
            // A prototype by its endpoints is one as much as a prototype by its state.
            match text {
                "endpoints" => {
                    whole.replace("endpoint_type: ws", "endpoint_type: ws\n    implementation_status: prototyped")
                }
                state => whole.replace("PUBLISHED", state),
            }
        })
        .await;
        eventually(text, async || {
            let (status, body) = match Handshake::of(&gateway, &format!("{CHAT}{path}"), headers).await? {
                Handshake::Open(_) => (101, serde_json::Value::Null),
                Handshake::Refused(status, body) => (status, body),
            };
            anyhow::ensure!(status == expected && body["code"].as_str() == code, "{text}: {status} {body}");
            Ok(())
        })
        .await
        .unwrap();
    };
    let credentials = [("authorization", token.as_str())];
    becomes("BLOCKED", &credentials, "/notifications", 503, Some("700700")).await;
    becomes("BLOCKED", &[], "/lobby", 503, Some("700700")).await;
    becomes("PROTOTYPED", &[], "/notifications", 101, None).await;
    becomes("PUBLISHED", &[], "/notifications", 401, Some(INVALID)).await;
    becomes("endpoints", &[], "/notifications", 101, None).await;
}
