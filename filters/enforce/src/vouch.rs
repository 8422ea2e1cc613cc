//! What is known of a caller whose credential somebody else has accepted: for the adapter, which tells backends of it.
//!
//! Judges as the stages do and with their code, so that nothing is said of a caller that a filter would refuse.

use std::rc::Rc;

use serde_json::{Map, Value};
use tollgate_model::contract::CredentialUse;
use tollgate_model::{Api, Application, Callbacks, Settings};

use crate::decide::Halt;
use crate::stages::authenticate;
use crate::stages::authorize::subscription;
use crate::token::{KeyType, Usage};
use crate::{Answers, Connection, Cx, Directory, HeaderMap, Question, Timestamp};

/// A caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// `sub`, after the issuer's claim mapping.
    pub subject: Option<String>,
    /// All that the credential says, with the names that the issuer's claim mapping gives.
    pub claims: Map<String, Value>,
    /// Which backend the caller is for.
    pub key_type: KeyType,
    /// On whose behalf it calls.
    pub application: Application,
    /// Name of the plan of its subscription.
    pub tier: String,
}

/// Why a caller is not known.
#[derive(Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Find this out, add the answer, and try again.
    Ask(Question),
    /// A filter would refuse the credential, with this code.
    Refused(&'static str),
}

/// A credential as it was shown.
#[derive(Clone, Copy)]
pub struct Shown<'s> {
    /// What it was shown as.
    pub usage: CredentialUse,
    /// Its text.
    pub credential: &'s str,
    /// SHA-256 of the certificate of the connection, in hexadecimal digits.
    pub certificate: Option<&'s str>,
}

/// Who calls this API with that credential.
///
/// # Errors
/// A question, or that nobody does.
pub fn identify(
    directory: &dyn Directory,
    answers: &Answers,
    now: Timestamp,
    api: &Api,
    shown: Shown,
) -> Result<Caller, Unknown> {
    let request = HeaderMap::parse(HeaderMap::encode::<&str, &str>(&[])).map_err(|_| Unknown::Refused("400"))?;
    let settings = directory.settings().unwrap_or_else(|| Rc::new(Settings::default()));
    let connection = &ShownBefore(shown.certificate);
    let cx = Cx { directory, request: &request, answers, connection, now, callbacks: Callbacks::NONE };
    let usage = match shown.usage {
        CredentialUse::AccessToken => Usage::AccessToken,
        CredentialUse::ApiKey => Usage::ApiKey,
        CredentialUse::InternalKey => Usage::InternalKey,
    };
    let known = authenticate::recognise(&cx, api, usage, shown.credential, settings.clock_skew_seconds)
        .and_then(|identity| Ok((subscription::validate(&cx, api, &identity)?, identity)));
    let (subscribed, identity) = known.map_err(|halt| match halt {
        Halt::Ask(_) if answers.exhausted() => Unknown::Refused("102500"),
        Halt::Ask(question) => Unknown::Ask(question),
        Halt::Refuse(rejection) => Unknown::Refused(rejection.entry().code),
        Halt::Reply(_) => Unknown::Refused("102500"),
    })?;
    // Whoever has shown a credential calls on somebody's behalf.
    let subscribed = subscribed.ok_or(Unknown::Refused("102500"))?;
    let token = identity.token();
    let said = token.and_then(|token| token.claims.key_type);
    let claims = token.map(|token| payload(&token.payload()?, &token.issuer.issuer.claim_mapping));
    Ok(Caller {
        subject: token.and_then(|token| token.claims.subject.clone()),
        // An opaque key says nothing.
        claims: claims.unwrap_or_else(|| Some(Map::new())).ok_or(Unknown::Refused("900901"))?,
        key_type: subscription::key_type(said, Some(&subscribed)),
        // Plans of several owners may be looked up by other names than they have.
        application: Application {
            tier: subscribed.application_tier.name.clone(),
            ..Application::clone(&subscribed.application)
        },
        tier: subscribed.tier.name.clone(),
    })
}

fn payload(payload: &[u8], mapping: &[(String, String)]) -> Option<Map<String, Value>> {
    // No member appears twice: the token was found good.
    let mut claims: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    for (remote, local) in mapping {
        if let Some(value) = claims.remove(remote) {
            claims.insert(local.clone(), value);
        }
    }
    Some(claims)
}

/// The connection of another process.
struct ShownBefore<'s>(Option<&'s str>);

impl Connection for ShownBefore<'_> {
    fn certificate_digest(&self) -> Option<String> {
        self.0.map(str::to_owned)
    }

    fn principal(&self) -> Option<String> {
        None
    }

    fn peer(&self) -> Option<String> {
        None
    }

    fn protocol(&self) -> Option<String> {
        None
    }
}
