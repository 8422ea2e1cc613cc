//! A memory that stays within a number of bytes, whatever is asked of it.
//!
//! Two generations: when the young one is full it becomes the old one, and the old one goes; what is found in the old one
//! moves back. So what is in use stays, and forgetting costs nothing.

use std::borrow::Borrow;
use std::hash::Hash;

use hashbrown::HashMap;

/// Values by key, each with its weight in bytes.
pub(super) struct Bounded<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Bytes of the young generation.
    bytes: usize,
    /// Bytes at which a generation is full.
    limit: usize,
}

/// What an entry takes beside its key and value, roughly.
const OVERHEAD: usize = 64;

impl<K: Eq + Hash, V: Clone> Bounded<K, V> {
    /// Holds at most twice `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), bytes: 0, limit }
    }

    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), weight);
        Some(value)
    }

    /// `weight` is what key and value take themselves.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize) {
        self.insert(key, value, weight.saturating_add(OVERHEAD));
    }

    fn insert(&mut self, key: K, value: V, weight: usize) {
        if self.bytes >= self.limit {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(weight);
        self.young.insert(key, (value, weight));
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| keep(key));
        self.old.retain(|key, _| keep(key));
        self.bytes = self.young.values().fold(0, |sum, (_, weight)| sum.saturating_add(*weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bounds_and_keeps_what_is_used() {
        let mut memory = Bounded::new(10_000);
        for number in 0..1_000 {
            memory.put(number, number, 36);
            assert_eq!(memory.get(&0), Some(0), "what is in use was forgotten at {number}");
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * 101);
        assert_eq!(memory.get(&1), None);
    }

    #[test]
    fn forgets_what_is_not_to_be_kept() {
        let mut memory = Bounded::new(1_000);
        for number in 0..30 {
            memory.put(number, (), 36);
        }
        assert!(!memory.old.is_empty());
        memory.retain(|number| number % 2 == 0);
        assert_eq!((memory.get(&28), memory.get(&29), memory.get(&15)), (Some(()), None, None));
        assert_eq!(memory.bytes, memory.young.len() * 100);
    }
}
