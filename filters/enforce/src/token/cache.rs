//! Tokens that were judged before, so that a signature is checked once a worker and not once a request.
//!
//! Keyed by use and the whole raw token: what is remembered is what its issuer said, never what an API made of it. Cleared
//! when the issuers change. Bounded in bytes by keeping two generations: when the young one is full it becomes the old one,
//! and the old one goes; a token found in the old one moves back. Bad tokens have a memory of their own, so that whoever
//! sends them crowds nobody out, and a short one.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_model::contract::BackendJwt;

use super::generations::{Generations, whole};
use super::headers::Headers;
use super::{JoseHeader, Jws, Usage, VerifiedToken, signed};
use crate::Timestamp;
use crate::stages::Subscribed;

/// Bytes of one generation of good tokens of a use.
const GOOD_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one generation of tokens for backends.
const VOUCHED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one generation of bad tokens of a use.
const BAD_BYTES: usize = 512 * 1024;
/// How long a bad token is remembered.
const BAD_MS: u64 = 10_000;

/// What is known of a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// Its issuer signed it. Its times must be checked at every use.
    Good(Rc<VerifiedToken>),
    /// Nobody whose keys were known signed it.
    Bad,
}

/// Judged tokens of one worker, and the tokens that tell backends of them.
#[derive(Debug, Default)]
pub struct TokenCache {
    judged: [RefCell<Memory>; 3],
    headers: Headers,
    vouched: RefCell<BackendMemory>,
}

/// A token for a backend, and on whose behalf it was made.
#[derive(Debug, Clone)]
pub(crate) struct Vouched {
    pub(crate) made: Rc<BackendJwt>,
    pub(crate) subscribed: Option<Subscribed>,
}

#[derive(Debug)]
struct BackendMemory(Generations<Vouched>);

impl Default for BackendMemory {
    fn default() -> Self {
        Self(Generations::new(VOUCHED_BYTES, whole))
    }
}

#[derive(Debug)]
struct Memory {
    good: Generations<Rc<VerifiedToken>>,
    bad: Generations<Timestamp>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { good: Generations::new(GOOD_BYTES, signed), bad: Generations::new(BAD_BYTES, whole) }
    }
}

impl TokenCache {
    /// What is known of exactly this token in this use.
    #[must_use]
    pub fn get(&self, usage: Usage, raw: &str, now: Timestamp) -> Option<Known> {
        self.with(usage, |memory| {
            if let Some(token) = memory.good.get(raw, |token| token.weight()) {
                return Some(Known::Good(token));
            }
            let since = memory.bad.get(raw, |_| 0)?;
            // A clock that goes backwards forgets.
            let age = now.0.checked_sub(since.0)?;
            (age < BAD_MS).then_some(Known::Bad)
        })?
    }

    /// The header that this text is, if it is that of a token found good lately.
    pub(crate) fn header(&self, text: &str) -> Option<Rc<JoseHeader>> {
        self.headers.get(text)
    }

    /// Remembers the header of a token that is good.
    pub(crate) fn put_header(&self, jws: &Jws) {
        self.headers.put(jws);
    }

    /// Remembers a verified token.
    pub fn put(&self, token: Rc<VerifiedToken>) {
        let weight = token.weight();
        self.with(token.usage, |memory| memory.good.put(Rc::clone(&token.raw), token, weight));
    }

    /// Remembers a token that is not good, for a moment.
    pub fn put_bad(&self, usage: Usage, raw: &str, now: Timestamp) {
        self.with(usage, |memory| memory.bad.put(raw.into(), now, 0));
    }

    /// The token for a backend that was made for this; its expiry must be checked at every use.
    pub(crate) fn vouched(&self, key: &str) -> Option<Vouched> {
        self.vouched.try_borrow_mut().ok()?.0.get(key, Vouched::weight)
    }

    /// Remembers a token for a backend.
    pub(crate) fn put_vouched(&self, key: &str, vouched: Vouched) {
        if let Ok(mut memory) = self.vouched.try_borrow_mut() {
            let weight = vouched.weight();
            memory.0.put(key.into(), vouched, weight);
        }
    }

    /// Forgets everything; to be called when the issuers change.
    pub fn clear(&self) {
        for memory in &self.judged {
            if let Ok(mut memory) = memory.try_borrow_mut() {
                *memory = Memory::default();
            }
        }
        if let Ok(mut memory) = self.vouched.try_borrow_mut() {
            *memory = BackendMemory::default();
        }
    }

    fn with<T>(&self, usage: Usage, then: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        let [access_tokens, api_keys, internal_keys] = &self.judged;
        let memory = match usage {
            Usage::AccessToken => access_tokens,
            Usage::ApiKey => api_keys,
            Usage::InternalKey => internal_keys,
        };
        memory.try_borrow_mut().ok().map(|mut memory| then(&mut memory))
    }
}

impl Vouched {
    /// Bytes that it takes in memory, roughly. The application is shared with the directory's memory.
    fn weight(&self) -> usize {
        self.made.token.expose().len().saturating_add(size_of::<Self>()).saturating_add(size_of::<BackendJwt>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::verified;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn finds_what_was_put_and_nothing_else() {
        let cache = TokenCache::default();
        cache.put(verified("a.b.c"));
        assert!(matches!(cache.get(Usage::AccessToken, "a.b.c", NOW), Some(Known::Good(_))));
        assert_eq!(cache.get(Usage::AccessToken, "a.b.C", NOW), None);
        assert_eq!(cache.get(Usage::ApiKey, "a.b.c", NOW), None);
        assert_eq!(cache.get(Usage::InternalKey, "a.b.c", NOW), None);
        cache.clear();
        assert_eq!(cache.get(Usage::AccessToken, "a.b.c", NOW), None);
    }

    #[test]
    fn bad_tokens_are_remembered_for_a_moment() {
        let cache = TokenCache::default();
        cache.put_bad(Usage::ApiKey, "a.b.c", NOW);
        let known = |ms| cache.get(Usage::ApiKey, "a.b.c", Timestamp(ms));
        assert_eq!(known(NOW.0 + BAD_MS - 1), Some(Known::Bad));
        assert_eq!(known(NOW.0 + BAD_MS), None);
        assert_eq!(known(NOW.0 - 1), None);
        assert_eq!(cache.get(Usage::AccessToken, "a.b.c", NOW), None);
    }

    fn bytes(cache: &TokenCache) -> (usize, usize) {
        let memory = cache.judged[0].borrow();
        (memory.good.key_bytes(), memory.bad.key_bytes())
    }

    #[test]
    fn stays_within_its_bounds_and_keeps_what_is_used() {
        let cache = TokenCache::default();
        for number in 0..100_000 {
            cache.put(verified(&number.to_string()));
            let found = cache.get(Usage::AccessToken, "0", NOW);
            assert!(found.is_some(), "a token in use was forgotten at {number}");
        }
        assert!(bytes(&cache).0 <= 2 * GOOD_BYTES);
        assert_eq!(cache.get(Usage::AccessToken, "1", NOW), None);
    }

    #[test]
    fn long_tokens_count_by_their_bytes_and_bad_ones_crowd_nobody_out() {
        let cache = TokenCache::default();
        cache.put(verified("good"));
        for number in 0..400 {
            cache.put_bad(Usage::AccessToken, &format!("{number}{}", "x".repeat(60_000)), NOW);
        }
        assert!(bytes(&cache).1 <= 2 * (BAD_BYTES + 60_100));
        assert!(cache.get(Usage::AccessToken, "good", NOW).is_some());
    }
}
