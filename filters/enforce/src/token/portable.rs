//! Signature checks in pure Rust by `jwt-simple`, and by `p521` for the curve that it lacks, for hosts that have none of
//! their own.
//!
//! Only the signature is asked of the crates. Times and issuer are checked by the stages, so `jwt-simple`'s own checks
//! of them are opened as wide as they go.

use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike, JWTClaims, NoCustomClaims, PS256PublicKey, PS384PublicKey, PS512PublicKey, RS256PublicKey,
    RS384PublicKey, RS512PublicKey, RSAPublicKeyLike, UnixTimeStamp, VerificationOptions,
};
use p521::ecdsa::signature::Verifier;
use p521::ecdsa::{Signature, VerifyingKey};
use tollgate_model::Algorithm;

use super::{Jws, MAX_TOKEN, Material, SignatureVerifier, Verdict, VerificationKey};

/// Verifies without help. Some ten times slower than BoringSSL.
#[derive(Debug, Default, Clone, Copy)]
pub struct PortableVerifier;

type Outcome = Result<JWTClaims<NoCustomClaims>, jwt_simple::Error>;

impl SignatureVerifier for PortableVerifier {
    fn verify(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict {
        let outcome = match &key.material {
            Material::Rsa { modulus, exponent } => rsa(modulus, exponent, algorithm, token),
            Material::P256(point) if algorithm == Algorithm::ES256 => {
                ES256PublicKey::from_bytes(point).and_then(|key| key.verify_token(token.raw, Some(options())))
            }
            Material::P384(point) if algorithm == Algorithm::ES384 => {
                ES384PublicKey::from_bytes(point).and_then(|key| key.verify_token(token.raw, Some(options())))
            }
            Material::P521(point) if algorithm == Algorithm::ES512 => return p521(point, token),
            Material::Ed25519(bytes) if algorithm == Algorithm::EdDSA => {
                Ed25519PublicKey::from_bytes(bytes).and_then(|key| key.verify_token(token.raw, Some(options())))
            }
            Material::P256(_) | Material::P384(_) | Material::P521(_) | Material::Ed25519(_) => {
                return Verdict::Invalid;
            }
        };
        if outcome.is_ok() { Verdict::Valid } else { Verdict::Invalid }
    }
}

fn rsa(n: &[u8], e: &[u8], algorithm: Algorithm, token: &Jws) -> Outcome {
    fn check<K: RSAPublicKeyLike>(key: Result<K, jwt_simple::Error>, token: &Jws) -> Outcome {
        key.and_then(|key| key.verify_token(token.raw, Some(options())))
    }
    match algorithm {
        Algorithm::RS256 => check(RS256PublicKey::from_components(n, e), token),
        Algorithm::RS384 => check(RS384PublicKey::from_components(n, e), token),
        Algorithm::RS512 => check(RS512PublicKey::from_components(n, e), token),
        Algorithm::PS256 => check(PS256PublicKey::from_components(n, e), token),
        Algorithm::PS384 => check(PS384PublicKey::from_components(n, e), token),
        Algorithm::PS512 => check(PS512PublicKey::from_components(n, e), token),
        Algorithm::ES256 | Algorithm::ES384 | Algorithm::ES512 | Algorithm::EdDSA => {
            Err(jwt_simple::Error::msg("not for RSA keys"))
        }
    }
}

fn p521(point: &[u8], token: &Jws) -> Verdict {
    let good = VerifyingKey::from_sec1_bytes(point).ok().zip(Signature::from_slice(&token.signature).ok());
    match good.map(|(key, signature)| key.verify(token.signing_input.as_bytes(), &signature)) {
        Some(Ok(())) => Verdict::Valid,
        Some(Err(_)) | None => Verdict::Invalid,
    }
}

fn options() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        // At the epoch nothing has expired.
        artificial_time: Some(UnixTimeStamp::from_secs(0)),
        time_tolerance: Some(Duration::from_secs(0)),
        max_token_length: Some(MAX_TOKEN),
        max_header_length: Some(MAX_TOKEN),
        ..VerificationOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jwt_simple::prelude::*;
    use tollgate_model::{Jwk, JwkSet};

    use super::*;

    fn encode(bytes: &[u8]) -> Option<String> {
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn key(jwk: Jwk) -> VerificationKey {
        let (mut keys, left_out) = VerificationKey::compile_set(&JwkSet { keys: vec![jwk] });
        assert_eq!(left_out, []);
        keys.remove(0)
    }

    fn rsa_key(pair: &RS256KeyPair) -> VerificationKey {
        let public = pair.public_key().to_components();
        key(Jwk { kty: "RSA".to_owned(), n: encode(&public.n), e: encode(&public.e), ..Jwk::default() })
    }

    /// A key on a curve, from its uncompressed point.
    fn ec_key(crv: &str, point: &[u8]) -> VerificationKey {
        let (x, y) = point[1..].split_at(point.len() / 2);
        key(Jwk { kty: "EC".to_owned(), crv: Some(crv.to_owned()), x: encode(x), y: encode(y), ..Jwk::default() })
    }

    fn claims() -> JWTClaims<NoCustomClaims> {
        Claims::create(Duration::from_secs(0))
    }

    fn verdict(key: &VerificationKey, algorithm: Algorithm, token: &str) -> Verdict {
        PortableVerifier.verify(key, algorithm, &Jws::parse(token).unwrap())
    }

    /// `token` is good with `key` as `algorithm`, and with no other algorithm, signature, or key.
    #[track_caller]
    fn check(key: &VerificationKey, algorithm: Algorithm, token: &str, stranger: &VerificationKey) {
        for asked in Algorithm::ALL {
            let expected = if asked == algorithm { Verdict::Valid } else { Verdict::Invalid };
            assert_eq!(verdict(key, asked, token), expected, "{algorithm:?} as {asked:?}");
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        for wrong in [vec![0; signature.len() * 3 / 4], vec![7; 3], vec![]] {
            let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(wrong));
            assert_eq!(verdict(key, algorithm, &other), Verdict::Invalid);
        }
        assert_eq!(verdict(stranger, algorithm, token), Verdict::Invalid);
    }

    #[test]
    fn rsa_signatures() {
        let pair = RS256KeyPair::generate(2048).unwrap();
        let pem = pair.to_pem().unwrap();
        let (key, stranger) = (rsa_key(&pair), rsa_key(&RS256KeyPair::generate(2048).unwrap()));
        check(&key, Algorithm::RS256, &pair.sign(claims()).unwrap(), &stranger);
        check(&key, Algorithm::RS384, &RS384KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap(), &stranger);
        check(&key, Algorithm::RS512, &RS512KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap(), &stranger);
        check(&key, Algorithm::PS256, &PS256KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap(), &stranger);
        check(&key, Algorithm::PS384, &PS384KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap(), &stranger);
        check(&key, Algorithm::PS512, &PS512KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap(), &stranger);
    }

    #[test]
    fn elliptic_curve_signatures() {
        let (pair, other) = (ES256KeyPair::generate(), ES256KeyPair::generate());
        let key = |pair: &ES256KeyPair| ec_key("P-256", &pair.public_key().public_key().to_bytes_uncompressed());
        check(&key(&pair), Algorithm::ES256, &pair.sign(claims()).unwrap(), &key(&other));

        let (pair, other) = (ES384KeyPair::generate(), ES384KeyPair::generate());
        let key = |pair: &ES384KeyPair| ec_key("P-384", &pair.public_key().public_key().to_bytes_uncompressed());
        check(&key(&pair), Algorithm::ES384, &pair.sign(claims()).unwrap(), &key(&other));
    }

    /// The crate of the other algorithms makes no such tokens.
    #[test]
    fn signatures_on_the_largest_curve() {
        use p521::ecdsa::SigningKey;
        use p521::ecdsa::signature::Signer;
        let pair = |byte: u8| SigningKey::from_slice(&[&[0][..], &[byte; 65]].concat()).unwrap();
        let key = |pair: &SigningKey| ec_key("P-521", VerifyingKey::from(pair).to_sec1_point(false).as_bytes());
        let signed = [r#"{"alg":"ES512"}"#, "{}"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature: Signature = pair(7).sign(signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        check(&key(&pair(7)), Algorithm::ES512, &token, &key(&pair(8)));
    }

    #[test]
    fn edwards_curve_signatures() {
        let key = |pair: &Ed25519KeyPair| {
            let x = encode(&pair.public_key().to_bytes());
            key(Jwk { kty: "OKP".to_owned(), crv: Some("Ed25519".to_owned()), x, ..Jwk::default() })
        };
        let (pair, other) = (Ed25519KeyPair::generate(), Ed25519KeyPair::generate());
        check(&key(&pair), Algorithm::EdDSA, &pair.sign(claims()).unwrap(), &key(&other));
    }
}
