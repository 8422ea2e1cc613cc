//! The compact serialization of a signed token (RFC 7515 §7.1), taken apart but not yet believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::strict_json;

/// Longest token that is looked at. Envoy's own limit for all headers together is 60 KiB unless raised.
pub const MAX_TOKEN: usize = 64 * 1024;

/// A token in three parts.
#[derive(Debug)]
pub struct Jws<'t> {
    /// All of it.
    pub raw: &'t str,
    /// Its header.
    pub header: JoseHeader,
    /// Header and payload as they were signed.
    pub signing_input: &'t str,
    /// Decoded payload: JSON, if the issuer is honest.
    pub payload: Vec<u8>,
    /// Decoded signature.
    pub signature: Vec<u8>,
}

/// The members of a JOSE header that matter.
#[derive(Debug, Deserialize)]
pub struct JoseHeader {
    /// Name of the signature algorithm.
    pub alg: String,
    /// Id of the key.
    #[serde(default)]
    pub kid: Option<String>,
    /// SHA-1 thumbprint of the key's certificate.
    #[serde(default)]
    pub x5t: Option<String>,
    /// Extensions that must be understood. None are, so a token that has any is refused (RFC 7515 §4.1.11).
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// The text is not a signed token in compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAJws;

impl<'t> Jws<'t> {
    /// The signature as it is written. It has one form only: padding and stray bits are refused.
    #[must_use]
    pub fn signature_text(&self) -> &'t str {
        self.raw.rsplit_once('.').map_or("", |(_, signature)| signature)
    }

    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is too long, does not have three base64url parts, or its header is not a JSON object with an `alg`.
    pub fn parse(raw: &'t str) -> Result<Self, NotAJws> {
        if raw.len() > MAX_TOKEN {
            return Err(NotAJws);
        }
        let (signing_input, signature) = raw.rsplit_once('.').ok_or(NotAJws)?;
        let (header, payload) = signing_input.split_once('.').ok_or(NotAJws)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| NotAJws);
        let header = strict_json::object(&decode(header)?).map_err(|_| NotAJws)?;
        let header = JoseHeader::deserialize(Value::Object(header)).map_err(|_| NotAJws)?;
        if header.crit.is_some() {
            return Err(NotAJws);
        }
        Ok(Self { raw, header, signing_input, payload: decode(payload)?, signature: decode(signature)? })
    }
}

#[cfg(test)]
mod tests {
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
        check(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, false);
        check(r#"{"alg":"RS256","alg":"none"}"#, false);
        check(r#"{"alg":"RS256","typ":"a","typ":"b"}"#, false);
        check(r#"{"alg":"RS256","jwk":{"kty":"RSA","kty":"oct"}}"#, false);
        check("[]", false);
        check("", false);
        check(&"[".repeat(10_000), false);
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
