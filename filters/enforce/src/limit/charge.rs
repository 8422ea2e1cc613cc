//! What a request counts against: names of counters, level by level.

use std::rc::Rc;

use tollgate_model::{Limit, Posture, QuotaUnit};

use crate::Counter;
use crate::rejection::Level;

/// A counter that a request is to be counted against, and what it means when there is nothing left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) level: Level,
    pub(crate) counter: Rc<Counter>,
    /// Whether the request is refused then, and not only counted.
    pub(crate) stops: bool,
}

/// One level of a request: its throttle key and how it is limited.
pub(crate) struct Throttled<'k> {
    pub(crate) level: Level,
    /// Throttle key of Choreo Connect.
    pub(crate) key: &'k str,
    /// Group of conditions that the request belongs to.
    pub(crate) group: Option<u32>,
    pub(crate) limits: &'k [Limit],
    pub(crate) posture: Posture,
    pub(crate) stops: bool,
}

/// What a request weighs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Requests; one, unless something says otherwise.
    pub(crate) requests: u64,
    /// Bytes of the request as far as they are known when it arrives.
    pub(crate) bytes: u64,
}

impl Throttled<'_> {
    /// Its counters. Several limits of one level are several counters.
    pub(crate) fn charges(&self, cost: Cost, charges: &mut Vec<Charge>) {
        for (index, limit) in self.limits.iter().enumerate() {
            let mut key = String::with_capacity(self.key.len().saturating_add(16));
            key.push_str(self.level.prefix());
            key.push_str(self.key);
            if let Some(group) = self.group {
                key.push_str("_condition_");
                key.push_str(&group.to_string());
            }
            if index > 0 {
                key.push('#');
                key.push_str(&index.to_string());
            }
            let cost = match limit.unit {
                QuotaUnit::Requests => cost.requests,
                QuotaUnit::Bytes => cost.bytes,
            };
            let counter = Counter::new(key, *limit, cost.max(1), self.posture);
            charges.push(Charge { level: self.level, counter: Rc::new(counter), stops: self.stops });
        }
    }
}

impl Level {
    /// Keeps keys of different levels apart, whatever names an application or a user has.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Api => "api|",
            Self::Resource => "resource|",
            Self::Subscription => "subscription|",
            Self::Application => "application|",
            Self::Custom => "custom|",
        }
    }
}
