//! The snapshot: from the adapter's feed into shared data, and from shared data into look-ups.
//!
//! One VM of the process leads ([`Leadership`]): it polls the adapter and copies what changed into shared data
//! ([`Feed`]). Every VM, the leader too, sees there what changed and keeps its look-ups up to date
//! ([`SnapshotDirectory`]).

mod bounded;
mod directory;
mod entries;
mod feed;
mod lazy;
mod leadership;
mod refresh;
mod routes;
mod shared;

pub(crate) use directory::SnapshotDirectory;
pub(crate) use feed::{Feed, POLL_TIMEOUT_MS, Poll};
pub(crate) use leadership::Leadership;
