//! The same way in parts, for modules that do only one thing each: in a mesh, where every phase has its own filters.
//!
//! Each part but the first takes the [`Evidence`] that the one before it left, and refuses the request without it, so that a
//! module that is missing, doubled or in the wrong place lets nobody through. What evidence does not say is decided anew. Only the
//! one that observes lets everything through, and leaves evidence as it is.

use std::rc::Rc;

use super::{Halt, Known, conclude};
use crate::evidence::{Evidence, Reached, Vouched, Vouching, of_request};
use crate::explain::Silent;
use crate::policy::{self, Caller};
use crate::rejection::Rejection;
use crate::stages::admit::{self, Admitted};
use crate::stages::verdict::Verdict;
use crate::stages::{ask, authenticate, authorize, limit, mediate, observe};
use crate::{Cx, Decision, Edits, HeaderEdit, Record};
use tollgate_model::Callbacks;
use tollgate_model::contract::LIMIT_HEADERS;

/// What came of a part.
#[derive(Debug)]
pub struct Decided {
    /// What to do with the request.
    pub decision: Decision,
    /// What to leave for the next module, when the request goes on; what is there stays where this is none.
    pub evidence: Option<Vec<u8>>,
}

/// All of it at once. No other module is needed, and none is told of anything.
#[must_use]
pub fn whole(cx: &Cx, _: Option<&[u8]>) -> Decided {
    Decided { decision: super::decide(cx), evidence: None }
}

/// Which operation it is, and who calls: the first part. What may stand in the place of evidence does not matter to it.
#[must_use]
pub fn authenticate(cx: &Cx, _: Option<&[u8]>) -> Decided {
    let directory = Vouching::new(cx.directory);
    let cx = &Cx { directory: &directory, ..*cx };
    let mut query = None;
    let decision = conclude(cx, &Silent, |cx, admitted, _| {
        need(cx, Callbacks { request_body: admitted.api.graphql.is_some(), ..Callbacks::NONE })?;
        ask::ask(cx, admitted)?;
        query = admitted.query();
        authenticate::authenticate(cx, admitted, &Silent)?;
        Ok(Edits::default())
    });
    let evidence = Evidence {
        reached: Reached::Authenticated,
        revision: cx.directory.revision(),
        request: of_request(cx.request),
        credentials: directory.good(),
        query,
        told: Vec::new(),
    };
    leave(cx, decision, &evidence)
}

/// Whether the caller may do this.
#[must_use]
pub fn authorize(cx: &Cx, evidence: Option<&[u8]>) -> Decided {
    later(cx, evidence, Reached::Authenticated, Reached::Authorized, |cx, admitted, _, known| {
        permitted(cx, admitted, known)?;
        Ok(Edits::default())
    })
}

/// Whether there is quota left.
#[must_use]
pub fn limit(cx: &Cx, evidence: Option<&[u8]>) -> Decided {
    later(cx, evidence, Reached::Authorized, Reached::Counted, |cx, admitted, _, known| {
        let verdict = permitted(cx, admitted, known)?;
        limit::limit(cx, admitted, &verdict)?;
        Ok(Edits::default())
    })
}

/// What access logs are told of a request that goes on, as far as the parts before have found it out. It stands anywhere in a
/// chain or alone, and refuses nothing: who must not pass is for the others to say.
#[must_use]
pub fn observe(cx: &Cx, evidence: Option<&[u8]>) -> Decided {
    let edits = Edits { record: seen(cx, evidence), ..Edits::default() };
    Decided { decision: Decision::Forward(edits), evidence: None }
}

fn seen(cx: &Cx, evidence: Option<&[u8]>) -> Option<Record> {
    let Ok(mut admitted) = admit::admit(cx) else { return observe::unknown(cx) };
    let found = evidence.and_then(|bytes| Evidence::decode(bytes).ok()).filter(|found| found.is_about(cx.request));
    let verdict = found.and_then(|found| {
        let directory = Vouched::new(cx.directory, &found);
        let cx = &Cx { directory: &directory, ..*cx };
        ask::restore(&mut admitted, found.query.as_ref()).ok()?;
        permitted(cx, &admitted, &mut None).ok()
    });
    observe::forwarded(&admitted, verdict.as_ref().map(|verdict| &verdict.permit))
}

/// What the backend gets: the last part.
#[must_use]
pub fn mediate(cx: &Cx, evidence: Option<&[u8]>) -> Decided {
    later(cx, evidence, Reached::Counted, Reached::Mediated, |cx, admitted, evidence, known| {
        // The body of a query was read by another module.
        let mut needed = admitted.callbacks();
        needed.request_body = admitted.operation.interceptors.callbacks().request_body;
        need(cx, needed)?;
        let verdict = permitted(cx, admitted, known)?;
        let Verdict { identity, permit } = &*verdict;
        let grant = limit::counted(permit, evidence).ok_or(Rejection::NoEvidence)?;
        policy::consult(cx, admitted, &Caller { identity, permit: grant.permit() })?;
        mediate::mediate(cx, admitted, identity, &grant)
    })
}

/// Who calls and what that permits, decided anew with signatures that were checked before.
fn permitted(cx: &Cx, admitted: &Admitted, known: &mut Known) -> Result<Rc<Verdict>, Halt> {
    let identity = authenticate::authenticate(cx, admitted, &Silent)?;
    let permit = authorize::authorize(cx, admitted, &identity)?;
    Ok(Rc::clone(known.insert(Rc::new(Verdict { identity, permit }))))
}

/// Goes on from evidence that has reached exactly `from`: less is a module that is missing, more is one too many.
fn later(
    cx: &Cx,
    evidence: Option<&[u8]>,
    from: Reached,
    to: Reached,
    part: impl FnOnce(&Cx, &mut Admitted, &Evidence, &mut Known) -> Result<Edits, Halt>,
) -> Decided {
    let found = match known(cx, evidence, from) {
        Ok(found) => found,
        Err(why) => return Decided { decision: Decision::Reply(why.reply_to(cx)), evidence: None },
    };
    let directory = Vouched::new(cx.directory, &found);
    let cx = &Cx { directory: &directory, ..*cx };
    // Whoever is refused from here on is told of its limits as well.
    if !found.told.is_empty() {
        cx.answers.tell(found.told.clone());
    }
    let decision = conclude(cx, &Silent, |cx, admitted, known| {
        ask::restore(admitted, found.query.as_ref())?;
        part(cx, admitted, &found, known)
    });
    let told = cx.answers.told();
    let left = Evidence { reached: to, revision: cx.directory.revision(), told, ..found.clone() };
    leave(cx, decision, &left)
}

/// The evidence, if it is some, about this request, and has reached just this.
fn known(cx: &Cx, evidence: Option<&[u8]>, reached: Reached) -> Result<Evidence, Rejection> {
    let found = evidence.and_then(|bytes| Evidence::decode(bytes).ok());
    found.filter(|found| found.reached == reached && found.is_about(cx.request)).ok_or(Rejection::NoEvidence)
}

fn need(cx: &Cx, callbacks: Callbacks) -> Result<(), Rejection> {
    if cx.callbacks.cover(callbacks) { Ok(()) } else { Err(Rejection::CallbacksMissing) }
}

/// Evidence goes with a request that goes on. One of which there is too much to say does not. Only the last part changes
/// anything, but for what the one that counts tells clients of their limits.
fn leave(cx: &Cx, decision: Decision, evidence: &Evidence) -> Decided {
    let Decision::Forward(edits) = decision else { return Decided { decision, evidence: None } };
    let edits = match evidence.reached {
        Reached::Mediated => of_limits(edits, false),
        Reached::Counted => {
            let Edits { response, response_headers, .. } = of_limits(edits, true);
            Edits { response, response_headers, ..Edits::default() }
        }
        Reached::Authenticated | Reached::Authorized => Edits::default(),
    };
    match evidence.encode() {
        Ok(bytes) => Decided { decision: Decision::Forward(edits), evidence: Some(bytes) },
        Err(_) => Decided { decision: Decision::Reply(Rejection::Unreadable.reply_to(cx)), evidence: None },
    }
}

/// Of what clients are told: only that of limits, or all but that.
fn of_limits(mut edits: Edits, limits: bool) -> Edits {
    let is_limit = |name: &str| LIMIT_HEADERS.iter().any(|(header, _)| *header == name);
    edits.response.retain(|(name, _)| is_limit(name) == limits);
    edits.response_headers.retain(|edit| match edit {
        HeaderEdit::Set(name, _) | HeaderEdit::Add(name, _) | HeaderEdit::Remove(name) => is_limit(name) == limits,
    });
    edits
}
