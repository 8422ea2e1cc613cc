//! Pages of other origins: who gets consent, on which answers, and what preflights are told.

use reqwest::Method;
use serde_json::json;
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, eventually};

use crate::apis::pets;

/// The headers that tell a browser something, in a line.
fn told(answer: &Answer) -> String {
    let mut line = answer.status.as_str().to_owned();
    for name in ["origin", "credentials", "expose-headers", "methods", "headers"] {
        let header = if name == "expose-headers" { name.to_owned() } else { format!("allow-{name}") };
        if let Some(value) = answer.header(&format!("access-control-{header}")) {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    line
}

async fn ask(gateway: &Gateway, method: Method, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = gateway.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    told(&Answer::of(request).await.unwrap())
}

const OURS: (&str, &str) = ("origin", "https://shop.example");
const THEIRS: (&str, &str) = ("origin", "https://shop.example.evil");
const PREFLIGHT: (&str, &str) = ("access-control-request-method", "GET");

#[tokio::test]
async fn an_api_chooses_whose_pages_may_call_it() {
    let gateway = Gateway::start().await.unwrap();
    let cors = json!({
        "corsConfigurationEnabled": true,
        "accessControlAllowOrigins": ["https://*.example"],
        "accessControlAllowMethods": ["GET", "POST"],
        "accessControlAllowHeaders": ["authorization"],
        "accessControlExposeHeaders": ["x-total"],
        "accessControlAllowCredentials": true,
    });
    let api = pets(&gateway.backend).with_extension("x-wso2-cors", cors);
    gateway.deploy(&api, "/pets/1.0.0/health").await.unwrap();
    let consent = "origin=https://shop.example credentials=true";
    for (method, path, headers, expected) in [
        (Method::GET, "/pets/1.0.0/health", &[OURS][..], format!("200 {consent} expose-headers=x-total")),
        (Method::GET, "/pets/1.0.0/health", &[THEIRS], "200".to_owned()),
        (Method::GET, "/pets/1.0.0/health", &[], "200".to_owned()),
        (Method::GET, "/pets/1.0.0/pet/1", &[OURS], format!("401 {consent} expose-headers=x-total")),
        (
            Method::OPTIONS,
            "/pets/1.0.0/pet/1",
            &[OURS, PREFLIGHT],
            format!("200 {consent} methods=GET, POST headers=authorization"),
        ),
        (Method::OPTIONS, "/pets/1.0.0/pet/1", &[THEIRS, PREFLIGHT], "204".to_owned()),
        (Method::OPTIONS, "/pets/1.0.0/nothing", &[OURS, PREFLIGHT], "404".to_owned()),
    ] {
        assert_eq!(ask(&gateway, method.clone(), path, headers).await, expected, "{method} {path} {headers:?}");
    }
}

#[tokio::test]
async fn an_api_that_says_nothing_has_the_rules_of_the_gateway() {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let simple = ask(&gateway, Method::GET, "/pets/1.0.0/health", &[THEIRS]).await;
    assert_eq!(simple, "200 origin=https://shop.example.evil");
    let preflight = ask(&gateway, Method::OPTIONS, "/pets/1.0.0/pet/1", &[THEIRS, PREFLIGHT]).await;
    assert!(
        preflight.starts_with("200 origin=https://shop.example.evil methods=GET, PUT, POST, DELETE, PATCH, OPTIONS"),
        "{preflight}"
    );

    let off = pets(&gateway.backend).with_extension("x-wso2-cors", json!({"corsConfigurationEnabled": false}));
    gateway.adapter.undeploy("Pets", "1.0.0").await.unwrap();
    gateway.deploy(&off, "/pets/1.0.0/health").await.unwrap();
    eventually("the new rules count", async || {
        let simple = ask(&gateway, Method::GET, "/pets/1.0.0/health", &[THEIRS]).await;
        anyhow::ensure!(simple == "200", "{simple}");
        Ok(())
    })
    .await
    .unwrap();
}
