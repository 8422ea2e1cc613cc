//! Quota of this process and of this worker.
//!
//! The owner of a counter leases part of a window to the process; the lease lies in shared data ([`bucket`]). A worker draws
//! a chunk of it into its own memory, so that almost every request is counted without a host call. Chunks become small as
//! the lease does, and what a worker does not use goes back ([`upkeep`]), so that no request is refused while another worker
//! sits on quota for long.
//!
//! Time is the host's steady clock throughout, so that setting the wall clock neither stretches a lease nor ends one ([`clock`]).
//!
//! An answer that is not heard is not used later either, and the owner is told to take back what it leased ([`unheard`]).
//!
//! Bytes are known only when they have passed. They are taken from what all workers share, and what they exceed it by is owed:
//! nothing passes until it is covered ([`bytes`]).
//!
//! Must never let more through than was leased, but for what was owed, nor let a lease outlive its window.

mod bucket;
mod bytes;
mod calls;
mod clock;
mod lease;
mod pool;
#[cfg(test)]
mod tests;
mod unheard;
mod upkeep;

pub(crate) use calls::{Pending, send, take};
pub(crate) use pool::QuotaPool;
pub(crate) use unheard::Asked;

/// Name of a bucket in shared data. Its layout is part of the name.
fn shared_key(number: u128) -> String {
    format!("tollgate/quota.4/{number}")
}
