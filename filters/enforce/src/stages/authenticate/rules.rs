//! Which credentials must be good for a request to get in, as a pure function of what each of them is worth.
//!
//! The order is that of the original: certificate, internal key, access token, API key; workloads come last. The first good one that suffices
//! says who calls; if none does, the first mistake is what the caller is told. Must never look at a credential that cannot
//! matter any more, since each look may cost a signature.

use std::rc::Rc;

use tollgate_model::{ApiKeyPlace, ClientCertificate, MutualSsl, Requirement};

use super::Identity;
use crate::decide::Halt;
use crate::rejection::Rejection;

/// What became of one credential.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attempt<T> {
    /// The request has none of this kind.
    Absent,
    /// It is what it should be.
    Good(T),
    /// It is not, for this reason.
    Bad(Rejection),
}

impl<T> Attempt<T> {
    pub(super) fn map<U>(self, then: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Absent => Attempt::Absent,
            Self::Good(value) => Attempt::Good(then(value)),
            Self::Bad(why) => Attempt::Bad(why),
        }
    }
}

/// What a request brings, looked at one by one.
pub(super) trait Credentials {
    fn certificate(&self) -> Attempt<Rc<ClientCertificate>>;
    fn internal_key(&self) -> Result<Attempt<Identity>, Halt>;
    fn token(&self) -> Result<Attempt<Identity>, Halt>;
    fn api_key(&self, place: &ApiKeyPlace) -> Result<Attempt<Identity>, Halt>;
    fn workload(&self) -> Attempt<Identity>;
}

/// What an API makes of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificates {
    /// They do not matter.
    Ignored,
    /// Nobody is let in or kept out by one; a bad one is told as the reason when nothing else is good.
    Optional,
    /// Nobody gets in without a good one.
    Mandatory,
}

impl Certificates {
    pub(super) fn of(mutual_ssl: Option<&MutualSsl>) -> Self {
        match mutual_ssl {
            None => Self::Ignored,
            Some(rules) if rules.mandatory => Self::Mandatory,
            Some(_) => Self::Optional,
        }
    }
}

/// What an operation demands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) certificates: Certificates,
    /// Whether a good certificate still needs a token or key besides.
    pub(super) application_security: bool,
    /// Alternatives; see [`tollgate_model::Security::requirements`].
    pub(super) requirements: &'a [Requirement],
}

/// Who calls, or why not.
pub(super) fn judge(rules: &Rules, credentials: &impl Credentials) -> Result<Identity, Halt> {
    let owner = match rules.certificates {
        Certificates::Mandatory => match credentials.certificate() {
            Attempt::Good(certificate) => Some(certificate),
            Attempt::Absent => return Err(Rejection::NoCredentials.into()),
            Attempt::Bad(why) => return Err(why.into()),
        },
        Certificates::Ignored | Certificates::Optional => None,
    };
    let mut mistakes = Mistakes::default();
    if let Some(identity) = application(rules.requirements, credentials, &mut mistakes)? {
        return Ok(identity);
    }
    match owner {
        Some(certificate) if !rules.application_security => Ok(Identity::Certificate(certificate)),
        _ => {
            if rules.certificates == Certificates::Optional
                && let Attempt::Bad(why) = credentials.certificate()
            {
                mistakes.0 = Some(why);
            }
            Err(mistakes.0.unwrap_or(Rejection::NoCredentials).into())
        }
    }
}

/// The first mistake.
#[derive(Default)]
struct Mistakes(Option<Rejection>);

impl Mistakes {
    /// What is good of an attempt; remembers what is wrong with a bad one.
    fn sift<T>(&mut self, attempt: Attempt<T>) -> Option<T> {
        match attempt {
            Attempt::Good(value) => Some(value),
            Attempt::Absent => None,
            Attempt::Bad(why) => {
                self.0.get_or_insert(why);
                None
            }
        }
    }
}

/// Who calls, as far as tokens and keys say.
fn application(
    requirements: &[Requirement],
    credentials: &impl Credentials,
    mistakes: &mut Mistakes,
) -> Result<Option<Identity>, Halt> {
    if let Some(identity) = mistakes.sift(credentials.internal_key()?) {
        return Ok(Some(identity));
    }
    if requirements.iter().any(|requirement| requirement.token)
        && let Some(bearer) = mistakes.sift(credentials.token()?)
    {
        // Whose bearer must show keys as well is who the token says, once the keys are good.
        for requirement in requirements.iter().filter(|requirement| requirement.token) {
            if all_others(requirement, credentials, mistakes)?.is_some() {
                return Ok(Some(bearer));
            }
        }
    }
    for requirement in requirements.iter().filter(|requirement| !requirement.token) {
        if let Some(Some(holder)) = all_others(requirement, credentials, mistakes)? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// Whether every key of a requirement is good, and the workload if it matters; and the holder of the first of them.
fn all_others(
    requirement: &Requirement,
    credentials: &impl Credentials,
    mistakes: &mut Mistakes,
) -> Result<Option<Option<Identity>>, Halt> {
    let mut holder = None;
    for place in &requirement.api_keys {
        match mistakes.sift(credentials.api_key(place)?) {
            Some(identity) => holder = holder.or(Some(identity)),
            None => return Ok(None),
        }
    }
    if requirement.workload {
        match mistakes.sift(credentials.workload()) {
            Some(identity) => holder = holder.or(Some(identity)),
            None => return Ok(None),
        }
    }
    Ok(Some(holder))
}

#[cfg(test)]
mod tests;
