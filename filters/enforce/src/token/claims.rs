//! The claims of an access token, read once when the token is first seen.

use serde_json::{Map, Value};
use tollgate_model::Issuer;

/// What the gateway needs of a token's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`.
    pub subject: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// `exp`, in seconds. Required: a token that never ends cannot be let go of.
    pub expires_at: i64,
    /// `nbf`, in seconds.
    pub not_before: Option<i64>,
    /// Client that the token was issued to.
    pub consumer_key: Option<String>,
    /// Scopes, from a list or a string with spaces between them.
    pub scopes: Vec<String>,
    /// `keytype`.
    pub key_type: KeyType,
}

/// Which backend a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `PRODUCTION`, and a token that does not say.
    Production,
    /// `SANDBOX`.
    Sandbox,
    /// Anything else. Refused when a backend is to be chosen.
    Unknown,
}

/// The payload is not a claims set, or a claim has the wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidClaims;

impl Claims {
    /// The `iss` claim of a payload nobody has vouched for yet, and the payload as an object.
    pub(crate) fn read(payload: &[u8]) -> Result<(String, Map<String, Value>), InvalidClaims> {
        let claims: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| InvalidClaims)?;
        let iss = text(&claims, "iss")?.ok_or(InvalidClaims)?;
        Ok((iss, claims))
    }

    /// Reads the claims as this issuer writes them.
    ///
    /// # Errors
    /// When `exp` is missing, or a claim that is used has the wrong type.
    pub fn of(issuer: &Issuer, claims: &Map<String, Value>) -> Result<Self, InvalidClaims> {
        let consumer_key = match &issuer.consumer_key_claim {
            Some(name) => text(claims, name)?,
            None => text(claims, "consumerKey")?.or(text(claims, "azp")?),
        };
        Ok(Self {
            subject: text(claims, "sub")?,
            token_id: text(claims, "jti")?,
            expires_at: seconds(claims, "exp")?.ok_or(InvalidClaims)?,
            not_before: seconds(claims, "nbf")?,
            consumer_key,
            scopes: scopes(claims.get(issuer.scopes_claim.as_deref().unwrap_or("scope")))?,
            key_type: match text(claims, "keytype")?.as_deref() {
                None | Some("" | "PRODUCTION") => KeyType::Production,
                Some("SANDBOX") => KeyType::Sandbox,
                Some(_) => KeyType::Unknown,
            },
        })
    }

    /// Whether the token may be used at this time (seconds), give or take the skew.
    #[must_use]
    pub fn is_current(&self, now: i64, skew: u32) -> bool {
        let skew = i64::from(skew);
        now <= self.expires_at.saturating_add(skew)
            && self.not_before.is_none_or(|start| now >= start.saturating_sub(skew))
    }
}

fn text(claims: &Map<String, Value>, name: &str) -> Result<Option<String>, InvalidClaims> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(InvalidClaims),
    }
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, InvalidClaims> {
    /// Times are refused beyond this (the year 287396), where a float still holds every integer.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            (None, Some(float)) if float.abs() < LIMIT => Ok(Some(float as i64)),
            _ => Err(InvalidClaims),
        },
        Some(_) => Err(InvalidClaims),
    }
}

fn scopes(claim: Option<&Value>) -> Result<Vec<String>, InvalidClaims> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(list)) => Ok(list.split_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => {
            list.iter().map(|scope| scope.as_str().map(str::to_owned).ok_or(InvalidClaims)).collect()
        }
        Some(_) => Err(InvalidClaims),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::issuer;

    fn read(payload: &str) -> Result<Claims, InvalidClaims> {
        let (_, claims) = Claims::read(payload.as_bytes())?;
        Claims::of(&issuer(), &claims)
    }

    #[test]
    fn reads_every_form_of_a_claim() {
        let claims = read(r#"{"iss":"i","exp":12.9,"nbf":3,"scope":"a  b","azp":"key","keytype":"SANDBOX"}"#).unwrap();
        assert_eq!((claims.expires_at, claims.not_before), (12, Some(3)));
        assert_eq!(claims.scopes, ["a", "b"]);
        assert_eq!((claims.consumer_key.as_deref(), claims.key_type), (Some("key"), KeyType::Sandbox));
        let claims = read(r#"{"iss":"i","exp":1,"scope":["a b","c"],"consumerKey":"first","azp":"second"}"#).unwrap();
        assert_eq!(claims.scopes, ["a b", "c"]);
        assert_eq!((claims.consumer_key.as_deref(), claims.key_type), (Some("first"), KeyType::Production));
    }

    #[test]
    fn refuses_wrong_types() {
        for payload in [
            "",
            "[]",
            r#"{"exp":1}"#,
            r#"{"iss":1,"exp":1}"#,
            r#"{"iss":"i"}"#,
            r#"{"iss":"i","exp":"1"}"#,
            r#"{"iss":"i","exp":1e300}"#,
            r#"{"iss":"i","exp":1,"nbf":"0"}"#,
            r#"{"iss":"i","exp":1,"scope":[1]}"#,
            r#"{"iss":"i","exp":1,"scope":{"a":1}}"#,
            r#"{"iss":"i","exp":1,"keytype":true}"#,
        ] {
            assert_eq!(read(payload), Err(InvalidClaims), "{payload}");
        }
    }

    #[test]
    fn times_allow_for_skew() {
        let claims = read(r#"{"iss":"i","exp":100,"nbf":50}"#).unwrap();
        let current: Vec<bool> = [44, 45, 50, 100, 105, 106].map(|now| claims.is_current(now, 5)).into();
        assert_eq!(current, [false, true, true, true, true, false]);
        assert!(!read(r#"{"iss":"i","exp":-9223372036854775808}"#).unwrap().is_current(0, 5));
    }
}
