//! The two protocols of the aggregated stream, as one: state of the world, where a response holds everything, and the
//! incremental one, where it holds what changed.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource as Wire,
};
use envoy_types::pb::google::rpc;

use super::delta::{DeltaRequest, DeltaSession};
use super::session::{Meaning, Request, Session};
use super::{ResourceType, Resources};

/// How a gateway and the adapter talk.
pub(super) trait Dialect: Default + Send + 'static {
    /// What the gateway says.
    type Request: Send + 'static;
    /// What it is told.
    type Response: Send + 'static;

    /// Who it is.
    fn node(request: &Self::Request) -> Option<&Node>;
    /// Which type it speaks of.
    fn type_url(request: &Self::Request) -> &str;
    /// Whether it comes without anything of an earlier stream.
    fn is_fresh(first: &Self::Request) -> bool;
    /// Takes a request.
    fn receive(&mut self, kind: ResourceType, request: &Self::Request) -> Meaning;
    /// Whether there may be something to say of the type.
    fn is_due(&self, kind: ResourceType, resources: &Resources) -> bool;
    /// Says it, if there is.
    fn respond(&mut self, kind: ResourceType, resources: &Resources) -> Option<Self::Response>;
}

/// State of the world.
#[derive(Debug, Default)]
pub(super) struct WholeState(Session);

impl Dialect for WholeState {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn type_url(request: &DiscoveryRequest) -> &str {
        &request.type_url
    }

    fn is_fresh(first: &DiscoveryRequest) -> bool {
        first.version_info.is_empty()
    }

    fn receive(&mut self, kind: ResourceType, request: &DiscoveryRequest) -> Meaning {
        self.0.receive(Request {
            kind,
            names: &request.resource_names,
            version: &request.version_info,
            nonce: &request.response_nonce,
            error: text(request.error_detail.as_ref()),
        })
    }

    /// Clusters wait for the answer to the last ones: it may say which to leave out.
    fn is_due(&self, kind: ResourceType, resources: &Resources) -> bool {
        let waits = kind == ResourceType::Cluster && !self.0.is_answered(kind);
        !waits && self.0.is_due(kind, resources.version())
    }

    fn respond(&mut self, kind: ResourceType, resources: &Resources) -> Option<DiscoveryResponse> {
        let nonce = self.0.send(kind, resources.version());
        let wanted = resources.iter().filter(|resource| self.0.wants(kind, resource.name()));
        Some(DiscoveryResponse {
            version_info: resources.version().to_owned(),
            resources: wanted.map(|resource| resource.body().clone()).collect(),
            type_url: kind.url().to_owned(),
            nonce,
            ..DiscoveryResponse::default()
        })
    }
}

/// Only what changed.
#[derive(Debug, Default)]
pub(super) struct Incremental(DeltaSession);

impl Dialect for Incremental {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn type_url(request: &DeltaDiscoveryRequest) -> &str {
        &request.type_url
    }

    fn is_fresh(first: &DeltaDiscoveryRequest) -> bool {
        first.initial_resource_versions.is_empty()
    }

    fn receive(&mut self, kind: ResourceType, request: &DeltaDiscoveryRequest) -> Meaning {
        let versions = request.initial_resource_versions.iter();
        let initial: Vec<(&str, &str)> = versions.map(|(name, version)| (name.as_str(), version.as_str())).collect();
        self.0.receive(DeltaRequest {
            kind,
            subscribe: &request.resource_names_subscribe,
            unsubscribe: &request.resource_names_unsubscribe,
            initial: &initial,
            nonce: &request.response_nonce,
            error: text(request.error_detail.as_ref()),
        })
    }

    fn is_due(&self, kind: ResourceType, resources: &Resources) -> bool {
        self.0.is_due(kind, resources)
    }

    fn respond(&mut self, kind: ResourceType, resources: &Resources) -> Option<DeltaDiscoveryResponse> {
        let change = self.0.send(kind, resources)?;
        let changed = change.resources.iter().map(|resource| Wire {
            name: resource.name().to_owned(),
            version: resource.version().to_owned(),
            resource: Some(resource.body().clone()),
            ..Wire::default()
        });
        Some(DeltaDiscoveryResponse {
            system_version_info: resources.version().to_owned(),
            resources: changed.collect(),
            type_url: kind.url().to_owned(),
            removed_resources: change.removed,
            nonce: change.nonce,
            ..DeltaDiscoveryResponse::default()
        })
    }
}

fn text(error: Option<&rpc::Status>) -> Option<&str> {
    error.map(|status| status.message.as_str())
}
