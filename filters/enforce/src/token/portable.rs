//! Signature checks in pure Rust by `jwt-simple`, for hosts that have none of their own.
//!
//! Only the signature is asked of the crate. Times and issuer are checked by the stages, so its own checks of them are
//! opened as wide as they go.

use jwt_simple::prelude::{Duration, NoCustomClaims, RS256PublicKey, RS384PublicKey, RS512PublicKey};
use jwt_simple::prelude::{RSAPublicKeyLike, UnixTimeStamp, VerificationOptions};
use tollgate_model::Algorithm;

use super::{Jws, MAX_TOKEN, SignatureVerifier, Verdict, VerificationKey};

/// Verifies without help. Some ten times slower than BoringSSL.
#[derive(Debug, Default, Clone, Copy)]
pub struct PortableVerifier;

impl SignatureVerifier for PortableVerifier {
    fn verify(&self, key: &VerificationKey, algorithm: Algorithm, token: &Jws) -> Verdict {
        match algorithm {
            Algorithm::RS256 => check(RS256PublicKey::from_components(&key.modulus, &key.exponent), token),
            Algorithm::RS384 => check(RS384PublicKey::from_components(&key.modulus, &key.exponent), token),
            Algorithm::RS512 => check(RS512PublicKey::from_components(&key.modulus, &key.exponent), token),
        }
    }
}

fn check<K: RSAPublicKeyLike>(key: Result<K, jwt_simple::Error>, token: &Jws) -> Verdict {
    let options = VerificationOptions {
        accept_future: true,
        // At the epoch nothing has expired.
        artificial_time: Some(UnixTimeStamp::from_secs(0)),
        time_tolerance: Some(Duration::from_secs(0)),
        max_token_length: Some(MAX_TOKEN),
        max_header_length: Some(MAX_TOKEN),
        ..VerificationOptions::default()
    };
    match key.and_then(|key| key.verify_token::<NoCustomClaims>(token.raw, Some(options))) {
        Ok(_) => Verdict::Valid,
        Err(_) => Verdict::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use jwt_simple::prelude::{Claims, RS256KeyPair, RS384KeyPair, RS512KeyPair, RSAKeyPairLike};
    use tollgate_model::{Jwk, JwkSet};

    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn key(components: jwt_simple::algorithms::RSAPublicKeyComponents) -> VerificationKey {
        let encode = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let jwk = Jwk { kty: "RSA".to_owned(), n: encode(&components.n), e: encode(&components.e), ..Jwk::default() };
        let (mut keys, left_out) = VerificationKey::compile_set(&JwkSet { keys: vec![jwk] });
        assert_eq!(left_out, []);
        keys.remove(0)
    }

    fn verdict(key: &VerificationKey, algorithm: Algorithm, token: &str) -> Verdict {
        PortableVerifier.verify(key, algorithm, &Jws::parse(token).unwrap())
    }

    #[test]
    fn tells_good_signatures_from_bad_ones() {
        let pair = RS256KeyPair::generate(2048).unwrap();
        let pem = pair.to_pem().unwrap();
        let key = key(pair.public_key().to_components());
        let claims = || Claims::create(Duration::from_secs(0));
        let tokens = [
            (Algorithm::RS256, pair.sign(claims()).unwrap()),
            (Algorithm::RS384, RS384KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap()),
            (Algorithm::RS512, RS512KeyPair::from_pem(&pem).unwrap().sign(claims()).unwrap()),
        ];
        for (algorithm, token) in &tokens {
            for asked in Algorithm::ALL {
                let expected = if asked == *algorithm { Verdict::Valid } else { Verdict::Invalid };
                assert_eq!(verdict(&key, asked, token), expected, "{algorithm:?} as {asked:?}");
            }
            let (signed, _) = token.rsplit_once('.').unwrap();
            let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([7; 256]));
            assert_eq!(verdict(&key, *algorithm, &other), Verdict::Invalid);
        }
        let stranger = self::key(RS256KeyPair::generate(2048).unwrap().public_key().to_components());
        assert_eq!(verdict(&stranger, Algorithm::RS256, &tokens[0].1), Verdict::Invalid);
    }
}
