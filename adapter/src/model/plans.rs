//! The plans that API Manager ships, so that names in projects mean what everybody knows them to mean. A plan of the same name
//! from any other source replaces one of these.

use tollgate_model::{Limit, QuotaUnit, Tier, TierKind, TimeUnit, Window, keys};

use super::Key;

/// Kind, name, and how many requests in what time.
const SHIPPED: [(TierKind, &str, u64, TimeUnit); 13] = [
    (TierKind::Subscription, "Gold", 5_000, TimeUnit::Minute),
    (TierKind::Subscription, "Silver", 2_000, TimeUnit::Minute),
    (TierKind::Subscription, "Bronze", 1_000, TimeUnit::Minute),
    (TierKind::Subscription, "Unauthenticated", 500, TimeUnit::Minute),
    (TierKind::Subscription, "AsyncGold", 50_000, TimeUnit::Day),
    (TierKind::Subscription, "AsyncSilver", 25_000, TimeUnit::Day),
    (TierKind::Subscription, "AsyncBronze", 5_000, TimeUnit::Day),
    (TierKind::Application, "50PerMin", 50, TimeUnit::Minute),
    (TierKind::Application, "20PerMin", 20, TimeUnit::Minute),
    (TierKind::Application, "10PerMin", 10, TimeUnit::Minute),
    (TierKind::Api, "50KPerMin", 50_000, TimeUnit::Minute),
    (TierKind::Api, "20KPerMin", 20_000, TimeUnit::Minute),
    (TierKind::Api, "10KPerMin", 10_000, TimeUnit::Minute),
];

/// What of them bounds nothing.
const UNBOUNDED: [(TierKind, &str); 4] = [
    (TierKind::Subscription, Tier::UNLIMITED),
    (TierKind::Subscription, "AsyncUnlimited"),
    (TierKind::Application, Tier::UNLIMITED),
    (TierKind::Api, Tier::UNLIMITED),
];

/// All of them, by their keys.
pub fn shipped() -> impl Iterator<Item = (Key, Tier)> {
    let bounded = SHIPPED.into_iter().map(|(kind, name, amount, unit)| {
        let limits = vec![Limit { amount, unit: QuotaUnit::Requests, window: Window { count: 1, unit } }];
        (Key::from(keys::tier(kind, name)), Tier { limits, ..Tier::named(name) })
    });
    bounded.chain(UNBOUNDED.into_iter().map(|(kind, name)| (Key::from(keys::tier(kind, name)), Tier::named(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_has_a_place_of_its_own() {
        let names: std::collections::BTreeSet<Key> = shipped().map(|(key, _)| key).collect();
        assert_eq!(names.len(), SHIPPED.len() + UNBOUNDED.len());
    }
}
