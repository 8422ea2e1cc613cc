//! What clients are told of their limits: the fields `RateLimit-Policy` and `RateLimit` of
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>, as lists with one member a limit.
//!
//! What is left is what this gateway knows: what it holds, and what the owner had when it last said so.

use std::fmt::Write as _;

use tollgate_model::{Limit, QuotaUnit, TimeUnit, Window};

use crate::rejection::Level;
use crate::{Standing, Timestamp};

/// Limits that are told of at most; a request seldom has more than five.
const MAX: usize = 16;

/// Limits of a request, in the order in which they are looked at.
#[derive(Debug, Default)]
pub(crate) struct Standings(Vec<(Level, Limit, Standing)>);

impl Standings {
    /// One more.
    pub(crate) fn push(&mut self, level: Level, limit: Limit, standing: Standing) {
        if self.0.len() < MAX {
            self.0.push((level, limit, standing));
        }
    }

    /// The two fields; none when there is no limit.
    pub(crate) fn fields(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (mut policies, mut limits) = (String::new(), String::new());
        for (at, (level, limit, standing)) in self.0.iter().enumerate() {
            let earlier = self.0.iter().take(at).filter(|(other, ..)| other == level).count();
            let name = level.policy(earlier);
            let comma = if at > 0 { ", " } else { "" };
            // Writing to a string cannot fail.
            let _ = write!(policies, "{comma}\"{name}\";q={}", limit.amount);
            if limit.unit == QuotaUnit::Bytes {
                policies.push_str(";qu=\"content-bytes\"");
            }
            if let Some(seconds) = seconds(limit.window) {
                let _ = write!(policies, ";w={seconds}");
            }
            let reset = standing.until.0.saturating_sub(now.0).div_ceil(1_000);
            let _ = write!(limits, "{comma}\"{name}\";r={};t={reset}", standing.left);
        }
        vec![("ratelimit-policy", policies), ("ratelimit", limits)]
    }
}

impl Level {
    /// What its limits are called; further ones of the same level are numbered.
    fn policy(self, earlier: usize) -> String {
        let name = match self {
            Self::Api => "api",
            Self::Resource => "resource",
            Self::Subscription => "subscription",
            Self::Application => "application",
            Self::Custom => "custom",
        };
        match earlier {
            0 => name.to_owned(),
            earlier => format!("{name}-{}", earlier.saturating_add(1)),
        }
    }
}

/// How long a window is; `None` for months and years, which differ.
fn seconds(window: Window) -> Option<u64> {
    let unit = match window.unit {
        TimeUnit::Second => 1,
        TimeUnit::Minute => 60,
        TimeUnit::Hour => 3_600,
        TimeUnit::Day => 86_400,
        TimeUnit::Week => 604_800,
        TimeUnit::Month | TimeUnit::Year => return None,
    };
    Some(u64::from(window.count).saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_name_every_limit_once() {
        let limit = |amount, unit, count, of| Limit { amount, unit, window: Window { count, unit: of } };
        let mut standings = Standings::default();
        assert_eq!(standings.fields(Timestamp(0)), Vec::new());
        let until = |ms: u64| Timestamp(1_000_000 + ms);
        let now = Timestamp(1_000_000);
        for (level, limit, left, ms) in [
            (Level::Api, limit(100, QuotaUnit::Requests, 1, TimeUnit::Minute), 99, 59_001),
            (Level::Subscription, limit(10, QuotaUnit::Requests, 5, TimeUnit::Second), 0, 0),
            (Level::Subscription, limit(5_000, QuotaUnit::Bytes, 1, TimeUnit::Month), 4_711, 86_400_000),
        ] {
            standings.push(level, limit, Standing { left, until: until(ms) });
        }
        assert_eq!(
            standings.fields(now),
            vec![
                (
                    "ratelimit-policy",
                    r#""api";q=100;w=60, "subscription";q=10;w=5, "subscription-2";q=5000;qu="content-bytes""#
                        .to_owned()
                ),
                ("ratelimit", r#""api";r=99;t=60, "subscription";r=0;t=0, "subscription-2";r=4711;t=86400"#.to_owned()),
            ]
        );
    }
}
