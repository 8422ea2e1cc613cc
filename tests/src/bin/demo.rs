//! `just demo`: starts a gateway on free ports, sends a tour of requests, prints each with its answer, and succeeds only
//! if every answer is the expected one.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use tollgate_tests::adapter::{PASSWORD, USER};
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, eventually, project};

/// Longer bodies are cut in print.
const SHOWN: usize = 240;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => {
            println!("\nEvery answer was the expected one.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    println!("Starting the adapter and Envoy ...");
    let gateway = Gateway::start().await?;
    let archive = project::sample("petstore", &gateway.backend.url())?;
    gateway.adapter.deploy(archive).await.context("deploying the sample API")?;
    eventually("the sample API is served", async || {
        gateway.all_answer("/petstore/1.0.5/health", 8, |status| status == 200).await
    })
    .await?;
    println!("Deployed the sample API: /petstore/1.0.5, backed by {}", gateway.backend.url());

    let plain = token(&gateway, None).await?;
    let admin = token(&gateway, Some("admin:read")).await?;
    let tour = [
        ("the gateway itself", Method::GET, "/health", None, 200, "healthy"),
        ("a resource that anyone may read", Method::GET, "/petstore/1.0.5/health", None, 200, "/v2/health"),
        ("a secured resource, without a token", Method::GET, "/petstore/1.0.5/pet/1", None, 401, "900901"),
        ("the same, with a token", Method::GET, "/petstore/1.0.5/pet/1", Some(&plain), 200, "/v2/pet/1"),
        ("a path that no resource has", Method::GET, "/petstore/1.0.5/nothing", Some(&plain), 404, "Not Found"),
        ("a method the resource lacks", Method::PUT, "/petstore/1.0.5/pet/1", Some(&plain), 404, "Not Found"),
        ("a scope the token lacks", Method::GET, "/petstore/1.0.5/admin/users", Some(&plain), 403, "900910"),
        ("the same, with the scope", Method::GET, "/petstore/1.0.5/admin/users", Some(&admin), 200, "/v2/admin/users"),
    ];
    for (what, method, path, token, status, text) in tour {
        println!("\n# {what}");
        println!("> {method} {}{}", gateway.url(path), token.map_or("", |_| "   Authorization: Bearer ..."));
        let request = gateway.request(method, path);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        expect(&Answer::of(request).await?, status, text)?;
    }
    undeploy(&gateway).await
}

async fn token(gateway: &Gateway, scope: Option<&str>) -> Result<String> {
    println!("\n# a token{}", scope.map(|scope| format!(" with the scope {scope}")).unwrap_or_default());
    println!("> POST {}   Authorization: Basic {USER}:{PASSWORD}", gateway.secure_url("/testkey"));
    let token = gateway.token(scope.unwrap_or_default()).await?;
    println!("< 200 {token:.40}...");
    Ok(token)
}

async fn undeploy(gateway: &Gateway) -> Result<()> {
    println!("\n# the API undeployed");
    gateway.adapter.undeploy("SwaggerPetstore", "1.0.5").await?;
    let path = "/petstore/1.0.5/health";
    println!("> GET {}", gateway.url(path));
    eventually("the sample API is gone", async || gateway.all_answer(path, 8, |status| status == 404).await).await?;
    expect(&gateway.get(path, None).await?, 404, "Not Found")
}

fn expect(answer: &Answer, status: u16, text: &str) -> Result<()> {
    let shown: String = answer.body.chars().take(SHOWN).collect();
    println!("< {} {shown}", answer.status.as_u16());
    ensure!(answer.status.as_u16() == status, "expected status {status}");
    ensure!(answer.body.contains(text), "expected a body with {text:?}");
    Ok(())
}
