//! Who is refused whatever quota is left, and quotas by keys that an administrator made up.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::quota::Limit;

/// An administrator's deny condition: an entry of the `throttle` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum DenyCondition {
    /// All calls of the API at this base path.
    Api {
        /// Base path, with its version.
        context: String,
    },
    /// All calls of an application: `<subscriber>:<application name>`.
    Application {
        /// The key.
        key: String,
    },
    /// All calls of a user: `<user>@<tenant>`.
    User {
        /// The key.
        key: String,
    },
    /// All calls of a subscription: `<base path>:<version>:<subscriber>-<application name>:<key type>`.
    Subscription {
        /// The key.
        key: String,
    },
    /// All calls from these addresses, or from all others.
    Ip {
        /// First and last address; both are in it.
        range: IpRange,
        /// Whether all others are meant.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        invert: bool,
        /// Only of APIs of this tenant; of all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
    },
}

/// Addresses from one to another of the same family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpRange {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

impl IpRange {
    /// Whether the address lies in it. An IPv4 address that is written as an IPv6 one is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let [first, last, address] = [self.first, self.last, address].map(|address| address.to_canonical());
        match (first, last, address) {
            (IpAddr::V4(first), IpAddr::V4(last), IpAddr::V4(address)) => first <= address && address <= last,
            (IpAddr::V6(first), IpAddr::V6(last), IpAddr::V6(address)) => first <= address && address <= last,
            _ => false,
        }
    }
}

/// A quota by a key that an administrator made up (custom policy): an entry of the `throttle` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomPolicy {
    /// Its name.
    pub name: String,
    /// The key, with variables such as `$userId` or `$apiContext`.
    pub template: String,
    /// What each key may use.
    pub limits: Vec<Limit>,
    /// Whether requests above are only counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Limits for requests of a certain kind within an advanced policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionGroup {
    /// Names the group in its throttle key: `<key>_condition_<number>`.
    pub number: u32,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What these requests may use.
    pub limits: Vec<Limit>,
}

/// What a request must be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is looked at.
    pub of: ConditionKind,
    /// Whether the opposite must hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invert: bool,
}

/// What a condition looks at. Patterns are regular expressions that must be found somewhere in the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ConditionKind {
    /// The client's address.
    Ip {
        /// Where it lies.
        range: IpRange,
    },
    /// A header.
    Header {
        /// Name in lower case.
        name: String,
        /// What is found in its value.
        pattern: String,
    },
    /// A query parameter.
    Query {
        /// Name.
        name: String,
        /// What is found in its value.
        pattern: String,
    },
    /// A claim of the token.
    Claim {
        /// Name.
        name: String,
        /// What is found in its value.
        pattern: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_ends_and_know_families_apart() {
        let range = |first: &str, last: &str| IpRange { first: first.parse().unwrap(), last: last.parse().unwrap() };
        for (first, last, address, inside) in [
            ("10.0.0.1", "10.0.0.3", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.3", "10.0.0.3", true),
            ("10.0.0.1", "10.0.0.3", "10.0.0.4", false),
            ("10.0.0.1", "10.0.0.3", "::ffff:10.0.0.2", true),
            ("2001:db8::1", "2001:db8::ff", "2001:db8::20", true),
            ("2001:db8::1", "2001:db8::ff", "10.0.0.2", false),
            ("10.0.0.3", "10.0.0.1", "10.0.0.2", false),
        ] {
            assert_eq!(range(first, last).contains(address.parse().unwrap()), inside, "{address} in {first}-{last}");
        }
    }
}
