//! Plans, deny conditions and key templates from the Admin Portal.

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tollgate_tests::apim::{Operation, Policy, SUBSCRIBER};
use tollgate_tests::eventually;

use super::{OK, PET, PETS, Plant, token, usual};

const DENIED: (u16, &str) = (403, "900805");

#[tokio::test]
async fn deny_conditions_keep_out_whom_they_name_while_they_stand() {
    let mut plant = Plant::start().await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let web = token("web-key", "web");
    let web = Some(web.as_str());
    plant.then(Operation::subscribe("web", PETS), PET, web, OK).await;
    let conditions = [
        ("API", json!("/pets/1.0.0")),
        ("APPLICATION", json!(format!("{SUBSCRIBER}:web"))),
        ("USER", json!("alice@carbon.super")),
        ("SUBSCRIPTION", json!(format!("/pets/1.0.0:1.0.0:{SUBSCRIBER}-web:PRODUCTION"))),
        ("IP", json!({"fixedIp": "127.0.0.1", "invert": false})),
        ("IPRANGE", json!({"startingIp": "127.0.0.0", "endingIp": "127.0.0.1", "invert": false})),
    ];
    for (id, (kind, value)) in (1..).zip(conditions) {
        plant.then(Operation::deny(id, kind, value), PET, web, DENIED).await;
        plant.then(Operation::Allow { id }, PET, web, OK).await;
    }
    // One that is of somebody else does nothing, and all are there after a restart.
    plant.perform(Operation::deny(20, "APPLICATION", format!("{SUBSCRIBER}:other")));
    plant.perform(Operation::deny(21, "IP", json!({"fixedIp": "10.1.1.1", "invert": false})));
    plant.answers(PET, web, OK).await.unwrap();
    plant.gateway.adapter.kill().unwrap();
    plant.perform(Operation::deny(22, "IP", json!({"fixedIp": "10.1.1.1", "invert": true})));
    plant.gateway.adapter.start_again().await.unwrap();
    plant.soon("a condition from before counts", PET, web, DENIED).await;
    plant.then(Operation::Allow { id: 22 }, PET, web, OK).await;
    plant.judge();
}

#[tokio::test]
async fn key_templates_and_plans_come_and_go_and_what_is_of_no_concern_is_ignored() {
    let plant = Plant::start().await;
    let counts = async |source: &str, expected: u64| {
        let counted = async || {
            let plane = plant.gateway.adapter.status().await?["controlPlane"].clone();
            ensure!(plane["sources"][source]["count"] == expected, "{source} is not {expected}: {plane}");
            Ok(())
        };
        eventually(&format!("{source} is {expected}"), counted).await.unwrap();
    };
    let template = || "$userId:$apiContext".to_owned();
    plant.perform(Operation::KeyTemplate { template: template() });
    counts("keyTemplates", 1).await;
    plant.perform(Operation::DeleteKeyTemplate { template: template() });
    counts("keyTemplates", 0).await;
    let before = plant.apim.state();
    let (of_subscriptions, of_applications) =
        (before.subscription_policies.len() as u64, before.application_policies.len() as u64);
    plant.perform(Operation::SubscriptionPolicy { name: "New".to_owned(), policy: daily(5) });
    plant.perform(Operation::ApplicationPolicy { name: "New".to_owned(), policy: daily(5) });
    counts("subscriptionPolicies", of_subscriptions + 1).await;
    counts("applicationPolicies", of_applications + 1).await;
    plant.perform(Operation::DeleteSubscriptionPolicy { name: "New".to_owned() });
    counts("subscriptionPolicies", of_subscriptions).await;
    counts("applicationPolicies", of_applications + 1).await;
    plant.perform(Operation::DeleteApplicationPolicy { name: "New".to_owned() });
    counts("applicationPolicies", of_applications).await;

    for kind in ["SCOPE_CREATE", "SCOPE_UPDATE", "SCOPE_DELETE", "HEALTH_CHECK", "ENDPOINT_CERTIFICATE_ADD"] {
        let event = STANDARD.encode(json!({"type": kind, "name": "read", "timeStamp": 1}).to_string());
        let payload = json!({"eventType": kind, "timeStamp": 1, "event": event});
        plant.apim.publish("notification", &json!({"event": {"payloadData": payload}}).to_string());
    }
    // What comes after them says that they were read.
    plant.perform(Operation::KeyTemplate { template: template() });
    counts("keyTemplates", 1).await;
    plant.perform(Operation::application("last"));
    counts("applications", 1).await;
    let status = plant.gateway.adapter.status().await.unwrap();
    assert_eq!(status["controlPlane"]["poison"], 0, "{status}");
    plant.judge();
}

/// How many of so many requests in turn pass, and the code of the last refusal.
async fn passing(plant: &Plant, token: &str, count: usize) -> (usize, String) {
    let (mut passed, mut code) = (0, String::new());
    for _ in 0..count {
        let answer = plant.gateway.get(PET, Some(token)).await.unwrap();
        if answer.status == 200 {
            passed += 1;
        } else {
            code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        }
    }
    (passed, code)
}

pub(super) fn daily(requests: u64) -> Policy {
    Policy { requests: Some((requests, 1440)), stop_on_quota_reach: true, ..Policy::default() }
}

#[tokio::test]
async fn plans_limit_and_a_change_of_tier_counts() {
    let mut plant = Plant::start().await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    plant.perform(Operation::SubscriptionPolicy { name: "FourADay".to_owned(), policy: daily(4) });
    plant.perform(Operation::SubscriptionPolicy { name: "Plenty".to_owned(), policy: daily(4000) });
    let web = token("web-key", "web");
    plant.perform(Operation::subscription("web", PETS, "FourADay", "UNBLOCKED"));
    let used_up = async || {
        let (_, code) = passing(&plant, &web, 1).await;
        ensure!(code == "900804", "{code}");
        Ok(())
    };
    eventually("the quota of the subscription is used up", used_up).await.unwrap();
    plant.then(Operation::subscription("web", PETS, "Plenty", "UNBLOCKED"), PET, Some(&web), OK).await;

    // The plan of the application.
    plant.perform(Operation::ApplicationPolicy { name: "ThreeADay".to_owned(), policy: daily(3) });
    plant.perform(Operation::Application {
        name: "web".to_owned(),
        tier: "ThreeADay".to_owned(),
        attributes: std::collections::BTreeMap::new(),
    });
    let used_up = async || {
        let (_, code) = passing(&plant, &web, 1).await;
        ensure!(code == "900803", "{code}");
        Ok(())
    };
    eventually("the quota of the application is used up", used_up).await.unwrap();
    plant.perform(Operation::application("web"));
    plant.soon("the application has no limit any more", PET, Some(&web), OK).await;
    plant.judge();
}

/// Whoever has subscribed under a plan that nobody has told of may use who knows what, so nothing is let through, and that is said.
#[tokio::test]
async fn a_plan_that_nobody_knows_denies_until_it_is_known() {
    let mut plant = Plant::start().await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    let web = token("web-key", "web");
    plant.then(Operation::subscription("web", PETS, "Nowhere", "UNBLOCKED"), PET, Some(&web), (500, "102500")).await;
    let refused = plant.gateway.get(PET, Some(&web)).await.unwrap();
    assert_eq!(
        refused.body,
        r#"{"error_message":"Unclassified Validation Failure","code":"102500","error_description":"Error during validating the request"}"#
    );
    assert_eq!(refused.header("www-authenticate"), None);
    // Others are not concerned.
    plant.answers("/pets/1.0.0/health", None, OK).await.unwrap();
    let plan = Operation::SubscriptionPolicy { name: "Nowhere".to_owned(), policy: daily(4000) };
    plant.then(plan, PET, Some(&web), OK).await;
    plant.judge();
}
