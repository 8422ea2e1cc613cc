//! The owner of the quotas: leases parts of them to gateways. Which limits exist is not its business; whoever asks says what
//! the limit is.
//!
//! Must never lease out more of a window than its limit, whatever happens to the adapter, the store or the network.

mod clock;
mod embedded;
mod ledger;
mod receipts;
mod redis;
mod routes;
mod store;
mod window;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tollgate_model::{QuotaAsk, QuotaGrant};

pub use self::clock::Clock;
pub use self::embedded::Embedded;
pub use self::ledger::{Ledger, LedgerError};
pub use self::receipts::Receipts;
pub use self::redis::{Redis, RedisSettings, Topology};
pub use self::routes::routes;
pub use self::store::StoreError;

/// The grants for a batch, in the order of its asks.
pub type Leasing<'a> = Pin<Box<dyn Future<Output = Result<Vec<QuotaGrant>, OwnerError>> + Send + 'a>>;

/// Whoever owns the counters.
pub trait QuotaOwner: fmt::Debug + Send + Sync {
    /// Leases to `holder`, the name of a gateway.
    ///
    /// A future that is dropped, or an answer that does not arrive, may cost quota of the current window and never adds to it.
    fn lease<'a>(&'a self, asks: Vec<QuotaAsk>, holder: &'a str) -> Leasing<'a>;
}

/// Why nothing can be leased.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The owner said nothing in time.
    #[error("the owner of the quotas did not answer within {0:?}")]
    Late(Duration),
    /// There is no connection, or it broke.
    #[error("the owner of the quotas cannot be reached: {0}")]
    Unreachable(String),
    /// Nobody waits for the answer any more.
    #[error("the gateway has given the question up")]
    Unheard,
    /// A counter cannot be kept.
    #[error("a counter cannot be kept: {0}")]
    Ledger(#[from] LedgerError),
    /// What is leased cannot be made durable.
    #[error("leases cannot be stored: {0}")]
    Store(String),
}
