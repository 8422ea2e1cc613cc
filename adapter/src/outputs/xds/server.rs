//! The gRPC service: one task a stream, which tells a [`GatewayStream`] what it hears and sends what is due.
//!
//! A stream holds no queue of snapshots: each response is made of what is newest when there is room for it.

use std::pin::Pin;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status as GrpcStatus, Streaming};

use super::dialect::{Dialect, Incremental, WholeState};
use super::gateway::GatewayStream;
use super::{ResourceType, XdsContext};

/// A first request carries the node with all its extensions, about 60 kB, and an incremental one the version of everything
/// the gateway has.
const MAX_REQUEST: usize = 16 * 1024 * 1024;
/// Room for one response of every type.
const CHANNEL: usize = 4;

type Responses<R> = Pin<Box<dyn Stream<Item = Result<R, GrpcStatus>> + Send>>;
type Sender<R> = mpsc::Sender<Result<R, GrpcStatus>>;

/// The aggregated discovery service.
#[must_use]
pub fn service(context: XdsContext) -> AggregatedDiscoveryServiceServer<impl AggregatedDiscoveryService> {
    AggregatedDiscoveryServiceServer::new(Server { context }).max_decoding_message_size(MAX_REQUEST)
}

#[derive(Debug)]
struct Server {
    context: XdsContext,
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Server {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Responses<DiscoveryResponse>>, GrpcStatus> {
        Ok(Response::new(open::<WholeState>(&self.context, request.into_inner())))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Responses<DeltaDiscoveryResponse>>, GrpcStatus> {
        Ok(Response::new(open::<Incremental>(&self.context, request.into_inner())))
    }
}

/// Serves a stream in a task of its own.
fn open<D: Dialect + Sync>(context: &XdsContext, requests: Streaming<D::Request>) -> Responses<D::Response> {
    let (sender, receiver) = mpsc::channel(CHANNEL);
    let context = context.clone();
    tokio::spawn(async move {
        if let Err(status) = serve::<D>(context, requests, &sender).await {
            tracing::warn!(error = status.message(), "a gateway's stream ends");
            // Nobody is there to be told when the stream is gone.
            sender.send(Err(status)).await.ok();
        }
    });
    stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }).boxed()
}

async fn serve<D: Dialect + Sync>(
    mut context: XdsContext,
    mut requests: Streaming<D::Request>,
    sender: &Sender<D::Response>,
) -> Result<(), GrpcStatus> {
    let Some(first) = requests.message().await? else { return Ok(()) };
    let mut gateway = GatewayStream::<D>::open(&context, &first)?;
    gateway.receive(&first)?;
    loop {
        gateway.look(&context.offers.borrow_and_update().clone());
        for kind in ResourceType::ALL {
            if gateway.is_due(kind) {
                let Ok(room) = sender.reserve().await else { return Ok(()) };
                if let Some(response) = gateway.respond(kind) {
                    room.send(Ok(response));
                }
            }
        }
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => gateway.receive(&request)?,
                None => return Ok(()),
            },
            changed = context.offers.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            Ok(()) = gateway.ready.changed() => {}
            Ok(()) = gateway.new_listeners.changed() => {}
            () = sender.closed() => return Ok(()),
        }
    }
}
