//! The key of the publisher's test console: a token that names the APIs it is for.

use std::rc::Rc;

use super::super::admit::Admitted;
use super::rules::Attempt;
use super::verify::{has_three_parts, judge};
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::token::{Usage, VerifiedToken};
use crate::{Cx, Header};

pub(super) fn attempt(cx: &Cx, admitted: &Admitted) -> Result<Attempt<Rc<VerifiedToken>>, Halt> {
    let Some(raw) = raw(cx, admitted) else { return Ok(Attempt::Absent) };
    Ok(match judge(cx, Usage::InternalKey, raw, admitted.settings.clock_skew_seconds)? {
        Err(why) => Attempt::Bad(why),
        Ok(token) if is_for(&token, admitted) => Attempt::Good(token),
        Ok(_) => Attempt::Bad(Rejection::Forbidden),
    })
}

/// The key, of which nothing is known.
pub(super) fn raw<'c>(cx: &Cx<'c>, admitted: &Admitted) -> Option<&'c str> {
    let Header::One(value) = cx.request.get(&admitted.settings.internal_key_header) else { return None };
    std::str::from_utf8(value).ok().map(str::trim).filter(|text| has_three_parts(text))
}

fn is_for(token: &VerifiedToken, admitted: &Admitted) -> bool {
    let api = &admitted.api.api;
    let subscribed = token.claims.subscribed_apis.iter().flatten();
    subscribed
        .into_iter()
        .any(|entry| entry.context.as_deref() == Some(&api.base_path) && entry.version.as_deref() == Some(&api.version))
}
