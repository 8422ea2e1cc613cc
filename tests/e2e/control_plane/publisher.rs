//! APIs from the Publisher: deployed, revised, taken away, and acknowledged.

use anyhow::ensure;
use reqwest::Method;
use tollgate_tests::apim::{Acknowledgement, Delivery, Fault, Files, Operation, Project};
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, eventually};

use super::{GONE, OK, PETS, Plant, pets};
use crate::refusals::certificate_that_envoy_refuses;

const HEALTH: &str = "/pets/1.0.0/health";

/// Waits until the backend is called at that path.
async fn reaches(plant: &Plant, path: &str, backend: &str) {
    let reached = async || {
        let answer = plant.gateway.get(path, None).await?;
        ensure!(answer.json()["path"] == backend, "{} {}", answer.status, answer.body);
        Ok(())
    };
    eventually(&format!("{path} reaches {backend}"), reached).await.unwrap();
}

#[tokio::test]
async fn an_api_follows_its_revisions_and_its_life_cycle() {
    let mut plant = Plant::start().await;
    let backend = plant.backend();
    plant.perform(Operation::publish(pets(&backend, 1)));
    plant.answers(HEALTH, None, GONE).await.unwrap();
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    reaches(&plant, HEALTH, "/r1/health").await;

    // What is published is not deployed before somebody deploys a revision of it.
    plant.perform(Operation::publish(pets(&backend, 2).unsecured("GET", "/news")));
    plant.then(Operation::deploy(PETS, &["Default"]), "/pets/1.0.0/news", None, OK).await;
    reaches(&plant, HEALTH, "/r2/health").await;

    // An environment of somebody else.
    plant.perform(Operation::publish(pets(&backend, 3)));
    plant.perform(Operation::deploy(PETS, &["Elsewhere"]));
    plant.then(Operation::life_cycle(PETS, "BLOCKED"), HEALTH, None, (503, "700700")).await;
    plant.then(Operation::life_cycle(PETS, "PUBLISHED"), HEALTH, None, OK).await;
    reaches(&plant, HEALTH, "/r2/health").await;

    plant.then(Operation::undeploy(PETS, &["Elsewhere"]), HEALTH, None, OK).await;
    plant.then(Operation::undeploy(PETS, &["Default"]), HEALTH, None, GONE).await;
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    plant.then(Operation::DeleteApi { api: PETS.to_owned() }, HEALTH, None, GONE).await;
    plant.judge();
}

#[tokio::test]
async fn revisions_are_acknowledged_where_they_are_deployed_and_gone() {
    let mut plant = Plant::start().await;
    plant.perform(Operation::publish(pets(&plant.backend(), 1)));
    // Said again until it is heard.
    plant.apim.fail("apis/deployed-revisions", Fault::Status(500), 2);
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    let (uuid, revision) = {
        let api = plant.apim.state().apis[PETS].clone();
        (api.uuid.clone(), api.deployments["Default"].revision_uuid.clone())
    };
    let (environment, vhost) = ("Default".to_owned(), "localhost".to_owned());
    let deployed =
        Acknowledgement::Deployed { api: uuid.clone(), revision: 1, environment: environment.clone(), vhost };
    let told = async |acknowledgement: &Acknowledgement| {
        let told = plant.apim.acknowledged();
        ensure!(told.contains(acknowledgement), "{told:?} without {acknowledgement:?}");
        Ok(())
    };
    eventually("the revision is acknowledged", async || told(&deployed).await).await.unwrap();

    // One that no gateway can serve is never said to be deployed.
    let broken = ApiProject::new("Broken", "1.0.0", "/broken").production("nowhere").unsecured("GET", "/x");
    plant.perform(Operation::publish(broken));
    plant.perform(Operation::deploy("Broken:1.0.0", &["Default"]));
    let broken = plant.apim.state().apis["Broken:1.0.0"].uuid.clone();
    let refused = async || {
        let refused = plant.gateway.adapter.status().await?["refused"].to_string();
        ensure!(refused.contains(&broken) && refused.contains("/x-wso2-production-endpoints/urls/0"), "{refused}");
        Ok(())
    };
    eventually("the status names the broken API", refused).await.unwrap();

    plant.perform(Operation::undeploy(PETS, &["Default"]));
    let gone = Acknowledgement::Undeployed { api: uuid, revision, environment };
    eventually("the removal is acknowledged", async || told(&gone).await).await.unwrap();
    let claimed = |told: &Acknowledgement| matches!(told, Acknowledgement::Deployed { api, .. } if *api == broken);
    assert!(!plant.apim.acknowledged().iter().any(claimed));
    plant.judge();
}

/// The adapter finds nothing wrong with it; Envoy does.
#[tokio::test]
async fn a_revision_that_envoy_refuses_is_not_acknowledged() {
    let mut plant = Plant::start().await;
    let bad = ApiProject::new("Bad", "1.0.0", "/bad")
        .production("https://127.0.0.1:9/x")
        .unsecured("GET", "/x")
        .with_file("Endpoint-certificates/bad.pem", &certificate_that_envoy_refuses());
    plant.perform(Operation::publish(bad));
    plant.perform(Operation::deploy("Bad:1.0.0", &["Default"]));
    let refused = async || {
        let gateways = plant.gateway.adapter.status().await?["gateways"].to_string();
        ensure!(gateways.contains("Bad:1.0.0 on localhost"), "{gateways}");
        Ok(())
    };
    eventually("the status names the refused API", refused).await.unwrap();
    // What is deployed later is acknowledged, so the other one was passed over and is not only late.
    plant.perform(Operation::publish(pets(&plant.backend(), 1)));
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    let apis = plant.apim.state().apis.clone();
    let is_of = |told: &Acknowledgement, name: &str| matches!(told, Acknowledgement::Deployed { api, .. } if *api == apis[name].uuid);
    let other = async || {
        let told = plant.apim.acknowledged();
        ensure!(told.iter().any(|told| is_of(told, PETS)), "{told:?}");
        Ok(())
    };
    eventually("the other one is acknowledged", other).await.unwrap();
    let told = plant.apim.acknowledged();
    assert!(!told.iter().any(|told| is_of(told, "Bad:1.0.0")), "{told:?}");
    plant.judge();
}

#[tokio::test]
async fn nothing_is_acknowledged_unless_it_is_wanted() {
    let mut plant = Plant::without_acknowledgement().await;
    plant.perform(Operation::publish(pets(&plant.backend(), 1)));
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    plant.then(Operation::undeploy(PETS, &["Default"]), HEALTH, None, GONE).await;
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    assert_eq!(plant.apim.acknowledged(), []);
    plant.judge();
}

#[tokio::test]
async fn the_default_version_needs_no_version_in_the_path() {
    let mut plant = Plant::start().await;
    plant.perform(Operation::publish(pets(&plant.backend(), 1)));
    plant.then(Operation::deploy(PETS, &["Default"]), HEALTH, None, OK).await;
    plant.answers("/pets/health", None, GONE).await.unwrap();
    let default = |default| Operation::DefaultVersion { api: PETS.to_owned(), default };
    plant.then(default(true), "/pets/health", None, OK).await;
    plant.answers(HEALTH, None, OK).await.unwrap();
    // The next revision is the default one as well, and so it is after a restart.
    plant.perform(Operation::publish(pets(&plant.backend(), 2)));
    plant.perform(Operation::deploy(PETS, &["Default"]));
    reaches(&plant, "/pets/health", "/r2/health").await;
    plant.gateway.adapter.kill().unwrap();
    plant.gateway.adapter.start_again().await.unwrap();
    plant.answers("/pets/health", None, OK).await.unwrap();
    plant.then(default(false), "/pets/health", None, GONE).await;
    plant.answers(HEALTH, None, OK).await.unwrap();
    plant.judge();
}

#[tokio::test]
async fn sample_projects_of_every_kind_arrive() {
    let plant = Plant::start().await;
    for folder in ["petstore", "swagger2", "websocket", "graphql"] {
        let text = std::fs::read_to_string(
            tollgate_tests::locate::root().join("tests/projects").join(folder).join("api.yaml"),
        )
        .unwrap();
        let member = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: "))).unwrap();
            line.trim_matches(['"', '\'']).to_owned()
        };
        let (name, version) = (member("name"), member("version"));
        let (context, kind) = (format!("{}/{version}", member("context")), member("type"));
        let files = Files::Sample { folder: folder.to_owned(), backend: plant.backend() };
        let project = Project { name: name.clone(), version: version.clone(), context: context.clone(), kind, files };
        plant.perform(Operation::Publish { project, tier: String::new() });
        // Its messages come twice: nothing is done twice for it.
        plant.apim.deliver(Operation::deploy(&format!("{name}:{version}"), &["Default"]), Delivery::Twice).unwrap();
        let served = async || {
            let answer = Answer::of(plant.gateway.request(Method::GET, &format!("{context}/"))).await?;
            let listed = plant.gateway.adapter.status().await?.to_string();
            ensure!(listed.contains(&name), "{name} is not listed: {} {}", answer.status, answer.body);
            Ok(())
        };
        eventually(&format!("{folder} is deployed"), served).await.unwrap();
    }
    plant.judge();
}
