//! The state as the lists of the REST interface show it, the misspelt members included.

use serde_json::{Value, json};

use super::state::{Block, Policy, SUBSCRIBER, Tenant};

fn list(items: Vec<Value>) -> Value {
    json!({"list": items, "count": items.len(), "pagination": {"offset": 0, "limit": 100}})
}

pub(super) fn subscriptions(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.subscriptions.iter().filter_map(|((application, api), held)| {
        let (application, api) = (tenant.applications.get(application)?, tenant.apis.get(api)?);
        Some(json!({
            "subscriptionId": held.id, "subscriptionUUID": held.uuid, "policyId": held.tier, "apiId": api.id,
            "apiUUID": api.uuid, "appId": application.id, "applicationUUID": application.uuid,
            "subscriptionState": held.state, "tenanId": tenant.id, "tenanDomain": tenant.domain, "timeStamp": held.time,
        }))
    });
    shown.collect()
}

pub(super) fn applications(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.applications.iter().map(|(name, held)| {
        json!({
            "uuid": held.uuid, "id": held.id, "name": name, "subName": SUBSCRIBER, "policy": held.tier,
            "tokenType": "JWT", "attributes": held.attributes, "tenanId": tenant.id, "tenanDomain": tenant.domain,
            "timeStamp": held.time, "groupIds": [], "organization": tenant.domain,
        })
    });
    shown.collect()
}

pub(super) fn key_mappings(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.keys.iter().filter_map(|(consumer_key, held)| {
        let application = tenant.applications.get(&held.application)?;
        Some(json!({
            "applicationId": application.id, "applicationUUID": application.uuid, "consumerKey": consumer_key,
            "keyType": held.kind, "keyManager": held.key_manager, "tenanId": tenant.id,
            "tenanDomain": tenant.domain, "timeStamp": held.time,
        }))
    });
    shown.collect()
}

fn limit(policy: &Policy) -> Value {
    let (count, minutes) = policy.requests.unwrap_or((u64::from(u32::MAX), 1));
    json!({
        "quotaType": "requestCount",
        "requestCount": {"timeUnit": "min", "unitTime": minutes, "requestCount": count},
        "bandwidth": null, "eventCount": null,
    })
}

pub(super) fn application_policies(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.application_policies.iter().map(|(name, held)| {
        json!({
            "id": held.id, "tenantId": tenant.id, "name": name, "quotaType": "requestCount",
            "tenantDomain": tenant.domain, "defaultLimit": limit(held),
        })
    });
    shown.collect()
}

pub(super) fn subscription_policies(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.subscription_policies.iter().map(|(name, held)| {
        let (count, unit) = held.burst.clone().unwrap_or_default();
        json!({
            "id": held.id, "tenantId": tenant.id, "name": name, "quotaType": "requestCount",
            "graphQLMaxDepth": held.graphql.0, "graphQLMaxComplexity": held.graphql.1, "rateLimitCount": count,
            "rateLimitTimeUnit": unit, "stopOnQuotaReach": held.stop_on_quota_reach, "tenanDomain": tenant.domain,
            "timeStamp": held.time, "defaultLimit": limit(held),
        })
    });
    shown.collect()
}

/// Which of the APIs is asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub label: String,
    pub context: Option<String>,
    pub version: Option<String>,
    pub api_id: Option<String>,
}

pub(super) fn apis(tenant: &Tenant, asked: &Asked) -> Vec<Value> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let shown = tenant.apis.values().filter(|api| {
        api.deployments.contains_key(&asked.label)
            && is(&asked.context, &api.project.context)
            && is(&asked.version, &api.project.version)
            && is(&asked.api_id, &api.uuid)
    });
    let shown = shown.map(|api| {
        json!({
            "apiId": api.id, "uuid": api.uuid, "provider": "admin", "name": api.project.name,
            "version": api.project.version, "context": api.project.context, "policy": api.tier,
            "apiType": api.project.kind, "isDefaultVersion": api.default_version, "status": api.status,
            "tenanId": tenant.id, "tenanDomain": tenant.domain, "timeStamp": api.time, "urlMappings": [],
            "securityScheme": "oauth2",
        })
    });
    shown.collect()
}

pub(super) fn key_managers(tenant: &Tenant) -> Vec<Value> {
    let shown = tenant.key_managers.iter().map(|(name, held)| {
        json!({
            "name": name, "type": held.kind, "enabled": held.enabled, "tenantDomain": tenant.domain,
            "tokenType": "DIRECT", "configuration": held.configuration, "organization": tenant.domain,
        })
    });
    shown.collect()
}

pub(super) fn revoked(tenant: &Tenant) -> Vec<Value> {
    tenant.revoked.iter().map(|(jti, expires)| json!({"jwt_signature": jti, "expiry_time": expires})).collect()
}

pub(super) fn blocks<'a>(tenants: impl Iterator<Item = &'a Tenant> + Clone) -> Value {
    let blocks = tenants.flat_map(|tenant| tenant.blocks.iter().map(move |(id, block)| (tenant, *id, block)));
    let of = |kind: &str| {
        let found = blocks.clone().filter(|(_, _, block)| block.kind == kind);
        found.map(|(_, _, block)| block.value.clone()).collect::<Vec<_>>()
    };
    let addresses = blocks.clone().filter(|(_, _, block)| block.kind.starts_with("IP"));
    let addresses: Vec<Value> = addresses.map(|(tenant, id, block)| address(tenant, id, block)).collect();
    json!({
        "api": of("API"), "application": of("APPLICATION"), "user": of("USER"), "subscription": of("SUBSCRIPTION"),
        "custom": [], "ip": addresses,
    })
}

fn address(tenant: &Tenant, id: i64, block: &Block) -> Value {
    let mut shown = json!({
        "type": block.kind, "id": id, "fixedIp": null, "startingIp": null, "endingIp": null, "invert": false,
        "tenantDomain": tenant.domain, "state": "true",
    });
    if let (Some(shown), Some(said)) = (shown.as_object_mut(), block.value.as_object()) {
        shown.extend(said.clone());
    }
    shown
}

pub(super) fn listed<'a>(tenants: impl Iterator<Item = &'a Tenant>, of: impl Fn(&Tenant) -> Vec<Value>) -> Value {
    list(tenants.flat_map(of).collect())
}
