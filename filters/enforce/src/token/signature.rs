//! The one thing about tokens that is not pure Rust everywhere: checking a signature.

use tollgate_model::Algorithm;

use super::{Jws, VerificationKey};

/// What a verifier says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The key made the signature.
    Valid,
    /// It did not.
    Invalid,
}

/// Checks signatures. The host has one that calls into Envoy's BoringSSL; [`super::PortableVerifier`] works anywhere.
pub trait SignatureVerifier {
    /// Whether `key` signed `token` with `algorithm`. Whatever goes wrong on the way is [`Verdict::Invalid`].
    fn verify(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict;
}
