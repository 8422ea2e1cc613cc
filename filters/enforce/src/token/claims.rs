//! The claims of an access token, read once when the token is first seen.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollgate_model::Issuer;

use super::Holder;
use super::json::{Json, Object};

/// What the gateway needs of a token's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`.
    pub subject: Option<String>,
    /// `jti`, or [`Jws::own_id`](super::Jws::own_id) of a token without one.
    pub token_id: String,
    /// `exp`, in seconds. Required: a token that never ends cannot be let go of.
    pub expires_at: i64,
    /// `nbf`, in seconds.
    pub not_before: Option<i64>,
    /// `iat`, in seconds.
    pub issued_at: Option<i64>,
    /// Client that the token was issued to.
    pub consumer_key: Option<String>,
    /// Scopes, from a list or a string with spaces between them.
    pub scopes: Vec<String>,
    /// `keytype`; none when the token does not say.
    pub key_type: Option<KeyType>,
    /// `token_type`.
    pub token_type: TokenType,
    /// `subscribedAPIs`; none when the token does not list any.
    pub subscribed_apis: Option<Vec<SubscribedApi>>,
    /// `permittedIP`: addresses and networks, separated by commas.
    pub permitted_addresses: Option<String>,
    /// `permittedReferer`: patterns, separated by commas.
    pub permitted_referers: Option<String>,
    /// SHA-256 of the certificate that the token is bound to (`cnf`, RFC 8705 §3.1), in hexadecimal digits.
    pub certificate: Option<String>,
    /// What the token says of the application it was given to.
    pub holder: Option<Box<Holder>>,
}

/// Which backend a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `PRODUCTION`.
    Production,
    /// `SANDBOX`.
    Sandbox,
    /// Anything else. Refused when a backend is to be chosen.
    Unknown,
}

/// What a token says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// Nothing.
    Unsaid,
    /// `apiKey`.
    ApiKey,
    /// `InternalKey`.
    InternalKey,
    /// Anything else.
    Other,
}

/// An API that the holder of a token is subscribed to. Members that are not texts count as absent, and match nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedApi {
    /// Name of the API.
    pub name: Option<String>,
    /// Its base path, with the version.
    pub context: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Tier of the subscription.
    pub tier: Option<String>,
    /// Tenant of the subscriber.
    pub subscriber_tenant: Option<String>,
}

/// Why claims are worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidClaims {
    /// The payload is not a claims set, `exp` is missing, or a claim has the wrong type.
    Form,
    /// The token is for somebody else.
    Audience,
}

/// Whether a token may be used at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It may.
    Current,
    /// Not any more.
    Expired,
    /// Not yet.
    Early,
}

impl Claims {
    /// A payload nobody has vouched for yet.
    pub(crate) fn read(payload: &[u8]) -> Result<Object<'_>, InvalidClaims> {
        Object::read(payload).map_err(|_| InvalidClaims::Form)
    }

    /// The `iss` of such a payload.
    pub(crate) fn issuer<'p>(payload: &'p Object) -> Option<&'p str> {
        payload.text("iss")
    }

    /// Reads the claims as this issuer writes them. `own_id` names a token without `jti`.
    ///
    /// # Errors
    /// When `exp` is missing, a claim that is used has the wrong type, or the token is for somebody else.
    pub fn of(issuer: &Issuer, mut claims: Object, own_id: impl FnOnce() -> String) -> Result<Self, InvalidClaims> {
        let consumer_key = match &issuer.consumer_key_claim {
            Some(name) => owned(&claims, name)?,
            None => text(&claims, "consumerKey")?.or(text(&claims, "azp")?).map(str::to_owned),
        };
        let scopes = scopes(claims.get(issuer.scopes_claim.as_deref().unwrap_or("scope")))?;
        let (expires_at, not_before) = (seconds(&claims, "exp")?.ok_or(InvalidClaims::Form)?, seconds(&claims, "nbf")?);
        let (issued_at, token_id) = (seconds(&claims, "iat")?, owned(&claims, "jti")?);
        if !issuer.audiences.is_empty() && !is_for(claims.get("aud"), &issuer.audiences) {
            return Err(InvalidClaims::Audience);
        }
        let certificate = certificate(&claims)?;
        // The original renames after it has read what makes a token good, and so nothing of that can be renamed into.
        for (remote, local) in &issuer.claim_mapping {
            claims.rename(remote, local);
        }
        let list = |name| Ok(text(&claims, name)?.filter(|list| !list.trim().is_empty()).map(str::to_owned));
        Ok(Self {
            subject: owned(&claims, "sub")?,
            token_id: token_id.unwrap_or_else(own_id),
            expires_at,
            not_before,
            issued_at,
            consumer_key,
            scopes,
            key_type: match text(&claims, "keytype")? {
                None | Some("") => None,
                Some("PRODUCTION") => Some(KeyType::Production),
                Some("SANDBOX") => Some(KeyType::Sandbox),
                Some(_) => Some(KeyType::Unknown),
            },
            token_type: match text(&claims, "token_type")? {
                None => TokenType::Unsaid,
                Some(kind) if kind.eq_ignore_ascii_case("apiKey") => TokenType::ApiKey,
                Some(kind) if kind.eq_ignore_ascii_case("InternalKey") => TokenType::InternalKey,
                Some(_) => TokenType::Other,
            },
            subscribed_apis: subscribed_apis(&claims)?,
            permitted_addresses: list("permittedIP")?,
            permitted_referers: list("permittedReferer")?,
            certificate,
            holder: Holder::read(&claims),
        })
    }

    /// Whether the token may be used at this time (seconds), give or take the skew.
    #[must_use]
    pub fn at(&self, now: i64, skew: u32) -> Validity {
        let skew = i64::from(skew);
        let begun = |start: Option<i64>| start.is_none_or(|start| now >= start.saturating_sub(skew));
        if now > self.expires_at.saturating_add(skew) {
            Validity::Expired
        } else if begun(self.not_before) && begun(self.issued_at) {
            Validity::Current
        } else {
            Validity::Early
        }
    }

    /// Bytes that its lists take, but for the texts in them.
    pub(super) fn lists(&self) -> usize {
        let apis = self.subscribed_apis.as_ref().map_or(0, Vec::len).saturating_mul(size_of::<SubscribedApi>());
        let scopes = self.scopes.len().saturating_mul(size_of::<String>());
        apis.saturating_add(scopes).saturating_add(self.holder.as_deref().map_or(0, Holder::lists))
    }
}

/// `aud` is a text or a list of texts (RFC 7519 §4.1.3).
fn is_for(aud: Option<&Json>, audiences: &[String]) -> bool {
    let known = |value: &Json| value.as_text().is_some_and(|text| audiences.iter().any(|audience| audience == text));
    match aud {
        Some(Json::List(list)) => list.iter().any(known),
        Some(one) => known(one),
        None => false,
    }
}

/// The thumbprint that a token is bound to, as Envoy writes digests.
fn certificate(claims: &Object) -> Result<Option<String>, InvalidClaims> {
    let Some(thumbprint) = claims.get("cnf").and_then(|cnf| cnf.get("x5t#S256")) else { return Ok(None) };
    let bytes = thumbprint.as_text().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let bytes = bytes.filter(|bytes| bytes.len() == 32).ok_or(InvalidClaims::Form)?;
    Ok(Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn subscribed_apis(claims: &Object) -> Result<Option<Vec<SubscribedApi>>, InvalidClaims> {
    let list = match claims.get("subscribedAPIs") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::List(list)) => list,
        Some(_) => return Err(InvalidClaims::Form),
    };
    let text = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_text).map(str::to_owned);
    let read = |entry: &Json| SubscribedApi {
        name: text(entry, "name"),
        context: text(entry, "context"),
        version: text(entry, "version"),
        tier: text(entry, "subscriptionTier"),
        subscriber_tenant: text(entry, "subscriberTenantDomain"),
    };
    Ok(Some(list.iter().map(read).collect()))
}

fn text<'c>(claims: &'c Object, name: &str) -> Result<Option<&'c str>, InvalidClaims> {
    match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidClaims::Form),
    }
}

fn owned(claims: &Object, name: &str) -> Result<Option<String>, InvalidClaims> {
    Ok(text(claims, name)?.map(str::to_owned))
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds(claims: &Object, name: &str) -> Result<Option<i64>, InvalidClaims> {
    /// Times are refused beyond this (the year 287396), where a float still holds every integer.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    match claims.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            (None, Some(float)) if float.abs() < LIMIT => Ok(Some(float as i64)),
            _ => Err(InvalidClaims::Form),
        },
        Some(_) => Err(InvalidClaims::Form),
    }
}

fn scopes(claim: Option<&Json>) -> Result<Vec<String>, InvalidClaims> {
    match claim {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Text(list)) => Ok(list.split_whitespace().map(str::to_owned).collect()),
        Some(Json::List(list)) => {
            list.iter().map(|scope| scope.as_text().map(str::to_owned).ok_or(InvalidClaims::Form)).collect()
        }
        Some(_) => Err(InvalidClaims::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::issuer;

    fn read(payload: &str) -> Result<Claims, InvalidClaims> {
        read_by(&issuer(), payload)
    }

    fn read_by(issuer: &Issuer, payload: &str) -> Result<Claims, InvalidClaims> {
        Claims::of(issuer, Claims::read(payload.as_bytes())?, || "own id".to_owned())
    }

    #[test]
    fn reads_every_form_of_a_claim() {
        let claims = read(r#"{"iss":"i","exp":12.9,"nbf":3,"scope":"a  b","azp":"key","keytype":"SANDBOX"}"#).unwrap();
        assert_eq!((claims.expires_at, claims.not_before), (12, Some(3)));
        assert_eq!(claims.scopes, ["a", "b"]);
        assert_eq!((claims.consumer_key.as_deref(), claims.key_type), (Some("key"), Some(KeyType::Sandbox)));
        let claims = read(r#"{"iss":"i","exp":1,"scope":["a b","c"],"consumerKey":"first","azp":"second"}"#).unwrap();
        assert_eq!(claims.scopes, ["a b", "c"]);
        assert_eq!((claims.consumer_key.as_deref(), claims.key_type), (Some("first"), None));
    }

    #[test]
    fn refuses_wrong_types() {
        for payload in [
            "",
            "[]",
            r#"{"exp":1,"exp":2}"#,
            r#"{"exp":1,"a":{"b":1,"b":2}}"#,
            r#"{"iss":"i","exp":1,"iat":"now"}"#,
            r#"{"iss":"i","exp":1,"jti":7}"#,
            r#"{"iss":"i","exp":1,"token_type":7}"#,
            r#"{"iss":"i","exp":1,"permittedIP":["10.0.0.1"]}"#,
            r#"{"iss":"i","exp":1,"subscribedAPIs":{}}"#,
            r#"{"iss":"i","exp":1,"cnf":{"x5t#S256":"AAAA"}}"#,
            r#"{"iss":"i","exp":1,"cnf":{"x5t#S256":7}}"#,
            r#"{"iss":"i"}"#,
            r#"{"iss":"i","exp":"1"}"#,
            r#"{"iss":"i","exp":1e300}"#,
            r#"{"iss":"i","exp":1,"nbf":"0"}"#,
            r#"{"iss":"i","exp":1,"scope":[1]}"#,
            r#"{"iss":"i","exp":1,"scope":{"a":1}}"#,
            r#"{"iss":"i","exp":1,"keytype":true}"#,
        ] {
            assert_eq!(read(payload), Err(InvalidClaims::Form), "{payload}");
        }
    }

    #[test]
    fn every_token_has_an_id() {
        assert_eq!(read(r#"{"exp":1,"jti":"id"}"#).unwrap().token_id, "id");
        assert_eq!(read(r#"{"exp":1}"#).unwrap().token_id, "own id");
    }

    #[test]
    fn kinds_of_tokens() {
        for (claim, expected) in [
            ("", TokenType::Unsaid),
            (r#","token_type":"apiKey""#, TokenType::ApiKey),
            (r#","token_type":"INTERNALKEY""#, TokenType::InternalKey),
            (r#","token_type":"Bearer""#, TokenType::Other),
        ] {
            assert_eq!(read(&format!(r#"{{"exp":1{claim}}}"#)).unwrap().token_type, expected, "{claim}");
        }
    }

    #[test]
    fn audiences() {
        let issuer = Issuer { audiences: vec!["a".to_owned(), "b".to_owned()], ..issuer() };
        for (aud, accepted) in
            [(r#""a""#, true), (r#"["x","b"]"#, true), (r#""ab""#, false), ("[]", false), ("null", false), ("7", false)]
        {
            assert_eq!(read_by(&issuer, &format!(r#"{{"exp":1,"aud":{aud}}}"#)).is_ok(), accepted, "{aud}");
        }
        assert!(read_by(&issuer, r#"{"exp":1}"#).is_err());
    }

    #[test]
    fn claims_have_local_names() {
        let pair = |remote: &str, local: &str| (remote.to_owned(), local.to_owned());
        let mapping = vec![pair("uid", "sub"), pair("kind", "keytype"), pair("until", "exp"), pair("azp", "sub2")];
        let issuer = Issuer { claim_mapping: mapping, ..issuer() };
        let claims =
            read_by(&issuer, r#"{"exp":1,"until":9,"uid":"me","sub":"other","kind":"SANDBOX","azp":"key"}"#).unwrap();
        assert_eq!((claims.subject.as_deref(), claims.key_type), (Some("me"), Some(KeyType::Sandbox)));
        assert_eq!((claims.expires_at, claims.consumer_key.as_deref()), (1, Some("key")));
    }

    #[test]
    fn a_token_may_be_bound_to_a_certificate() {
        let thumbprint = URL_SAFE_NO_PAD.encode([0xab; 32]);
        let claims = read(&format!(r#"{{"exp":1,"cnf":{{"x5t#S256":"{thumbprint}"}}}}"#)).unwrap();
        assert_eq!(claims.certificate, Some("ab".repeat(32)));
        assert_eq!(read(r#"{"exp":1,"cnf":{"jkt":"x"}}"#).unwrap().certificate, None);
    }

    #[test]
    fn times_allow_for_skew() {
        use Validity::{Current, Early, Expired};
        let claims = read(r#"{"iss":"i","exp":100,"nbf":50}"#).unwrap();
        let at = [44, 45, 50, 100, 105, 106].map(|now| claims.at(now, 5));
        assert_eq!(at, [Early, Current, Current, Current, Current, Expired]);
        let early = read(r#"{"exp":100,"iat":50}"#).unwrap();
        assert_eq!([44, 45].map(|now| early.at(now, 5)), [Early, Current]);
        assert_eq!(read(r#"{"iss":"i","exp":-9223372036854775808}"#).unwrap().at(0, 5), Expired);
    }
}
