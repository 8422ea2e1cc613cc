//! Judges a signed token, whatever it is used as, and remembers the outcome.
//!
//! Must never let a token of one use pass as another: memory and keys are kept apart by use.

use std::rc::Rc;

use tollgate_model::{Algorithm, Issuer};

use crate::decide::Halt;
use crate::rejection::{BadCredentials, Flaw, Rejection};
use crate::token::{
    Claims, InvalidClaims, Jws, Known, TokenType, Usage, Validity, Verdict, VerificationKey, VerifiedToken, parts,
};
use crate::{Answer, CompiledIssuer, Cx, Question};

/// Longest key id that is worth a question.
const MAX_KEY_ID: usize = 256;

/// What a token is worth.
pub(crate) type Judgement = Result<Rc<VerifiedToken>, Rejection>;

/// Whether its text looks like a signed token at all.
pub(super) fn has_three_parts(text: &str) -> bool {
    parts(text).is_some()
}

/// The token behind this text, if it is good now.
pub(crate) fn judge(cx: &Cx, usage: Usage, raw: &str, skew: u32) -> Result<Judgement, Halt> {
    let token = match cx.directory.tokens().get(usage, raw, cx.now) {
        Some(Known::Good(token)) => token,
        Some(Known::Bad) => return Ok(Err(useless(usage, Flaw::Remembered))),
        None => match examine(cx, usage, raw)? {
            Ok(token) => token,
            Err(why) => return Ok(Err(why)),
        },
    };
    if super::revocation::is_revoked(cx, &token).map_err(Rejection::from)? {
        return Ok(Err(match usage {
            Usage::AccessToken => Rejection::InvalidCredentials(BadCredentials::Revoked),
            Usage::ApiKey | Usage::InternalKey => useless(usage, Flaw::Revoked),
        }));
    }
    // Neither the time nor the connection is a property of the token, so no memory can answer for them.
    let flaw = match token.claims.at(cx.now.seconds(), skew) {
        Validity::Expired => Flaw::Expired,
        Validity::Early => Flaw::Early,
        Validity::Current if !bound_to_connection(cx, &token.issuer, &token.claims) => Flaw::Certificate,
        Validity::Current => {
            cx.directory.found_good(usage, raw);
            return Ok(Ok(token));
        }
    };
    Ok(Err(Rejection::InvalidCredentials(BadCredentials::Token(flaw))))
}

/// What is said of a token that is not good.
const fn useless(usage: Usage, flaw: Flaw) -> Rejection {
    Rejection::InvalidCredentials(match usage {
        Usage::AccessToken => BadCredentials::Token(flaw),
        Usage::ApiKey => BadCredentials::ApiKey(flaw),
        Usage::InternalKey => BadCredentials::InternalKey(flaw),
    })
}

/// Judges a token that this worker does not remember. Everything that costs little comes before the signature.
fn examine(cx: &Cx, usage: Usage, raw: &str) -> Result<Judgement, Halt> {
    let tokens = cx.directory.tokens();
    let Ok(jws) = Jws::parse_knowing(raw, |header| tokens.header(header)) else {
        let token = usage == Usage::AccessToken;
        let no_token = Rejection::InvalidCredentials(BadCredentials::NotAToken);
        return Ok(Err(if token { no_token } else { useless(usage, Flaw::Form) }));
    };
    let (issuer, algorithm, claims) = match plausible(cx, usage, &jws) {
        Ok(plausible) => plausible,
        Err(flaw) => return Ok(Err(useless(usage, flaw))),
    };
    if let Some(good) = cx.directory.vouched(usage, raw) {
        let flaw = useless(usage, Flaw::Signature);
        return Ok(if good { Ok(remember(cx, usage, &jws, issuer, claims)) } else { Err(flaw) });
    }
    let flaw = match VerificationKey::select(&issuer.keys, &jws.header, algorithm) {
        Some(key) => {
            let verdict = cx.directory.verifier().verify(key, algorithm, &jws);
            if verdict == Verdict::Invalid {
                tokens.put_bad(usage, raw, cx.now);
            }
            signature(verdict)
        }
        None => match with_new_keys(cx, &issuer, algorithm, &jws)? {
            Ok(verdict) => signature(verdict),
            Err(Missing::Key) => Err(Flaw::Key),
            // Closed: without the key nobody can tell whether the token is good.
            Err(Missing::Answer) => return Ok(Err(Rejection::Unjudged)),
        },
    };
    match flaw {
        Err(flaw) => Ok(Err(useless(usage, flaw))),
        Ok(()) => Ok(Ok(remember(cx, usage, &jws, issuer, claims))),
    }
}

fn remember(cx: &Cx, usage: Usage, jws: &Jws, issuer: Rc<CompiledIssuer>, claims: Claims) -> Rc<VerifiedToken> {
    cx.directory.tokens().put_header(jws);
    let token = Rc::new(VerifiedToken { claims, usage, raw: jws.raw.into(), issuer });
    cx.directory.tokens().put(Rc::clone(&token));
    token
}

const fn signature(verdict: Verdict) -> Result<(), Flaw> {
    match verdict {
        Verdict::Valid => Ok(()),
        Verdict::Invalid => Err(Flaw::Signature),
    }
}

/// All that can be said of a token without its signature. The flaw of one that is not worth checking that.
fn plausible(cx: &Cx, usage: Usage, jws: &Jws) -> Result<(Rc<CompiledIssuer>, Algorithm, Claims), Flaw> {
    let payload = Claims::read(&jws.payload).map_err(|_| Flaw::Claims)?;
    let named = Claims::issuer(&payload);
    let service = |name| cx.directory.issuer_named(name);
    let issuer = match usage {
        Usage::AccessToken => named.and_then(|iss| cx.directory.issuer(iss)),
        // Their `iss` is whatever the portal was told; the name of the service says whose keys they are.
        Usage::ApiKey => service(Issuer::API_KEYS).or_else(|| service(Issuer::PUBLISHER)),
        Usage::InternalKey => service(Issuer::PUBLISHER),
    };
    let issuer = issuer.ok_or(Flaw::Issuer)?;
    // Where one key signs everything, nothing but the issuer tells an access token from an old key.
    let is_of_others = || named.is_some_and(|iss| iss != issuer.iss() && cx.directory.issuer(iss).is_some());
    let of_others = usage == Usage::ApiKey && is_of_others();
    let algorithm = Algorithm::from_name(&jws.header.alg).filter(|algorithm| issuer.allows(*algorithm));
    let algorithm = algorithm.ok_or(Flaw::Algorithm)?;
    let claims = Claims::of(&issuer.issuer, payload, || jws.own_id(algorithm)).map_err(|invalid| match invalid {
        InvalidClaims::Form => Flaw::Claims,
        InvalidClaims::Audience => Flaw::Audience,
    })?;
    let fits = match claims.token_type {
        TokenType::Unsaid => usage == Usage::AccessToken || (usage == Usage::ApiKey && !of_others),
        TokenType::ApiKey => usage == Usage::ApiKey,
        TokenType::InternalKey => usage == Usage::InternalKey,
        TokenType::Other => usage == Usage::AccessToken,
    };
    if fits { Ok((issuer, algorithm, claims)) } else { Err(Flaw::Use) }
}

/// Tokens that name a certificate (RFC 8705 §3.1) are worth nothing to whoever has another one.
fn bound_to_connection(cx: &Cx, issuer: &CompiledIssuer, claims: &Claims) -> bool {
    match &claims.certificate {
        Some(expected) if issuer.issuer.certificate_bound_tokens => {
            cx.connection.certificate_digest().is_some_and(|shown| shown.eq_ignore_ascii_case(expected))
        }
        _ => true,
    }
}

/// Why nothing can be said of a signature.
enum Missing {
    /// There is no key that could have made it.
    Key,
    /// Nobody could say whether there is one.
    Answer,
}

/// The token names a key that is not known. If its issuer's keys can be fetched, they are, within the gate's bounds.
fn with_new_keys(
    cx: &Cx,
    issuer: &CompiledIssuer,
    algorithm: Algorithm,
    jws: &Jws,
) -> Result<Result<Verdict, Missing>, Halt> {
    let kid = match &jws.header.kid {
        Some(kid) if issuer.issuer.refreshable && kid.len() <= MAX_KEY_ID => kid.clone(),
        _ => return Ok(Err(Missing::Key)),
    };
    let question = Question::Keys { issuer: issuer.iss().to_owned(), kid };
    match cx.answers.get(&question) {
        Some(Answer::Keys(set)) => {
            let (keys, _) = VerificationKey::compile_set(set);
            let key = VerificationKey::select(&keys, &jws.header, algorithm);
            Ok(key.map(|key| cx.directory.verifier().verify(key, algorithm, jws)).ok_or(Missing::Key))
        }
        Some(_) => Ok(Err(Missing::Answer)),
        None if cx.answers.exhausted() || !issuer.gate.pass(cx.now) => Ok(Err(Missing::Key)),
        None => Err(Halt::Ask(question)),
    }
}
