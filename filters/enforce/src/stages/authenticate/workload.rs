//! The workload that calls, known by the SPIFFE ID in the certificate of its connection: services of a mesh need no token.
//!
//! Must never look at the request: whatever stands there (`x-forwarded-client-cert` included) was written by the caller.

use std::rc::Rc;

use tollgate_model::{Credential, keys};

use super::super::admit::Admitted;
use super::super::authorize::{Subscribed, subscription};
use super::rules::Attempt;
use crate::Cx;
use crate::rejection::{BadCredentials, Rejection};

/// Longest SPIFFE ID (SPIFFE-ID §2.3).
const MAX_ID: usize = 2_048;

/// A workload of an application.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Workload {
    /// Its SPIFFE ID.
    pub(crate) id: Rc<str>,
    /// Which scopes it holds, and which backend it is for.
    pub(crate) credential: Rc<Credential>,
    /// On whose behalf it calls.
    pub(crate) subscribed: Subscribed,
}

/// Asks the connection; nothing is remembered between requests, since requests of many workloads share a worker and asking costs
/// no more than finding out whose memory it would be.
pub(super) fn attempt(cx: &Cx, admitted: &Admitted) -> Attempt<Workload> {
    let Some(id) = cx.connection.principal() else { return Attempt::Absent };
    match known(cx, admitted, &id) {
        Ok(workload) => Attempt::Good(workload),
        Err(why) => Attempt::Bad(why),
    }
}

fn known(cx: &Cx, admitted: &Admitted, id: &str) -> Result<Workload, Rejection> {
    const UNKNOWN: Rejection = Rejection::InvalidCredentials(BadCredentials::Workload);
    if id.len() > MAX_ID {
        return Err(UNKNOWN);
    }
    let credential = cx.directory.credential(&keys::workload(id))?.ok_or(UNKNOWN)?;
    let application = cx.directory.application(&credential.application)?.ok_or(Rejection::NotSubscribed)?;
    let subscribed = subscription::of_application(cx, &admitted.api.api, application, Some(credential.key_type), None)?;
    Ok(Workload { id: id.into(), credential, subscribed })
}
