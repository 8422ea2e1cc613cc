//! Quotas: what a limit is, and what filters and the owner of the counters say to each other.
//!
//! A counter has one owner. It *leases* parts of a window's quota to Envoy processes; a process admits requests against what
//! it was leased, so almost none has to ask, and no interleaving lets more through than the sum of the leases, which the
//! owner keeps at or below the limit. What a window is, only the owner knows: a filter gets a length of time.

use serde::{Deserialize, Serialize};

/// Most asks in one [`QuotaRequest`].
pub const MAX_ASKS: usize = 256;

/// Most questions that one [`QuotaRequest`] says were not heard.
pub const MAX_UNHEARD: usize = 64;

/// Most bytes of a key.
pub const MAX_QUOTA_KEY: usize = 2048;

/// So much per window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// How much one window holds, in `unit`s.
    pub amount: u64,
    /// What is counted.
    #[serde(default)]
    pub unit: QuotaUnit,
    /// How long it lasts.
    pub window: Window,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QuotaUnit {
    /// Requests (`requestCount`), or events of a stream.
    #[default]
    Requests,
    /// Bytes (`bandwidthVolume`).
    Bytes,
}

/// A window: `count` units of the calendar. Windows follow each other without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// How many units; at least one.
    pub count: u32,
    /// The unit.
    pub unit: TimeUnit,
}

/// Units of windows. Days and longer ones begin at midnight of the owner's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimeUnit {
    /// 1,000 milliseconds.
    Second,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From a first to a first.
    Month,
    /// From 1 January to 1 January.
    Year,
}

/// What happens to requests when the owner of a counter cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Posture {
    /// They pass uncounted.
    Allow,
    /// They are refused.
    Deny,
    /// They are counted in each process, against its part of the limit.
    #[default]
    Local,
}

impl Posture {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Body of a `POST` to [`crate::contract::QUOTA_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaRequest {
    /// At most [`MAX_ASKS`].
    pub asks: Vec<QuotaAsk>,
    /// Names this question among all of its gateway. A question without a name cannot be said to be unheard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Earlier questions of the same gateway whose answers did not come, or came too late to be looked at: nothing leased for
    /// them is used, now or later, so the owner takes it back. Said again until an answer shows that it was heard. At most
    /// [`MAX_UNHEARD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unheard: Vec<u64>,
}

/// A wish for part of one counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaAsk {
    /// Which counter; at most [`MAX_QUOTA_KEY`] bytes.
    pub key: String,
    /// What it is held to. Everyone who asks for a key says the same, as both come from the same tables.
    pub limit: Limit,
    /// How much is wanted, in the limit's unit. Zero only gives back.
    pub want: u64,
    /// What is given back. It must be out of reach of every request before it is sent, and is never sent twice: an answer
    /// that got lost costs quota, and never doubles it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<Unused>,
    /// Whether it is wanted of the window after the current one, so that nobody has to wait when that begins. An owner that
    /// does not know of this leases from the current one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ahead: bool,
}

/// A part of a lease that was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unused {
    /// [`QuotaGrant::window`] of the lease.
    pub window: i64,
    /// How much.
    pub amount: u64,
}

/// Answer to a [`QuotaRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaAnswer {
    /// One for each ask, in the same order.
    pub grants: Vec<QuotaGrant>,
}

/// A lease, or the news that there is nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaGrant {
    /// Which window of the counter it belongs to. Later windows have greater numbers.
    pub window: i64,
    /// How much may be used until the window ends.
    pub granted: u64,
    /// How much the owner has left of that window now, for anybody.
    #[serde(default)]
    pub left: u64,
    /// Milliseconds until the window begins, for what was wanted ahead. Counted from the moment the *answer* is there, so that
    /// nothing of it is used before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub starts_in_ms: u64,
    /// Milliseconds until the window ends. Counted from the moment the *ask* was sent, so that no delay of the answer and
    /// no difference between two clocks lets a lease outlive its window.
    pub ends_in_ms: u64,
    /// When nothing was granted: milliseconds after which asking again may help. At most `ends_in_ms`.
    pub retry_in_ms: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(milliseconds: &u64) -> bool {
    *milliseconds == 0
}
