//! The gateway's own token, which tells the backend who calls.
//!
//! Must never let through what a client has written into its header: backends believe it.

use std::rc::Rc;

use tollgate_model::contract::{BackendJwt, BackendJwtRequest, CredentialUse};
use tollgate_model::{BackendJwtHeader, Secret};

use super::super::admit::Admitted;
use super::super::authenticate::Identity;
use super::super::authorize::Permit;
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::token::{Usage, Vouched};
use crate::{Answer, Cx, Edits, Header, Question};

/// What becomes of the header. Callers without a token or key of their own get none, and neither does whoever pretends to be
/// the gateway.
pub(super) enum Assertion {
    /// It is a header like any other.
    Ignored,
    /// The backend gets this token in the header of this name.
    Made(String, Rc<BackendJwt>),
    /// The backend gets no header of this name.
    Removed(String),
}

impl Assertion {
    pub(super) fn about(cx: &Cx, admitted: &Admitted, identity: &Identity, permit: &Permit) -> Result<Self, Halt> {
        let Some(settings) = &admitted.settings.backend_jwt else { return Ok(Self::Ignored) };
        let header = settings.header.clone();
        Ok(match identity.credential() {
            Some((usage, raw)) => {
                let bound_to = certificate(cx, identity);
                Self::Made(header, made_for(cx, admitted, settings, Shown { usage, raw, bound_to }, permit)?)
            }
            None if cx.request.get(&header) != Header::Absent => Self::Removed(header),
            None => Self::Ignored,
        })
    }

    /// To be the last word on the header, so that nothing else that changes headers takes its place.
    pub(super) fn apply(&self, edits: &mut Edits) {
        match self {
            Self::Ignored => {}
            Self::Made(header, made) => {
                edits.set.retain(|(name, _)| name != header);
                edits.add.retain(|(name, _)| name != header);
                edits.set.push((header.clone().into(), made.token.expose().as_bytes().to_vec()));
            }
            Self::Removed(header) => edits.remove.push(header.clone().into()),
        }
    }
}

/// What a caller has shown.
struct Shown<'s> {
    usage: Usage,
    raw: &'s str,
    /// Digest of the certificate of the connection, for a token that is good with that certificate only.
    bound_to: Option<String>,
}

fn certificate(cx: &Cx, identity: &Identity) -> Option<String> {
    let token = identity.token()?;
    let bound = token.issuer.issuer.certificate_bound_tokens && token.claims.certificate.is_some();
    if bound { cx.connection.certificate_digest() } else { None }
}

/// A token that is good for a while yet, from memory or made now.
fn made_for(
    cx: &Cx,
    admitted: &Admitted,
    settings: &BackendJwtHeader,
    shown: Shown,
    permit: &Permit,
) -> Result<Rc<BackendJwt>, Halt> {
    let key = memory_key(admitted, settings, &shown);
    let memory = cx.directory.tokens();
    let good_until = cx.now.seconds().saturating_add(i64::from(admitted.settings.clock_skew_seconds));
    let known = memory.vouched(&key);
    if let Some(known) =
        known.filter(|known| known.made.expires_at > good_until && known.subscribed == permit.subscribed)
    {
        return Ok(known.made);
    }
    match cx.ask(Question::BackendJwt(Box::new(request(admitted, shown))))? {
        Answer::BackendJwt(made) => {
            memory.put_vouched(&key, Vouched { made: Rc::clone(made), subscribed: permit.subscribed.clone() });
            Ok(Rc::clone(made))
        }
        // Closed: a backend that relies on the token must not be called without it.
        _ => Err(Rejection::NoBackendJwt.into()),
    }
}

fn request(admitted: &Admitted, shown: Shown) -> BackendJwtRequest {
    let api = &admitted.api.api;
    BackendJwtRequest {
        virtual_host: api.virtual_host.clone(),
        api: api.id.clone(),
        usage: match shown.usage {
            Usage::AccessToken => CredentialUse::AccessToken,
            Usage::ApiKey => CredentialUse::ApiKey,
            Usage::InternalKey => CredentialUse::InternalKey,
        },
        credential: Secret::from(shown.raw.to_owned()),
        certificate: shown.bound_to,
    }
}

/// All that the token says which may change, but for the subscription, and whom it is for. What it is made with is part of it,
/// so that nothing made before a change of keys is sent after it.
fn memory_key(admitted: &Admitted, settings: &BackendJwtHeader, shown: &Shown) -> String {
    let api = &admitted.api.api;
    let usage = match shown.usage {
        Usage::AccessToken => "t",
        Usage::ApiKey => "k",
        Usage::InternalKey => "i",
    };
    let parts: [&str; 9] = [
        &settings.revision,
        &api.virtual_host,
        &api.id,
        &api.name,
        &api.version,
        &api.base_path,
        &api.organization,
        usage,
        shown.raw,
    ];
    parts.join("\0")
}
