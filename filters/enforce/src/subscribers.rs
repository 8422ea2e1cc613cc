//! Look-ups in the tables of subscribers and of what was revoked, as the stages see them.

use std::rc::Rc;

use tollgate_model::{Application, Credential, Cutoff, CutoffKind, Subscription, Tier, TierKind};

use crate::{CompiledDecisions, CompiledTier, Unreadable};

/// What came of a look-up: the entry, none, or one that this release cannot read and that therefore counts against the caller.
pub type Found<T> = Result<Option<Rc<T>>, Unreadable>;

/// Who calls with which keys, and what they have subscribed to. Implementations answer from memory; they never wait.
pub trait Subscribers {
    /// The entry of that key of the `credential` table; see [`tollgate_model::keys`].
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn credential(&self, key: &[u8]) -> Found<Credential>;
    /// The application of that UUID.
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn application(&self, uuid: &str) -> Found<Application>;
    /// The entry of that key of the `subscription` table; see [`tollgate_model::keys`].
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn subscription(&self, key: &[u8]) -> Found<Subscription>;
    /// The plan of that name.
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn tier(&self, kind: TierKind, name: &str) -> Found<Tier>;
    /// The plan of that name with its conditions.
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier>;
    /// What a Traffic Manager has decided about a throttle key.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be read.
    fn decisions(&self, key: &str) -> Found<CompiledDecisions>;
}

/// What is not accepted any more although it was signed.
pub trait Revocations {
    /// Whether the token of that id (`jti`) was revoked.
    ///
    /// # Errors
    /// [`Unreadable`] when nobody can tell.
    fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable>;
    /// Before which moment tokens of that consumer key, user or issuer must not have been issued.
    ///
    /// # Errors
    /// [`Unreadable`] when there is one that cannot be read.
    fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff>;
}
