//! The compact serialization of a signed token (RFC 7515 §7.1), taken apart but not yet believed.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tollgate_model::Algorithm;

use super::json::{Json, Object};

/// Longest token that is looked at. Envoy's own limit for all headers together is 60 KiB unless raised.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A token in three parts.
#[derive(Debug)]
pub struct Jws<'t> {
    /// All of it.
    pub raw: &'t str,
    /// Its header.
    pub header: Rc<JoseHeader>,
    /// Header and payload as they were signed.
    pub signing_input: &'t str,
    /// Decoded payload: JSON, if the issuer is honest.
    pub payload: Vec<u8>,
    /// Decoded signature.
    pub signature: Vec<u8>,
}

/// The members of a JOSE header that matter.
#[derive(Debug)]
pub struct JoseHeader {
    /// Name of the signature algorithm.
    pub alg: String,
    /// Id of the key.
    pub kid: Option<String>,
    /// SHA-1 thumbprint of the key's certificate.
    pub x5t: Option<String>,
}

/// The text is not a signed token in compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAJws;

impl<'t> Jws<'t> {
    /// Names a token that names itself not (`jti`), so that it can be revoked. As in the original it is the text of the
    /// signature, which has one form only: padding and stray bits are refused. ECDSA has two good signatures for each one
    /// (r, n - s), of which anybody can make the other, so those tokens go by the SHA-256 of what was signed, in base64url.
    #[must_use]
    pub fn own_id(&self, algorithm: Algorithm) -> String {
        use Algorithm::{ES256, ES384, ES512, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match algorithm {
            RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => {
                self.raw.rsplit_once('.').map_or("", |(_, signature)| signature).to_owned()
            }
            ES256 | ES384 | ES512 | EdDSA => URL_SAFE_NO_PAD.encode(Sha256::digest(self.signing_input)),
        }
    }

    /// The text of the header.
    pub(crate) fn header_text(&self) -> &'t str {
        self.signing_input.split_once('.').map_or("", |(header, _)| header)
    }

    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is too long, does not have three base64url parts, or its header is not a JSON object with an `alg`.
    pub fn parse(raw: &'t str) -> Result<Self, NotAJws> {
        Self::parse_knowing(raw, |_| None)
    }

    /// The same, where a header may be known by its text.
    pub(crate) fn parse_knowing(
        raw: &'t str,
        known: impl FnOnce(&str) -> Option<Rc<JoseHeader>>,
    ) -> Result<Self, NotAJws> {
        if raw.len() > MAX_TOKEN {
            return Err(NotAJws);
        }
        let [header, payload, signature] = parts(raw).ok_or(NotAJws)?;
        let signing_input = raw.get(..raw.len().saturating_sub(signature.len()).saturating_sub(1)).ok_or(NotAJws)?;
        let header = match known(header) {
            Some(header) => header,
            None => Rc::new(JoseHeader::read(&decode(header)?)?),
        };
        Ok(Self { raw, header, signing_input, payload: decode(payload)?, signature: decode(signature)? })
    }
}

/// The three parts of a signed token in compact form.
pub(crate) fn parts(text: &str) -> Option<[&str; 3]> {
    let mut dots = memchr::memchr_iter(b'.', text.as_bytes());
    let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else { return None };
    let (after_first, after_second) = (first.saturating_add(1), second.saturating_add(1));
    Some([text.get(..first)?, text.get(after_first..second)?, text.get(after_second..)?])
}

/// The bytes of a part, which have one text only: padding and stray bits are refused.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, NotAJws> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| NotAJws)
}

impl JoseHeader {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NotAJws> {
        let members = Object::read(bytes).map_err(|_| NotAJws)?;
        let text = |name| match members.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text.as_ref().to_owned())),
            Some(_) => Err(NotAJws),
        };
        // Extensions that must be understood. None are, so a token that has any is refused (RFC 7515 §4.1.11).
        if !matches!(members.get("crit"), None | Some(Json::Null)) {
            return Err(NotAJws);
        }
        Ok(Self { alg: text("alg")?.ok_or(NotAJws)?, kid: text("kid")?, x5t: text("x5t")? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(text: &str) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    #[track_caller]
    fn check(header: &str, accepted: bool) {
        let token = format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"));
        assert_eq!(Jws::parse(&token).is_ok(), accepted, "{header}");
    }

    #[test]
    fn headers() {
        check(r#"{"alg":"RS256"}"#, true);
        check(r#"{"alg":"RS256","kid":"a","x5t":"b","typ":"at+jwt","other":[1]}"#, true);
        check(r#"{"kid":"a"}"#, false);
        check(r#"{"alg":1}"#, false);
        check(r#"{"alg":null}"#, false);
        check(r#"{"alg":"RS256","kid":null,"x5t":null}"#, true);
        check(r#"{"alg":"RS256","kid":1}"#, false);
        check(r#"{"alg":"RS256","x5t":[]}"#, false);
        check(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, false);
        check(r#"{"alg":"RS256","alg":"none"}"#, false);
        check(r#"{"alg":"RS256","typ":"a","typ":"b"}"#, false);
        check(r#"{"alg":"RS256","jwk":{"kty":"RSA","kty":"oct"}}"#, false);
        check("[]", false);
        check("", false);
        check(&"[".repeat(10_000), false);
    }

    #[test]
    fn the_id_of_a_token_is_not_for_others_to_choose() {
        let signed = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode("{}"));
        let id = |signature: &str, algorithm| {
            let token = format!("{signed}.{}", encode(signature));
            Jws::parse(&token).unwrap().own_id(algorithm)
        };
        for algorithm in Algorithm::ALL {
            let by_signature = algorithm.name().starts_with("RS") || algorithm.name().starts_with("PS");
            assert_eq!(id("one", algorithm) != id("other", algorithm), by_signature, "{algorithm:?}");
        }
        assert_eq!(id("one", Algorithm::RS256), encode("one"));
        assert_eq!(id("one", Algorithm::ES256).len(), 43);
    }

    proptest! {
        /// A decoder that is less strict would give one token several texts.
        #[test]
        fn decodes_what_the_standard_allows(
            bytes in prop::collection::vec(any::<u8>(), 0..70),
            change in prop::option::of((0..100_usize, "[A-Za-z0-9_+/=. \\-\\n\u{e9}]")),
        ) {
            let mut text = URL_SAFE_NO_PAD.encode(&bytes);
            if let Some((place, change)) = change {
                let place = place.min(text.len());
                text.replace_range(place.min(text.len().saturating_sub(1))..place, &change);
            }
            prop_assert_eq!(decode(&text).ok(), URL_SAFE_NO_PAD.decode(&text).ok(), "{}", text);
        }

        #[test]
        fn has_three_parts_or_none(text in "[a.]{0,12}[ab\u{e9}]{0,9}[.]{0,2}.{0,20}") {
            let expected: Vec<&str> = text.split('.').collect();
            prop_assert_eq!(parts(&text).map(Vec::from), (expected.len() == 3).then_some(expected));
        }
    }

    #[test]
    fn forms() {
        for token in ["", ".", "..", "a.b", "aaa.bbb.ccc", "a.b.c.d", "e30=.e30=.e30="] {
            assert!(Jws::parse(token).is_err(), "{token}");
        }
        let header = encode(r#"{"alg":"RS256"}"#);
        assert!(Jws::parse(&format!("{header}.{}.", "A".repeat(MAX_TOKEN))).is_err());
    }
}
