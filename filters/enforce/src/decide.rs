//! The request's way, in one screen.

use crate::policy::{self, Caller};
use crate::rejection::Rejection;
use crate::stages::admit::{self, Admitted};
use crate::stages::{ask, authenticate, authorize, limit, mediate};
use crate::{Cx, Decision, Edits, Question, Reply};

/// Decides. Deterministic and free of effects: the same `cx` gives the same decision, so it may be called again whenever
/// an answer has arrived. What is to be counted is noted in the answers, once a request, and taken by the host.
#[must_use]
pub fn decide(cx: &Cx) -> Decision {
    match walk(cx) {
        Ok(edits) => Decision::Forward(edits),
        Err(Halt::Reply(reply)) => Decision::Reply(reply),
        Err(Halt::Refuse(rejection)) => Decision::Reply(rejection.reply_to(cx)),
        Err(Halt::Ask(_)) if cx.answers.exhausted() => Decision::Reply(Rejection::Unreadable.reply_to(cx)),
        Err(Halt::Ask(question)) => Decision::Ask(question),
    }
}

/// Each stage takes the proof that the one before it made, so a missing or misplaced stage does not compile.
fn walk(cx: &Cx) -> Result<Edits, Halt> {
    let mut admitted = admit::admit(cx)?;
    let consent = admitted.consent(cx);
    let outcome = walk_on(cx, &mut admitted).map_err(|halt| match halt {
        Halt::Refuse(rejection) => Halt::Reply(admitted.challenged(rejection.reply_to(cx))),
        other => other,
    });
    match outcome {
        Ok(mut edits) => {
            edits.response = consent;
            Ok(edits)
        }
        // Without consent the page could not even see why it was refused.
        Err(Halt::Reply(mut reply)) => {
            reply.headers.extend(consent.into_iter().map(|(name, value)| (name.into(), value)));
            Err(Halt::Reply(reply))
        }
        other => other,
    }
}

fn walk_on(cx: &Cx, admitted: &mut Admitted) -> Result<Edits, Halt> {
    if !cx.callbacks.cover(admitted.callbacks()) {
        return Err(Rejection::CallbacksMissing.into());
    }
    ask::ask(cx, admitted)?;
    let identity = authenticate::authenticate(cx, admitted)?;
    let permit = authorize::authorize(cx, admitted, &identity)?;
    let grant = limit::limit(cx, admitted, permit)?;
    policy::consult(cx, admitted, &Caller { identity: &identity, permit: grant.permit() })?;
    mediate::mediate(cx, admitted, &identity, &grant)
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
