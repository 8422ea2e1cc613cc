//! API keys, carried in a header or in the query. A signed one is a token that is asked where it comes from instead of for scopes;
//! any other text is looked up.
//!
//! A key is good only together with its subscription: whoever must show a key beside a token is not asked for it again.

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_model::{Api, ApiKeyPlace};

use super::super::admit::Admitted;
use super::super::authorize::{Subscribed, subscription};
use super::opaque_key::{self, OpaqueKey};
use super::restrictions;
use super::rules::Attempt;
use super::verify::{has_three_parts, judge};
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::token::{Usage, VerifiedToken};
use crate::{Cx, Header, query};

/// A good API key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiKey {
    /// What it says itself; an opaque one says nothing.
    pub(crate) token: Option<Rc<VerifiedToken>>,
    /// An opaque one.
    pub(crate) opaque: Option<OpaqueKey>,
    /// On whose behalf it is used.
    pub(crate) subscribed: Subscribed,
}

pub(super) fn attempt(cx: &Cx, admitted: &Admitted, place: &ApiKeyPlace) -> Result<Attempt<ApiKey>, Halt> {
    let text = text_at(cx, admitted, place);
    let raw = text.as_deref().and_then(|text| std::str::from_utf8(text).ok()).map(str::trim);
    let Some(raw) = raw.filter(|text| !text.is_empty()) else { return Ok(Attempt::Absent) };
    let found =
        if has_three_parts(raw) { signed(cx, admitted, raw)? } else { opaque_key::look_up(cx, &admitted.api.api, raw) };
    Ok(found.map_or_else(Attempt::Bad, Attempt::Good))
}

/// The key behind this text, wherever it was shown.
pub(super) fn recognise(cx: &Cx, api: &Api, raw: &str, skew: u32) -> Result<ApiKey, Halt> {
    if !has_three_parts(raw) {
        return Ok(opaque_key::look_up(cx, api, raw)?);
    }
    let token = judge(cx, Usage::ApiKey, raw, skew)??;
    let subscribed = subscription::of_api_key(cx, api, &token)?;
    Ok(ApiKey { token: Some(token), opaque: None, subscribed })
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
pub(super) fn text_at<'r>(cx: &'r Cx, admitted: &'r Admitted, place: &ApiKeyPlace) -> Option<Cow<'r, [u8]>> {
    match place {
        ApiKeyPlace::Header { name } => match cx.request.get(name) {
            Header::One(value) => Some(Cow::Borrowed(value)),
            Header::Absent | Header::Many => None,
        },
        ApiKeyPlace::Query { name } => query::only(admitted.query, name.as_bytes()),
    }
}

fn signed(cx: &Cx, admitted: &Admitted, raw: &str) -> Result<Result<ApiKey, Rejection>, Halt> {
    let token = match judge(cx, Usage::ApiKey, raw, admitted.settings.clock_skew_seconds)? {
        Ok(token) if restrictions::met(cx, &admitted.settings, &token.claims) => token,
        Ok(_) => return Ok(Err(Rejection::Forbidden)),
        Err(why) => return Ok(Err(why)),
    };
    let subscribed = subscription::of_api_key(cx, &admitted.api.api, &token);
    Ok(subscribed.map(|subscribed| ApiKey { token: Some(token), opaque: None, subscribed }))
}
