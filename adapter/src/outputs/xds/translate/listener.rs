//! The listeners: one connection manager for HTTP and HTTPS, with the enforcer in front of the router.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use tollgate_model::contract::ENFORCER_FILTER;

use super::access_log::{access_log, remote_log};
use super::compressor::compressor;
use super::format::WithLocalReplies;
use super::local_reply::local_replies;
use super::rate_limit::rate_limiter;
use super::tracing::tracing;
use super::wire_log::wire_log;
use super::{Materials, ROUTES, address, any, duration, number, over_ads, tls, yes};
use crate::outputs::settings::{Codec, Gateway, ListenerAddress};

const HTTP: &str = "HTTPListener";
const HTTPS: &str = "HTTPSListener";
const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// Names and resources of the listeners that are switched on.
#[must_use]
pub fn listeners(gateway: &Gateway, materials: &Materials) -> Vec<(String, Any)> {
    let manager = manager(gateway);
    let http = gateway.http.iter().map(|at| (HTTP, at, None));
    let https = gateway.https.iter().map(|at| (HTTPS, at, Some(tls::downstream(&gateway.downstream_tls, materials))));
    http.chain(https)
        .map(|(name, at, socket)| (name.to_owned(), any(&one(name, at, socket, manager.clone(), gateway))))
        .collect()
}

fn one(
    name: &str,
    at: &ListenerAddress,
    socket: Option<core::TransportSocket>,
    manager: Any,
    gateway: &Gateway,
) -> listener::Listener {
    let filter = listener::Filter {
        name: MANAGER.to_owned(),
        config_type: Some(listener::filter::ConfigType::TypedConfig(manager)),
    };
    let chain =
        listener::FilterChain { filters: vec![filter], transport_socket: socket, ..listener::FilterChain::default() };
    listener::Listener {
        name: name.to_owned(),
        address: address(&at.host, at.port),
        filter_chains: vec![chain],
        per_connection_buffer_limit_bytes: number(gateway.connection_buffer_bytes),
        ..listener::Listener::default()
    }
}

fn manager(gateway: &Gateway) -> Any {
    let mut manager = any(&connection_manager(gateway));
    let replies = WithLocalReplies { local_reply_config: Some(local_replies(gateway.soap_faults)) };
    manager.value.extend(replies.encode_to_vec());
    manager
}

/// Paths are normalised as far as Envoy can without guessing; what stays ambiguous (`%2F`) the enforcer refuses.
fn connection_manager(gateway: &Gateway) -> hcm::HttpConnectionManager {
    let timeouts = &gateway.timeouts;
    let codec = match gateway.codec {
        Codec::Auto => hcm::http_connection_manager::CodecType::Auto,
        Codec::Http1 => hcm::http_connection_manager::CodecType::Http1,
        Codec::Http2 => hcm::http_connection_manager::CodecType::Http2,
    };
    // What it shows is what the enforcer has let through, without the credentials it takes away.
    let wire_log = gateway.wire_log.iter().map(wire_log);
    let compression = gateway.compression.iter().map(compressor);
    let between = wire_log.chain(compression);
    let http_filters = std::iter::once(enforcer()).chain(between).chain([rate_limiter(), router()]).collect();
    let escaped_slashes = hcm::http_connection_manager::PathWithEscapedSlashesAction::KeepUnchanged;
    hcm::HttpConnectionManager {
        stat_prefix: "ingress_http".to_owned(),
        codec_type: codec.into(),
        http_filters,
        route_specifier: Some(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
            config_source: over_ads(),
            route_config_name: ROUTES.to_owned(),
        })),
        common_http_protocol_options: Some(core::HttpProtocolOptions {
            idle_timeout: duration(timeouts.connection_idle),
            ..core::HttpProtocolOptions::default()
        }),
        // A WebSocket is opened by extended CONNECT there (RFC 8441).
        http2_protocol_options: Some(core::Http2ProtocolOptions {
            allow_connect: true,
            ..core::Http2ProtocolOptions::default()
        }),
        stream_idle_timeout: duration(timeouts.stream_idle),
        request_timeout: duration(timeouts.request),
        request_headers_timeout: duration(timeouts.request_headers),
        use_remote_address: Some(envoy_types::pb::google::protobuf::BoolValue { value: gateway.use_remote_address }),
        normalize_path: yes(),
        merge_slashes: true,
        path_with_escaped_slashes_action: escaped_slashes.into(),
        tracing: gateway.tracing.as_ref().map(tracing),
        // What a client says of certificates is worth nothing; the enforcer reads the connection.
        forward_client_cert_details: hcm::http_connection_manager::ForwardClientCertDetails::Sanitize.into(),
        strip_port_mode: None,
        strip_matching_host_port: true,
        access_log: gateway.access_log.iter().map(access_log).chain(gateway.analytics.iter().map(remote_log)).collect(),
        ..hcm::HttpConnectionManager::default()
    }
}

fn enforcer() -> hcm::HttpFilter {
    let discovery = core::ExtensionConfigSource {
        config_source: over_ads(),
        type_urls: vec![Wasm::type_url()],
        ..core::ExtensionConfigSource::default()
    };
    hcm::HttpFilter {
        name: ENFORCER_FILTER.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::ConfigDiscovery(discovery)),
        ..hcm::HttpFilter::default()
    }
}

fn router() -> hcm::HttpFilter {
    let router = Router { suppress_envoy_headers: true, ..Router::default() };
    hcm::HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&router))),
        ..hcm::HttpFilter::default()
    }
}
