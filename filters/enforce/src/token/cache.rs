//! Tokens that were verified before, so that a signature is checked once a worker and not once a request.
//!
//! Keyed by the whole raw token: what is remembered is what its issuer said, never what an API made of it. Cleared when the
//! issuers change. Bounded in entries and bytes by keeping two generations: when the young one is full it becomes the old
//! one, and the old one goes; a token found in the old one moves back.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;

use super::VerifiedToken;

/// Tokens in one generation.
const MAX_ENTRIES: usize = 5_000;
/// Bytes of raw tokens in one generation.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Verified tokens of one worker.
#[derive(Debug, Default)]
pub struct TokenCache(RefCell<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Rc<VerifiedToken>>,
    old: HashMap<Box<str>, Rc<VerifiedToken>>,
    young_bytes: usize,
}

impl TokenCache {
    /// The verified form of exactly this token.
    #[must_use]
    pub fn get(&self, raw: &str) -> Option<Rc<VerifiedToken>> {
        let mut generations = self.0.try_borrow_mut().ok()?;
        if let Some(token) = generations.young.get(raw) {
            return Some(Rc::clone(token));
        }
        let (raw, token) = generations.old.remove_entry(raw)?;
        generations.put(raw, Rc::clone(&token));
        Some(token)
    }

    /// Remembers a verified token.
    pub fn put(&self, raw: &str, token: Rc<VerifiedToken>) {
        if let Ok(mut generations) = self.0.try_borrow_mut() {
            generations.put(raw.into(), token);
        }
    }

    /// Forgets everything; to be called when the issuers change.
    pub fn clear(&self) {
        if let Ok(mut generations) = self.0.try_borrow_mut() {
            *generations = Generations::default();
        }
    }
}

impl Generations {
    fn put(&mut self, raw: Box<str>, token: Rc<VerifiedToken>) {
        if self.young.len() >= MAX_ENTRIES || self.young_bytes >= MAX_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(raw.len());
        self.young.insert(raw, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::claims;

    fn token() -> Rc<VerifiedToken> {
        Rc::new(VerifiedToken { claims: claims() })
    }

    #[test]
    fn finds_what_was_put_and_nothing_else() {
        let cache = TokenCache::default();
        cache.put("a.b.c", token());
        assert!(cache.get("a.b.c").is_some());
        assert!(cache.get("a.b.C").is_none());
        cache.clear();
        assert!(cache.get("a.b.c").is_none());
    }

    #[test]
    fn stays_within_its_bounds_and_keeps_what_is_used() {
        let cache = TokenCache::default();
        for number in 0..3 * MAX_ENTRIES {
            cache.put(&number.to_string(), token());
            assert!(cache.get("0").is_some(), "a token in use was forgotten at {number}");
        }
        let generations = cache.0.borrow();
        assert!(generations.young.len() + generations.old.len() <= 2 * MAX_ENTRIES);
        assert!(!generations.young.contains_key("1") && !generations.old.contains_key("1"));
    }

    #[test]
    fn long_tokens_count_by_their_bytes() {
        let cache = TokenCache::default();
        for number in 0..400 {
            cache.put(&format!("{number}{}", "x".repeat(60_000)), token());
        }
        let generations = cache.0.borrow();
        assert!(generations.young.len() + generations.old.len() <= 2 * (MAX_BYTES / 60_000 + 1));
    }
}
