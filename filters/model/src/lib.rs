//! What the adapter and the filters agree on: plain types, and the wire codec that carries them.
//!
//! The adapter compiles everything a filter may ask into [tables](Table), each split into a fixed number of shards.
//! A shard is one opaque, checksummed blob ([`wire::Shard`]); the feed ([`wire::FeedFrame`]) carries the shards that
//! changed; the [`wire::Index`] says which version of every shard a gateway holds.
//!
//! This crate must never do I/O, read a clock, or know of Envoy or of the adapter's inputs.
//! A type here is a promise to the neighbouring release: add fields with `#[serde(default)]`, and where an older filter
//! must not ignore the new field, raise what [`wire::Entry::needs`] says for the entries that use it ([`Api::needs`]).
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod api;
mod callbacks;
pub mod contract;
mod decision;
mod graphql;
mod interceptor;
mod issuer;
mod jwk;
pub mod keys;
mod policy;
mod quota;
mod revocation;
mod security;
mod settings;
mod subscriber;
mod table;
mod throttle;
pub mod wire;

pub use api::{
    Api, ApiKind, Backend, Cors, LifeCycle, Mock, MockContent, MockExample, MockResponse, Operation, Resource, Retry,
    Secret,
};
pub use callbacks::Callbacks;
pub use decision::{DecidedGroup, Decisions, MAX_USES, TrafficManager, Usage, UsageReport};
pub use graphql::{GraphQl, GraphQlArgument, GraphQlField, GraphQlKind, GraphQlOperation, GraphQlType};
pub use interceptor::{Include, Interceptor, Interceptors, NamedEndpoint};
pub use issuer::{Algorithm, Issuer};
pub use jwk::{Jwk, JwkSet};
pub use policy::{HeaderPolicy, OpaPolicy, Policies, RequestPolicy};
pub use quota::{
    Limit, MAX_ASKS, MAX_QUOTA_KEY, MAX_UNHEARD, Posture, QuotaAnswer, QuotaAsk, QuotaGrant, QuotaRequest, QuotaUnit,
    TimeUnit, Unused, Window,
};
pub use revocation::{Cutoff, CutoffKind, TokenHash};
pub use security::{ApiKeyPlace, ClientCertificate, MutualSsl, Requirement, Security};
pub use settings::{BackendJwtHeader, CertificateSource, ExplainKey, Settings};
pub use subscriber::{
    Application, Credential, GraphQlLimits, KeyType, SpikeArrest, Subscription, SubscriptionState, Tier, TierKind,
};
pub use table::{Slot, Table};
pub use throttle::{Condition, ConditionGroup, ConditionKind, CustomPolicy, DenyCondition, IpRange};

/// The release of the shared types. A filter refuses every entry whose [`wire::Entry::needs`] is greater: the entry uses
/// something this filter would have to ignore, and ignoring a rule means failing open.
pub const SCHEMA: u16 = 3;
