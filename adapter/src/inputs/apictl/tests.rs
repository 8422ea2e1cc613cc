//! The REST API from outside, in process.

use std::io::{Cursor, Write};

use jwt_simple::prelude::RS256KeyPair;
use serde_json::{Value, json};
use warp::test::RequestBuilder;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::inputs::catalog::Store;
use crate::model::{Problems, Refusals, World, WorldWriter, gateways};
use tollgate_project::CompileOptions;

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
    archive(&[("p/api.json", data), ("p/Definitions/swagger.json", definition)])
}

fn archive(files: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (file, document) in files {
        writer.start_file(*file, SimpleFileOptions::default()).unwrap();
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
        ("", 422),
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

/// Removal as `apictl mg undeploy api -t -g` asks for it.
#[tokio::test]
async fn a_removal_concerns_the_hosts_and_environments_it_names() {
    let environments = json!({"type": "deployment_environments", "data": [
        {"deploymentEnvironment": "Default", "deploymentVhost": "a.io"},
        {"deploymentEnvironment": "Europe", "deploymentVhost": "b.io"},
        {"deploymentEnvironment": "Asia", "deploymentVhost": "b.io"},
    ]});
    let all = ["a.io Default", "b.io Asia", "b.io Europe"];
    for (query, status, left) in [
        ("", 200, &[][..]),
        ("&vhost=&environments=", 200, &[]),
        ("&vhost=a.io&environments=", 200, &all[1..]),
        ("&vhost=A.IO", 200, &all[1..]),
        ("&environments=Asia", 200, &["a.io Default", "b.io Europe"]),
        ("&vhost=b.io&environments=Asia:Europe", 200, &all[..1]),
        ("&environments=Default:Asia:Nowhere", 200, &all[2..]),
        ("&vhost=b.io&environments=Default", 404, &all),
        ("&vhost=c.io", 404, &all),
        ("&environments=asia", 404, &all),
    ] {
        let (api, _directory) = api();
        let archive = with_environments(&project("Pets", "/pets"), &environments);
        assert_eq!(answer(&api, upload("file", &archive, "")).await.0, 200);
        let path = format!("/apis?apiName=Pets&version=1.0.0{query}");
        assert_eq!(answer(&api, request("DELETE", &path)).await.0, status, "{query}");
        let (_, list) = answer(&api, request("GET", "/apis")).await;
        let mut found: Vec<String> = Vec::new();
        for one in list["list"].as_array().unwrap() {
            let host = one["vhost"].as_str().unwrap();
            let environments = one["gateway-envs"].as_array().unwrap().iter();
            found.extend(environments.map(|environment| format!("{host} {}", environment.as_str().unwrap())));
        }
        assert_eq!(found, left, "{query}");
    }
}

/// The conflicts of a deployment, over all its hosts or not at all.
#[tokio::test]
async fn conflicts_are_told_apart_and_change_nothing() {
    let (api, _directory) = api();
    let on = |archive: &[u8], hosts: &[&str]| {
        let target = |(number, host): (usize, &&str)| json!({"deploymentEnvironment": format!("E{number}"), "deploymentVhost": host});
        let list: Vec<Value> = hosts.iter().enumerate().map(target).collect();
        with_environments(archive, &json!({"type": "deployment_environments", "data": list}))
    };
    let pets = project("Pets", "/pets");
    assert_eq!(answer(&api, upload("file", &on(&pets, &["a.io"]), "")).await.0, 200);
    for (archive, query, status, part) in [
        (on(&pets, &["a.io"]), "", 409, "already deployed"),
        (on(&pets, &["b.io", "a.io"]), "?override=false", 409, "already deployed"),
        (
            on(&project("Cats", "/pets"), &["b.io", "a.io"]),
            "?override=true",
            409,
            "An API exists with the same basepath",
        ),
        (on(&mocked("Pets", "/other", "other-id"), &["a.io"]), "?override=true", 409, "another id"),
    ] {
        let (found, body) = answer(&api, upload("file", &archive, query)).await;
        assert_eq!((found, &body["code"]), (status, &json!(status)), "{body}");
        assert!(body["error"][0]["message"].as_str().unwrap().contains(part), "{body} lacks {part}");
        assert_eq!(answer(&api, request("GET", "/apis")).await.1["total"], json!(1), "{part}");
    }
    assert_eq!(answer(&api, upload("file", &on(&project("Cats", "/pets"), &["b.io"]), "")).await.0, 200);
}

fn mocked(name: &str, context: &str, id: &str) -> Vec<u8> {
    let data = json!({"type": "api", "data": {"id": id, "name": name, "version": "1.0.0", "context": context,
        "endpointImplementationType": "MOCKED_OAS"}});
    let definition = json!({"openapi": "3.0.1", "paths": {"/pet": {"get": {"responses": {"200": {"description": "ok",
        "content": {"application/json": {"example": 1}}}}}}}});
    archive(&[("p/api.json", data), ("p/Definitions/swagger.json", definition)])
}

fn with_environments(project: &[u8], environments: &Value) -> Vec<u8> {
    let mut writer = ZipWriter::new_append(Cursor::new(project.to_vec())).unwrap();
    writer.start_file("p/deployment_environments.json", SimpleFileOptions::default()).unwrap();
    writer.write_all(environments.to_string().as_bytes()).unwrap();
    writer.finish().unwrap().into_inner()
}
