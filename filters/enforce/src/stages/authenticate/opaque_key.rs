//! API keys that say nothing: random texts, of which the tables hold the SHA-256.
//!
//! Looking one up takes the same time however much of it is right, since a hash tells nothing of a hash that is near, and so
//! does a comparison with those that are remembered ([`crate::bytes::same`]). Must never let a text in that is not in the
//! tables, nor one whose application has not subscribed.

use sha2::{Digest, Sha256};
use tollgate_model::{Api, Application, Credential, CutoffKind, Secret, keys};

use super::super::authorize::subscription;
use super::api_key::ApiKey;
use crate::rejection::{BadCredentials, Flaw, Rejection};
use crate::{Cx, Timestamp, Unreadable};

/// Longest text that is looked up: anybody may send some.
const MAX_LENGTH: usize = 512;
const UNKNOWN: Rejection = Rejection::InvalidCredentials(BadCredentials::ApiKey(Flaw::Unknown));

/// A key that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OpaqueKey {
    pub(crate) text: Secret,
    /// Seconds since the epoch after which it is not taken any more.
    expires_at: Option<u64>,
}

impl OpaqueKey {
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let now = u64::try_from(now.seconds()).unwrap_or(u64::MAX);
        self.expires_at.is_some_and(|end| now > end)
    }
}

pub(super) fn look_up(cx: &Cx, api: &Api, raw: &str) -> Result<ApiKey, Rejection> {
    if raw.len() > MAX_LENGTH {
        return Err(UNKNOWN);
    }
    let digest: [u8; 32] = Sha256::digest(raw.as_bytes()).into();
    let credential = cx.directory.credential(&keys::opaque_key(&digest))?.ok_or(UNKNOWN)?;
    let key = OpaqueKey { text: Secret::from(raw.to_owned()), expires_at: credential.expires_at };
    if key.is_over(cx.now) {
        return Err(Rejection::InvalidCredentials(BadCredentials::Token(Flaw::Expired)));
    }
    let application = cx.directory.application(&credential.application)?.ok_or(Rejection::NotSubscribed)?;
    if is_revoked(cx, &digest, &credential, &application)? {
        return Err(Rejection::InvalidCredentials(BadCredentials::ApiKey(Flaw::Revoked)));
    }
    let subscribed = subscription::of_application(cx, api, application, Some(credential.key_type), None)?;
    Ok(ApiKey { token: None, opaque: Some(key), subscribed })
}

/// By its digest, as a token by its id; and with all that was given to the owner of its application before a moment.
fn is_revoked(
    cx: &Cx,
    digest: &[u8; 32],
    credential: &Credential,
    application: &Application,
) -> Result<bool, Unreadable> {
    let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if cx.directory.is_revoked(&id)? {
        return Ok(true);
    }
    let cutoff = cx.directory.cutoff(CutoffKind::User, &application.subscriber)?;
    // A key of which nobody knows when it was made may be from before.
    Ok(cutoff.is_some_and(|cutoff| credential.issued_at.is_none_or(|made| made < cutoff.before)))
}
