//! GraphQL APIs: whoever may not ask for one of the fields of a query gets none of them.

use reqwest::Method;
use serde_json::{Value, json};
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, eventually, project};

const PATH: &str = "/library/1.0.0";

/// A gateway with the sample project.
async fn library() -> Gateway {
    let gateway = Gateway::start().await.unwrap();
    let archive = project::sample("graphql", &gateway.backend.url()).unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    eventually("the API is served", async || {
        // Every worker has to know it, and each request opens a connection of its own.
        for _ in 0..16 {
            let answer = ask(&gateway, None, &json!({"query": "{books {id}}"})).await;
            anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        }
        Ok(())
    })
    .await
    .unwrap();
    gateway.backend.forget();
    gateway
}

/// Posts JSON, with that token.
async fn ask(gateway: &Gateway, token: Option<&str>, body: &Value) -> Answer {
    post(gateway, token, &[("content-type", "application/json")], body.to_string()).await
}

async fn post(
    gateway: &Gateway,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> Answer {
    let mut request = gateway.request(Method::POST, PATH).body(body);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.unwrap()
}

/// Status and code of a refusal.
fn refusal(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn every_field_of_a_query_must_be_allowed() {
    let gateway = library().await;
    let (plain, reader) = (gateway.token("").await.unwrap(), gateway.token("loans:read").await.unwrap());
    let writer = gateway.token("loans:write").await.unwrap();
    for (token, query, status, code) in [
        (None, "{books {title}}", 200, ""),
        (None, "query Q {a: books {title} b: books(first: 2) {id}}", 200, ""),
        (None, "{author(id: 1) {name}}", 401, "900901"),
        (None, "{books {title} author(id: 1) {name}}", 401, "900901"),
        (Some(&plain), "{books {title} author(id: 1) {name}}", 200, ""),
        (Some(&plain), "{loans {id}}", 403, "900910"),
        (Some(&plain), "{books {title} harmless: loans {id}}", 403, "900910"),
        (Some(&plain), "{...F} fragment F on Query {... @include(if: false) {loans {id}}}", 403, "900910"),
        (Some(&reader), "{loans {id} author(id: 1) {name}}", 200, ""),
        (Some(&reader), "mutation {lend(book: 1) {id}}", 403, "900910"),
        (Some(&writer), "mutation {lend(book: 1) {id}}", 200, ""),
        (Some(&writer), "mutation {giveBack(loan: 1) {id} lend(book: 1) {id}}", 200, ""),
        (Some(&writer), "{audit}", 404, "404"),
        (Some(&writer), "{books {id} audit}", 404, "404"),
        (None, "{__schema {types {name}}}", 404, "404"),
        (None, "{__typename}", 404, "404"),
    ] {
        gateway.backend.forget();
        let answer = ask(&gateway, token.map(String::as_str), &json!({"query": query})).await;
        assert_eq!(refusal(&answer), (status, code.to_owned()), "{query}: {}", answer.body);
        assert_eq!(gateway.backend.count(), usize::from(status == 200), "{query}");
    }
    let refused = ask(&gateway, Some(&plain), &json!({"query": "{loans {id}}"})).await;
    let description = "User is NOT authorized to access the Resource: loans. Scope validation failed.";
    assert_eq!(refused.json()["error_description"], description);
}

#[tokio::test]
async fn the_backend_gets_the_body_as_it_was_sent() {
    let gateway = library().await;
    let token = gateway.token("").await.unwrap();
    let body =
        json!({"query": "query A {author(id: 1) {name}} query B {audit}", "operationName": "A", "variables": {"x": 1}});
    for (path, seen) in
        [(PATH, "/graphql"), ("/library/1.0.0/", "/graphql"), ("/library/1.0.0?trace=1", "/graphql?trace=1")]
    {
        gateway.backend.forget();
        let request = gateway.request(Method::POST, path).body(body.to_string()).bearer_auth(&token);
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.body);
        let request = gateway.backend.take().remove(0);
        let query = request.query.map_or_else(String::new, |query| format!("?{query}"));
        assert_eq!((request.method, format!("{}{query}", request.path).as_str()), (Method::POST, seen));
        assert_eq!(request.body, body.to_string().as_bytes());
        assert!(!request.headers.contains_key("authorization"));
    }
    let wanted = json!({"query": "query A {author(id: 1) {name}} query B {audit}", "operationName": "B"});
    assert_eq!(refusal(&ask(&gateway, Some(&token), &wanted).await), (404, "404".to_owned()));
}

#[tokio::test]
async fn queries_come_in_two_forms() {
    let gateway = library().await;
    let json = json!({"query": "{books {title}}"}).to_string();
    for (headers, body, status) in [
        (&[][..], json.as_str(), 200),
        (&[("content-type", "application/json; charset=utf-8")], &json, 200),
        (&[("content-type", "application/graphql")], "{books {title}}", 200),
        (&[("content-type", "application/graphql")], &json, 400),
        (&[("content-type", "application/json")], "{books {title}}", 400),
        (&[("content-type", "text/plain")], &json, 400),
        (&[("content-type", "application/json; charset=utf-16")], &json, 400),
        (&[("content-type", "multipart/form-data; boundary=x")], &json, 400),
        (&[("content-encoding", "gzip")], &json, 400),
        (&[], "", 400),
        (&[], "[]", 400),
    ] {
        gateway.backend.forget();
        let answer = post(&gateway, None, headers, body.to_owned()).await;
        let code = if status == 200 { "" } else { "900422" };
        assert_eq!(refusal(&answer), (status, code.to_owned()), "{headers:?} {body}: {}", answer.body);
        assert_eq!(gateway.backend.count(), usize::from(status == 200), "{headers:?} {body}");
    }
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_told_why() {
    let gateway = library().await;
    for (body, part) in [
        (json!({"query": "{books {title}"}), "Invalid syntax. "),
        (json!({"query": "{books {prize}}"}), "Payload is invalid. There is no field prize of type Book"),
        (json!({"query": "{novels {title}}"}), "no field novels of type Query"),
        (json!({"query": "{books {...F}} fragment F on Book {...F}"}), "circle"),
        (json!({"query": ""}), "Query cannot be empty"),
        (json!({"query": "{books {title}}", "documentId": "x"}), "unknown field"),
        (json!([{"query": "{books {title}}"}]), "Invalid GraphQL query body structure"),
    ] {
        let answer = ask(&gateway, None, &body).await;
        assert_eq!(refusal(&answer), (400, "900422".to_owned()), "{body}");
        let told = answer.json();
        assert_eq!(told["error_message"], "INVALID QUERY");
        let description = told["error_description"].as_str().unwrap();
        assert!(description.contains(part), "{body}: {description}");
    }
    let in_url = gateway.request(Method::POST, "/library/1.0.0?%71uery={audit}");
    let answer = Answer::of(in_url.body(r#"{"query":"{books {title}}"}"#)).await.unwrap();
    assert_eq!(refusal(&answer), (400, "900422".to_owned()), "servers prefer the query of the URL");
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn only_posts_to_the_base_path_are_served() {
    let gateway = library().await;
    for (method, path, status) in [
        (Method::GET, "/library/1.0.0?query={books{id}}", 404),
        (Method::PUT, PATH, 404),
        (Method::POST, "/library/1.0.0/books", 404),
        (Method::OPTIONS, PATH, 204),
    ] {
        let answer = Answer::of(gateway.request(method.clone(), path)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
    }
    let preflight = gateway
        .request(Method::OPTIONS, PATH)
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST");
    let preflight = Answer::of(preflight).await.unwrap();
    assert_eq!(preflight.header("access-control-allow-methods"), Some("POST"));
    let refused = post(&gateway, None, &[("origin", "https://shop.example")], "{}").await;
    assert_eq!(refusal(&refused).1, "900422");
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.example"), "the page may see why");
    assert_eq!(gateway.backend.count(), 0);
}

/// Bodies arrive in pieces, and there is an end to them.
#[tokio::test]
async fn large_bodies() {
    let gateway = library().await;
    let fits = json!({"query": "{books {title}}", "variables": {"text": "x".repeat(900_000)}});
    let answer = ask(&gateway, None, &fits).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert_eq!(gateway.backend.take().remove(0).body.len(), fits.to_string().len());
    let too_large = json!({"query": "{books {title}}", "variables": {"text": "x".repeat(1_100_000)}});
    let answer = ask(&gateway, None, &too_large).await;
    assert_eq!(answer.status.as_u16(), 413, "{}", answer.body);
    let long = json!({"query": format!("{{books {{title {}}}}}", "title ".repeat(50_000))});
    assert_eq!(refusal(&ask(&gateway, None, &long).await), (400, "900422".to_owned()));
    let deep = json!({"query": format!("{{books {}title{}}}", "{author {books ".repeat(5_000), "}}".repeat(5_000))});
    assert_eq!(refusal(&ask(&gateway, None, &deep).await), (400, "900422".to_owned()));
    assert_eq!(gateway.backend.count(), 0);
}
