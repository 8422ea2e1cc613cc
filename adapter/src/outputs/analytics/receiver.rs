//! The gRPC service that gateways log to.

use std::sync::Arc;

use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::AccessLogService;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use envoy_types::pb::envoy::service::accesslog::v3::{StreamAccessLogsMessage, StreamAccessLogsResponse};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status as GrpcStatus, Streaming};

use super::event;
use crate::admin::{Counters, Status};
use crate::model::World;

/// Turns what gateways log into lines.
pub(super) struct Receiver {
    lines: mpsc::Sender<String>,
    world: watch::Receiver<Arc<World>>,
    status: Arc<Status>,
}

impl Receiver {
    pub(super) const fn new(
        lines: mpsc::Sender<String>,
        world: watch::Receiver<Arc<World>>,
        status: Arc<Status>,
    ) -> Self {
        Self { lines, world, status }
    }

    fn take(&self, message: StreamAccessLogsMessage) {
        // Connections tell nothing of requests.
        let Some(LogEntries::HttpLogs(logs)) = message.log_entries else { return };
        let world = Arc::clone(&self.world.borrow());
        for entry in &logs.log_entry {
            let Some(line) = event::line(entry, &world) else { continue };
            let counters = &self.status.counters;
            let sent = self.lines.try_send(line).is_ok();
            Counters::add(if sent { &counters.analytics_events } else { &counters.analytics_events_dropped }, 1);
        }
    }
}

#[tonic::async_trait]
impl AccessLogService for Receiver {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, GrpcStatus> {
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            self.take(message);
        }
        Ok(Response::new(StreamAccessLogsResponse::default()))
    }
}
