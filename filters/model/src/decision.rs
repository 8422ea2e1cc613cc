//! What a Traffic Manager of API Manager decides, and what it is told: who counts is the Traffic Manager, and the gateway only
//! publishes uses and does as it is told.

use serde::{Deserialize, Serialize};

use crate::Condition;

/// A Traffic Manager counts (`enforcer.throttling`). What it is told besides the keys, and what its conditions may look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficManager {
    /// Headers of requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headers: bool,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub query: bool,
    /// Claims of tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claims: bool,
}

/// What was decided about a throttle key: an entry of the `decision` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// Nobody passes until then, in milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Who belongs to one of these does not pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<DecidedGroup>,
    /// Who belongs to none of them, and not to this one either, does not pass: its conditions are those of all groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<DecidedGroup>,
}

/// What was decided about requests of a certain kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedGroup {
    /// Number of the group (`<key>_condition_<number>`).
    pub number: u32,
    /// They do not pass until then, in milliseconds since the epoch.
    pub until: u64,
    /// One of them must hold as a whole.
    pub conditions: Vec<Vec<Condition>>,
}

impl Decisions {
    /// Forgets what is over. Says whether anything is left.
    pub fn prune(&mut self, now: u64) -> bool {
        self.until = self.until.filter(|until| *until > now);
        self.groups.retain(|group| group.until > now);
        self.rest = self.rest.take().filter(|rest| rest.until > now);
        self.until.is_some() || !self.groups.is_empty() || self.rest.is_some()
    }
}

/// One use of an API, in the terms of the Traffic Manager's stream `org.wso2.throttle.request.stream:1.0.0`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// `<application>:<user>@<tenant>`.
    pub app_key: String,
    /// Plan of the application.
    pub app_tier: String,
    /// `<base path>:<version>`.
    pub api_key: String,
    /// Plan of the API.
    pub api_tier: String,
    /// `<application>:<base path>:<version>`.
    pub subscription_key: String,
    /// Plan of the subscription.
    pub subscription_tier: String,
    /// Key of the operation, or of the API where that has a plan.
    pub resource_key: String,
    /// Plan of the operation, or of the API.
    pub resource_tier: String,
    /// `<user>@<tenant>`.
    pub user_id: String,
    /// Base path.
    pub api_context: String,
    /// Version of the API.
    pub api_version: String,
    /// Tenant of the application.
    pub app_tenant: String,
    /// Tenant of the API.
    pub api_tenant: String,
    /// The application.
    pub app_id: String,
    /// Name of the API.
    pub api_name: String,
    /// What conditions may look at: a JSON object.
    pub properties: String,
}

/// Body of a `POST` to [`crate::contract::USAGE_PATH`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Uses, and how often each happened. At most [`MAX_USES`].
    pub uses: Vec<(u32, Usage)>,
}

/// Most different uses in one [`UsageReport`].
pub const MAX_USES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_forgotten() {
        let group = |until| DecidedGroup { number: 1, until, conditions: Vec::new() };
        let mut decisions = Decisions { until: Some(5), groups: vec![group(7), group(9)], rest: Some(group(6)) };
        assert!(decisions.prune(4) && decisions.groups.len() == 2);
        assert!(decisions.prune(7));
        assert_eq!(decisions, Decisions { until: None, groups: vec![group(9)], rest: None });
        assert!(!decisions.prune(9));
    }
}
