//! The REST API from outside, in process.

use std::io::{Cursor, Write};

use jwt_simple::prelude::RS256KeyPair;
use serde_json::{Value, json};
use warp::test::RequestBuilder;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::inputs::catalog::Store;
use crate::inputs::project::CompileOptions;
use crate::model::{Problems, Refusals, World, WorldWriter, gateways};

struct Silent;

impl Refusals for Silent {
    fn refuse(&self, _: &str, _: &Problems) {}
    fn accept(&self, _: &str) {}
}

/// No gateway is connected.
struct Nobody;

impl Gateways for Nobody {
    fn answers<'a>(&'a self, _: &'a gateways::Change, _: Duration) -> gateways::Answers<'a> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

fn api() -> (RestApi, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let world = WorldWriter::new(World::default());
    let store = Store::open(directory.path()).unwrap();
    let catalog = Catalog::new(store, CompileOptions::default(), world, Arc::new(Silent));
    let users = vec![User { username: "admin".to_owned(), password: "admin".to_owned() }];
    let key = RS256KeyPair::generate(2048).unwrap().to_pem().unwrap();
    let auth = Authenticator::new(users, &key, 60).unwrap();
    (RestApi::new(catalog, auth, Arc::new(Nobody), Duration::ZERO), directory)
}

const BASIC: &str = "Basic YWRtaW46YWRtaW4=";

fn request(method: &str, path: &str) -> RequestBuilder {
    warp::test::request().method(method).path(&format!("{BASE}{path}")).header("authorization", BASIC)
}

fn project(name: &str, context: &str) -> Vec<u8> {
    let data = json!({"type": "api", "data": {"name": name, "version": "1.0.0", "context": context,
        "endpointConfig": {"production_endpoints": {"url": "http://backend/v2"}}}});
    let definition = json!({"openapi": "3.0.1", "paths": {"/pet": {"get": {}}}});
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, document) in [("p/api.json", data), ("p/Definitions/swagger.json", definition)] {
        writer.start_file(file, SimpleFileOptions::default()).unwrap();
        writer.write_all(document.to_string().as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn upload(part: &str, contents: &[u8], query: &str) -> RequestBuilder {
    let mut body =
        format!("--X\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"a.zip\"\r\n\r\n").into_bytes();
    body.extend_from_slice(contents);
    body.extend_from_slice(b"\r\n--X--\r\n");
    request("POST", &format!("/apis{query}")).header("content-type", "multipart/form-data; boundary=X").body(body)
}

async fn answer(api: &RestApi, request: RequestBuilder) -> (u16, Value) {
    let response = request.reply(&api.clone().routes()).await;
    let body = response.body();
    (response.status().as_u16(), if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() })
}

#[tokio::test]
async fn deploy_list_and_undeploy() {
    let (api, _directory) = api();
    for (request, status) in [
        (upload("file", &project("Pets", "/pets"), ""), 200),
        (upload("file", &project("Pets", "/pets"), "?override=false"), 409),
        (upload("file", &project("Pets", "/pets"), "?override=true"), 200),
        (upload("file", &project("Cats", "/pets"), "?override=true"), 409),
        (upload("file", &project("Cats", "/cats"), ""), 200),
    ] {
        assert_eq!(answer(&api, request).await.0, status);
    }
    let item = |name: &str, context: &str| json!({"apiName": name, "version": "1.0.0", "apiType": "HTTP", "context": context, "gateway-envs": ["Default"], "vhost": "localhost"});
    let (status, list) = answer(&api, request("GET", "/apis?query=type:http&limit=25")).await;
    assert_eq!((status, &list["total"], &list["count"]), (200, &json!(2), &json!(2)));
    for expected in [item("Cats", "/cats/1.0.0"), item("Pets", "/pets/1.0.0")] {
        assert!(list["list"].as_array().unwrap().contains(&expected), "{list}");
    }
    let (_, one) = answer(&api, request("GET", "/apis?limit=1")).await;
    assert_eq!((&one["total"], &one["count"]), (&json!(2), &json!(1)));
    assert_eq!(answer(&api, request("GET", "/apis?query=type:ws")).await.1["total"], json!(0));
    let gone = "/apis?apiName=Pets&version=1.0.0&vhost=&environments=";
    let (status, body) = answer(&api, request("DELETE", gone)).await;
    assert_eq!((status, &body["gateways"]), (200, &json!([])));
    assert!(body["message"].as_str().unwrap().starts_with("The API is undeployed. No gateway"), "{body}");
    assert_eq!(answer(&api, request("DELETE", gone)).await.0, 404);
    assert_eq!(answer(&api, request("GET", "/apis")).await.1["total"], json!(1));
}

#[tokio::test]
async fn a_bad_project_is_answered_with_all_its_problems() {
    let (api, _directory) = api();
    let (status, body) = answer(&api, upload("file", b"no zip", "")).await;
    assert_eq!((status, &body["code"]), (400, &json!(400)));
    assert!(body["error"][0]["message"].as_str().unwrap().contains("not a readable zip"), "{body}");
    assert_eq!(body["error"][0]["code"], json!("400"));
    let (_, body) = answer(&api, upload("file", &project("", "no slash"), "")).await;
    assert_eq!(body["error"].as_array().unwrap().len(), 2, "{body}");
}

#[tokio::test]
async fn logins_give_tokens_that_let_in() {
    let (api, _directory) = api();
    let login = |body: &str| {
        warp::test::request()
            .method("POST")
            .path(&format!("{BASE}/oauth2/token"))
            .header("content-type", "application/json")
            .body(body)
    };
    let (status, body) = answer(&api, login(r#"{"username":"admin","password":"admin"}"#)).await;
    assert_eq!(status, 200);
    let bearer = format!("Bearer {}", body["accessToken"].as_str().unwrap());
    let with =
        |value: &str| warp::test::request().method("GET").path(&format!("{BASE}/apis")).header("authorization", value);
    assert_eq!(answer(&api, with(&bearer)).await.0, 200);
    for (body, status) in [
        (r#"{"username":"admin","password":"wrong"}"#, 401),
        (r#"{"username":"admin"}"#, 422),
        (r#"{"username":"a b","password":"x"}"#, 422),
        ("{", 400),
        (&"x".repeat(5000), 413),
    ] {
        assert_eq!(answer(&api, login(body)).await.0, status, "{body}");
    }
    assert_eq!(answer(&api, login(r#"{"username":"admin","password":"wrong"}"#)).await.1, Value::Null);
    let unauthenticated = [
        ("Basic YWRtaW46eA==", "Credentials are invalid"),
        ("Bearer x.y.z", "The provided token is not valid"),
        ("x", "unauthenticated for invalid credentials"),
    ];
    for (value, message) in unauthenticated {
        assert_eq!(answer(&api, with(value)).await, (401, json!({"code": 401, "message": message})));
    }
}

#[tokio::test]
async fn what_is_not_valid_is_answered_as_the_original_does() {
    let (api, _directory) = api();
    let plain = |method: &str, path: &str| request(method, path);
    for (request, status, code, part) in [
        (plain("DELETE", "/apis?version=1.0.0"), 422, 602, "apiName in query is required"),
        (plain("DELETE", "/apis?apiName=Pets&version=a%20b"), 422, 605, "version in query should match"),
        (plain("GET", "/apis?limit=0"), 422, 609, "limit in query should be greater"),
        (plain("PUT", "/apis"), 405, 405, "method PUT is not allowed"),
        (plain("GET", "/oauth2/token"), 405, 405, "method GET is not allowed"),
        (plain("GET", "/other"), 404, 404, "was not found"),
        (plain("POST", "/apis"), 415, 415, "unsupported media type"),
        (upload("data", b"x", ""), 422, 602, "file in formData is required"),
        (
            plain("POST", "/apis").header("content-type", "multipart/form-data; boundary=X").body("--X\r\n"),
            400,
            400,
            "parsing file",
        ),
        (upload("file", &vec![0; (16 << 20) + 1], ""), 413, 413, "too large"),
    ] {
        let (found, body) = answer(&api, request).await;
        assert_eq!((found, &body["code"]), (status, &json!(code)), "{body}");
        assert!(body["message"].as_str().unwrap().contains(part), "{body} lacks {part}");
    }
}
