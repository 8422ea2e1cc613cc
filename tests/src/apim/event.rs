//! What API Manager publishes: the bodies of its messages, by topic.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::state::{
    Application, Block, KeyManager, KeyMapping, Policy, SUBSCRIBER, Subscription, Tenant, millis, uuid,
};

/// A message that is published.
#[derive(Debug, Clone, Default)]
pub struct Event {
    /// Routing key.
    pub topic: &'static str,
    /// Body.
    pub body: String,
}

/// A message that no gateway can make sense of, for any of the topics.
pub(super) const POISON: [&str; 6] = [
    "",
    "not json",
    r#"{"event":{}}"#,
    r#"{"event":{"payloadData":{"eventType":"APPLICATION_CREATE","timeStamp":1,"event":"%%%"}}}"#,
    r#"{"event":{"payloadData":{"eventType":"SUBSCRIPTIONS_CREATE","timeStamp":"soon","event":"bm90IGpzb24="}}}"#,
    r#"{"event":{"payloadData":{"event_type":"key_manager_configuration","name":7,"action":"add","value":"e30"}}}"#,
];

/// The topics a gateway listens to.
pub const TOPICS: [&str; 4] = ["notification", "keymanager", "tokenRevocation", "throttleData"];

fn message(topic: &'static str, payload: &Value) -> Event {
    Event { topic, body: json!({"event": {"payloadData": payload}}).to_string() }
}

/// A notification: what it says travels as base64 of JSON.
fn notification(tenant: &Tenant, kind: &str, mut said: Value) -> Event {
    let time = tenant.last_time;
    let base = json!({
        "eventId": uuid(&format!("event {kind} {time}")), "timeStamp": time, "type": kind,
        "tenantId": tenant.id, "tenantDomain": tenant.domain,
    });
    if let (Some(said), Some(base)) = (said.as_object_mut(), base.as_object()) {
        said.extend(base.clone());
    }
    let said = STANDARD.encode(said.to_string());
    // Both spellings are seen, and numbers of both kinds.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds fit into a float for some thousand years")]
    let payload = if time % 2 == 0 {
        json!({"eventType": kind, "timeStamp": time, "event": said})
    } else {
        json!({"eventType": kind, "timestamp": time as f64, "event": said})
    };
    message("notification", &payload)
}

pub(super) fn api(tenant: &Tenant, name: &str, kind: &str, labels: &[String], action: &str) -> Result<Event> {
    let api = tenant.apis.get(name).with_context(|| format!("there is no API {name}"))?;
    let project = &api.project;
    let said = json!({
        "apiId": api.id, "uuid": api.uuid, "gatewayLabels": labels, "apiVersion": project.version,
        "apiContext": project.context, "apiName": project.name, "apiProvider": "admin", "apiStatus": api.status,
        "apiType": project.kind, "version": project.version, "context": project.context, "name": project.name,
        "action": action,
    });
    Ok(notification(tenant, kind, said))
}

pub(super) fn application(tenant: &Tenant, name: &str, application: &Application, kind: &str) -> Event {
    let said = json!({
        "uuid": application.uuid, "applicationId": application.id, "applicationName": name, "tokenType": "JWT",
        "applicationPolicy": application.tier, "attributes": application.attributes, "subscriber": SUBSCRIBER,
        "groupIds": [],
    });
    notification(tenant, kind, said)
}

pub(super) fn keys(tenant: &Tenant, consumer_key: &str, mapping: &KeyMapping, kind: &str) -> Result<Event> {
    let name = &mapping.application;
    let application = tenant.applications.get(name).with_context(|| format!("there is no application {name}"))?;
    let said = json!({
        "applicationId": application.id, "applicationUUID": application.uuid, "consumerKey": consumer_key,
        "keyType": mapping.kind, "keyManager": mapping.key_manager,
    });
    Ok(notification(tenant, kind, said))
}

pub(super) fn subscription(
    tenant: &Tenant,
    (application, api): &(String, String),
    subscription: &Subscription,
    kind: &str,
) -> Result<Event> {
    let api = tenant.apis.get(api).with_context(|| format!("there is no API {api}"))?;
    let held =
        tenant.applications.get(application).with_context(|| format!("there is no application {application}"))?;
    let said = json!({
        "subscriptionId": subscription.id, "subscriptionUUID": subscription.uuid, "apiId": api.id, "apiUUID": api.uuid,
        "applicationId": held.id, "applicationUUID": held.uuid, "policyId": subscription.tier,
        "subscriptionState": subscription.state,
    });
    Ok(notification(tenant, kind, said))
}

pub(super) fn policy(tenant: &Tenant, name: &str, policy: &Policy, of: &str, what: &str) -> Event {
    let (count, unit) = policy.burst.clone().unwrap_or_default();
    let said = json!({
        "policyId": policy.id, "policyName": name, "quotaType": "requestCount", "policyType": of,
        "rateLimitCount": count, "rateLimitTimeUnit": unit, "stopOnQuotaReach": policy.stop_on_quota_reach,
        "graphQLMaxDepth": policy.graphql.0, "graphQLMaxComplexity": policy.graphql.1,
    });
    notification(tenant, &format!("POLICY_{what}"), said)
}

pub(super) fn revocation(tenant: &Tenant, jti: &str, expires: i64) -> Event {
    let payload = json!({
        "eventId": uuid(jti), "revokedToken": jti, "ttl": expires.saturating_sub(millis()).to_string(),
        "expiryTime": expires, "type": "Default", "tenantId": tenant.id,
    });
    message("tokenRevocation", &payload)
}

pub(super) fn key_manager(tenant: &Tenant, name: &str, held: &KeyManager, action: &str) -> Event {
    let payload = json!({
        "event_type": "key_manager_configuration", "name": name, "action": action, "type": held.kind,
        "enabled": held.enabled, "value": STANDARD.encode(held.configuration.to_string()),
        "tenantId": tenant.id, "tenantDomain": tenant.domain,
    });
    message("keymanager", &payload)
}

pub(super) fn block(tenant: &Tenant, id: i64, block: &Block, on: bool) -> Event {
    let value = block.value.as_str().map_or_else(|| block.value.to_string(), str::to_owned);
    let payload = json!({
        "id": id, "blockingCondition": block.kind, "conditionValue": value, "state": on.to_string(),
        "tenantDomain": tenant.domain,
    });
    message("throttleData", &payload)
}

pub(super) fn key_template(template: &str, state: &str) -> Event {
    message("throttleData", &json!({"keyTemplateValue": template, "keyTemplateState": state}))
}
