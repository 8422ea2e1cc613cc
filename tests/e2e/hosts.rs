//! Where an API is found: virtual hosts, environments, versions, and the spellings of its paths.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, Gateway, Settings, eventually};

use crate::apis::probe;

/// Further environments of the adapter.
const EUROPE: &str = "[[adapter.vhostMapping]]\nenvironment = 'Default'\nvhost = 'localhost'\n[[adapter.vhostMapping]]\nenvironment = 'Europe'\nvhost = 'eu.example.com'\n";

fn targets(list: &[(&str, &str)]) -> String {
    let entry = |(environment, host): &(&str, &str)| json!({"deploymentEnvironment": environment, "deploymentVhost": host, "displayOnDevportal": true});
    let data: Vec<Value> = list.iter().map(entry).collect();
    json!({"type": "deployment_environments", "version": "v4.2.0", "data": data}).to_string()
}

fn on(project: ApiProject, list: &[(&str, &str)]) -> ApiProject {
    project.with_file("deployment_environments.yaml", &targets(list))
}

async fn status(gateway: &Gateway, host: &str, path: &str) -> u16 {
    Answer::of(gateway.request(Method::GET, path).header("host", host)).await.unwrap().status.as_u16()
}

/// Every host of the table gives its status; looked at until all of them do.
async fn settles(gateway: &Gateway, path: &str, expected: &[(&str, u16)]) {
    eventually("every host has what is deployed on it", async || {
        for (host, code) in expected {
            let found = status(gateway, host, path).await;
            anyhow::ensure!(found == *code, "{host}{path} answers {found}");
        }
        Ok(())
    })
    .await
    .unwrap();
}

async fn undeploy(gateway: &Gateway, rest: &str) -> StatusCode {
    Answer::of(gateway.adapter.rest(Method::DELETE, &format!("/apis?{rest}"))).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_hosts_are_worlds_of_their_own() {
    let gateway = Gateway::start().await.unwrap();
    let us = tollgate_tests::Backend::start().await.unwrap();
    let first = on(probe(&us, "/shop"), &[("Default", "us.example.com")]);
    // The same path with another API, on a host of its own and on all hosts below a domain.
    let second = ApiProject::new("Other", "1.0.0", "/shop").production(&gateway.backend.url()).unsecured("GET", "/up");
    gateway.adapter.deploy(first.zip().unwrap()).await.unwrap();
    gateway.adapter.deploy(on(second, &[("Default", "*.wild.example")]).zip().unwrap()).await.unwrap();

    settles(
        &gateway,
        "/shop/1.0.0/up",
        &[
            ("us.example.com", 200),
            ("us.example.com:9090", 200),
            ("US.Example.com", 200),
            ("a.wild.example", 200),
            ("a.b.wild.example", 200),
            ("wild.example", 404),
            ("localhost", 404),
            ("eu.example.com", 404),
        ],
    )
    .await;
    us.forget();
    gateway.backend.forget();
    assert_eq!(status(&gateway, "us.example.com", "/shop/1.0.0/up").await, 200);
    assert_eq!((us.count(), gateway.backend.count()), (1, 0));
    assert_eq!(status(&gateway, "a.wild.example", "/shop/1.0.0/up").await, 200);
    assert_eq!((us.count(), gateway.backend.count()), (1, 1));
}

/// Deployed in two environments and removed from them one after the other; this gateway is the second one's.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_removed_from_one_environment_and_stays_in_the_other() {
    let environment = "Europe".to_owned();
    let settings = Settings { environment, extra: EUROPE.to_owned(), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    let project = on(probe(&gateway.backend, "/both"), &[("Default", "shared.example"), ("Europe", "shared.example")]);
    gateway.adapter.deploy(project.zip().unwrap()).await.unwrap();
    let elsewhere = on(probe(&gateway.backend, "/elsewhere"), &[("Default", "")]);
    gateway.adapter.deploy(elsewhere.zip().unwrap()).await.unwrap();
    settles(&gateway, "/both/1.0.0/up", &[("shared.example", 200)]).await;
    assert_eq!(status(&gateway, "localhost", "/elsewhere/1.0.0/up").await, 404, "it is in another environment");

    let environments = async || {
        let list = gateway.adapter.list().await.unwrap();
        let found = list["list"].as_array().unwrap().iter().find(|one| one["apiName"] == "Probe-both").cloned();
        found.map(|one| one["gateway-envs"].clone())
    };
    assert_eq!(environments().await, Some(json!(["Default", "Europe"])));
    let name = "apiName=Probe-both&version=1.0.0";
    assert_eq!(undeploy(&gateway, &format!("{name}&vhost=shared.example&environments=Default")).await, 200);
    assert_eq!(environments().await, Some(json!(["Europe"])));
    settles(&gateway, "/both/1.0.0/up", &[("shared.example", 200)]).await;

    assert_eq!(undeploy(&gateway, &format!("{name}&vhost=other.example&environments=Europe")).await, 404);
    assert_eq!(undeploy(&gateway, &format!("{name}&vhost=&environments=Default:Europe")).await, 200);
    settles(&gateway, "/both/1.0.0/up", &[("shared.example", 404)]).await;
    assert_eq!(environments().await, None);
    assert_eq!(undeploy(&gateway, &format!("{name}&vhost=&environments=")).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_default_version_is_reachable_without_its_version() {
    let gateway = Gateway::start().await.unwrap();
    let version = |version: &str, default: bool| {
        ApiProject::new("Versions", version, "/versions")
            .with("isDefaultVersion", default)
            .production(&format!("{}/{version}", gateway.backend.url()))
            .unsecured("GET", "/x/{id}")
    };
    gateway.deploy(&version("1.0.0", false), "/versions/1.0.0/x/1").await.unwrap();
    assert_eq!(status(&gateway, "localhost", "/versions/x/1").await, 404);
    gateway.deploy(&version("2.0.0", true), "/versions/2.0.0/x/1").await.unwrap();
    gateway.backend.forget();
    let mut seen = Vec::new();
    for path in ["/versions/x/1", "/versions/2.0.0/x/1", "/versions/1.0.0/x/1"] {
        assert_eq!(status(&gateway, "localhost", path).await, 200, "{path}");
        seen.extend(gateway.backend.take().into_iter().map(|request| request.path));
    }
    assert_eq!(seen, ["/2.0.0/x/1", "/2.0.0/x/1", "/1.0.0/x/1"]);
}

/// A slash at the end may be there or not; the backend gets the form of the definition, and below `/*` that of the client.
#[tokio::test(flavor = "multi_thread")]
async fn paths_reach_the_backend_in_the_form_of_the_definition() {
    let gateway = Gateway::start().await.unwrap();
    let project = ["/plain", "/slash/", "/pet/{id}", "/dog/{id}/", "/pet/{id}/info", "/all/*", "/pet/index.html"]
        .into_iter()
        .fold(
            ApiProject::new("Forms", "1.0.0", "/forms").production(&format!("{}/v2", gateway.backend.url())),
            |all, path| all.unsecured("GET", path),
        );
    gateway.deploy(&project, "/forms/1.0.0/plain").await.unwrap();
    gateway.backend.forget();
    for (sent, expected) in [
        ("/plain", Some("/v2/plain")),
        ("/plain/", Some("/v2/plain")),
        ("/slash", Some("/v2/slash/")),
        ("/slash/", Some("/v2/slash/")),
        ("/pet/5", Some("/v2/pet/5")),
        ("/pet/5/", Some("/v2/pet/5")),
        ("/dog/5", Some("/v2/dog/5/")),
        ("/pet/5/info/", Some("/v2/pet/5/info")),
        ("/pet/index.html", Some("/v2/pet/index.html")),
        ("/all", Some("/v2/all")),
        ("/all/", Some("/v2/all/")),
        ("/all/a/b/c", Some("/v2/all/a/b/c")),
        ("/all/a/?x=/{y}", Some("/v2/all/a/")),
        ("/allure", None),
        ("/plains", None),
        ("/pet/5/test", None),
        ("/pett/5", None),
    ] {
        let code = status(&gateway, "localhost", &format!("/forms/1.0.0{sent}")).await;
        let seen: Vec<String> = gateway.backend.take().into_iter().map(|request| request.path).collect();
        assert_eq!(
            (code, seen.first().map(String::as_str)),
            (if expected.is_some() { 200 } else { 404 }, expected),
            "{sent}"
        );
    }
}

/// Clusters are named after APIs, and the enforcer tells Envoy the name in a header.
#[tokio::test(flavor = "multi_thread")]
async fn apis_may_be_named_in_any_script() {
    let gateway = Gateway::start().await.unwrap();
    for (name, context) in [("Größe", "/size"), ("价格 表", "/price"), ("मूल्य", "/value")] {
        let project =
            ApiProject::new(name, "1.0.0", context).production(&gateway.backend.url()).unsecured("GET", "/up");
        gateway.deploy(&project, &format!("{context}/1.0.0/up")).await.unwrap();
        gateway.backend.forget();
        assert_eq!(status(&gateway, "localhost", &format!("{context}/1.0.0/up")).await, 200, "{name}");
        assert_eq!(gateway.backend.take().len(), 1, "{name}");
    }
}
