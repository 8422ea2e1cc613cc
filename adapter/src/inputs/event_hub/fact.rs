//! What API Manager has, one fact an application, key, subscription, plan and so on, in the terms of the tables. Facts are what
//! pulls and events speak of, what is kept on the disk, and what gateways are told.

use std::fmt;

use serde::{Deserialize, Serialize};
use tollgate_model::{Application, CustomPolicy, DenyCondition, KeyType, LifeCycle, SubscriptionState, Tier, TierKind};

use crate::model::{Expiry, KeyManager};

/// The lists that API Manager keeps. Each is pulled as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    /// Plans of applications.
    ApplicationPolicies,
    /// Plans of subscriptions.
    SubscriptionPolicies,
    /// Plans of APIs and their operations.
    ApiPolicies,
    /// Applications.
    Applications,
    /// Which client of a key manager is of which application.
    ApplicationKeys,
    /// Subscriptions.
    Subscriptions,
    /// What is known of APIs beside their projects.
    Apis,
    /// Key managers.
    KeyManagers,
    /// Revoked tokens.
    RevokedTokens,
    /// Keys of custom policies.
    KeyTemplates,
    /// Who is kept out.
    BlockConditions,
}

impl Resource {
    /// All of them, in the order in which they are first asked for.
    pub const ALL: [Self; 11] = [
        Self::ApplicationPolicies,
        Self::SubscriptionPolicies,
        Self::ApiPolicies,
        Self::Applications,
        Self::ApplicationKeys,
        Self::Subscriptions,
        Self::Apis,
        Self::KeyManagers,
        Self::RevokedTokens,
        Self::KeyTemplates,
        Self::BlockConditions,
    ];

    /// Its name in status, metrics and the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplicationPolicies => "applicationPolicies",
            Self::SubscriptionPolicies => "subscriptionPolicies",
            Self::ApiPolicies => "apiPolicies",
            Self::Applications => "applications",
            Self::ApplicationKeys => "applicationKeys",
            Self::Subscriptions => "subscriptions",
            Self::Apis => "apis",
            Self::KeyManagers => "keyManagers",
            Self::RevokedTokens => "revokedTokens",
            Self::KeyTemplates => "keyTemplates",
            Self::BlockConditions => "blockConditions",
        }
    }

    /// The resource of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// Whether an API Manager that has never heard of the list may be taken for one where it is empty. The others it has always
    /// had.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::ApiPolicies | Self::KeyManagers | Self::RevokedTokens | Self::KeyTemplates | Self::BlockConditions
        )
    }

    /// Whether what a pull lacks is still there: a token that was revoked once stays so until it expires, also where API Manager
    /// does not list it, as for tenants.
    #[must_use]
    pub const fn only_grows(self) -> bool {
        matches!(self, Self::RevokedTokens)
    }
}

/// Names a fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The list it is on.
    pub resource: Resource,
    /// Unique in the list.
    pub key: String,
}

/// Between the parts of a key, none of which can hold it: the first of each is a UUID or a name without control characters.
const SEPARATOR: char = '\0';

impl Id {
    /// One of a single part.
    #[must_use]
    pub fn new(resource: Resource, key: &str) -> Self {
        Self { resource, key: key.to_owned() }
    }

    fn pair(resource: Resource, first: &str, second: &str) -> Self {
        Self { resource, key: format!("{first}{SEPARATOR}{second}") }
    }

    /// Of a client of a key manager.
    #[must_use]
    pub fn credential(key_manager: &str, consumer_key: &str) -> Self {
        Self::pair(Resource::ApplicationKeys, key_manager, consumer_key)
    }

    /// Of an application's subscription to an API.
    #[must_use]
    pub fn subscription(application: &str, api: &str) -> Self {
        Self::pair(Resource::Subscriptions, application, api)
    }

    /// Of a plan.
    #[must_use]
    pub fn tier(kind: TierKind, name: &str) -> Self {
        let resource = match kind {
            TierKind::Application => Resource::ApplicationPolicies,
            TierKind::Subscription => Resource::SubscriptionPolicies,
            TierKind::Api => Resource::ApiPolicies,
        };
        Self::new(resource, name)
    }

    /// Of a key manager, whose name has no case.
    #[must_use]
    pub fn key_manager(name: &str) -> Self {
        Self::new(Resource::KeyManagers, &name.to_lowercase())
    }

    /// Of a deny condition. Those on addresses have a number; others are what they say.
    #[must_use]
    pub fn block(kind: &str, what: &str) -> Self {
        Self::pair(Resource::BlockConditions, kind, what)
    }

    /// The two parts of a key that has two.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.key.split_once(SEPARATOR).unwrap_or((&self.key, ""))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource.name(), self.key.replace(SEPARATOR, " "))
    }
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// An application.
    Application(Application),
    /// A client of a key manager.
    Credential {
        /// UUID of its application.
        application: String,
        /// Which backend it is for.
        key_type: KeyType,
    },
    /// A subscription.
    Subscription {
        /// API Manager's own name of it: one that is made anew has another.
        uuid: String,
        /// Whether it may be used.
        state: SubscriptionState,
        /// Name of its plan.
        tier: String,
    },
    /// A plan.
    Tier(TierKind, Tier),
    /// What is known of an API beside its project.
    Api(ApiFact),
    /// A key manager.
    KeyManager(KeyManager),
    /// A revoked token: when it would expire.
    Revoked(Expiry),
    /// The key of a custom policy.
    KeyTemplate(CustomPolicy),
    /// A deny condition.
    Block(DenyCondition),
}

/// What API Manager says of an API that may differ from its project, which is not made anew for every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiFact {
    /// Where it stands in its life cycle.
    pub life_cycle: LifeCycle,
    /// Whether its version may be left out of the path.
    pub default_version: bool,
}

impl Fact {
    /// Which incarnation of the thing it is of; two facts of one id may be of two.
    #[must_use]
    pub fn incarnation(&self) -> Option<&str> {
        match self {
            Self::Subscription { uuid, .. } => Some(uuid),
            _ => None,
        }
    }

    /// Takes over what a report that does not say everything has left out.
    pub fn inherit(&mut self, former: &Self) {
        if let (Self::Application(now), Self::Application(before)) = (self, former) {
            now.attributes.clone_from(&before.attributes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_by_their_names() {
        for resource in Resource::ALL {
            assert_eq!(Resource::from_name(resource.name()), Some(resource));
            let json = serde_json::to_string(&resource).unwrap();
            assert_eq!(json, format!("\"{}\"", resource.name()), "both names are the same");
        }
        assert_eq!(Resource::from_name("artifacts"), None);
    }
}
