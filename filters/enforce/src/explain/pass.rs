//! The pass that lets somebody have a live request explained: a token of its own, signed with a key that the configuration
//! names, for one host and one path, and for minutes at most.
//!
//! Must never be taken for a credential, nor a credential for a pass: it has no issuer, and its audience is nobody else's.

use serde::{Deserialize, Serialize};
use tollgate_model::contract::EXPLAIN_HEADER;
use tollgate_model::{Algorithm, JwkSet};

use crate::stages::admit::without_port;
use crate::token::{Claims, Jws, Verdict, VerificationKey};
use crate::{Cx, Header, RefreshGate};

/// `aud` of every pass.
pub const AUDIENCE: &str = "tollgate-explain";
/// Longest time between `iat` and `exp`, in seconds.
pub const MAX_VALIDITY: u64 = 300;
/// What the only algorithm is.
pub const ALGORITHM: Algorithm = Algorithm::EdDSA;

/// What a pass says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassClaims {
    /// [`AUDIENCE`].
    pub aud: String,
    /// When it was made, in seconds.
    pub iat: i64,
    /// When it expires, in seconds.
    pub exp: i64,
    /// The host, in lower case and without a port.
    pub host: String,
    /// The path, without a query.
    pub path: String,
}

/// Whether the request shows a good pass. Anybody can send a bad one, so few of them are looked at.
#[must_use]
pub fn is_shown(cx: &Cx, gate: &RefreshGate) -> bool {
    let Some(settings) = cx.directory.settings() else { return false };
    let Some(explain) = &settings.explain else { return false };
    let Header::One(value) = cx.request.get(EXPLAIN_HEADER) else { return false };
    let Some(jws) = std::str::from_utf8(value).ok().and_then(|text| Jws::parse(text).ok()) else { return false };
    if jws.header.alg != ALGORITHM.name() || !is_for(cx, &jws) || !gate.pass(cx.now) {
        return false;
    }
    let (keys, _) = VerificationKey::compile_set(&JwkSet { keys: vec![explain.key.clone()] });
    keys.iter().any(|key| cx.directory.verifier().verify(key, ALGORITHM, &jws) == Verdict::Valid)
}

/// Whether its claims are for this request and this moment.
fn is_for(cx: &Cx, jws: &Jws) -> bool {
    // No member twice, whoever reads it.
    let claims = Claims::read(&jws.payload).ok().and_then(|_| serde_json::from_slice::<PassClaims>(&jws.payload).ok());
    let Some(claims) = claims else { return false };
    let (Some(authority), Some(path)) = (cx.request.pseudo(":authority"), cx.request.pseudo(":path")) else {
        return false;
    };
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let skew = cx.directory.settings().map_or(0, |settings| i64::from(settings.clock_skew_seconds));
    let now = cx.now.seconds();
    let life = claims.exp.checked_sub(claims.iat).and_then(|life| u64::try_from(life).ok());
    let short = life.is_some_and(|life| life <= MAX_VALIDITY);
    claims.aud == AUDIENCE
        && short
        && claims.iat.saturating_sub(skew) <= now
        && now <= claims.exp
        && claims.host.as_bytes() == without_port(authority).to_ascii_lowercase()
        && claims.path.as_bytes() == path
}
