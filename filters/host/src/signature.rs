//! Signature checks by Envoy's `verify_signature`, which is BoringSSL and some ten times faster than portable code.

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_enforce::token::{Jws, PortableVerifier, SignatureVerifier, Verdict, VerificationKey, ecdsa_signature};
use tollgate_model::Algorithm;

use crate::metrics::{Metrics, PORTABLE_SIGNATURES};
use crate::{Abi, Status};

/// Name of Envoy's function.
const FUNCTION: &str = "verify_signature";
/// A reply of the function that says yes: field 1, varint, true.
const YES: [u8; 2] = [0x08, 0x01];

/// Asks Envoy, and computes where Envoy has no such function.
pub(crate) struct HostVerifier {
    abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
}

impl HostVerifier {
    pub(crate) fn new(abi: Rc<dyn Abi>, metrics: Rc<Metrics>) -> Self {
        Self { abi, metrics }
    }
}

impl SignatureVerifier for HostVerifier {
    fn verify(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict {
        // Envoy's function knows neither PSS nor Ed25519.
        let (hash, signature) = match algorithm {
            Algorithm::RS256 => ("sha256", Cow::Borrowed(&token.signature)),
            Algorithm::RS384 => ("sha384", Cow::Borrowed(&token.signature)),
            Algorithm::RS512 => ("sha512", Cow::Borrowed(&token.signature)),
            Algorithm::ES256 if token.signature.len() == 64 => {
                ("sha256", Cow::Owned(ecdsa_signature(&token.signature)))
            }
            Algorithm::ES384 if token.signature.len() == 96 => {
                ("sha384", Cow::Owned(ecdsa_signature(&token.signature)))
            }
            Algorithm::ES512 if token.signature.len() == 132 => {
                ("sha512", Cow::Owned(ecdsa_signature(&token.signature)))
            }
            Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 => return Verdict::Invalid,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 | Algorithm::EdDSA => {
                return self.compute(key, algorithm, token);
            }
        };
        let arguments = arguments(&[hash.as_bytes(), &key.spki, &signature, token.signing_input.as_bytes()]);
        match self.abi.foreign(FUNCTION, &arguments) {
            Ok(reply) if reply.starts_with(&YES) => Verdict::Valid,
            Ok(_) => Verdict::Invalid,
            // Not there, or withheld from the module.
            Err(Status::NotFound | Status::CasMismatch | Status::Failed(_)) => self.compute(key, algorithm, token),
        }
    }
}

impl HostVerifier {
    fn compute(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict {
        self.metrics.increment(PORTABLE_SIGNATURES);
        PortableVerifier.verify(key, algorithm, token)
    }
}

/// A protobuf message of length-delimited fields, numbered from 1: hash function, public key, signature, text.
fn arguments(fields: &[&[u8]]) -> Vec<u8> {
    const LENGTH_DELIMITED: u8 = 2;
    let mut out = Vec::with_capacity(fields.iter().map(|field| field.len().saturating_add(6)).sum());
    for (number, field) in (1_u8..).zip(fields) {
        out.push(number << 3 | LENGTH_DELIMITED);
        let mut length = field.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap_or(0));
        out.extend_from_slice(field);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_protobuf() {
        let long = vec![b'x'; 300];
        let message = arguments(&[b"sha256", &[], &long]);
        assert_eq!(message[..10], [0x0a, 6, b's', b'h', b'a', b'2', b'5', b'6', 0x12, 0]);
        assert_eq!(message[10..13], [0x1a, 0xac, 0x02]);
        assert_eq!(message.len(), 13 + 300);
    }
}
