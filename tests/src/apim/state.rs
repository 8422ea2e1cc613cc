//! What API Manager knows: the truth that its REST interface shows and that gateways have to end with.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::ApiProject;

/// The tenant of whoever names none.
pub const SUPER_TENANT: &str = "carbon.super";
/// Owner of applications of whom no other is said.
pub const SUBSCRIBER: &str = "alice";
/// The key manager that is always there.
pub const RESIDENT: &str = "Resident Key Manager";

/// Everything of one tenant.
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    /// `carbon.super`, or its domain.
    pub domain: String,
    /// Numeric id: -1234 for the super tenant.
    pub id: i64,
    /// By `name:version`.
    pub apis: BTreeMap<String, Api>,
    /// By name.
    pub applications: BTreeMap<String, Application>,
    /// By consumer key.
    pub keys: BTreeMap<String, KeyMapping>,
    /// By application and API (`name:version`).
    pub subscriptions: BTreeMap<(String, String), Subscription>,
    /// By name.
    pub application_policies: BTreeMap<String, Policy>,
    /// By name.
    pub subscription_policies: BTreeMap<String, Policy>,
    /// By name.
    pub key_managers: BTreeMap<String, KeyManager>,
    /// Expiry of revoked tokens in milliseconds, by `jti`.
    pub revoked: BTreeMap<String, i64>,
    /// Custom key templates.
    pub key_templates: BTreeSet<String>,
    /// Deny conditions by id.
    pub blocks: BTreeMap<i64, Block>,
    pub(super) last_id: i64,
    pub(super) last_time: i64,
}

/// An API in the Publisher.
#[derive(Debug, Clone)]
pub struct Api {
    /// Numeric id.
    pub id: i64,
    /// Its UUID.
    pub uuid: String,
    /// What the next revision is made of.
    pub project: Project,
    /// Plan of the API as a whole.
    pub tier: String,
    /// State in its life cycle.
    pub status: String,
    /// Whether the version may be left out of the path.
    pub default_version: bool,
    /// Number of the last revision.
    pub revision: u32,
    /// Where which revision is deployed, by environment.
    pub deployments: BTreeMap<String, Deployment>,
    /// When it last changed.
    pub time: i64,
}

/// Where the files of an API come from.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Base path with the version.
    pub context: String,
    /// `HTTP`, `WS`, `GRAPHQL` or `SOAP`.
    pub kind: String,
    /// The files.
    pub files: Files,
}

/// Files of a project.
#[derive(Debug, Clone)]
pub enum Files {
    /// Made by the test.
    Built(Box<ApiProject>),
    /// A folder of `tests/projects`, with this backend.
    Sample {
        /// Name of the folder.
        folder: String,
        /// URL of the backend.
        backend: String,
    },
}

/// A revision that is deployed in an environment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its number.
    pub revision: u32,
    /// Its UUID.
    pub revision_uuid: String,
    /// The virtual host.
    pub vhost: String,
    /// The project as it was when the revision was made.
    pub archive: Bytes,
    /// Backends of this environment alone: production and sandbox.
    pub endpoints: Option<(String, String)>,
}

/// An application in the Developer Portal.
#[derive(Debug, Clone)]
pub struct Application {
    /// Numeric id.
    pub id: i64,
    /// Its UUID.
    pub uuid: String,
    /// Its plan.
    pub tier: String,
    /// Free members.
    pub attributes: BTreeMap<String, String>,
    /// When it last changed.
    pub time: i64,
}

/// The keys of an application at a key manager.
#[derive(Debug, Clone)]
pub struct KeyMapping {
    /// Name of the application.
    pub application: String,
    /// `PRODUCTION` or `SANDBOX`.
    pub kind: String,
    /// Name of the key manager.
    pub key_manager: String,
    /// When it last changed.
    pub time: i64,
}

/// A subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Numeric id.
    pub id: i64,
    /// Its UUID.
    pub uuid: String,
    /// Its plan.
    pub tier: String,
    /// `UNBLOCKED`, `BLOCKED`, `PROD_ONLY_BLOCKED`, `ON_HOLD`, `REJECTED`, `TIER_UPDATE_PENDING`.
    pub state: String,
    /// When it last changed.
    pub time: i64,
}

/// A plan of applications or of subscriptions.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Numeric id.
    pub id: i64,
    /// Requests and the minutes they are for; `None` for no limit.
    pub requests: Option<(u64, u64)>,
    /// Whether requests above the limit are refused.
    pub stop_on_quota_reach: bool,
    /// Burst: requests and the unit of time (`sec`, `min`).
    pub burst: Option<(u64, String)>,
    /// Depth and complexity of GraphQL queries, 0 for any.
    pub graphql: (u64, u64),
    /// When it last changed.
    pub time: i64,
}

/// A key manager.
#[derive(Debug, Clone)]
pub struct KeyManager {
    /// `default`, `Okta`, `Keycloak`, …
    pub kind: String,
    /// Whether it counts.
    pub enabled: bool,
    /// Its configuration, as administrators enter it.
    pub configuration: Value,
}

impl KeyManager {
    /// One whose tokens are judged by their signature, with the members that say where the key is.
    #[must_use]
    pub fn of(issuer: &str, keys: &Value) -> Self {
        let mut configuration = json!({
            "issuer": issuer, "self_validate_jwt": true, "claim_mappings": [],
            "consumer_key_claim": "azp", "scopes_claim": "scope",
            // Gateways have nothing to do with these.
            "grant_types": ["client_credentials"], "token_endpoint": "https://key.manager/token", "VALIDITY_PERIOD": "3600",
            "OAuthConfigurations.EncryptPersistedTokens": "false", "enable_token_generation": true,
        });
        if let (Some(configuration), Some(keys)) = (configuration.as_object_mut(), keys.as_object()) {
            configuration.extend(keys.clone());
        }
        Self { kind: "KeyCloak".to_owned(), enabled: true, configuration }
    }
}

/// Who is kept out.
#[derive(Debug, Clone)]
pub struct Block {
    /// `API`, `APPLICATION`, `USER`, `SUBSCRIPTION`, `IP` or `IPRANGE`.
    pub kind: String,
    /// The finished key, or what `fixedIp`, `startingIp`, `endingIp` and `invert` are.
    pub value: Value,
}

impl Tenant {
    /// The one of that number, from 0 for the super tenant. No number is given twice, whatever it is for.
    pub(super) fn new(domain: &str, number: usize) -> Self {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let id = if domain == SUPER_TENANT { -1234 } else { number };
        let last_id = number.saturating_mul(1_000_000);
        let mut tenant = Self { domain: domain.to_owned(), id, last_id, ..Self::default() };
        for name in ["Unlimited", "10PerMin"] {
            let policy = Policy { id: tenant.next_id(), stop_on_quota_reach: true, ..Policy::default() };
            tenant.application_policies.insert(name.to_owned(), policy);
        }
        for name in ["Unlimited", "Gold", "Silver", "Bronze"] {
            let policy = Policy { id: tenant.next_id(), stop_on_quota_reach: true, ..Policy::default() };
            tenant.subscription_policies.insert(name.to_owned(), policy);
        }
        tenant
    }

    pub(super) const fn next_id(&mut self) -> i64 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    /// Now in milliseconds since 1970; never twice the same.
    pub(super) fn now(&mut self) -> i64 {
        self.last_time = millis().max(self.last_time.saturating_add(1));
        self.last_time
    }

    pub(super) fn new_uuid(&mut self, what: &str) -> String {
        let number = self.next_id();
        uuid(&format!("{} {what} {number}", self.domain))
    }
}

pub(super) fn millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A UUID that a text has for good.
pub(super) fn uuid(text: &str) -> String {
    let digest = Sha256::digest(text);
    let mut hex = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
    for position in [8, 13, 18, 23] {
        hex.insert(position, '-');
    }
    hex
}
