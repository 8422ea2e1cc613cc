//! The routes that belong to no API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tollgate_tests::adapter::{PASSWORD, USER};
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, project};

#[tokio::test]
async fn health_and_readiness_are_told() {
    let gateway = Gateway::start().await.unwrap();
    for (path, body) in [("/health", r#"{"status": "healthy"}"#), ("/ready", r#"{"status": "ready"}"#)] {
        let answer = gateway.get(path, None).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, body), "{path}");
    }
}

/// Figures for Prometheus, where the original has them.
#[tokio::test]
async fn the_figures_of_the_adapter_are_there() {
    let ports = tollgate_tests::ports::Ports::free().unwrap();
    let extra = format!("[adapter.metrics]\nenabled = true\nport = {}\n", ports.http);
    let gateway = Gateway::with(tollgate_tests::Settings { extra, ..Default::default() }).await.unwrap();
    let url = format!("http://127.0.0.1:{}/metrics", ports.http);
    let answer = Answer::of(gateway.client().get(url)).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    for figure in ["os_available_cpu_total ", "process_start_time_seconds ", "process_open_fds ", "host_info{"] {
        assert!(answer.body.lines().any(|line| line.starts_with(figure)), "{figure}: {}", answer.body);
    }
}

#[tokio::test]
async fn test_keys_are_given_to_their_users_only() {
    let gateway = Gateway::start().await.unwrap();
    for method in [Method::GET, Method::POST] {
        let request = || gateway.client().request(method.clone(), gateway.secure_url("/testkey"));
        let given = Answer::of(request().basic_auth(USER, Some(PASSWORD))).await.unwrap();
        assert_eq!(given.status, StatusCode::OK, "{method}: {}", given.body);
        let claims = URL_SAFE_NO_PAD.decode(given.body.trim().split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["keytype"], "PRODUCTION");
        assert_eq!(claims["aud"], "http://org.wso2.apimgt/gateway");
        assert_eq!(claims["sub"], USER);

        let wrong = Answer::of(request().basic_auth(USER, Some("wrong"))).await.unwrap();
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{method}");
        let missing = Answer::of(request()).await.unwrap();
        assert_eq!(missing.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn the_keys_of_the_test_issuer_are_published() {
    let gateway = Gateway::start().await.unwrap();
    let answer = gateway.get("/.wellknown/jwks", None).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let jwks = answer.json();
    let token = gateway.token("").await.unwrap();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(jwks["keys"][0]["kty"], "RSA", "{jwks}");
    assert_eq!(jwks["keys"][0]["kid"], header["kid"], "{jwks}");
    assert!(jwks["keys"][0].get("d").is_none(), "a private key is published");
}

/// The project that `./just up` deploys: from the folder, through the gateway, to the backend.
#[tokio::test]
async fn the_sample_project_works() {
    let gateway = Gateway::start().await.unwrap();
    let archive = project::sample("petstore", &gateway.backend.url()).unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    tollgate_tests::eventually("the sample is served", async || {
        gateway.all_answer("/petstore/1.0.5/health", 8, |status| status == 200).await
    })
    .await
    .unwrap();
    let token = gateway.token("admin:read").await.unwrap();
    let table = [
        ("/petstore/1.0.5/pet/1", Some(&token), 200, "/v2/pet/1"),
        ("/petstore/1.0.5/pet/findByStatus?status=sold", Some(&token), 200, "/v2/pet/findByStatus"),
        ("/petstore/1.0.5/admin/report", Some(&token), 200, "/v2/admin/report"),
        ("/petstore/1.0.5/pet/1", None, 401, "900901"),
        ("/petstore/1.0.5/nothing", Some(&token), 404, "The requested resource is not available."),
    ];
    for (path, token, status, text) in table {
        let answer = gateway.get(path, token.map(String::as_str)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        assert!(answer.body.contains(text), "{path}: {}", answer.body);
    }
}
