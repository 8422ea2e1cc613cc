//! Environments and tenants: a gateway gets what is deployed in its own, and nothing of others.

use anyhow::ensure;
use tollgate_tests::apim::{ApiManager, Operation, RESIDENT};
use tollgate_tests::{Gateway, Settings, Topics, eventually};

use super::{GONE, NOT_SUBSCRIBED, OK, PET, PETS, answers, control_plane, pets, resident, token};

const HEALTH: &str = "/pets/1.0.0/health";

async fn reaches(gateway: &Gateway, backend: &str) {
    let reached = async || {
        let answer = gateway.get(HEALTH, None).await?;
        ensure!(answer.json()["path"] == backend, "{} {}", answer.status, answer.body);
        Ok(())
    };
    eventually(&format!("the gateway reaches {backend}"), reached).await.unwrap();
}

fn deploy(environment: &str, endpoint: Option<&str>) -> Operation {
    Operation::Deploy {
        api: PETS.to_owned(),
        environments: vec![environment.to_owned()],
        vhost: "localhost".to_owned(),
        endpoints: endpoint.map(|url| (url.to_owned(), url.to_owned())),
    }
}

#[tokio::test]
async fn environments_have_revisions_and_backends_of_their_own() {
    let topics = Topics::shared().await.unwrap();
    let apim = ApiManager::start(&topics.url()).await.unwrap();
    // One adapter for both environments, whose gateway is in one of them.
    let extra = control_plane(&apim, &[topics.url()], &["Default", "Other"], "");
    let first = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let extra = control_plane(&apim, &[topics.url()], &["Other"], "");
    let environment = "Other".to_owned();
    let other = Gateway::with(Settings { extra, environment, ..Settings::default() }).await.unwrap();
    let backend = first.backend.url();
    apim.perform(Operation::publish(pets(&backend, 1))).unwrap();
    apim.perform(deploy("Default", None)).unwrap();
    reaches(&first, "/r1/health").await;
    answers(&other, HEALTH, None, GONE).await.unwrap();

    apim.perform(Operation::publish(pets(&backend, 2))).unwrap();
    apim.perform(deploy("Other", None)).unwrap();
    reaches(&other, "/r2/health").await;
    reaches(&first, "/r1/health").await;

    // What an environment says of backends goes before the project.
    apim.perform(deploy("Other", Some(&format!("{backend}/special")))).unwrap();
    reaches(&other, "/special/health").await;
    reaches(&first, "/r1/health").await;

    apim.perform(Operation::undeploy(PETS, &["Default"])).unwrap();
    let gone = async || answers(&first, HEALTH, None, GONE).await;
    eventually("it is gone in one environment", gone).await.unwrap();
    answers(&other, HEALTH, None, OK).await.unwrap();
    assert_eq!(apim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_others() {
    let topics = Topics::shared().await.unwrap();
    let mut apim = ApiManager::start(&topics.url()).await.unwrap();
    apim.switch_tenant("foo.com");
    let extra =
        control_plane(&apim, &[topics.url()], &["Default"], "").replace("'admin'\npass", "'admin@foo.com'\npass");
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let backend = gateway.backend.url();
    let ours = [
        resident(),
        Operation::publish(pets(&backend, 1)),
        Operation::deploy(PETS, &["Default"]),
        Operation::application("web"),
        Operation::keys("web", "web-key", RESIDENT),
        Operation::subscribe("web", PETS),
    ];
    apim.all(ours).unwrap();
    let web = token("web-key", "web");
    eventually("our own is there", async || answers(&gateway, PET, Some(&web), OK).await).await.unwrap();

    // Another tenant has names and paths like ours, and things of its own.
    apim.switch_tenant("carbon.super");
    let dogs =
        tollgate_tests::ApiProject::new("Dogs", "1.0.0", "/dogs").production(&backend).unsecured("GET", "/health");
    let theirs = [
        Operation::publish(dogs),
        Operation::deploy("Dogs:1.0.0", &["Default"]),
        Operation::application("web"),
        Operation::keys("web", "their-key", RESIDENT),
        Operation::subscribe("web", "Dogs:1.0.0"),
        Operation::deny(1, "IP", serde_json::json!({"fixedIp": "127.0.0.1", "invert": false})),
    ];
    apim.all(theirs).unwrap();
    // Once this is there, so would the others be.
    apim.switch_tenant("foo.com");
    apim.perform(Operation::application("last")).unwrap();
    apim.perform(Operation::keys("last", "last-key", RESIDENT)).unwrap();
    apim.perform(Operation::subscribe("last", PETS)).unwrap();
    let last = token("last-key", "last");
    eventually("what was told last is there", async || answers(&gateway, PET, Some(&last), OK).await).await.unwrap();
    answers(&gateway, PET, Some(&web), OK).await.unwrap();
    answers(&gateway, "/dogs/1.0.0/health", None, GONE).await.unwrap();
    answers(&gateway, PET, Some(&token("their-key", "their")), NOT_SUBSCRIBED).await.unwrap();
    assert_eq!(apim.complaints(), Vec::<String>::new());
}
