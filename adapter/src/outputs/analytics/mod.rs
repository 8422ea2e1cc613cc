//! Events about requests, in the form of Choreo Connect's for ELK: gateways log what has become of each request to the adapter
//! (Envoy's gRPC access log, with the record that the enforcer left), which writes a line for it.
//!
//! Must never hold back a gateway: a line that cannot be written in time is dropped, and counted.

mod connectivity;
mod event;
mod lines;
mod receiver;
mod usage;

use std::path::PathBuf;
use std::sync::Arc;

use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::receiver::Receiver;
use super::settings::Analytics;
use crate::admin::Status;
use crate::model::World;

/// Where gateways find the service, on whatever port.
const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/";
/// Name of the log, as Choreo Connect has it.
pub(super) const LOG_NAME: &str = "mgw_access_logs";

/// Why events cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the file {} for analytics cannot be written ({source}); correct tollgate.analytics.logfile", path.display())]
pub struct AnalyticsError {
    path: PathBuf,
    source: std::io::Error,
}

/// The service that gateways log to, if there are events, with the beginning of its paths. Its lines are written by a task among
/// `tasks`, which ends with the service.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn service(
    settings: Option<&Analytics>,
    world: watch::Receiver<Arc<World>>,
    status: Arc<Status>,
    tasks: &TaskTracker,
) -> Result<Option<(&'static str, AccessLogServiceServer<impl AccessLogService>)>, AnalyticsError> {
    let Some(settings) = settings else { return Ok(None) };
    let lines = lines::open(settings.file.as_deref(), tasks)?;
    Ok(Some((PATH, AccessLogServiceServer::new(Receiver::new(lines, world, status)))))
}
