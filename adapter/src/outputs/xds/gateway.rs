//! One gateway on its stream: what it is to have now, and what its requests mean for the adapter.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::value::Kind;
use tokio::sync::watch;
use tollgate_model::Callbacks;
use tonic::Status as GrpcStatus;

use super::dialect::Dialect;
use super::isolation::Isolation;
use super::session::Meaning;
use super::{Offers, ResourceType, Resources, XdsContext};
use crate::admin::Counters;
use crate::outputs::nodes::{Connection, RefusedCluster};

/// Most characters of a gateway's name.
const MAX_NAME: usize = 512;
/// Most characters of Envoy's error text that are kept.
const MAX_ERROR: usize = 4096;
const INSTANCE: &str = "instanceIdentifier";

/// A gateway, whatever the dialect it speaks.
pub(super) struct GatewayStream<D> {
    context: XdsContext,
    name: String,
    environment: String,
    dialect: D,
    connection: Connection,
    /// Says when the gateway becomes ready.
    pub(super) ready: watch::Receiver<bool>,
    /// All clusters of the environment.
    published: Arc<Resources>,
    /// Those of them that the gateway is to have.
    clusters: Arc<Resources>,
    /// Says when other listeners are to be had.
    pub(super) new_listeners: watch::Receiver<Arc<Resources>>,
    listeners: Arc<Resources>,
    isolation: Isolation,
    sent: Option<SentClusters>,
    extension: Arc<Resources>,
}

/// Clusters whose answer is awaited.
struct SentClusters {
    /// Version of the published ones they were chosen from.
    published: String,
    clusters: Arc<Resources>,
}

impl<D: Dialect> GatewayStream<D> {
    pub(super) fn open(context: &XdsContext, first: &D::Request) -> Result<Self, GrpcStatus> {
        let node = D::node(first).ok_or_else(|| GrpcStatus::invalid_argument("the first request has no node"))?;
        let (environment, name) = (node.id.clone(), name_of(node));
        if environment.is_empty() || name.len() > MAX_NAME {
            return Err(GrpcStatus::invalid_argument(format!("node.id is empty or longer than {MAX_NAME} characters")));
        }
        let extension = context
            .blueprint
            .extension(&environment, Callbacks::NONE)
            .map_err(|error| GrpcStatus::internal(format!("cannot configure the enforcer: {error}")))?;
        let connection = context.status.nodes().connect(&name, &environment, D::is_fresh(first));
        tracing::info!(gateway = name, environment, "a gateway connected");
        let none = Arc::new(Resources::new(Vec::new()));
        let stream = Self {
            context: context.clone(),
            name,
            dialect: D::default(),
            ready: connection.ready(),
            connection,
            listeners: Arc::clone(&none),
            new_listeners: context.blueprint.listeners.subscribe(),
            published: Arc::clone(&none),
            clusters: none,
            isolation: Isolation::default(),
            sent: None,
            extension,
            environment,
        };
        if !context.offers.borrow().contains_key(&stream.environment) {
            tracing::warn!(
                gateway = stream.name,
                environment = stream.environment,
                "the environment is not configured, so the gateway gets no APIs (fix: add it to adapter.vhostMapping, or \
                 start the gateway with a configured ROUTER_LABEL)"
            );
        }
        Ok(stream)
    }

    /// Takes over what is newest.
    pub(super) fn look(&mut self, all: &Offers) {
        self.listeners = Arc::clone(&self.new_listeners.borrow_and_update());
        match all.get(&self.environment) {
            Some(offer) => {
                self.published = Arc::clone(&offer.clusters);
                self.extension = Arc::clone(&offer.extension);
                self.connection.known_environment();
            }
            None => {
                self.published = Arc::new(Resources::new(self.context.blueprint.own_clusters().to_vec()));
                self.connection.unknown_environment();
            }
        }
        let before = self.isolation.refused().len();
        self.clusters = self.isolation.view(&self.published);
        if self.isolation.refused().len() != before {
            self.show_refused();
        }
    }

    fn resources(&self, kind: ResourceType) -> &Arc<Resources> {
        match kind {
            ResourceType::Cluster => &self.clusters,
            ResourceType::Listener => &self.listeners,
            ResourceType::Route => self.context.blueprint.routes(*self.ready.borrow()),
            ResourceType::Extension => &self.extension,
        }
    }

    pub(super) fn is_due(&self, kind: ResourceType) -> bool {
        self.dialect.is_due(kind, self.resources(kind))
    }

    pub(super) fn respond(&mut self, kind: ResourceType) -> Option<D::Response> {
        let resources = Arc::clone(self.resources(kind));
        let response = self.dialect.respond(kind, &resources)?;
        if kind == ResourceType::Cluster {
            let published = self.published.version().to_owned();
            self.connection.sent(kind, &published);
            self.sent = Some(SentClusters { published, clusters: resources });
        } else {
            self.connection.sent(kind, resources.version());
        }
        Counters::add(&self.context.status.counters.xds_responses, 1);
        Some(response)
    }

    pub(super) fn receive(&mut self, request: &D::Request) -> Result<(), GrpcStatus> {
        let url = D::type_url(request);
        let Some(kind) = ResourceType::from_url(url) else {
            tracing::warn!(gateway = self.name, url, "asked for resources of a type there are none of");
            return Ok(());
        };
        match self.dialect.receive(kind, request) {
            Meaning::Subscribed { in_use } => self.subscribed(kind, &in_use),
            Meaning::Acknowledged { version } => self.acknowledged(kind, &version),
            Meaning::Rejected { version, error } => self.rejected(kind, &version, &error),
            Meaning::Stale => {}
            Meaning::TooManyNames => return Err(GrpcStatus::invalid_argument("too many resource names")),
        }
        Ok(())
    }

    /// Resources in use come from this adapter's predecessor. The routes of a ready gateway show that it was ready.
    fn subscribed(&self, kind: ResourceType, in_use: &[String]) {
        if in_use.is_empty() {
            return;
        }
        self.connection.held(kind);
        let routes = self.context.blueprint.routes(true);
        let is_ready = |version: &String| {
            version == routes.version() || routes.iter().any(|resource| resource.version() == version)
        };
        if kind == ResourceType::Route && in_use.iter().any(is_ready) {
            self.connection.was_ready();
        }
    }

    fn acknowledged(&mut self, kind: ResourceType, version: &str) {
        tracing::debug!(gateway = self.name, kind = kind.name(), version, "taken");
        let Some(sent) = self.sent.take_if(|_| kind == ResourceType::Cluster) else {
            return self.connection.acknowledged(kind, version);
        };
        self.isolation.accepted(&sent.clusters);
        if !self.isolation.is_searching() {
            self.connection.acknowledged(kind, &sent.published);
        }
    }

    fn rejected(&mut self, kind: ResourceType, version: &str, error: &str) {
        let shown = shortened(error);
        tracing::error!(
            gateway = self.name,
            kind = kind.name(),
            version,
            error = shown,
            "the gateway refused resources and goes on with the last good ones"
        );
        Counters::add(&self.context.status.counters.xds_rejections, 1);
        let Some(sent) = self.sent.take_if(|_| kind == ResourceType::Cluster) else {
            return self.connection.rejected(kind, version, shown);
        };
        self.connection.rejected(kind, &sent.published, shown);
        for name in self.isolation.rejected(&sent.clusters, error) {
            let refusal = self.isolation.refused().get(&name);
            tracing::error!(
                gateway = self.name,
                cluster = name,
                api = refusal.and_then(|refusal| refusal.owner.as_deref()),
                reason = refusal.map(|refusal| refusal.reason.as_str()),
                "a cluster is left out because the gateway refuses it"
            );
        }
        self.show_refused();
    }

    /// Each refused cluster is shown with its API.
    fn show_refused(&self) {
        let refused = self.isolation.refused().iter().map(|(name, refusal)| {
            let shown = RefusedCluster { api: refusal.owner.clone(), error: refusal.reason.clone() };
            (name.clone(), shown)
        });
        self.connection.refused_clusters(refused.collect());
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
