//! API keys: signed like tokens, carried in a header or in the query, and asked where they come from instead of for scopes.

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_model::ApiKeyPlace;

use super::super::admit::Admitted;
use super::restrictions;
use super::rules::Attempt;
use super::verify::{has_three_parts, judge};
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::token::{Claims, Usage, VerifiedToken};
use crate::{Cx, Header, query};

pub(super) fn attempt(cx: &Cx, admitted: &Admitted, place: &ApiKeyPlace) -> Result<Attempt<Rc<VerifiedToken>>, Halt> {
    let text = text_at(cx, admitted, place);
    let raw = text.as_deref().and_then(|text| std::str::from_utf8(text).ok()).map(str::trim);
    let Some(raw) = raw.filter(|text| has_three_parts(text)) else { return Ok(Attempt::Absent) };
    Ok(match judge(cx, Usage::ApiKey, raw, admitted.settings.clock_skew_seconds)? {
        Err(why) => Attempt::Bad(why),
        Ok(key) if may_call(cx, admitted, &key) => Attempt::Good(key),
        Ok(_) => Attempt::Bad(Rejection::Forbidden),
    })
}

/// The first key that stands where one may, of which nothing is known.
pub(super) fn raw(cx: &Cx, admitted: &Admitted) -> Option<String> {
    let places = admitted.operation.security.requirements().iter().flat_map(|requirement| &requirement.api_keys);
    let mut keys = places.filter_map(|place| {
        let text = text_at(cx, admitted, place)?;
        let raw = std::str::from_utf8(&text).ok()?.trim();
        has_three_parts(raw).then(|| raw.to_owned())
    });
    keys.next()
}

/// What stands at that place. Two keys are as bad as none: nobody can tell which one counts.
fn text_at<'r>(cx: &'r Cx, admitted: &'r Admitted, place: &ApiKeyPlace) -> Option<Cow<'r, [u8]>> {
    match place {
        ApiKeyPlace::Header { name } => match cx.request.get(name) {
            Header::One(value) => Some(Cow::Borrowed(value)),
            Header::Absent | Header::Many => None,
        },
        ApiKeyPlace::Query { name } => query::only(admitted.query, name.as_bytes()),
    }
}

fn may_call(cx: &Cx, admitted: &Admitted, key: &VerifiedToken) -> bool {
    restrictions::met(cx, &admitted.settings, &key.claims)
        && (!key.issuer.issuer.validate_subscription || is_subscribed(&key.claims, admitted))
}

fn is_subscribed(claims: &Claims, admitted: &Admitted) -> bool {
    let api = &admitted.api.api;
    let listed = claims.subscribed_apis.iter().flatten();
    listed
        .into_iter()
        .any(|entry| entry.name.as_deref() == Some(&api.name) && entry.version.as_deref() == Some(&api.version))
}
