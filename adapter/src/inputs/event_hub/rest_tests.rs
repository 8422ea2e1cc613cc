//! An API Manager that answers badly.

use std::convert::Infallible;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::Filter as _;

use super::*;
use crate::inputs::event_hub::testing::settings;

/// Answers by what the path is called, and says who asked.
async fn manager() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = warp::path!("base" / "internal" / "data" / "v1" / String)
        .and(warp::header::<String>("authorization"))
        .and(warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) }))
        .map(|name: String, authorization: String, query: String| {
            let (status, body) = match name.as_str() {
                "who" => (200, format!("{authorization} {query}")),
                "nothing" => (204, String::new()),
                "forbidden" => (403, format!("no\n{}", "x".repeat(1000))),
                "broken" => (500, String::new()),
                "moved" => (302, String::new()),
                _ => (200, "y".repeat(5000)),
            };
            http::Response::builder()
                .status(status)
                .header("location", "/base/internal/data/v1/who")
                .body(body)
                .unwrap()
        });
    tokio::spawn(crate::tls::serve_plain(listener, warp::service(answer), CancellationToken::new()));
    format!("http://{address}/base")
}

fn client_of(url: &str) -> RestClient {
    RestClient::new(&settings(url, std::path::Path::new("unused"))).unwrap()
}

#[tokio::test]
async fn questions_name_who_asks_and_answers_are_bounded() {
    let url = manager().await;
    for url in [url.clone(), format!("{url}/")] {
        let client = client_of(&url);
        let body = client.get("who", &[("gatewayLabel", "a|b c"), ("x", "=")], 100).await.unwrap().unwrap();
        assert_eq!(body, "Basic YWRtaW46aHVzaA== gatewayLabel=a%7Cb+c&x=%3D");
        assert_eq!(client.get("nothing", &[], 100).await.unwrap(), None);
    }
    let client = client_of(&url);
    assert!(matches!(client.get("large", &[], 4999).await, Err(RestError::TooLarge(4999))));
    assert_eq!(client.get("large", &[], 5000).await.unwrap().unwrap().len(), 5000);
}

#[tokio::test]
async fn where_apis_are_shared_every_question_is_about_all_owners() {
    let (url, folder) = (manager().await, std::path::Path::new("unused"));
    let global_adapter = Some(super::super::testing::global_adapter());
    let client = RestClient::new(&EventHubSettings { global_adapter, ..settings(&url, folder) }).unwrap();
    for (query, expected) in
        [(&[][..], "organizationId=ALL"), (&[("gatewayLabel", "a")][..], "gatewayLabel=a&organizationId=ALL")]
    {
        for body in [client.get("who", query, 100).await, client.ask("who", query, &json!({"uuids": []}), 100).await] {
            assert_eq!(body.unwrap().unwrap(), format!("Basic YWRtaW46aHVzaA== {expected}"));
        }
    }
    client.tell(Method::POST, "who", &json!({})).await.unwrap();
}

#[tokio::test]
async fn everything_but_success_is_an_error() {
    let url = manager().await;
    let client = client_of(&url);
    for (path, status, part) in [("forbidden", 403, "nox"), ("broken", 500, "500"), ("moved", 302, "302")] {
        let error = client.get(path, &[], 100).await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        let text = error.to_string();
        assert!(text.contains(part) && text.len() < 400 && !text.contains('\n'), "{text}");
    }
    let error = client.tell(Method::POST, "broken", &json!({})).await.unwrap_err();
    assert!(error.status().is_some());
    let nobody = client_of("http://127.0.0.1:1/");
    assert!(matches!(nobody.get("who", &[], 1).await, Err(RestError::Request(_))));
}

#[tokio::test]
async fn silence_and_half_an_answer_are_errors() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = connection.read(&mut asked).await;
            let _ = connection.write_all(answer).await;
            if answer.is_empty() {
                // It stays open, and says nothing.
                tokio::spawn(async move {
                    let _ = connection.read(&mut asked).await;
                });
            }
        }
    });
    let client = client_of(&url);
    for _ in 0..2 {
        let outcome = tokio::time::timeout(Duration::from_secs(20), client.get("x", &[], 1000)).await.unwrap();
        assert!(matches!(outcome, Err(RestError::Request(_))), "{outcome:?}");
    }
}
