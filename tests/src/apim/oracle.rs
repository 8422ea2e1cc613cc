//! What a gateway has to answer, by the state of API Manager alone.

use super::state::Tenant;

/// A request with an access token.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `name:version` of the API.
    pub api: &'a str,
    /// Where the gateway is.
    pub environment: &'a str,
    /// Name of the key manager that issued the token.
    pub key_manager: &'a str,
    /// The token's consumer key, of kind `PRODUCTION`.
    pub consumer_key: &'a str,
    /// The token's id.
    pub jti: &'a str,
}

impl Tenant {
    /// Status and code of the answer; the code is empty where it does not matter. Deny conditions of kind API and APPLICATION
    /// are seen, no others.
    #[must_use]
    pub fn verdict(&self, call: Call<'_>) -> (u16, &'static str) {
        let Some(api) = self.apis.get(call.api) else { return (404, "404") };
        if !api.deployments.contains_key(call.environment) {
            return (404, "404");
        }
        let known = self.key_managers.get(call.key_manager).is_some_and(|manager| manager.enabled);
        if !known || self.revoked.contains_key(call.jti) {
            return (401, "");
        }
        let mapping = self.keys.get(call.consumer_key).filter(|mapping| mapping.key_manager == call.key_manager);
        let subscribed = mapping.and_then(|mapping| {
            let subscription = self.subscriptions.get(&(mapping.application.clone(), call.api.to_owned()))?;
            self.applications.contains_key(&mapping.application).then_some((mapping, subscription))
        });
        let Some((mapping, subscription)) = subscribed else { return (403, "900908") };
        match subscription.state.as_str() {
            "BLOCKED" | "PROD_ONLY_BLOCKED" => return (401, "900907"),
            "ON_HOLD" | "REJECTED" => return (403, "900909"),
            _ => {}
        }
        if api.status == "BLOCKED" {
            return (503, "700700");
        }
        let owner = format!("{}:{}", super::SUBSCRIBER, mapping.application);
        let denied = self.blocks.values().any(|block| match block.kind.as_str() {
            "API" => block.value == api.project.context.as_str(),
            "APPLICATION" => block.value == owner.as_str(),
            _ => false,
        });
        if denied { (403, "900805") } else { (200, "") }
    }

    /// The revision that is deployed there.
    #[must_use]
    pub fn deployed(&self, api: &str, environment: &str) -> Option<u32> {
        Some(self.apis.get(api)?.deployments.get(environment)?.revision)
    }
}
