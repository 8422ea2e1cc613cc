//! Applications, keys and subscriptions from the Developer Portal.

use std::collections::BTreeMap;

use tollgate_tests::apim::{Operation, RESIDENT};

use super::{NOT_SUBSCRIBED, OK, PET, PETS, Plant, resident, token, usual};

#[tokio::test]
async fn a_caller_gets_in_once_application_keys_and_subscription_are_there() {
    let mut plant = Plant::start().await;
    let backend = plant.backend();
    plant.perform(resident());
    plant.perform(Operation::publish(super::pets(&backend, 1)));
    let web = token("web-key", "web");
    let web = Some(web.as_str());
    plant.then(Operation::deploy(PETS, &["Default"]), PET, web, NOT_SUBSCRIBED).await;
    plant.perform(Operation::application("web"));
    plant.perform(Operation::subscribe("web", PETS));
    plant.then(Operation::keys("web", "web-key", RESIDENT), PET, web, OK).await;
    // Somebody else's keys are no good for it.
    plant.answers(PET, Some(&token("other-key", "other")), NOT_SUBSCRIBED).await.unwrap();

    plant.then(Operation::DeleteKeys { consumer_key: "web-key".to_owned() }, PET, web, NOT_SUBSCRIBED).await;
    plant.then(Operation::keys("web", "web-key", RESIDENT), PET, web, OK).await;
    plant.then(Operation::unsubscribe("web", PETS), PET, web, NOT_SUBSCRIBED).await;
    plant.then(Operation::subscribe("web", PETS), PET, web, OK).await;
    plant.then(Operation::DeleteApplication { name: "web".to_owned() }, PET, web, NOT_SUBSCRIBED).await;
    plant.judge();
}

#[tokio::test]
async fn every_state_of_a_subscription_arrives() {
    let mut plant = Plant::start().await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let web = token("web-key", "web");
    let web = Some(web.as_str());
    plant.then(Operation::subscribe("web", PETS), PET, web, OK).await;
    for (state, expected) in [
        ("BLOCKED", (401, "900907")),
        ("TIER_UPDATE_PENDING", OK),
        ("PROD_ONLY_BLOCKED", (401, "900907")),
        ("UNBLOCKED", OK),
        ("ON_HOLD", (403, "900909")),
        ("UNBLOCKED", OK),
        ("REJECTED", (403, "900909")),
        ("UNBLOCKED", OK),
    ] {
        plant.then(Operation::subscription("web", PETS, "Unlimited", state), PET, web, expected).await;
    }
    plant.judge();
}

#[tokio::test]
async fn what_was_there_before_is_there_from_the_start() {
    let mut plant = Plant::start().await;
    let (web, late) = (token("web-key", "web"), token("late-key", "late"));
    let backend = plant.backend();
    plant.gateway.adapter.kill().unwrap();
    plant.apim.all(usual(&backend)).unwrap();
    plant.perform(Operation::subscribe("web", PETS));
    plant.perform(Operation::revoke("revoked-before"));
    plant.perform(Operation::Application {
        name: "late".to_owned(),
        tier: "10PerMin".to_owned(),
        attributes: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
    });
    plant.gateway.adapter.start_again().await.unwrap();
    plant.soon("what was there is there", PET, Some(&web), OK).await;
    plant.answers(PET, Some(&late), NOT_SUBSCRIBED).await.unwrap();
    plant.answers(PET, Some(&token("web-key", "revoked-before")), super::INVALID).await.unwrap();
    // And events go on from there.
    plant.perform(Operation::keys("late", "late-key", RESIDENT));
    plant.then(Operation::subscribe("late", PETS), PET, Some(&late), OK).await;
    plant.judge();
}
