//! What is not accepted any more although it was signed: single tokens, and everything of somebody before a moment.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// Stands for the id of a token in the `revoked` table.
///
/// 96 bits, so that among a million revoked tokens a good one is mistaken for one of them once in 10^22 cases. The hash need
/// not resist attack: whoever finds two ids with one hash can have a token refused by that, but never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; Self::LENGTH]);

impl TokenHash {
    /// Bytes of a hash.
    pub const LENGTH: usize = 12;

    /// The hash of a token's id: its `jti`, or the text of its signature when it has none.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = xxh3_128(id.as_bytes()).to_le_bytes();
        Self([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

impl std::borrow::Borrow<[u8]> for TokenHash {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Tokens issued before a moment are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cutoff {
    /// The moment, in seconds since the epoch. A token whose `iat` is less, or that has none, is refused.
    pub before: i64,
}

/// Whose tokens a [`Cutoff`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CutoffKind {
    /// Of a consumer key.
    ConsumerKey,
    /// Of a user (`sub`).
    User,
    /// Of an issuer (`iss`).
    Issuer,
}

impl CutoffKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ConsumerKey, Self::User, Self::Issuer];

    /// Its name in keys and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsumerKey => "consumerKey",
            Self::User => "user",
            Self::Issuer => "issuer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The adapter and a filter of another release must hash alike.
    #[test]
    fn hashes_are_pinned() {
        assert_eq!(TokenHash::of("").0, [127, 73, 141, 70, 36, 195, 1, 96, 216, 152, 71, 1]);
    }
}
