//! Mechanics of access tokens: form, claims, keys, signatures, and the memory of those already verified.
//!
//! Nothing here decides what a token permits; that is for the stages.

mod cache;
mod claims;
mod der;
mod jws;
mod key;
mod portable;
mod signature;

pub use cache::TokenCache;
pub use claims::{Claims, InvalidClaims, KeyType};
pub use der::ecdsa_signature;
pub use jws::{Jws, MAX_TOKEN, NotAJws};
pub use key::{JwkError, Material, VerificationKey};
pub use portable::PortableVerifier;
pub use signature::{SignatureVerifier, Verdict};

/// A token whose signature, issuer and form were checked. Its times must be checked at every use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: Claims,
}
