//! Whether the caller may do this: subscription, life cycle of the API, scopes, and limits of GraphQL queries.

pub(crate) mod subscription;

use std::cell::OnceCell;
use std::rc::Rc;

use tollgate_model::LifeCycle;

pub(crate) use self::subscription::Subscribed;
use super::admit::Admitted;
use super::authenticate::Identity;
use crate::decide::Halt;
use crate::graphql;
use crate::limit::charge::Charge;
use crate::rejection::Rejection;
use crate::token::{KeyType, VerifiedToken};
use crate::{Cx, Record};

/// Proof that the caller may call this operation.
pub(crate) struct Permit {
    /// Which backend the caller is meant for; `None` when the caller has no say.
    pub(crate) key_type: Option<KeyType>,
    /// On whose behalf; none for callers without a key of their own.
    pub(super) subscribed: Option<Subscribed>,
    /// The token that says who it is, whatever kind of key it is.
    pub(super) token: Option<Rc<VerifiedToken>>,
    /// The SPIFFE ID of the workload, where that says who it is.
    pub(super) workload: Option<Rc<str>>,
    /// What every request with this permit counts against, once that is known; see [`Permit::charges`].
    charges: OnceCell<Rc<[Charge]>>,
    /// What access logs are told of every request with this permit that goes to its backend.
    record: OnceCell<Option<Record>>,
}

impl Permit {
    /// The record of a request that goes to its backend: what is remembered, else what `write` writes.
    pub(super) fn record(&self, write: impl FnOnce() -> Option<Record>) -> Option<Record> {
        self.record.get_or_init(write).clone()
    }

    /// What every request with this permit counts against, where that is known.
    pub(crate) fn known_charges(&self) -> Option<&Rc<[Charge]>> {
        self.charges.get()
    }

    /// What a request counts against: what is remembered, else what `find` finds, which also says whether any other request
    /// with this permit counts against the same.
    pub(super) fn charges(
        &self,
        find: impl FnOnce() -> Result<(Vec<Charge>, bool), Rejection>,
    ) -> Result<Rc<[Charge]>, Rejection> {
        if let Some(known) = self.charges.get() {
            return Ok(Rc::clone(known));
        }
        let (charges, for_all) = find()?;
        let charges = Rc::from(charges);
        Ok(if for_all { Rc::clone(self.charges.get_or_init(|| charges)) } else { charges })
    }
}

impl Permit {
    /// On whose behalf the caller calls; none for callers without a key of their own.
    pub(crate) const fn subscribed(&self) -> Option<&Subscribed> {
        self.subscribed.as_ref()
    }
}

/// Checks all of it, in the order of the original.
pub(crate) fn authorize(cx: &Cx, admitted: &Admitted, identity: &Identity) -> Result<Permit, Halt> {
    let subscribed = subscription::validate(cx, &admitted.api.api, identity)?;
    // After the credentials, as in the original: a stranger does not learn what is blocked.
    if admitted.api.api.life_cycle == LifeCycle::Blocked {
        return Err(Rejection::ApiBlocked.into());
    }
    if let Some(held) = scopes(identity) {
        for (name, operation) in admitted.operations() {
            let scopes = operation.security.scopes();
            if !scopes.is_empty() && !scopes.iter().any(|scope| held.contains(scope)) {
                return Err(Rejection::ScopeMissing(name.to_owned()).into());
            }
        }
    }
    // Callers without a subscription have no limits of their own.
    if let (Some(asked), Some(subscribed)) = (&admitted.asked, &subscribed) {
        graphql::check_limits(subscribed.tier.graphql, &asked.analysis)?;
    }
    let key_type = match identity {
        Identity::Anonymous | Identity::Certificate(_) => None,
        Identity::Bearer(_) | Identity::ApiKey(_) | Identity::InternalKey(_) | Identity::Workload(_) => {
            let said = identity.token().and_then(|token| token.claims.key_type);
            Some(subscription::key_type(said, subscribed.as_ref()))
        }
    };
    let workload = match identity {
        Identity::Workload(workload) => Some(Rc::clone(&workload.id)),
        _ => None,
    };
    let (token, charges, record) = (identity.token().cloned(), OnceCell::new(), OnceCell::new());
    Ok(Permit { key_type, subscribed, token, workload, charges, record })
}

/// The scopes that a caller holds; `None` for those of whom none are asked.
fn scopes(identity: &Identity) -> Option<&[String]> {
    match identity {
        Identity::Bearer(token) => Some(&token.claims.scopes),
        Identity::Workload(workload) => Some(&workload.credential.scopes),
        Identity::Anonymous | Identity::ApiKey(_) | Identity::InternalKey(_) | Identity::Certificate(_) => None,
    }
}
