//! Mechanics of access tokens: form, claims, keys, signatures, and the memory of those already verified.
//!
//! Nothing here decides what a token permits; that is for the stages.

mod cache;
mod claims;
mod der;
mod generations;
mod headers;
mod holder;
mod json;
mod jws;
mod key;
mod portable;
mod signature;

use std::rc::Rc;

pub(crate) use cache::Vouched;
pub use cache::{Known, TokenCache};
pub use claims::{Claims, InvalidClaims, KeyType, SubscribedApi, TokenType, Validity};
pub use der::ecdsa_signature;
pub(crate) use generations::signed;
pub use holder::Holder;
pub(crate) use jws::parts;
pub use jws::{JoseHeader, Jws, MAX_TOKEN, NotAJws};
pub use key::{JwkError, Material, VerificationKey};
pub use portable::PortableVerifier;
pub use signature::{SignatureVerifier, Verdict};

use crate::CompiledIssuer;

/// A token whose signature, issuer and form were checked. Its times must be checked at every use.
#[derive(Clone)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: Claims,
    /// What it was shown as.
    pub usage: Usage,
    /// Its text.
    pub raw: Rc<str>,
    /// Who says it.
    pub issuer: Rc<CompiledIssuer>,
}

impl VerifiedToken {
    /// All that it says, as JSON, for the few who ask for more than the claims: it is decoded for each of them.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        let [_, payload, _] = parts(&self.raw)?;
        jws::decode(payload).ok()
    }

    /// Whether it is good only on connections that show a certificate.
    pub(crate) fn is_bound(&self) -> bool {
        self.claims.certificate.is_some() && self.issuer.issuer.certificate_bound_tokens
    }

    /// Bytes that it takes beside its text, roughly: the texts of its claims are no longer than that.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>().saturating_add(self.raw.len()).saturating_add(self.claims.lists())
    }
}

/// Whoever has the text can use the token.
impl std::fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { claims, usage, issuer, raw: _ } = self;
        f.debug_struct("VerifiedToken")
            .field("claims", claims)
            .field("usage", usage)
            .field("issuer", issuer)
            .finish_non_exhaustive()
    }
}

impl PartialEq for VerifiedToken {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.issuer, &other.issuer) && self.claims == other.claims
    }
}

/// What a token is shown as. A token that is good for one use is never taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// In the header of access tokens.
    AccessToken,
    /// Where an API key is expected.
    ApiKey,
    /// In the header of the publisher's test console.
    InternalKey,
}
