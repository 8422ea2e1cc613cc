//! Verification keys: from a JSON Web Key to what a verifier takes, and the choice of the key for a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollgate_model::{Algorithm, Jwk, JwkSet};

use super::jws::JoseHeader;

/// Fewest and most bytes of an RSA modulus: 2048 bits (NIST SP 800-131A) to 8192 bits (above, a check costs too much).
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Most bytes of an RSA exponent. Greater ones exist only to make verification slow.
const MAX_EXPONENT: usize = 4;
/// Most keys of a set that are used.
const MAX_KEYS: usize = 64;

/// An RSA public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    kid: Option<String>,
    x5t: Option<String>,
    /// The one algorithm the key may be used with, when the set says so.
    algorithm: Option<Algorithm>,
    /// Modulus, big endian, without leading zeros.
    pub modulus: Vec<u8>,
    /// Public exponent, big endian, without leading zeros.
    pub exponent: Vec<u8>,
    /// SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7), the form Envoy takes.
    pub spki: Vec<u8>,
}

/// Why a key of a set is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwkError {
    /// Its `kid`, or its position in the set.
    pub key: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl VerificationKey {
    /// Compiles a set. Keys that cannot verify a signature are left out, as RFC 7517 §5 asks, and reported.
    #[must_use]
    pub fn compile_set(set: &JwkSet) -> (Vec<Self>, Vec<JwkError>) {
        let (mut keys, mut left_out) = (Vec::new(), Vec::new());
        for (position, jwk) in set.keys.iter().enumerate() {
            let result = if position < MAX_KEYS { Self::compile(jwk) } else { Err("more than 64 keys") };
            match result {
                Ok(key) => keys.push(key),
                Err(why) => {
                    let key = jwk.kid.clone().unwrap_or_else(|| format!("#{position}"));
                    left_out.push(JwkError { key, why });
                }
            }
        }
        (keys, left_out)
    }

    fn compile(jwk: &Jwk) -> Result<Self, &'static str> {
        if jwk.kty != "RSA" {
            return Err("key type is not RSA");
        }
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("not for signatures");
        }
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::from_name(name).ok_or("unsupported algorithm")?),
        };
        let number = |member: &Option<String>, missing, malformed| {
            let text = member.as_deref().ok_or(missing)?;
            // Some servers pad, though RFC 7515 §2 forbids it.
            let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| malformed)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Ok::<_, &'static str>(bytes.get(zeros..).unwrap_or_default().to_vec())
        };
        let modulus = number(&jwk.n, "no modulus", "modulus is not base64url")?;
        let exponent = number(&jwk.e, "no exponent", "exponent is not base64url")?;
        if !MODULUS.contains(&modulus.len()) {
            return Err("modulus is not 2048 to 8192 bits long");
        }
        if exponent.len() > MAX_EXPONENT || exponent.last().is_none_or(|byte| byte % 2 == 0) || exponent == [1] {
            return Err("exponent is not an odd number from 3 to 2^32");
        }
        let spki = spki(&modulus, &exponent);
        Ok(Self { kid: jwk.kid.clone(), x5t: jwk.x5t.clone(), algorithm, modulus, exponent, spki })
    }

    /// The key a token's header points at: by `kid`, else by `x5t`, else the only one it can be.
    ///
    /// A key without an id comes from a certificate in the configuration. As in Choreo Connect it stands for its issuer
    /// whatever id a token names, as long as it is the only one of its kind.
    pub(crate) fn select<'k>(keys: &'k [Self], header: &JoseHeader, algorithm: Algorithm) -> Option<&'k Self> {
        let fitting = || keys.iter().filter(|key| key.algorithm.is_none_or(|only| only == algorithm));
        match (&header.kid, &header.x5t) {
            (Some(kid), _) => fitting()
                .find(|key| key.kid.as_ref() == Some(kid))
                .or_else(|| only(fitting().filter(|key| key.kid.is_none()))),
            (None, Some(x5t)) => fitting().find(|key| key.x5t.as_ref() == Some(x5t)),
            (None, None) => only(fitting()),
        }
    }
}

/// The one item there is.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    if items.next().is_some() { None } else { first }
}

/// `SEQ { SEQ { OID rsaEncryption, NULL }, BIT STRING { SEQ { INTEGER n, INTEGER e } } }`
fn spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = der(0x30, &[der_integer(modulus), der_integer(exponent)].concat());
    let unused_bits = [0];
    let bit_string = der(0x03, &[&unused_bits[..], &key].concat());
    der(0x30, &[&RSA_ENCRYPTION[..], &bit_string].concat())
}

/// A positive integer; a leading zero keeps the top bit from meaning a sign.
fn der_integer(magnitude: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if magnitude.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    der(0x02, &[sign, magnitude].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let significant = length.get(zeros..).unwrap_or_default();
    let mut out = vec![tag];
    match significant {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            // At most eight bytes of length, so the count fits beside the long-form flag.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwk(modulus_bytes: usize, exponent: &[u8]) -> Jwk {
        Jwk {
            kty: "RSA".to_owned(),
            kid: Some("a".to_owned()),
            n: Some(URL_SAFE_NO_PAD.encode(vec![0x81; modulus_bytes])),
            e: Some(URL_SAFE_NO_PAD.encode(exponent)),
            ..Jwk::default()
        }
    }

    fn why(jwk: Jwk) -> Option<&'static str> {
        let (_, left_out) = VerificationKey::compile_set(&JwkSet { keys: vec![jwk] });
        left_out.first().map(|error| error.why)
    }

    #[test]
    fn keys_that_are_not_used() {
        let good = jwk(256, &[1, 0, 1]);
        assert_eq!(why(good.clone()), None);
        assert_eq!(why(Jwk { kty: "EC".to_owned(), ..good.clone() }), Some("key type is not RSA"));
        assert_eq!(why(Jwk { usage: Some("enc".to_owned()), ..good.clone() }), Some("not for signatures"));
        assert_eq!(why(Jwk { alg: Some("PS256".to_owned()), ..good.clone() }), Some("unsupported algorithm"));
        assert_eq!(why(Jwk { n: None, ..good.clone() }), Some("no modulus"));
        assert_eq!(why(Jwk { n: Some("!".to_owned()), ..good }), Some("modulus is not base64url"));
        assert_eq!(why(jwk(128, &[1, 0, 1])), Some("modulus is not 2048 to 8192 bits long"));
        assert_eq!(why(jwk(1025, &[1, 0, 1])), Some("modulus is not 2048 to 8192 bits long"));
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            assert_eq!(why(jwk(256, exponent)), Some("exponent is not an odd number from 3 to 2^32"));
        }
    }

    #[test]
    fn only_so_many_keys() {
        let keys = vec![jwk(256, &[3]); 70];
        let (used, left_out) = VerificationKey::compile_set(&JwkSet { keys });
        assert_eq!((used.len(), left_out.len()), (64, 6));
    }

    /// Which of the keys `(kid, x5t, alg)` a header selects, by position.
    #[track_caller]
    fn check(keys: &[(Option<&str>, Option<&str>, Option<&str>)], header: &str, expected: Option<usize>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let jwks = keys.iter().enumerate().map(|(position, (kid, x5t, alg))| Jwk {
            kid: owned(*kid),
            x5t: owned(*x5t),
            alg: owned(*alg),
            // The position is in the modulus, so that keys can be told apart.
            ..jwk(256 + position, &[3])
        });
        let (keys, left_out) = VerificationKey::compile_set(&JwkSet { keys: jwks.collect() });
        assert_eq!(left_out, []);
        let header: JoseHeader = serde_json::from_str(header).unwrap();
        let selected = VerificationKey::select(&keys, &header, Algorithm::RS256);
        assert_eq!(selected.map(|key| key.modulus.len() - 256), expected, "{header:?}");
    }

    #[test]
    fn a_header_selects_one_key() {
        let (a, b) = ((Some("a"), Some("x"), None), (Some("b"), Some("y"), None));
        check(&[a, b], r#"{"alg":"RS256","kid":"b"}"#, Some(1));
        check(&[a, b], r#"{"alg":"RS256","kid":"c"}"#, None);
        check(&[a, b], r#"{"alg":"RS256","x5t":"y"}"#, Some(1));
        check(&[a, b], r#"{"alg":"RS256","kid":"a","x5t":"y"}"#, Some(0));
        check(&[a, b], r#"{"alg":"RS256"}"#, None);
        check(&[a], r#"{"alg":"RS256"}"#, Some(0));
        let other_algorithm = (Some("a"), None, Some("RS512"));
        check(&[other_algorithm], r#"{"alg":"RS256","kid":"a"}"#, None);
        check(&[other_algorithm, b], r#"{"alg":"RS256"}"#, Some(1));
        let certificate = (None, Some("z"), None);
        check(&[certificate], r#"{"alg":"RS256","kid":"whatever"}"#, Some(0));
        check(&[certificate, a], r#"{"alg":"RS256","kid":"whatever"}"#, Some(0));
        check(&[certificate, certificate], r#"{"alg":"RS256","kid":"whatever"}"#, None);
    }

    #[test]
    fn subject_public_key_info() {
        let (keys, _) = VerificationKey::compile_set(&JwkSet { keys: vec![jwk(256, &[1, 0, 1])] });
        let spki = &keys[0].spki;
        // 294 bytes is what every tool makes of a 2048-bit key with the exponent 65537.
        assert_eq!(spki.len(), 294);
        assert_eq!(spki[..4], [0x30, 0x82, 0x01, 0x22]);
        assert_eq!(spki[24..33], [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00][..9]);
        assert_eq!(spki[spki.len() - 5..], [0x02, 0x03, 1, 0, 1]);
    }
}
