//! What one module of a chain leaves for the next, where each does only a part of the way (`decide/parts.rs`).
//!
//! It travels in filter state, which no client can write, and says only what a later module cannot or must not find out again:
//! which signatures were good, what a GraphQL body asks for, that the request was counted and how limits stood then. Everything else each module
//! decides anew, from the request and its own snapshot, so that a change between two modules is no gap. It holds no credential:
//! tokens go by their hashes.

mod codec;
mod vouched;

use sha2::{Digest as _, Sha256};
use tollgate_model::GraphQlKind;

pub use self::codec::{MAX_EVIDENCE, NotEvidence};
pub(crate) use self::vouched::{Vouched, Vouching};
use crate::HeaderMap;
use crate::token::Usage;

/// How far a request has come. A module asks for what the one before it has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reached {
    /// Who calls is known.
    Authenticated = 1,
    /// The caller may call the operation.
    Authorized = 2,
    /// The request was counted at every level.
    Counted = 3,
    /// It is as the backend wants it: nothing is left to be done.
    Mediated = 4,
}

/// SHA-256.
pub type Hash = [u8; 32];

/// What has been found out of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// How far it has come.
    pub reached: Reached,
    /// Revision of the snapshot that the last module decided with.
    pub revision: u64,
    /// Which request it is about; see [`Evidence::is_about`].
    pub request: Hash,
    /// Signed credentials whose signatures are good; see [`credential`]. At most [`codec::MAX_CREDENTIALS`].
    pub credentials: Vec<Hash>,
    /// What a GraphQL body asks for; none for other requests.
    pub query: Option<Query>,
    /// What the client is told of its limits, of [`LIMIT_HEADERS`](tollgate_model::contract::LIMIT_HEADERS); nothing until they
    /// were counted.
    pub told: Vec<(&'static str, String)>,
}

/// What a GraphQL query asks for, and what it weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The kind of its operation.
    pub kind: GraphQlKind,
    /// Fields of the root type, at least one.
    pub fields: Vec<String>,
    /// Fields on the longest way down.
    pub depth: u32,
    /// Its weight.
    pub complexity: u64,
}

impl Evidence {
    /// Whether it is about this request: method, host and path are those that were decided about. A filter that changes
    /// them between two modules would have one thing judged and another one done.
    #[must_use]
    pub fn is_about(&self, request: &HeaderMap) -> bool {
        self.request == of_request(request)
    }
}

/// Names a request by what decides where it goes.
pub(crate) fn of_request(request: &HeaderMap) -> Hash {
    let parts = [":method", ":authority", ":path"].map(|name| request.pseudo(name).unwrap_or_default());
    hash(&parts)
}

/// Names a signed credential in one use.
pub(crate) fn credential(usage: Usage, raw: &str) -> Hash {
    let usage: &[u8] = match usage {
        Usage::AccessToken => b"token",
        Usage::ApiKey => b"key",
        Usage::InternalKey => b"internal",
    };
    hash(&[usage, raw.as_bytes()])
}

/// Of parts that keep their bounds.
fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
