//! The request's way, in one screen.

pub mod parts;
pub(crate) mod way;

use std::rc::Rc;

pub use self::way::{Repeat, again};
use self::way::{Spot, Walked};
use crate::cors;
use crate::explain::{Silent, Tracer, facts};
use crate::policy::{self, Caller};
use crate::rejection::Rejection;
use crate::stages::admit::{self, Admitted};
use crate::stages::verdict::{self, Verdict};
use crate::stages::{ask, authenticate, authorize, limit, mediate, observe};
use crate::{Cx, Decision, Edits, Question, Reply};

/// Decides about a request that is not to go the way of an earlier one ([`again`]). Deterministic and free of effects: the same `cx` gives the same decision, so it may be called again whenever
/// an answer has arrived. What is to be counted is noted in the answers, once a request, and taken by the host.
#[must_use]
pub fn decide(cx: &Cx) -> Decision {
    let trodden = Spot::of(cx).filter(Spot::is_trodden);
    let mut walked = None;
    let decision = conclude(cx, &Silent, |cx, admitted, known| {
        let edits = walk_on(cx, admitted, &Silent, known)?;
        walked = trodden.as_ref().and_then(|_| Walked::of(cx, admitted, known));
        Ok(edits)
    });
    if let (Some(spot), Some(walked), Decision::Forward(edits)) = (trodden, walked, &decision) {
        spot.remember(cx, walked, edits);
    }
    decision
}

/// The same, stage by stage, telling somebody how it comes about.
pub(crate) fn decide_with(cx: &Cx, trace: &impl Tracer) -> Decision {
    conclude(cx, trace, |cx, admitted, known| walk_on(cx, admitted, trace, known))
}

/// Whose verdict it was, for whoever wants to tell of the request, however the walk ends.
type Known = Option<Rc<Verdict>>;

/// What comes of a way, or of a part of one, that begins with the admitted request.
fn conclude(
    cx: &Cx,
    trace: &impl Tracer,
    on: impl FnOnce(&Cx, &mut Admitted, &mut Known) -> Result<Edits, Halt>,
) -> Decision {
    let mut reply = match walk(cx, trace, on) {
        Ok(edits) => return Decision::Forward(edits),
        Err(Halt::Reply(reply)) => reply,
        Err(Halt::Refuse(rejection)) => rejection.reply_to(cx),
        Err(Halt::Ask(_)) if cx.answers.exhausted() => Rejection::Unreadable.reply_to(cx),
        Err(Halt::Ask(question)) => return Decision::Ask(question),
    };
    reply.record = reply.record.or_else(|| observe::answered(cx, None, None, reply.details));
    Decision::Reply(reply)
}

fn walk(
    cx: &Cx,
    trace: &impl Tracer,
    on: impl FnOnce(&Cx, &mut Admitted, &mut Known) -> Result<Edits, Halt>,
) -> Result<Edits, Halt> {
    let mut admitted = trace.stage("admit", || admit::admit(cx), facts::admitted)?;
    let consent = admitted.consent(cx);
    let mut known = None;
    let outcome = on(cx, &mut admitted, &mut known).map_err(|halt| match halt {
        Halt::Refuse(rejection) => Halt::Reply(admitted.challenged(rejection.reply_to(cx))),
        other => other,
    });
    let told = cx.answers.told();
    match outcome {
        Ok(mut edits) => {
            cors::give(cx, consent.into_iter().chain(told).collect(), &mut edits);
            Ok(edits)
        }
        // Without consent the page could not even see why it was refused.
        Err(Halt::Reply(mut reply)) => {
            let permit = known.as_ref().map(|verdict| &verdict.permit);
            reply.record = observe::answered(cx, Some(&admitted), permit, reply.details);
            reply.headers.extend(consent.into_iter().chain(told).map(|(name, value)| (name.into(), value)));
            Err(Halt::Reply(reply))
        }
        other => other,
    }
}

/// Each stage takes the proof that the one before it made, so a missing or misplaced stage does not compile.
fn walk_on(cx: &Cx, admitted: &mut Admitted, trace: &impl Tracer, known: &mut Known) -> Result<Edits, Halt> {
    if !cx.callbacks.cover(admitted.callbacks()) {
        return Err(Rejection::CallbacksMissing.into());
    }
    let admitted: &Admitted = trace.stage(
        "ask",
        || {
            ask::ask(cx, admitted)?;
            Ok(&*admitted)
        },
        |admitted| facts::asked(admitted),
    )?;
    let verdict = match verdict::recall(cx, admitted) {
        Some(verdict) => verdict,
        None => {
            let who = || authenticate::authenticate(cx, admitted, trace);
            let identity = trace.stage("authenticate", who, facts::identity)?;
            let permit = trace.stage("authorize", || authorize::authorize(cx, admitted, &identity), facts::permit)?;
            verdict::remember(cx, admitted, identity, permit)
        }
    };
    let verdict = &*known.insert(verdict);
    let Verdict { identity, permit } = &**verdict;
    let grant = trace.stage("limit", || limit::limit(cx, admitted, verdict), |_| facts::charges(cx))?;
    let caller = Caller { identity, permit };
    trace.stage("policy", || policy::consult(cx, admitted, &caller), |()| Vec::new())?;
    let edits = trace.stage("mediate", || mediate::mediate(cx, admitted, identity, &grant), facts::edits)?;
    Ok(Edits { record: observe::forwarded(admitted, Some(permit)), ..edits })
}

/// Why the walk stops early; what `?` carries.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The gateway answers.
    Reply(Reply),
    /// The gateway refuses.
    Refuse(Rejection),
    /// The world must answer first.
    Ask(Question),
}

#[cfg(test)]
mod tests;
