//! A map that is cut into the shards of its table and copied on write, shard by shard.
//!
//! A clone costs a pointer. A change copies one small shard, and two maps are compared by comparing pointers, so one event
//! among a hundred thousand entries costs what the event costs. Must never do I/O.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_model::{Slot, Table};

/// Entries of one table, by the bytes of their keys.
#[derive(Debug, Clone)]
pub struct Sharded<K, V> {
    table: Table,
    shards: Arc<Vec<Arc<BTreeMap<K, V>>>>,
}

impl<K: Ord + Clone + Borrow<[u8]>, V: Clone + PartialEq> Sharded<K, V> {
    /// Nothing.
    #[must_use]
    pub fn new(table: Table) -> Self {
        let empty = Arc::new(BTreeMap::new());
        Self { table, shards: Arc::new(vec![empty; usize::from(table.shards())]) }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.is_empty())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.shards.get(usize::from(self.table.slot(key).shard))?.get(key)
    }

    /// All shards.
    pub fn shards(&self) -> impl Iterator<Item = &BTreeMap<K, V>> {
        self.shards.iter().map(AsRef::as_ref)
    }

    /// Sets a value. One that is there already is not touched.
    pub fn insert(&mut self, key: K, value: V) {
        if self.get(key.borrow()) == Some(&value) {
            return;
        }
        if let Some(shard) = self.shard_mut(key.borrow()) {
            shard.insert(key, value);
        }
    }

    /// Takes a value away.
    pub fn remove(&mut self, key: &[u8]) {
        if self.get(key).is_some()
            && let Some(shard) = self.shard_mut(key)
        {
            shard.remove(key);
        }
    }

    /// Makes these the only entries. Shards that stay the same are not touched.
    pub fn replace(&mut self, entries: impl IntoIterator<Item = (K, V)>) {
        let mut fresh: BTreeMap<u16, BTreeMap<K, V>> = BTreeMap::new();
        for (key, value) in entries {
            fresh.entry(self.table.slot(key.borrow()).shard).or_default().insert(key, value);
        }
        for shard in 0..self.table.shards() {
            let fresh = fresh.remove(&shard).unwrap_or_default();
            self.replace_shard(shard, fresh);
        }
    }

    /// Keeps only what `keep` wants of the shards that `choose` names.
    pub fn prune(&mut self, choose: impl Fn(&BTreeMap<K, V>) -> bool, keep: impl Fn(&K, &V) -> bool) {
        for shard in 0..self.table.shards() {
            let Some(held) = self.shards.get(usize::from(shard)).filter(|held| choose(held)) else { continue };
            let kept = held.iter().filter(|(key, value)| keep(key, value));
            let kept = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
            self.replace_shard(shard, kept);
        }
    }

    /// The slots in which the two differ, with their content here.
    pub fn changed<'s>(&'s self, former: &'s Self) -> impl Iterator<Item = (Slot, &'s BTreeMap<K, V>)> {
        let shards = (0..self.table.shards()).zip(self.shards.iter().zip(former.shards.iter()));
        let changed = shards.filter(|(_, (ours, theirs))| !Arc::ptr_eq(ours, theirs));
        changed.map(|(shard, (ours, _))| (Slot { table: self.table, shard }, ours.as_ref()))
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    fn shard_mut(&mut self, key: &[u8]) -> Option<&mut BTreeMap<K, V>> {
        let shard = usize::from(self.table.slot(key).shard);
        Arc::make_mut(&mut self.shards).get_mut(shard).map(Arc::make_mut)
    }

    fn replace_shard(&mut self, shard: u16, fresh: BTreeMap<K, V>) {
        let shard = usize::from(shard);
        if self.shards.get(shard).is_some_and(|held| **held != fresh)
            && let Some(held) = Arc::make_mut(&mut self.shards).get_mut(shard)
        {
            *held = Arc::new(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Map = Sharded<Vec<u8>, u32>;

    fn key(number: u32) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    fn map(numbers: impl IntoIterator<Item = u32>) -> Map {
        let mut map = Map::new(Table::Application);
        for number in numbers {
            map.insert(key(number), number);
        }
        map
    }

    fn changed(after: &Map, before: &Map) -> Vec<Slot> {
        after.changed(before).map(|(slot, _)| slot).collect()
    }

    #[test]
    fn a_change_touches_the_slot_of_its_key_only() {
        let before = map(0..10_000);
        let mut after = before.clone();
        after.insert(key(7), 7);
        assert_eq!(changed(&after, &before), []);
        after.insert(key(7), 8);
        after.remove(&key(9));
        after.remove(&key(10_000));
        let mut expected = [Table::Application.slot(&key(7)), Table::Application.slot(&key(9))];
        expected.sort_unstable();
        assert_eq!(changed(&after, &before), expected);
        assert_eq!((before.get(&key(7)), after.get(&key(7)), after.get(&key(9))), (Some(&7), Some(&8), None));
        assert_eq!((before.len(), after.len()), (10_000, 9_999));
    }

    #[test]
    fn replacing_touches_what_differs() {
        let before = map(0..1_000);
        let mut after = before.clone();
        after.replace((0..1_001).map(|number| (key(number), number)));
        assert_eq!(changed(&after, &before), [Table::Application.slot(&key(1_000))]);
        after.replace([]);
        assert!(after.is_empty() && !before.is_empty());
    }

    #[test]
    fn pruning_keeps_to_the_chosen_shards() {
        let mut map = map(0..20_000);
        map.prune(|shard| shard.len() > 4, |_, number| number % 2 == 0);
        let odd = map.iter().filter(|(_, number)| *number % 2 == 1).count();
        assert!(odd > 0 && odd < 10_000, "{odd}");
        assert_eq!(map.iter().filter(|(_, number)| *number % 2 == 0).count(), 10_000);
    }
}
