//! A memory by texts that stays within a number of bytes.
//!
//! Two generations: when the young one is full it becomes the old one, and the old one goes; what is found in the old one
//! moves back. So what is in use stays, and forgetting costs nothing.

use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::bytes::same;

/// Bytes that an entry takes beside its key and value: slot of the table, allocations.
const OVERHEAD: usize = 96;
/// Bytes at the end of a signed text that tell it from others.
const TAIL: usize = 32;

/// The part of a key that is hashed.
type Hashed = fn(&[u8]) -> &[u8];

/// All of it: for texts that anybody can make.
pub(super) fn whole(key: &[u8]) -> &[u8] {
    key
}

/// The end of it: for texts whose signature was found good. A signature ends unlike any other, and nobody can choose how, so
/// that there is no need to go through a thousand bytes.
pub(crate) fn signed(key: &[u8]) -> &[u8] {
    key.get(key.len().saturating_sub(TAIL)..).unwrap_or(key)
}

#[derive(Debug)]
pub(super) struct Generations<V> {
    young: HashTable<(Rc<str>, V)>,
    old: HashTable<(Rc<str>, V)>,
    young_bytes: usize,
    most_bytes: usize,
    hashed: Hashed,
    hasher: DefaultHashBuilder,
}

impl<V: Clone> Generations<V> {
    /// `most_bytes` is what one generation takes.
    pub(super) fn new(most_bytes: usize, hashed: Hashed) -> Self {
        let (young, old) = (HashTable::new(), HashTable::new());
        Self { young, old, young_bytes: 0, most_bytes, hashed, hasher: DefaultHashBuilder::default() }
    }

    pub(super) fn get(&mut self, raw: &str, weight: impl FnOnce(&V) -> usize) -> Option<V> {
        if self.young.is_empty() && self.old.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one((self.hashed)(raw.as_bytes()));
        if let Some((_, value)) = self.young.find(hash, |(key, _)| same(key.as_bytes(), raw.as_bytes())) {
            return Some(value.clone());
        }
        let entry = self.old.find_entry(hash, |(key, _)| same(key.as_bytes(), raw.as_bytes())).ok()?;
        let ((raw, value), _) = entry.remove();
        let weight = weight(&value);
        self.put(raw, value.clone(), weight);
        Some(value)
    }

    pub(super) fn put(&mut self, raw: Rc<str>, value: V, weight: usize) {
        let bytes = raw.len().saturating_add(weight).saturating_add(OVERHEAD);
        if self.young_bytes.saturating_add(bytes) > self.most_bytes {
            // The next one will be as large, and so it need not grow.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(bytes);
        let Self { young, hashed, hasher, .. } = self;
        let hash = |key: &str| hasher.hash_one(hashed(key.as_bytes()));
        match young.entry(hash(&raw), |(key, _)| key == &raw, |(key, _)| hash(key)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 = value,
            Entry::Vacant(entry) => drop(entry.insert((raw, value))),
        }
    }

    /// Bytes of what is remembered, values not counted.
    #[cfg(test)]
    pub(super) fn key_bytes(&self) -> usize {
        self.young.iter().chain(&self.old).map(|(key, _)| key.len() + OVERHEAD).sum()
    }
}
