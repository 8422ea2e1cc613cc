use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use super::*;
use crate::ApiProject;
use crate::http::{Answer, client_with};

/// Nothing listens there: these tests are of the REST interface.
const NO_BROKER: &str = "amqp://127.0.0.1:1";

async fn manager() -> (ApiManager, Client) {
    let manager = ApiManager::start(NO_BROKER).await.unwrap();
    let authority = Certificate::from_pem(manager.certificates().authority().as_bytes()).unwrap();
    let client = client_with(|builder| {
        builder
            .tls_danger_accept_invalid_certs(false)
            .tls_certs_only([authority])
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(3))
    });
    (manager, client.unwrap())
}

async fn get(manager: &ApiManager, client: &Client, resource: &str, user: &str) -> Answer {
    let url = format!("{}internal/data/v1/{resource}", manager.url());
    Answer::of(client.get(url).basic_auth(user, Some(PASSWORD))).await.unwrap()
}

fn artifacts(labels: &str) -> String {
    format!("runtime-artifacts?type=Envoy&gatewayLabel={}", STANDARD.encode(labels).replace('=', "%3D"))
}

async fn deployments(manager: &ApiManager, client: &Client, labels: &str) -> (Value, Vec<String>) {
    let url = format!("{}internal/data/v1/{}", manager.url(), artifacts(labels));
    let body = client.get(url).basic_auth(USER, Some(PASSWORD)).send().await.unwrap().bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body)).unwrap();
    let names = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut text = String::new();
    zip.by_name("deployments.json").unwrap().read_to_string(&mut text).unwrap();
    (serde_json::from_str(&text).unwrap(), names)
}

#[tokio::test]
async fn what_is_done_shows_in_every_list() {
    let (mut manager, client) = manager().await;
    let pets = ApiProject::new("Pets", "1.0.0", "/pets").production("http://127.0.0.1:1").unsecured("GET", "/x");
    let done = [
        Operation::publish(pets.clone()),
        Operation::deploy("Pets:1.0.0", &["Default", "Other"]),
        Operation::application("web"),
        Operation::keys("web", "web-key", RESIDENT),
        Operation::subscribe("web", "Pets:1.0.0"),
        Operation::revoke("leaked"),
        Operation::key_manager("Okta", KeyManager::of("https://okta.test", &json!({"jwks_endpoint": "http://x"}))),
        Operation::deny(7, "API", "/pets/1.0.0"),
        Operation::deny(8, "IP", json!({"fixedIp": "10.0.0.1", "invert": true})),
        Operation::KeyTemplate { template: "$userId".to_owned() },
    ];
    manager.all(done).unwrap();
    for (resource, pointer, expected) in [
        ("apis?gatewayLabel=Default", "/list/0/context", json!("/pets/1.0.0")),
        ("apis?gatewayLabel=Default&context=%2Fpets%2F1.0.0&version=1.0.0", "/count", json!(1)),
        ("apis?gatewayLabel=Default&version=2.0.0", "/count", json!(0)),
        ("apis?gatewayLabel=Elsewhere", "/count", json!(0)),
        ("applications", "/list/0/subName", json!(SUBSCRIBER)),
        ("application-key-mappings", "/list/0/consumerKey", json!("web-key")),
        ("subscriptions", "/list/0/subscriptionState", json!("UNBLOCKED")),
        ("application-policies", "/list/0/name", json!("10PerMin")),
        ("subscription-policies", "/list/0/stopOnQuotaReach", json!(true)),
        ("keymanagers", "/0/configuration/issuer", json!("https://okta.test")),
        ("revokedjwt", "/0/jwt_signature", json!("leaked")),
        ("keyTemplates", "/0", json!("$userId")),
        ("block", "/api/0", json!("/pets/1.0.0")),
        ("block", "/ip/0/fixedIp", json!("10.0.0.1")),
        ("applications?organizationId=ALL", "/count", json!(1)),
    ] {
        let answer = get(&manager, &client, resource, USER).await;
        assert_eq!(answer.json().pointer(pointer), Some(&expected), "{resource}: {}", answer.body);
    }
    let (described, names) = deployments(&manager, &client, "Default|Other").await;
    let places = described.pointer("/data/deployments/0/environments").unwrap();
    assert_eq!(places.as_array().unwrap().len(), 2);
    let file = described.pointer("/data/deployments/0/apiFile").unwrap().as_str().unwrap();
    assert!(names.iter().any(|name| name == file), "{names:?}");

    // A second revision in one of two environments makes two files.
    manager.perform(Operation::deploy("Pets:1.0.0", &["Other"])).unwrap();
    assert_eq!(deployments(&manager, &client, "Default|Other").await.1.len(), 4);
    manager.perform(Operation::undeploy("Pets:1.0.0", &["Default", "Other"])).unwrap();
    assert_eq!(get(&manager, &client, &artifacts("Default"), USER).await.status, 404);

    // Tenants do not see each other.
    manager.switch_tenant("foo.com");
    manager.perform(Operation::application("theirs")).unwrap();
    let theirs = get(&manager, &client, "applications", "admin@foo.com").await;
    assert_eq!(theirs.json().pointer("/list/0/name"), Some(&json!("theirs")), "{}", theirs.body);
    assert_eq!(get(&manager, &client, "applications", USER).await.json()["count"], 1);
    assert_eq!(manager.complaints(), Vec::<String>::new());
    assert_eq!(get(&manager, &client, "applications", "nobody").await.status, 401);
    assert_eq!(get(&manager, &client, "runtime-artifacts?gatewayLabel=Default", USER).await.status, 400);
    assert_eq!(manager.complaints().len(), 2);
}

#[tokio::test]
async fn faults_are_what_they_are_called_and_end() {
    let (mut manager, client) = manager().await;
    manager.perform(Operation::application("web")).unwrap();
    let ask = async || {
        let url = format!("{}internal/data/v1/applications", manager.url());
        Answer::of(client.get(url).basic_auth(USER, Some(PASSWORD))).await
    };
    manager.fail("applications", Fault::Status(503), 1);
    manager.fail("subscriptions", Fault::Status(500), 1);
    assert_eq!(ask().await.unwrap().status, 503);
    for broken in [Fault::Half, Fault::Hang] {
        manager.fail("applications", broken, 1);
        ask().await.unwrap_err();
    }
    manager.fail("applications", Fault::Nonsense, 1);
    assert_eq!(ask().await.unwrap().json(), Value::Null);
    assert_eq!(ask().await.unwrap().json()["count"], 1);

    manager.kill();
    get_fails(&manager, &client).await;
    manager.listen().await.unwrap();
    assert_eq!(get(&manager, &client, "applications", USER).await.json()["count"], 1);
}

async fn get_fails(manager: &ApiManager, client: &Client) {
    let asked = async || {
        let url = format!("{}internal/data/v1/applications", manager.url());
        let answer = client.get(url).basic_auth(USER, Some(PASSWORD)).send().await;
        ensure!(answer.is_err(), "it still answers");
        Ok(())
    };
    eventually("nobody answers any more", asked).await.unwrap();
}
