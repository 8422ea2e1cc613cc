//! Whether a token was taken back. Asked at every use, whatever the memory of tokens says.
//!
//! Only signed tokens get here, so nobody makes the gateway look things up with texts of their own.

use tollgate_model::CutoffKind;

use crate::token::VerifiedToken;
use crate::{Cx, Unreadable};

pub(super) fn is_revoked(cx: &Cx, token: &VerifiedToken) -> Result<bool, Unreadable> {
    let claims = &token.claims;
    if cx.directory.is_revoked(&claims.token_id)? {
        return Ok(true);
    }
    let whose = [
        (CutoffKind::ConsumerKey, claims.consumer_key.as_deref()),
        (CutoffKind::User, claims.subject.as_deref()),
        (CutoffKind::Issuer, Some(token.issuer.iss())),
    ];
    for (kind, of) in whose {
        let Some(of) = of else { continue };
        if let Some(cutoff) = cx.directory.cutoff(kind, of)? {
            // A token that does not say when it was issued may be from before.
            if claims.issued_at.is_none_or(|issued_at| issued_at < cutoff.before) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
