//! How it stands with the control plane, for people and monitoring. Must never hold a secret.

use std::collections::BTreeMap;

use serde::Serialize;

/// How it stands with the control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneReport {
    /// In one word.
    pub state: ControlPlaneState,
    /// Where it is.
    pub location: String,
    /// The broker.
    pub broker: BrokerReport,
    /// Its lists by name.
    pub sources: BTreeMap<String, ListReport>,
    /// Messages that were taken over.
    pub events: u64,
    /// Messages that could not be used.
    pub poison: u64,
    /// Answers that were taken over.
    pub pulls: u64,
    /// Questions that failed.
    pub pull_failures: u64,
    /// Why the state cannot be kept on the disk, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_error: Option<String>,
}

/// How much of it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlPlaneState {
    /// Nothing yet that could be served.
    #[default]
    Connecting,
    /// All that it has, and every change as it happens.
    Live,
    /// What it had once: it, or its broker, cannot be reached.
    Stale,
}

impl ControlPlaneState {
    /// Its name in pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale => "stale",
        }
    }
}

/// How it stands with the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerReport {
    /// Whether everything that is published arrives.
    pub connected: bool,
    /// Where it is, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Why it could not be reached the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it was reached.
    pub connections: u64,
}

/// How it stands with a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListReport {
    /// How many entries are known.
    pub count: usize,
    /// When it was last read as a whole, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<u64>,
    /// How long that took, from the question until gateways were told, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Why it could not be read the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often that has failed in a row.
    pub failures: u32,
    /// Entries that cannot be understood.
    pub refused: usize,
}

impl ControlPlaneReport {
    /// Lists that could not be read the last time, or never were.
    #[must_use]
    pub fn stale(&self) -> Vec<&str> {
        let stale = self.sources.iter().filter(|(_, list)| list.error.is_some() || list.last_success.is_none());
        stale.map(|(name, _)| name.as_str()).collect()
    }
}
