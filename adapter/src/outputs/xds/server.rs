//! The gRPC service: one task a stream, which tells a [`Session`] what it hears and sends what is due.
//!
//! A stream holds no queue of snapshots: each response is made of what is newest when there is room for it.

use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::value::Kind;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status as GrpcStatus, Streaming};

use super::session::{Meaning, Request as Heard, Session};
use super::{ClusterResources, ResourceType, Resources, XdsContext};
use crate::admin::Counters;
use crate::outputs::nodes::Connection;

/// A first request carries the node with all its extensions, about 60 kB.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Room for one response of every type.
const CHANNEL: usize = 4;
/// Most characters of a gateway's name.
const MAX_NAME: usize = 512;
/// Most characters of Envoy's error text that are kept.
const MAX_ERROR: usize = 4096;
const INSTANCE: &str = "instanceIdentifier";

type Responses = Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, GrpcStatus>> + Send>>;
type DeltaResponses = Pin<Box<dyn Stream<Item = Result<DeltaDiscoveryResponse, GrpcStatus>> + Send>>;

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
    type StreamAggregatedResourcesStream = Responses;
    type DeltaAggregatedResourcesStream = DeltaResponses;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Responses>, GrpcStatus> {
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(status) = serve(context, request.into_inner(), &sender).await {
                tracing::warn!(error = status.message(), "a gateway's stream ends");
                // Nobody is there to be told when the stream is gone.
                sender.send(Err(status)).await.ok();
            }
        });
        let responses = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        Ok(Response::new(responses.boxed()))
    }

    async fn delta_aggregated_resources(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<DeltaResponses>, GrpcStatus> {
        Err(GrpcStatus::unimplemented("use the state-of-the-world protocol (ads_config.api_type GRPC)"))
    }
}

type Sender = mpsc::Sender<Result<DiscoveryResponse, GrpcStatus>>;

async fn serve(
    mut context: XdsContext,
    mut requests: Streaming<DiscoveryRequest>,
    sender: &Sender,
) -> Result<(), GrpcStatus> {
    let Some(first) = requests.message().await? else { return Ok(()) };
    let mut gateway = GatewayStream::open(&context, &first)?;
    gateway.receive(&first)?;
    loop {
        gateway.look(&context.clusters.borrow_and_update().clone());
        for kind in ResourceType::ALL {
            if gateway.is_due(kind) {
                let Ok(room) = sender.reserve().await else { return Ok(()) };
                room.send(Ok(gateway.respond(kind)));
            }
        }
        tokio::select! {
            request = requests.message() => match request? {
                Some(request) => gateway.receive(&request)?,
                None => return Ok(()),
            },
            changed = context.clusters.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            Ok(()) = gateway.ready.changed() => {}
            () = sender.closed() => return Ok(()),
        }
    }
}

/// One gateway and what it is to have now.
struct GatewayStream {
    context: XdsContext,
    name: String,
    environment: String,
    session: Session,
    connection: Connection,
    ready: watch::Receiver<bool>,
    clusters: Option<Arc<Resources>>,
    no_clusters: Arc<Resources>,
    extension: Arc<Resources>,
}

impl GatewayStream {
    fn open(context: &XdsContext, first: &DiscoveryRequest) -> Result<Self, GrpcStatus> {
        let node = first.node.as_ref().ok_or_else(|| GrpcStatus::invalid_argument("the first request has no node"))?;
        let (environment, name) = (node.id.clone(), name_of(node));
        if environment.is_empty() || name.len() > MAX_NAME {
            return Err(GrpcStatus::invalid_argument(format!("node.id is empty or longer than {MAX_NAME} characters")));
        }
        let extension = context
            .blueprint
            .extension(&environment)
            .map_err(|error| GrpcStatus::internal(format!("cannot configure the enforcer: {error}")))?;
        let connection = context.status.nodes().connect(&name, &environment, first.version_info.is_empty());
        tracing::info!(gateway = name, environment, "a gateway connected");
        let stream = Self {
            context: context.clone(),
            name,
            session: Session::default(),
            ready: connection.ready(),
            connection,
            clusters: None,
            no_clusters: Arc::new(Resources::new(Vec::new())),
            extension,
            environment,
        };
        if !context.clusters.borrow().contains_key(&stream.environment) {
            tracing::warn!(
                gateway = stream.name,
                environment = stream.environment,
                "the environment is not configured, so the gateway gets no APIs (fix: add it to adapter.vhostMapping, or \
                 start the gateway with a configured ROUTER_LABEL)"
            );
        }
        Ok(stream)
    }

    /// Takes over the newest clusters.
    fn look(&mut self, all: &ClusterResources) {
        self.clusters = all.get(&self.environment).cloned();
        if self.clusters.is_some() {
            self.connection.known_environment();
        } else {
            self.connection.unknown_environment();
        }
    }

    fn resources(&self, kind: ResourceType) -> &Arc<Resources> {
        match kind {
            ResourceType::Cluster => self.clusters.as_ref().unwrap_or(&self.no_clusters),
            ResourceType::Listener => &self.context.blueprint.listeners,
            ResourceType::Route => self.context.blueprint.routes(*self.ready.borrow()),
            ResourceType::Extension => &self.extension,
        }
    }

    fn is_due(&self, kind: ResourceType) -> bool {
        self.session.is_due(kind, self.resources(kind).version())
    }

    fn respond(&mut self, kind: ResourceType) -> DiscoveryResponse {
        let resources = Arc::clone(self.resources(kind));
        let version = resources.version().to_owned();
        let nonce = self.session.send(kind, &version);
        self.connection.sent(kind, &version);
        Counters::add(&self.context.status.counters.xds_responses, 1);
        DiscoveryResponse {
            version_info: version,
            resources: resources.select(|name| self.session.wants(kind, name)),
            type_url: kind.url().to_owned(),
            nonce,
            ..DiscoveryResponse::default()
        }
    }

    fn receive(&mut self, request: &DiscoveryRequest) -> Result<(), GrpcStatus> {
        let Some(kind) = ResourceType::from_url(&request.type_url) else {
            tracing::warn!(
                gateway = self.name,
                url = request.type_url,
                "asked for resources of a type there are none of"
            );
            return Ok(());
        };
        let heard = Heard {
            kind,
            names: &request.resource_names,
            version: &request.version_info,
            nonce: &request.response_nonce,
            error: request.error_detail.as_ref().map(|status| shortened(&status.message)),
        };
        match self.session.receive(heard) {
            Meaning::Subscribed { in_use } => self.subscribed(kind, &in_use),
            Meaning::Acknowledged { version } => {
                tracing::debug!(gateway = self.name, kind = kind.name(), version, "taken");
                self.connection.acknowledged(kind, &version);
            }
            Meaning::Rejected { version, error } => {
                tracing::error!(
                    gateway = self.name,
                    kind = kind.name(),
                    version,
                    error,
                    "the gateway refused resources and goes on with the last good ones"
                );
                Counters::add(&self.context.status.counters.xds_rejections, 1);
                self.connection.rejected(kind, &version, &error);
            }
            Meaning::Stale => {}
            Meaning::TooManyNames => return Err(GrpcStatus::invalid_argument("too many resource names")),
        }
        Ok(())
    }

    /// Resources in use come from this adapter's predecessor. The routes of a ready gateway show that it was ready.
    fn subscribed(&self, kind: ResourceType, in_use: &str) {
        if in_use.is_empty() {
            return;
        }
        self.connection.held(kind);
        if kind == ResourceType::Route && in_use == self.context.blueprint.routes(true).version() {
            self.connection.was_ready();
        }
    }
}

/// `node id/instance`, as the filters name themselves.
fn name_of(node: &Node) -> String {
    let instance = node.metadata.as_ref().and_then(|metadata| metadata.fields.get(INSTANCE));
    match instance.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(instance)) => format!("{}/{instance}", node.id),
        _ => format!("{}/", node.id),
    }
}

fn shortened(text: &str) -> &str {
    let end = text.char_indices().map(|(position, _)| position).nth(MAX_ERROR).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}
