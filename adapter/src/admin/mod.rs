//! The administrator's window: health, readiness, status and metrics over plain HTTP on the loopback address.
//!
//! Must never change anything, and must never show other machines more than the metrics.

pub mod client;
mod control_plane;
mod machine;
mod pages;
pub mod status;

use std::net::SocketAddr;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use machine::Machine;
pub use status::{Counters, Counts, IssuerReport, Report, Status};

use crate::outputs::OutputError;

/// Serves the pages until `shutdown`. Returns the bound address and the server's task.
///
/// # Errors
/// When the address is not loopback or cannot be bound.
pub async fn spawn(
    address: SocketAddr,
    status: Arc<Status>,
    machine: Arc<Machine>,
    shutdown: CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), OutputError> {
    if !address.ip().is_loopback() {
        return Err(OutputError::NotLoopback { address });
    }
    let bind = |source| OutputError::Bind { what: "admin", address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let service = warp::service(pages::routes(status, machine));
    Ok((bound, tokio::spawn(crate::tls::serve_plain(listener, service, shutdown))))
}

/// Serves the metrics page alone until `shutdown`, where other machines reach it.
///
/// # Errors
/// When the address cannot be bound.
pub async fn spawn_metrics(
    address: SocketAddr,
    status: Arc<Status>,
    machine: Arc<Machine>,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, OutputError> {
    let bind = |source| OutputError::Bind { what: "metrics", address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let service = warp::service(pages::metrics_route(status, machine));
    Ok(tokio::spawn(crate::tls::serve_plain(listener, service, shutdown)))
}
