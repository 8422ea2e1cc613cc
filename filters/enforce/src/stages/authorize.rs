//! Whether the caller may do this: scopes.

use super::admit::Admitted;
use super::authenticate::Identity;
use crate::decide::Halt;
use crate::rejection::Rejection;

/// Proof that the caller may call this operation.
pub(crate) struct Permit {
    pub(super) identity: Identity,
}

/// Checks that the token holds at least one of the operation's scopes, if it has any.
pub(crate) fn authorize(admitted: &Admitted, identity: Identity) -> Result<Permit, Halt> {
    // Scopes are asked of access tokens only.
    if let Identity::Bearer(token) = &identity {
        let scopes = admitted.operation.security.scopes();
        let held = &token.claims.scopes;
        if !scopes.is_empty() && !scopes.iter().any(|scope| held.contains(scope)) {
            return Err(Rejection::ScopeMissing(admitted.resource.resource.template.clone()).into());
        }
    }
    Ok(Permit { identity })
}
