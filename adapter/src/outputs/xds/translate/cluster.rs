//! Clusters of backends.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::extensions::clusters::common::dns::v3::DnsLookupFamily;
use envoy_types::pb::envoy::extensions::clusters::dns::v3::DnsCluster;
use envoy_types::pb::envoy::extensions::upstreams::http::v3 as http;
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value};

use super::{Materials, address, any, duration, health, lambda, number, tls};
use crate::model::{CircuitBreakers, Cluster, Endpoint};
use crate::outputs::settings::{Dns, Gateway, Http2};

const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Metadata by which an endpoint finds its transport socket.
const SOCKET_MATCH: &str = "envoy.transport_socket_match";
const SOCKET_KEY: &str = "tls_host";

/// The resource of a cluster.
#[must_use]
pub fn cluster(from: &Cluster, gateway: &Gateway, materials: &Materials) -> Any {
    let mut resource = cluster::Cluster {
        name: from.name.clone(),
        connect_timeout: duration(from.connect_timeout.unwrap_or(gateway.timeouts.connect)),
        cluster_discovery_type: Some(discovery(&from.endpoints, &gateway.dns)),
        lb_policy: cluster::cluster::LbPolicy::RoundRobin.into(),
        load_assignment: Some(assignment(from)),
        transport_socket_matches: sockets(from, gateway, materials),
        circuit_breakers: from.circuit_breakers.map(circuit_breakers),
        typed_extension_protocol_options: HashMap::from([(
            PROTOCOL_OPTIONS.to_owned(),
            any(&protocol(from, &gateway.upstream_http2)),
        )]),
        metadata: from.lambda.as_ref().map(|_| lambda::metadata()),
        ..cluster::Cluster::default()
    };
    // Where there is no other endpoint, a sick one is better than none.
    if from.endpoints.len() > 1 {
        resource.health_checks.push(health::check(&gateway.health_check));
        resource.outlier_detection = gateway.outlier_detection.as_ref().map(health::outlier_detection);
    }
    any(&resource)
}

/// Addresses need no resolver, and a cluster of them is ready at once. Names are resolved to all their addresses, IPv4 first.
fn discovery(endpoints: &[Endpoint], settings: &Dns) -> ClusterDiscoveryType {
    if endpoints.iter().all(|endpoint| tls::ip(&endpoint.host).is_some()) {
        return ClusterDiscoveryType::Type(cluster::cluster::DiscoveryType::Static.into());
    }
    let dns = DnsCluster {
        dns_refresh_rate: duration(settings.refresh),
        respect_dns_ttl: settings.respect_ttl,
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        ..DnsCluster::default()
    };
    ClusterDiscoveryType::ClusterType(cluster::cluster::CustomClusterType {
        name: "envoy.cluster.dns".to_owned(),
        typed_config: Some(any(&dns)),
    })
}

/// One locality a priority, without gaps: Envoy refuses priorities that skip a number.
fn assignment(from: &Cluster) -> endpoint::ClusterLoadAssignment {
    let mut priorities: BTreeMap<u32, Vec<endpoint::LbEndpoint>> = BTreeMap::new();
    for one in &from.endpoints {
        priorities.entry(one.priority).or_default().push(lb_endpoint(one));
    }
    let localities = (0..).zip(priorities.into_values()).map(|(priority, lb_endpoints)| {
        endpoint::LocalityLbEndpoints { priority, lb_endpoints, ..endpoint::LocalityLbEndpoints::default() }
    });
    endpoint::ClusterLoadAssignment {
        cluster_name: from.name.clone(),
        endpoints: localities.collect(),
        ..endpoint::ClusterLoadAssignment::default()
    }
}

fn lb_endpoint(from: &Endpoint) -> endpoint::LbEndpoint {
    let host = from.host.trim_matches(['[', ']']);
    let metadata = from.tls.then(|| core::Metadata {
        filter_metadata: HashMap::from([(SOCKET_MATCH.to_owned(), socket_criteria(&socket_name(from)))]),
        ..core::Metadata::default()
    });
    let named = endpoint::Endpoint {
        address: address(host, from.port),
        hostname: host_header(from),
        ..endpoint::Endpoint::default()
    };
    endpoint::LbEndpoint {
        metadata,
        host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(named)),
        ..endpoint::LbEndpoint::default()
    }
}

/// What `auto_host_rewrite` sends: the authority of the endpoint's URL, without the port its scheme implies.
pub(super) fn host_header(from: &Endpoint) -> String {
    // Over TLS it is the name by which the endpoint is recognised, wherever it was found.
    let (host, port) = if from.tls { from.authority() } else { (from.host.as_str(), from.port) };
    let host = match tls::ip(host) {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    let implied = if from.tls { 443 } else { 80 };
    if port == implied { host } else { format!("{host}:{port}") }
}

/// One TLS context a name; an endpoint without TLS matches none and is spoken to in the clear.
fn sockets(from: &Cluster, gateway: &Gateway, materials: &Materials) -> Vec<cluster::cluster::TransportSocketMatch> {
    let endpoints = from.endpoints.iter().filter(|endpoint| endpoint.tls);
    let named: BTreeMap<String, &Endpoint> = endpoints.map(|endpoint| (socket_name(endpoint), endpoint)).collect();
    named
        .into_iter()
        .map(|(name, endpoint)| cluster::cluster::TransportSocketMatch {
            r#match: Some(socket_criteria(&name)),
            name,
            transport_socket: Some(tls::upstream(endpoint, from.http2, &gateway.upstream_tls, materials)),
        })
        .collect()
}

/// Endpoints of a host share a TLS context, unless they bring certificates, which may differ from port to port, or are members
/// of a mesh, which prove to be their service.
fn socket_name(endpoint: &Endpoint) -> String {
    let (host, port) = endpoint.authority();
    if let Some((_, service)) = endpoint.mesh() {
        return format!("{host} {port} {service}");
    }
    match &endpoint.trusted_ca {
        None => host.to_owned(),
        Some(_) => format!("{host} {port}"),
    }
}

fn socket_criteria(host: &str) -> Struct {
    let host = Value { kind: Some(value::Kind::StringValue(host.to_owned())) };
    Struct { fields: HashMap::from([(SOCKET_KEY.to_owned(), host)]) }
}

fn protocol(from: &Cluster, settings: &Http2) -> http::HttpProtocolOptions {
    use http::http_protocol_options::explicit_http_config::ProtocolConfig;
    let config = if from.http2 {
        ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions {
            hpack_table_size: number(settings.header_table_bytes),
            max_concurrent_streams: number(settings.max_concurrent_streams),
            ..core::Http2ProtocolOptions::default()
        })
    } else {
        ProtocolConfig::HttpProtocolOptions(core::Http1ProtocolOptions::default())
    };
    let explicit = http::http_protocol_options::ExplicitHttpConfig { protocol_config: Some(config) };
    http::HttpProtocolOptions {
        http_filters: from.lambda.iter().flat_map(lambda::filters).collect(),
        upstream_protocol_options: Some(http::http_protocol_options::UpstreamProtocolOptions::ExplicitHttpConfig(
            explicit,
        )),
        ..http::HttpProtocolOptions::default()
    }
}

fn circuit_breakers(from: CircuitBreakers) -> cluster::CircuitBreakers {
    let thresholds = cluster::circuit_breakers::Thresholds {
        max_connections: from.max_connections.and_then(number),
        max_requests: from.max_requests.and_then(number),
        max_pending_requests: from.max_pending_requests.and_then(number),
        max_retries: from.max_retries.and_then(number),
        max_connection_pools: from.max_connection_pools.and_then(number),
        ..cluster::circuit_breakers::Thresholds::default()
    };
    cluster::CircuitBreakers { thresholds: vec![thresholds], ..cluster::CircuitBreakers::default() }
}
