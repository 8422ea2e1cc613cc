//! The plans that API Manager ships, so that names in projects mean what everybody knows them to mean. A plan of the same name
//! from any other source replaces one of these.

use tollgate_model::{Limit, QuotaUnit, Tier, TierKind, TimeUnit, Window, keys};

use super::Key;

/// Kind, name, and requests a minute.
const SHIPPED: [(TierKind, &str, u64); 10] = [
    (TierKind::Subscription, "Gold", 5_000),
    (TierKind::Subscription, "Silver", 2_000),
    (TierKind::Subscription, "Bronze", 1_000),
    (TierKind::Subscription, "Unauthenticated", 500),
    (TierKind::Application, "50PerMin", 50),
    (TierKind::Application, "20PerMin", 20),
    (TierKind::Application, "10PerMin", 10),
    (TierKind::Api, "50KPerMin", 50_000),
    (TierKind::Api, "20KPerMin", 20_000),
    (TierKind::Api, "10KPerMin", 10_000),
];

/// All of them, by their keys, and the one that bounds nothing for each kind.
pub fn shipped() -> impl Iterator<Item = (Key, Tier)> {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let bounded = SHIPPED.into_iter().map(move |(kind, name, amount)| {
        let limits = vec![Limit { amount, unit: QuotaUnit::Requests, window }];
        (Key::from(keys::tier(kind, name)), Tier { limits, ..Tier::named(name) })
    });
    let kinds = [TierKind::Subscription, TierKind::Application, TierKind::Api];
    bounded.chain(kinds.into_iter().map(|kind| (Key::from(keys::tier(kind, Tier::UNLIMITED)), Tier::unlimited())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_has_a_place_of_its_own() {
        let names: std::collections::BTreeSet<Key> = shipped().map(|(key, _)| key).collect();
        assert_eq!(names.len(), SHIPPED.len() + 3);
    }
}
