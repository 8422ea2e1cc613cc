//! Who calls on whose behalf: applications, their keys, what they have subscribed to, and the plans that come with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ConditionGroup, Limit, Posture};

/// An application of the developer portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// Unique.
    pub uuid: String,
    /// Number in the portal's database; -1 when there is none.
    pub id: i64,
    /// Name, unique for its subscriber.
    pub name: String,
    /// The user it belongs to.
    pub subscriber: String,
    /// Tenant of the subscriber.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// Name of its plan among those of [`TierKind::Application`].
    pub tier: String,
    /// Attributes that the portal gave it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A client of a key manager, an opaque API key, or a workload of the mesh: which application calls with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// UUID of the application.
    pub application: String,
    /// Which backend it is for.
    pub key_type: KeyType,
    /// Seconds since the epoch after which it is not taken any more; only for opaque API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// When it was made, in seconds since the epoch; only for opaque API keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<i64>,
    /// Scopes that it holds; only for workloads, since tokens say themselves which ones they have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

impl Credential {
    /// One of this application for that backend, of which nothing else is known.
    #[must_use]
    pub const fn of(application: String, key_type: KeyType) -> Self {
        Self { application, key_type, expires_at: None, issued_at: None, scopes: Vec::new() }
    }
}

/// Which backend a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum KeyType {
    /// The production backend.
    Production,
    /// The sandbox backend.
    Sandbox,
}

/// An application's subscription to an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Whether it may be used.
    pub state: SubscriptionState,
    /// Name of its plan among those of [`TierKind::Subscription`].
    pub tier: String,
}

/// State of a subscription, by the names of API Manager. An unknown state cannot be read, so it lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubscriptionState {
    /// In use.
    Unblocked,
    /// Blocked for all keys.
    Blocked,
    /// Blocked for production keys.
    ProdOnlyBlocked,
    /// Waits for approval.
    OnHold,
    /// Was not approved.
    Rejected,
    /// In use, while a change of plan waits for approval.
    TierUpdatePending,
    /// In use, while its removal waits for approval.
    DeletePending,
}

impl SubscriptionState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unblocked,
        Self::Blocked,
        Self::ProdOnlyBlocked,
        Self::OnHold,
        Self::Rejected,
        Self::TierUpdatePending,
        Self::DeletePending,
    ];

    /// Its name in API Manager.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unblocked => "UNBLOCKED",
            Self::Blocked => "BLOCKED",
            Self::ProdOnlyBlocked => "PROD_ONLY_BLOCKED",
            Self::OnHold => "ON_HOLD",
            Self::Rejected => "REJECTED",
            Self::TierUpdatePending => "TIER_UPDATE_PENDING",
            Self::DeletePending => "DELETE_PENDING",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What a plan is for. Plans of different kinds may share a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TierKind {
    /// What an application may use of all APIs together.
    Application,
    /// What an application may use of one API.
    Subscription,
    /// What all callers together may use of an API, or of one of its operations (advanced policy).
    Api,
}

impl TierKind {
    /// Its name in keys and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Subscription => "subscription",
            Self::Api => "api",
        }
    }
}

/// A plan (throttling policy).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// Name, unique for its kind.
    pub name: String,
    /// Whether requests above the quota are refused, and not only counted.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub stop_on_quota_reach: bool,
    /// Bound on bursts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spike_arrest: Option<SpikeArrest>,
    /// Bounds on GraphQL queries.
    #[serde(default, skip_serializing_if = "GraphQlLimits::is_none")]
    pub graphql: GraphQlLimits,
    /// What may be used; a request counts against every one of them. Without any, use is not limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Other limits for requests of a certain kind. The first group that a request belongs to replaces `limits`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ConditionGroup>,
    /// What happens while nobody can be asked for quota.
    #[serde(default, skip_serializing_if = "Posture::is_default")]
    pub posture: Posture,
    /// Whether requests above the quota are counted and let through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

impl Tier {
    /// Name of the plan that bounds nothing.
    pub const UNLIMITED: &'static str = "Unlimited";

    /// The plan that bounds nothing.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::named(Self::UNLIMITED)
    }

    /// A plan of which only the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            stop_on_quota_reach: true,
            spike_arrest: None,
            graphql: GraphQlLimits::default(),
            limits: Vec::new(),
            groups: Vec::new(),
            posture: Posture::default(),
            shadow: false,
        }
    }
}

const fn yes() -> bool {
    true
}

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpikeArrest {
    /// How many requests.
    pub requests: u32,
    /// In how many seconds.
    pub seconds: u32,
}

/// Bounds on GraphQL queries; what is absent is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQlLimits {
    /// Greatest depth of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u32>,
    /// Greatest complexity of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_complexity: Option<u32>,
}

impl GraphQlLimits {
    const fn is_none(&self) -> bool {
        self.max_depth.is_none() && self.max_complexity.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_by_their_names() {
        for state in SubscriptionState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.name()));
            assert_eq!(SubscriptionState::from_name(state.name()), Some(state));
        }
        assert!(serde_json::from_str::<SubscriptionState>("\"NEW\"").is_err());
    }
}
