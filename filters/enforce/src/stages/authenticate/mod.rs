//! Who calls: takes the credentials of a request and gives an [`Identity`].
//!
//! One file a kind of credentials; `rules` says which of them must be good, and never looks at any itself.

mod api_key;
mod certificate;
mod internal_key;
mod opaque_key;
mod restrictions;
mod revocation;
mod rules;
mod shown;
mod token;
mod verify;
mod workload;

use std::rc::Rc;

use tollgate_model::{Api, ApiKeyPlace, ClientCertificate, Security};

pub(crate) use self::api_key::ApiKey;
pub(crate) use self::rules::Attempt;
use self::rules::{Certificates, Credentials, Rules};
pub(crate) use self::shown::Shown;
pub(crate) use self::token::{authorization_header, bearer_token};
pub(crate) use self::workload::Workload;
use super::admit::Admitted;
use crate::decide::Halt;
use crate::explain::Tracer;
use crate::token::{Usage, Validity, VerifiedToken};
use crate::{Cx, Timestamp};

/// Proof that somebody entitled to call has called.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Identity {
    /// Nobody in particular, where that is allowed.
    Anonymous,
    /// The bearer of this access token.
    Bearer(Rc<VerifiedToken>),
    /// The holder of this API key. Scopes are not asked of it.
    ApiKey(ApiKey),
    /// Somebody at the publisher's test console.
    InternalKey(Rc<VerifiedToken>),
    /// The owner of this certificate, who has shown nothing else.
    Certificate(Rc<ClientCertificate>),
    /// A service of the mesh, which needs nothing else.
    Workload(Rc<Workload>),
}

/// Authenticates as the operation demands.
pub(crate) fn authenticate(cx: &Cx, admitted: &Admitted, trace: &impl Tracer) -> Result<Identity, Halt> {
    if admitted.is_prototype() {
        return Ok(Identity::Anonymous);
    }
    match &admitted.operation.security {
        Security::Unsecured => Ok(Identity::Anonymous),
        security => {
            let mutual_ssl = admitted.api.api.mutual_ssl.as_ref();
            let rules = Rules {
                certificates: Certificates::of(mutual_ssl),
                application_security: mutual_ssl.is_some_and(|rules| rules.application_security),
                requirements: security.requirements(),
            };
            rules::judge(&rules, &Request { cx, admitted, trace })
        }
    }
}

/// Whose credential this is, wherever it was shown.
pub(crate) fn recognise(cx: &Cx, api: &Api, usage: Usage, raw: &str, skew: u32) -> Result<Identity, Halt> {
    Ok(match usage {
        Usage::AccessToken => Identity::Bearer(verify::judge(cx, usage, raw, skew)??),
        Usage::InternalKey => Identity::InternalKey(verify::judge(cx, usage, raw, skew)??),
        Usage::ApiKey => Identity::ApiKey(api_key::recognise(cx, api, raw, skew)?),
    })
}

/// What the request at hand brings, and who is told what becomes of it.
struct Request<'r, 'c, T> {
    cx: &'r Cx<'c>,
    admitted: &'r Admitted<'c>,
    trace: &'r T,
}

impl<T: Tracer> Request<'_, '_, T> {
    fn told<V>(&self, credential: &'static str, attempt: Attempt<V>) -> Attempt<V> {
        self.trace.attempt(credential, &attempt);
        attempt
    }
}

impl<T: Tracer> Credentials for Request<'_, '_, T> {
    fn certificate(&self) -> Attempt<Rc<ClientCertificate>> {
        self.told("certificate", certificate::attempt(self.cx, self.admitted))
    }

    fn internal_key(&self) -> Result<Attempt<Identity>, Halt> {
        let attempt = internal_key::attempt(self.cx, self.admitted)?;
        Ok(self.told("key of the test console", attempt).map(Identity::InternalKey))
    }

    fn token(&self) -> Result<Attempt<Identity>, Halt> {
        let attempt = token::attempt(self.cx, self.admitted)?;
        Ok(self.told("access token", attempt).map(Identity::Bearer))
    }

    fn api_key(&self, place: &ApiKeyPlace) -> Result<Attempt<Identity>, Halt> {
        let attempt = api_key::attempt(self.cx, self.admitted, place)?;
        Ok(self.told("API key", attempt).map(Identity::ApiKey))
    }

    fn workload(&self) -> Attempt<Identity> {
        let attempt = workload::attempt(self.cx, self.admitted);
        self.told("workload", attempt).map(|workload| Identity::Workload(Rc::new(workload)))
    }
}

impl Identity {
    /// What the caller has shown, and of what kind it is in the words of interceptors; `None` for callers without a token.
    pub(super) fn shown(&self, cx: &Cx, admitted: &Admitted) -> Option<(&'static str, String)> {
        let (kind, token) = match self {
            Self::Anonymous | Self::Certificate(_) | Self::Workload(_) => return None,
            Self::Bearer(_) => ("JWT", token::raw(cx, admitted).map(str::to_owned)),
            Self::ApiKey(_) => ("API Key", api_key::raw(cx, admitted)),
            Self::InternalKey(_) => ("Internal Key", internal_key::raw(cx, admitted).map(str::to_owned)),
        };
        Some((kind, token?))
    }

    /// The text of what was judged, and what it was shown as; `None` for callers without a token or key.
    pub(super) fn credential(&self) -> Option<(Usage, &str)> {
        match self {
            Self::Anonymous | Self::Certificate(_) | Self::Workload(_) => None,
            Self::Bearer(token) | Self::InternalKey(token) => Some((token.usage, &token.raw)),
            Self::ApiKey(ApiKey { token: Some(token), .. }) => Some((token.usage, &token.raw)),
            Self::ApiKey(key) => key.opaque.as_ref().map(|key| (Usage::ApiKey, key.text.expose())),
        }
    }

    /// Whether what says who it is, which was good once, is so now, as far as times go.
    pub(crate) fn is_current(&self, now: Timestamp, skew_seconds: u32) -> bool {
        match self {
            Self::Anonymous => true,
            Self::ApiKey(ApiKey { opaque: Some(key), .. }) => !key.is_over(now),
            other => {
                other.token().is_some_and(|token| token.claims.at(now.seconds(), skew_seconds) == Validity::Current)
            }
        }
    }

    /// The token that says who it is, whatever kind of key it is.
    pub(crate) fn token(&self) -> Option<&Rc<VerifiedToken>> {
        match self {
            Self::Anonymous | Self::Certificate(_) | Self::Workload(_) => None,
            Self::Bearer(token) | Self::InternalKey(token) => Some(token),
            Self::ApiKey(key) => key.token.as_ref(),
        }
    }
}
