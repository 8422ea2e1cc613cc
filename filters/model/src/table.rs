//! The tables, and the fixed set of slots (table and shard) they are stored in.
//!
//! The set is fixed because Envoy's shared data has no delete: a slot's name never depends on what is stored.

use xxhash_rust::xxh3::xxh3_64;

/// A table of the snapshot. The number is its wire id: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Key `""`: [`crate::Settings`].
    Settings = 0,
    /// Key = name of the issuer: [`crate::Issuer`].
    Issuer = 1,
    /// Key = [`crate::keys::api`]: [`crate::Api`].
    Api = 2,
    /// Key = domain: empty object. Says which virtual hosts exist.
    VirtualHost = 3,
    /// Key = [`crate::keys::route`]: JSON string, the id of the API.
    Route = 4,
    /// Key = [`crate::keys::tier`]: [`crate::Tier`].
    Tier = 5,
    /// Key = UUID of the application: [`crate::Application`].
    Application = 6,
    /// Key = [`crate::keys::credential`], [`crate::keys::opaque_key`] or [`crate::keys::workload`]: [`crate::Credential`].
    Credential = 7,
    /// Key = [`crate::keys::subscription`] or [`crate::keys::subscription_by_name`]: [`crate::Subscription`].
    Subscription = 8,
    /// Key = [`crate::keys::cutoff`]: [`crate::Cutoff`].
    Cutoff = 9,
    /// Holds [`crate::wire::RevokedShard`]s, by [`crate::TokenHash`].
    Revoked = 10,
    /// Key = [`crate::keys::deny`]: [`crate::DenyCondition`]; or [`crate::keys::custom`]: [`crate::CustomPolicy`].
    Throttle = 11,
    /// Key = a throttle key: [`crate::Decisions`] of a Traffic Manager.
    Decision = 12,
}

impl Table {
    /// By wire id, which is also the order in which a change is stored.
    pub const ALL: [Self; 13] = [
        Self::Settings,
        Self::Issuer,
        Self::Api,
        Self::VirtualHost,
        Self::Route,
        Self::Tier,
        Self::Application,
        Self::Credential,
        Self::Subscription,
        Self::Cutoff,
        Self::Revoked,
        Self::Throttle,
        Self::Decision,
    ];

    /// The table of that wire id.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.id() == id)
    }

    /// Its wire id.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// Name in logs, metrics and shared-data keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Issuer => "issuer",
            Self::Api => "api",
            Self::VirtualHost => "virtual_host",
            Self::Route => "route",
            Self::Tier => "tier",
            Self::Application => "application",
            Self::Credential => "credential",
            Self::Subscription => "subscription",
            Self::Cutoff => "cutoff",
            Self::Revoked => "revoked",
            Self::Throttle => "throttle",
            Self::Decision => "decision",
        }
    }

    /// Whether workers read entries when they are first asked for, and not when they change: too many for every worker's
    /// memory.
    #[must_use]
    pub const fn is_lazy(self) -> bool {
        match self {
            Self::Settings | Self::Issuer | Self::VirtualHost | Self::Route | Self::Throttle => false,
            Self::Api
            | Self::Tier
            | Self::Application
            | Self::Credential
            | Self::Subscription
            | Self::Cutoff
            | Self::Revoked
            | Self::Decision => true,
        }
    }

    /// Number of shards; a power of two, chosen so that a shard stays at a few kB with thousands of APIs, 100,000
    /// applications and a million revoked tokens.
    #[must_use]
    pub const fn shards(self) -> u16 {
        match self {
            Self::Settings | Self::Issuer | Self::VirtualHost | Self::Throttle => 1,
            Self::Api | Self::Decision => 512,
            Self::Route => 128,
            Self::Tier => 16,
            Self::Cutoff => 64,
            Self::Application | Self::Credential | Self::Revoked => 4096,
            Self::Subscription => 8192,
        }
    }

    /// The slot that holds `key`.
    #[must_use]
    pub fn slot(self, key: &[u8]) -> Slot {
        // The number of shards is a power of two, so the mask keeps exactly the low bits.
        let mask = u64::from(self.shards().saturating_sub(1));
        let shard = u16::try_from(xxh3_64(key) & mask).unwrap_or(0);
        Slot { table: self, shard }
    }
}

/// One shard of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The table.
    pub table: Table,
    /// Number of the shard, below [`Table::shards`].
    pub shard: u16,
}

impl Slot {
    /// How many slots there are.
    pub const COUNT: usize = 1 + 1 + 512 + 1 + 128 + 16 + 4096 + 4096 + 8192 + 64 + 4096 + 1 + 512;

    /// Every slot, in the order of [`Table::ALL`].
    pub fn all() -> impl Iterator<Item = Self> {
        Table::ALL.into_iter().flat_map(|table| (0..table.shards()).map(move |shard| Self { table, shard }))
    }

    /// The slot of these wire values; `None` when this release has no such table or shard.
    #[must_use]
    pub fn from_wire(table: u8, shard: u16) -> Option<Self> {
        let table = Table::from_id(table)?;
        (shard < table.shards()).then_some(Self { table, shard })
    }

    /// Position in [`Slot::all`].
    #[must_use]
    pub fn position(self) -> usize {
        let before: usize = Table::ALL
            .into_iter()
            .take_while(|table| *table != self.table)
            .map(|table| usize::from(table.shards()))
            .sum();
        before.saturating_add(usize::from(self.shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_every_slot_once() {
        let slots: Vec<Slot> = Slot::all().collect();
        assert_eq!(slots.len(), Slot::COUNT);
        for (position, slot) in slots.into_iter().enumerate() {
            assert_eq!(slot.position(), position);
            assert_eq!(Slot::from_wire(slot.table.id(), slot.shard), Some(slot));
        }
    }

    #[test]
    fn shard_counts_are_powers_of_two() {
        assert!(Table::ALL.into_iter().all(|table| table.shards().is_power_of_two()));
    }

    /// The adapter and a filter of another release must place a key alike.
    #[test]
    fn placement_is_pinned() {
        let pinned: Vec<u16> =
            ["", "a", "localhost\0/pizzashack/1.0.0"].map(|key| Table::Api.slot(key.as_bytes()).shard).into();
        assert_eq!(pinned, PINNED);
    }

    const PINNED: [u16; 3] = [194, 31, 424];
}
