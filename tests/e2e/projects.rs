//! The sample projects, deployed as they are and served by real Envoy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use tollgate_tests::http::Answer;
use tollgate_tests::{Gateway, Settings, eventually, locate, project};

/// A gateway with a sample project that serves `path`.
async fn with(sample: &str, path: &str) -> Gateway {
    let gateway = Gateway::start().await.unwrap();
    let archive = project::sample(sample, &gateway.backend.url()).unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    eventually("the API is served", async || gateway.all_answer(path, 8, |status| status != 404).await).await.unwrap();
    gateway.backend.forget();
    gateway
}

async fn ask(gateway: &Gateway, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = gateway.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await.unwrap()
}

#[tokio::test]
async fn a_mocked_api_answers_with_its_examples() {
    let gateway = with("mock", "/mocked/1.0.0/open").await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let credentials = ("authorization", token.as_str());
    for (path, headers, status, body) in [
        ("/pet/1", &[credentials][..], 200, r#"{"name":"Rex","age":4}"#),
        ("/pet/1", &[credentials, ("prefer", "example=Cat")], 200, r#"{"name":"Tom","age":2}"#),
        ("/pet/1", &[credentials, ("prefer", "code=404")], 404, r#"{"error":"missing"}"#),
        ("/pet/1", &[credentials, ("prefer", "code=503")], 503, r#"{"error":"broken"}"#),
        ("/pet/1", &[credentials, ("accept", "text/plain")], 200, "Rex, aged 4"),
        ("/open", &[], 200, r#""hello""#),
        (
            "/pet/1",
            &[credentials, ("prefer", "example=Cow")],
            501,
            r#"{"error_message":"Not Implemented","code":"900871","error_description":"Example preference Cow is not supported for this resource"}"#,
        ),
        (
            "/open",
            &[("prefer", "code=some")],
            400,
            r#"{"error_message":"Bad Request","code":"900870","error_description":"Invalid format for code preference"}"#,
        ),
        ("/nothing", &[], 501, r#"{"error_message":"Not Implemented","code":"900871"}"#),
    ] {
        let answer = ask(&gateway, Method::GET, &format!("/mocked/1.0.0{path}"), headers).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, body), "{path} {headers:?}");
    }
    let pet = ask(&gateway, Method::GET, "/mocked/1.0.0/pet/1", &[credentials]).await;
    assert_eq!((pet.header("content-type"), pet.header("x-remaining")), (Some("application/json"), Some("7")));
    assert_eq!(ask(&gateway, Method::GET, "/mocked/1.0.0/pet/1", &[]).await.status.as_u16(), 401);
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn a_backend_gets_its_own_credentials_and_no_other_does() {
    let gateway = with("secured-backend", "/secured/1.0.0/account").await;
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let answer = ask(&gateway, Method::GET, "/secured/1.0.0/account", &[("authorization", &token)]).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert_eq!(answer.json()["headers"]["authorization"], basic("production-user", "production-password"));
    let elsewhere = ask(&gateway, Method::GET, "/secured/1.0.0/elsewhere", &[]).await;
    assert_eq!(elsewhere.json()["headers"].get("authorization"), None);
}

#[tokio::test]
async fn a_swagger_2_definition_is_served_like_any_other() {
    let gateway = with("swagger2", "/two/1.0.0/pet/1").await;
    let seen = ask(&gateway, Method::GET, "/two/1.0.0/pet/1", &[]).await;
    assert_eq!((seen.status.as_u16(), &seen.json()["path"]), (200, &"/v2/pet/1".into()));
    let put = async |token: &str| ask(&gateway, Method::PUT, "/two/1.0.0/pet/1", &[("authorization", token)]).await;
    let (plain, scoped) = (gateway.token("").await.unwrap(), gateway.token("pets:write").await.unwrap());
    assert_eq!(put(&format!("Bearer {plain}")).await.status.as_u16(), 403);
    assert_eq!(put(&format!("Bearer {scoped}")).await.status.as_u16(), 200);
    let options = ask(&gateway, Method::OPTIONS, "/two/1.0.0/pet/1", &[]).await;
    assert_eq!(options.json()["method"], "OPTIONS", "the definition's own operation reaches the backend");
}

/// A folder that the configuration names, with one project as it is and one that is broken.
#[tokio::test]
async fn unzipped_projects_of_the_configured_folder_are_there_from_the_start() {
    let artifacts = tempfile::tempdir().unwrap();
    let (good, broken) = (artifacts.path().join("apis/mock"), artifacts.path().join("apis/broken"));
    std::fs::create_dir_all(good.join("Definitions")).unwrap();
    std::fs::create_dir_all(&broken).unwrap();
    for file in ["api.yaml", "Definitions/swagger.yaml"] {
        std::fs::copy(locate::root().join("tests/projects/mock").join(file), good.join(file)).unwrap();
    }
    std::fs::write(broken.join("api.yaml"), "type: api").unwrap();
    let settings = Settings { artifacts: Some(artifacts.path().to_path_buf()), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    let answer = ask(&gateway, Method::GET, "/mocked/1.0.0/open", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#""hello""#));
    let status = gateway.adapter.status().await.unwrap().to_string();
    assert!(status.contains("broken"), "the refused project is shown: {status}");
}

/// Envoy's own answers have the codes of the original.
#[tokio::test]
async fn a_backend_that_is_gone_is_told_in_the_words_of_the_original() {
    let gateway = Gateway::start().await.unwrap();
    let archive = project::sample("petstore", "http://127.0.0.1:9").unwrap();
    gateway.adapter.deploy(archive).await.unwrap();
    eventually("the API is served", async || {
        gateway.all_answer("/petstore/1.0.5/health", 8, |status| status == 503).await
    })
    .await
    .unwrap();
    let answer = ask(&gateway, Method::GET, "/petstore/1.0.5/health", &[]).await;
    let body = answer.json();
    assert_eq!((answer.status.as_u16(), &body["code"]), (503, &"102503".into()), "{}", answer.body);
    assert_eq!(body["message"], "Upstream connection failed");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
