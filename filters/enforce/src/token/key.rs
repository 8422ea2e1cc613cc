//! Verification keys: from a JSON Web Key to what a verifier takes, and the choice of the key for a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollgate_model::{Algorithm, Jwk, JwkSet};

use super::der;
use super::jws::JoseHeader;

/// Fewest and most bytes of an RSA modulus: 2048 bits (NIST SP 800-131A) to 8192 bits (above, a check costs too much).
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Most bytes of an RSA exponent. Greater ones exist only to make verification slow.
const MAX_EXPONENT: usize = 4;
/// Most keys of a set that are used.
const MAX_KEYS: usize = 64;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    kid: Option<String>,
    x5t: Option<String>,
    /// The one algorithm the key may be used with, when the set says so.
    algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: Material,
    /// SubjectPublicKeyInfo in DER, the form Envoy takes. Empty for Ed25519, which Envoy's function does not know.
    pub spki: Vec<u8>,
}

/// A key by its type, which decides the algorithms it can be used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// Both numbers big endian, without leading zeros.
    Rsa {
        /// Modulus.
        modulus: Vec<u8>,
        /// Public exponent.
        exponent: Vec<u8>,
    },
    /// A point on P-256, uncompressed (SEC 1 §2.3.3).
    P256(Vec<u8>),
    /// A point on P-384, uncompressed.
    P384(Vec<u8>),
    /// A point on P-521, uncompressed.
    P521(Vec<u8>),
    /// An Ed25519 key, 32 bytes.
    Ed25519(Vec<u8>),
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
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("not for signatures");
        }
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::from_name(name).ok_or("unsupported algorithm")?),
        };
        let (material, spki) = Material::compile(jwk)?;
        Ok(Self { kid: jwk.kid.clone(), x5t: jwk.x5t.clone(), algorithm, material, spki })
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.material.fits(algorithm)
    }

    /// The key a token's header points at: by `kid`, else by `x5t`, else the only one it can be.
    ///
    /// A key without an id comes from a certificate in the configuration. As in Choreo Connect it stands for its issuer
    /// whatever id a token names, as long as it is the only one of its kind.
    pub(crate) fn select<'k>(keys: &'k [Self], header: &JoseHeader, algorithm: Algorithm) -> Option<&'k Self> {
        let fitting = || keys.iter().filter(|key| key.fits(algorithm));
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

impl Material {
    /// The key, and its SubjectPublicKeyInfo.
    fn compile(jwk: &Jwk) -> Result<(Self, Vec<u8>), &'static str> {
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Self::rsa(jwk),
            ("EC", Some("P-256")) => {
                let point = point(jwk, 32)?;
                let spki = der::public_key(der::EC_P256, &point);
                Ok((Self::P256(point), spki))
            }
            ("EC", Some("P-384")) => {
                let point = point(jwk, 48)?;
                let spki = der::public_key(der::EC_P384, &point);
                Ok((Self::P384(point), spki))
            }
            ("EC", Some("P-521")) => {
                let point = point(jwk, 66)?;
                let spki = der::public_key(der::EC_P521, &point);
                Ok((Self::P521(point), spki))
            }
            ("OKP", Some("Ed25519")) => Ok((Self::Ed25519(coordinate(&jwk.x, 32)?), Vec::new())),
            ("EC" | "OKP", _) => Err("unsupported curve"),
            _ => Err("unsupported key type"),
        }
    }

    fn rsa(jwk: &Jwk) -> Result<(Self, Vec<u8>), &'static str> {
        let number = |member, missing| {
            let bytes = decode(member)?.ok_or(missing)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Ok::<_, &'static str>(bytes.get(zeros..).unwrap_or_default().to_vec())
        };
        let (modulus, exponent) = (number(&jwk.n, "no modulus")?, number(&jwk.e, "no exponent")?);
        if !MODULUS.contains(&modulus.len()) {
            return Err("modulus is not 2048 to 8192 bits long");
        }
        if exponent.len() > MAX_EXPONENT || exponent.last().is_none_or(|byte| byte % 2 == 0) || exponent == [1] {
            return Err("exponent is not an odd number from 3 to 2^32");
        }
        let spki = der::rsa_public_key(&modulus, &exponent);
        Ok((Self::Rsa { modulus, exponent }, spki))
    }

    /// Whether the key's type and curve are those of the algorithm (RFC 7518 §3.4: each curve has one hash).
    const fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256(_) => matches!(algorithm, ES256),
            Self::P384(_) => matches!(algorithm, ES384),
            Self::P521(_) => matches!(algorithm, ES512),
            Self::Ed25519(_) => matches!(algorithm, EdDSA),
        }
    }
}

/// Some servers pad, though RFC 7515 §2 forbids it.
fn decode(member: &Option<String>) -> Result<Option<Vec<u8>>, &'static str> {
    let decoded = member.as_deref().map(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')));
    decoded.transpose().map_err(|_| "a number is not base64url")
}

/// A coordinate has exactly the length of its field (RFC 7518 §6.2.1.2).
fn coordinate(member: &Option<String>, length: usize) -> Result<Vec<u8>, &'static str> {
    let bytes = decode(member)?.ok_or("a coordinate is missing")?;
    if bytes.len() == length { Ok(bytes) } else { Err("a coordinate has the wrong length") }
}

/// An uncompressed point. Whether it lies on the curve is for the verifier to say.
fn point(jwk: &Jwk, length: usize) -> Result<Vec<u8>, &'static str> {
    const UNCOMPRESSED: u8 = 4;
    let (x, y) = (coordinate(&jwk.x, length)?, coordinate(&jwk.y, length)?);
    Ok([vec![UNCOMPRESSED], x, y].concat())
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
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(why(good.clone()), None);
        assert_eq!(why(Jwk { kty: "oct".to_owned(), ..good.clone() }), Some("unsupported key type"));
        assert_eq!(why(Jwk { usage: text("enc"), ..good.clone() }), Some("not for signatures"));
        assert_eq!(why(Jwk { alg: text("HS256"), ..good.clone() }), Some("unsupported algorithm"));
        assert_eq!(why(Jwk { n: None, ..good.clone() }), Some("no modulus"));
        assert_eq!(why(Jwk { n: text("!"), ..good }), Some("a number is not base64url"));
        assert_eq!(why(jwk(128, &[1, 0, 1])), Some("modulus is not 2048 to 8192 bits long"));
        assert_eq!(why(jwk(1025, &[1, 0, 1])), Some("modulus is not 2048 to 8192 bits long"));
        for exponent in [&[][..], &[0], &[1], &[2], &[1, 0, 0, 0, 1]] {
            assert_eq!(why(jwk(256, exponent)), Some("exponent is not an odd number from 3 to 2^32"));
        }
    }

    #[test]
    fn curves() {
        let bytes = |length| Some(URL_SAFE_NO_PAD.encode(vec![7; length]));
        let key = |kty: &str, crv: &str, x, y| Jwk {
            kty: kty.to_owned(),
            crv: Some(crv.to_owned()),
            x: bytes(x),
            y: bytes(y),
            ..Jwk::default()
        };
        assert_eq!(why(key("EC", "P-256", 32, 32)), None);
        assert_eq!(why(key("EC", "P-384", 48, 48)), None);
        assert_eq!(why(key("OKP", "Ed25519", 32, 0)), None);
        assert_eq!(why(key("EC", "secp256k1", 32, 32)), Some("unsupported curve"));
        assert_eq!(why(key("OKP", "X25519", 32, 0)), Some("unsupported curve"));
        assert_eq!(why(key("EC", "P-256", 31, 32)), Some("a coordinate has the wrong length"));
        assert_eq!(why(key("EC", "P-256", 32, 33)), Some("a coordinate has the wrong length"));
        assert_eq!(why(Jwk { y: None, ..key("EC", "P-256", 32, 0) }), Some("a coordinate is missing"));
    }

    #[test]
    fn a_key_is_used_with_the_algorithms_of_its_type() {
        let bytes = |length| Some(URL_SAFE_NO_PAD.encode(vec![7; length]));
        let p256 =
            Jwk { kty: "EC".to_owned(), crv: Some("P-256".to_owned()), x: bytes(32), y: bytes(32), ..Jwk::default() };
        for (jwk, expected) in [
            (jwk(256, &[3]), "RS256 RS384 RS512 PS256 PS384 PS512"),
            (Jwk { alg: Some("PS256".to_owned()), ..jwk(256, &[3]) }, "PS256"),
            (p256.clone(), "ES256"),
            (Jwk { alg: Some("ES384".to_owned()), ..p256 }, ""),
        ] {
            let (keys, _) = VerificationKey::compile_set(&JwkSet { keys: vec![jwk] });
            let names: Vec<&str> = Algorithm::ALL.iter().filter(|it| keys[0].fits(**it)).map(|it| it.name()).collect();
            assert_eq!(names.join(" "), expected);
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
        let header = JoseHeader::read(header.as_bytes()).unwrap();
        let selected = VerificationKey::select(&keys, &header, Algorithm::RS256);
        let length = |key: &VerificationKey| match &key.material {
            Material::Rsa { modulus, .. } => modulus.len() - 256,
            other => panic!("{other:?}"),
        };
        assert_eq!(selected.map(length), expected, "{header:?}");
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
}
