//! The access token of a request.

use std::rc::Rc;

use super::super::admit::Admitted;
use super::rules::Attempt;
use super::verify::{has_three_parts, judge};
use crate::bytes::has_whitespace;
use crate::decide::Halt;
use crate::token::{Usage, VerifiedToken};
use crate::{Cx, Header};

/// Name of the header that carries the access token of this API.
pub(crate) fn authorization_header<'a>(admitted: &'a Admitted) -> &'a str {
    let own = admitted.api.api.authorization_header.as_deref();
    own.unwrap_or(&admitted.settings.authorization_header)
}

pub(super) fn attempt(cx: &Cx, admitted: &Admitted) -> Result<Attempt<Rc<VerifiedToken>>, Halt> {
    let Some(raw) = raw(cx, admitted) else { return Ok(Attempt::Absent) };
    Ok(match judge(cx, Usage::AccessToken, raw, admitted.settings.clock_skew_seconds)? {
        Ok(token) => Attempt::Good(token),
        Err(why) => Attempt::Bad(why),
    })
}

/// The token, of which nothing is known.
pub(super) fn raw<'c>(cx: &Cx<'c>, admitted: &Admitted) -> Option<&'c str> {
    match cx.request.get(authorization_header(admitted)) {
        Header::One(value) => bearer_token(value),
        // Two headers are as bad as none: nobody can tell which one counts.
        Header::Absent | Header::Many => None,
    }
}

/// The token of `Bearer <token>`. As in the original, anything but two words of which the second has three parts counts
/// as no credentials at all.
pub(crate) fn bearer_token(value: &[u8]) -> Option<&str> {
    let value = simdutf8::basic::from_utf8(value).ok()?;
    let is_bearer = |scheme: &str| scheme.eq_ignore_ascii_case("bearer");
    let token = match value.split_once(' ') {
        // Its usual form, without a look at every single byte.
        Some((scheme, token)) if is_bearer(scheme) && !has_whitespace(token.as_bytes()) => token,
        _ => {
            let mut words = value.split_ascii_whitespace();
            let (scheme, token) = (words.next()?, words.next()?);
            (words.next().is_none() && is_bearer(scheme)).then_some(token)?
        }
    };
    has_three_parts(token).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a.b.c ", Some("a.b.c")),
            ("BEARER\ta.b.c", Some("a.b.c")),
            ("Bearer", None),
            ("Bearer a.b", None),
            ("\tBearer a.b.c", Some("a.b.c")),
            ("Bearer\ta.b.c ", Some("a.b.c")),
            (" Bearer a.b.c", Some("a.b.c")),
            ("Bearer \ta.b.c", Some("a.b.c")),
            ("Bearer a.b.c\r", Some("a.b.c")),
            ("Bearer a.b.c\u{b}", Some("a.b.c\u{b}")),
            ("Bearer a.b.c d", None),
            ("Bearer a.b.cccccccccccccc d", None),
            ("Bearer a.b.c.d", None),
            ("Bearer Bearer a.b.c", None),
            ("Something a.b.c", None),
            ("Bearera.b.c", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(value.as_bytes()), token, "{value}");
        }
        assert_eq!(bearer_token(b"Bearer a.b.\xff"), None);
    }
}
