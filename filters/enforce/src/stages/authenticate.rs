//! Who calls: takes the credentials of a request and gives an [`Identity`].

use std::rc::Rc;

use tollgate_model::{Algorithm, LifeCycle, Security};

use super::admit::Admitted;
use crate::decide::Halt;
use crate::rejection::{BadCredentials, Rejection};
use crate::token::{Claims, Jws, KeyType, Verdict, VerificationKey, VerifiedToken};
use crate::{Answer, CompiledIssuer, Cx, Header, Question};

/// Longest key id that is worth a question.
const MAX_KEY_ID: usize = 256;

/// Proof that somebody entitled to call has called.
pub(crate) enum Identity {
    /// Nobody in particular, where that is allowed.
    Anonymous,
    /// The bearer of this token.
    Bearer(Rc<VerifiedToken>),
}

/// Authenticates as the operation demands.
pub(crate) fn authenticate(cx: &Cx, admitted: &Admitted) -> Result<Identity, Halt> {
    if admitted.is_prototype() {
        return Ok(Identity::Anonymous);
    }
    // Not judged yet: nothing gets in.
    if admitted.api.api.mutual_ssl.is_some() {
        return Err(Rejection::Unreadable.into());
    }
    let identity = match &admitted.operation.security {
        Security::Unsecured => Identity::Anonymous,
        // Not judged yet: nothing gets in.
        Security::AnyOf { .. } => return Err(Rejection::NoCredentials.into()),
        Security::OAuth2 { .. } => Identity::Bearer(bearer(cx, admitted)?),
    };
    // After the credentials, as in the original: a stranger does not learn what is blocked.
    if admitted.api.api.life_cycle == LifeCycle::Blocked {
        return Err(Rejection::ApiBlocked.into());
    }
    Ok(identity)
}

/// Name of the header that carries the access token of this API.
pub(super) fn authorization_header<'a>(admitted: &'a Admitted) -> &'a str {
    let own = admitted.api.api.authorization_header.as_deref();
    own.unwrap_or(&admitted.settings.authorization_header)
}

fn bearer(cx: &Cx, admitted: &Admitted) -> Result<Rc<VerifiedToken>, Halt> {
    let raw = match cx.request.get(authorization_header(admitted)) {
        Header::One(value) => bearer_token(value).ok_or(Rejection::NoCredentials)?,
        // Two headers are as bad as none: nobody can tell which one counts.
        Header::Absent | Header::Many => return Err(Rejection::NoCredentials.into()),
    };
    let token = match cx.directory.tokens().get(raw) {
        Some(token) => token,
        None => verify(cx, raw)?,
    };
    if token.claims.is_current(cx.now.seconds(), admitted.settings.clock_skew_seconds) {
        Ok(token)
    } else {
        Err(Rejection::InvalidCredentials(BadCredentials::Token).into())
    }
}

/// The token of `Bearer <token>`. As in the original, anything but two words of which the second has three parts counts
/// as no credentials at all.
fn bearer_token(value: &[u8]) -> Option<&str> {
    let mut words = std::str::from_utf8(value).ok()?.split_ascii_whitespace();
    let (scheme, token) = (words.next()?, words.next()?);
    let well_formed =
        words.next().is_none() && scheme.eq_ignore_ascii_case("bearer") && token.matches('.').count() == 2;
    well_formed.then_some(token)
}

/// Judges a token that this worker has not seen before, and remembers it if it is good.
fn verify(cx: &Cx, raw: &str) -> Result<Rc<VerifiedToken>, Halt> {
    let bad = |why| Rejection::InvalidCredentials(why);
    let jws = Jws::parse(raw).map_err(|_| bad(BadCredentials::NotAToken))?;
    let (iss, payload) = Claims::read(&jws.payload).map_err(|_| bad(BadCredentials::Token))?;
    let issuer = cx.directory.issuer(&iss).ok_or(bad(BadCredentials::Token))?;
    let algorithm = Algorithm::from_name(&jws.header.alg).filter(|algorithm| issuer.allows(*algorithm));
    let algorithm = algorithm.ok_or(bad(BadCredentials::Token))?;
    let verdict = match VerificationKey::select(&issuer.keys, &jws.header, algorithm) {
        Some(key) => cx.directory.verifier().verify(key, algorithm, &jws),
        None => verify_with_new_keys(cx, &issuer, algorithm, &jws)?,
    };
    let claims = Claims::of(&issuer.issuer, &payload).map_err(|_| bad(BadCredentials::Token))?;
    match verdict {
        Verdict::Invalid => Err(bad(BadCredentials::Token).into()),
        Verdict::Valid => {
            let token = Rc::new(VerifiedToken { claims });
            cx.directory.tokens().put(raw, Rc::clone(&token));
            Ok(token)
        }
    }
}

/// The token names a key that is not known. If its issuer's keys can be fetched, they are, within the gate's bounds.
fn verify_with_new_keys(cx: &Cx, issuer: &CompiledIssuer, algorithm: Algorithm, jws: &Jws) -> Result<Verdict, Halt> {
    let kid = match &jws.header.kid {
        Some(kid) if issuer.issuer.refreshable && kid.len() <= MAX_KEY_ID => kid.clone(),
        _ => return Ok(Verdict::Invalid),
    };
    let question = Question::Keys { issuer: issuer.iss().to_owned(), kid };
    match cx.answers.get(&question) {
        Some(Answer::Keys(set)) => {
            let (keys, _) = VerificationKey::compile_set(set);
            let key = VerificationKey::select(&keys, &jws.header, algorithm);
            Ok(key.map_or(Verdict::Invalid, |key| cx.directory.verifier().verify(key, algorithm, jws)))
        }
        // Closed: without the key nobody can tell whether the token is good.
        Some(Answer::Failed) => Err(Rejection::Unjudged.into()),
        None if cx.answers.exhausted() || !issuer.gate.pass(cx.now) => Ok(Verdict::Invalid),
        None => Err(Halt::Ask(question)),
    }
}

impl Identity {
    /// Which backend the caller is meant for; `None` when the caller has no say.
    pub(super) fn key_type(&self) -> Option<KeyType> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(token) => Some(token.claims.key_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("BEARER\ta.b.c", Some("a.b.c")),
            ("Bearer", None),
            ("Bearer a.b", None),
            ("Bearer a.b.c.d", None),
            ("Bearer Bearer a.b.c", None),
            ("Something a.b.c", None),
            ("Bearera.b.c", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(value.as_bytes()), token, "{value}");
        }
        assert_eq!(bearer_token(b"Bearer a.b.\xff"), None);
    }
}
