//! The world in Envoy's terms. Pure functions: settings, file contents and clusters in, resources out.
//!
//! Must never do I/O, and must never depend on how many APIs there are but in the list of clusters: requests are matched to
//! APIs by the enforcer.

mod access_log;
mod cluster;
mod compressor;
mod extension;
mod format;
mod health;
mod lambda;
mod listener;
mod local_reply;
mod rate_limit;
mod routes;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod wire_log;

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf;
use prost::Name;

use crate::outputs::settings::Gateway;

pub use cluster::cluster;
pub use extension::extension;
pub use listener::listeners;
pub use routes::{OwnKeys, routes};

/// Names and resources of the clusters that a gateway needs for itself, whatever the APIs.
#[must_use]
pub fn own_clusters(gateway: &Gateway, materials: &Materials) -> Vec<(String, protobuf::Any)> {
    gateway.tracing.iter().map(|settings| tracing::collector(settings, gateway, materials)).collect()
}

/// Name of the route configuration.
pub const ROUTES: &str = "default";
/// Cluster of the bootstrap that reaches the adapter's xDS.
const XDS_CLUSTER: &str = "xds_cluster";
/// Cluster of the bootstrap that reaches the adapter's public server.
pub const PUBLIC_CLUSTER: &str = "tollgate_public";
/// Cluster of the bootstrap that reaches the adapter's feed.
pub const FEED_CLUSTER: &str = "tollgate_adapter";

/// Contents of the files a gateway is made of.
#[derive(Clone)]
pub struct Materials {
    /// PEM of the router's certificate.
    pub certificate: Vec<u8>,
    /// PEM of its key.
    pub key: Vec<u8>,
    /// The enforcer module.
    pub module: Vec<u8>,
    /// PEM of the authorities of clients' certificates, if clients are asked for any.
    pub client_authorities: Option<String>,
}

impl std::fmt::Debug for Materials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Materials").field("module_bytes", &self.module.len()).finish_non_exhaustive()
    }
}

fn any<M: Name>(message: &M) -> protobuf::Any {
    protobuf::Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

fn duration(duration: Duration) -> Option<protobuf::Duration> {
    Some(protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    })
}

const fn number(value: u32) -> Option<protobuf::UInt32Value> {
    Some(protobuf::UInt32Value { value })
}

const fn yes() -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value: true })
}

const fn no() -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value: false })
}

fn inline(bytes: &[u8]) -> core::DataSource {
    let specifier = core::data_source::Specifier::InlineBytes(bytes.to_vec());
    core::DataSource { specifier: Some(specifier), ..core::DataSource::default() }
}

fn text_source(text: &str) -> core::DataSource {
    let specifier = core::data_source::Specifier::InlineString(text.to_owned());
    core::DataSource { specifier: Some(specifier), ..core::DataSource::default() }
}

fn address(host: &str, port: u16) -> Option<core::Address> {
    let socket = core::SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(u32::from(port))),
        ..core::SocketAddress::default()
    };
    Some(core::Address { address: Some(core::address::Address::SocketAddress(socket)) })
}

/// Resources that come over the stream we serve. Whoever needs them waits as long as it takes: going on without routes or
/// without the enforcer would be worse.
fn over_ads() -> Option<core::ConfigSource> {
    Some(core::ConfigSource {
        initial_fetch_timeout: duration(Duration::ZERO),
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource::default(),
        )),
        ..core::ConfigSource::default()
    })
}
