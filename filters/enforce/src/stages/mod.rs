//! The stages of a request's way; their names sort in the order in which it takes them.

pub(crate) mod admit;
pub(crate) mod ask;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod limit;
pub(crate) mod mediate;
pub(crate) mod observe;
pub(crate) mod verdict;

pub(crate) use authorize::Subscribed;
