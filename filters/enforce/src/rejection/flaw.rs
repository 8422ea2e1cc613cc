//! What exactly is wrong with a token or key. Clients are told no more than the original tells them; whoever has a decision
//! explained is told this.

/// Why a token or key is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Its text is not a signed token.
    Form,
    /// Its payload is not an object, a claim has the wrong type or appears twice, or `exp` is missing.
    Claims,
    /// It has no `iss`, or one that no token service has; or no token service signs keys of this kind.
    Issuer,
    /// It is signed with an algorithm that its issuer may not use here.
    Algorithm,
    /// `aud` holds none of the values that its issuer's tokens need.
    Audience,
    /// `token_type` (or, where that is missing, `iss`) says that it is for another use.
    Use,
    /// Its issuer has no key that it can have been signed with.
    Key,
    /// The key did not make the signature.
    Signature,
    /// The signature was found wrong a moment ago.
    Remembered,
    /// It was taken back.
    Revoked,
    /// It has expired.
    Expired,
    /// `nbf` or `iat` lies ahead.
    Early,
    /// It is bound to a certificate that this connection has not shown.
    Certificate,
    /// No table has it.
    Unknown,
}

impl Flaw {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Form => {
                "it is no signed token: three base64url parts, the first a JSON object with `alg` and without `crit`"
            }
            Self::Claims => {
                "its payload is no JSON object, a claim has the wrong type or appears twice, or `exp` is missing"
            }
            Self::Issuer => "no token service accepts tokens of its `iss` for this use",
            Self::Algorithm => "its issuer may not sign with that `alg` (see `algorithms` of the token service)",
            Self::Audience => "its `aud` holds none of the values that the token service asks for",
            Self::Use => "it says of itself that it is for another use (`token_type`)",
            Self::Key => "its issuer has no key that fits its `kid`, `x5t` and `alg`",
            Self::Signature => "the key of its issuer did not make its signature",
            Self::Remembered => "its signature was found wrong a moment ago",
            Self::Revoked => "it was revoked",
            Self::Expired => "its `exp` has passed",
            Self::Early => "its `nbf` or `iat` lies ahead",
            Self::Certificate => "it is bound to a certificate that the connection has not shown (`cnf`)",
            Self::Unknown => "nobody knows it",
        }
    }
}
