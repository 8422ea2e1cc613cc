//! What Istio's proxies log to the adapter, for events about requests.

use serde_json::{Value, json};

use super::beside_proxies;
use crate::outputs::settings::Analytics;
use crate::render::{Document, Link, Options};

const MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const LOGGER: &str = "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig";

/// Istio's own kinds can send logs to such a service, but not with the record that the enforcer leaves.
pub(super) fn access_log(options: &Options, settings: &Analytics) -> Document {
    let context = if options.proxies.inbound { "SIDECAR_INBOUND" } else { "GATEWAY" };
    let manager = json!({ "name": "envoy.filters.network.http_connection_manager" });
    let log = json!({ "name": "envoy.access_loggers.http_grpc", "typed_config": logger(options, settings) });
    let patch = json!({
        "applyTo": "NETWORK_FILTER",
        "match": { "context": context, "listener": { "filterChain": { "filter": manager } } },
        "patch": { "operation": "MERGE", "value": { "typed_config": { "@type": MANAGER, "access_log": [log] } } },
    });
    Document::new(
        "Beside their own access logs, the proxies tell the adapter what has become of each request, with the record that the          enforcer has left of it.",
        json!({
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": beside_proxies(options, "tollgate-analytics"),
            "spec": { "workloadSelector": { "labels": options.proxies.labels }, "configPatches": [patch] },
        }),
    )
}

fn logger(options: &Options, settings: &Analytics) -> Value {
    let cluster = format!("outbound|{}||{}", port(options), options.host());
    let mut logger = json!({
        "@type": LOGGER,
        "common_config": {
            "log_name": "mgw_access_logs",
            "transport_api_version": "V3",
            "grpc_service": { "envoy_grpc": { "cluster_name": cluster, "authority": options.host() } },
            "buffer_flush_interval": format!("{}s", settings.flush.as_secs_f64()),
            "buffer_size_bytes": settings.buffer_bytes,
            "filter_state_objects_to_log": ["wasm.tollgate"],
        },
    });
    for (name, headers) in [
        ("additional_request_headers_to_log", &settings.request_headers),
        ("additional_response_headers_to_log", &settings.response_headers),
        ("additional_response_trailers_to_log", &settings.response_trailers),
    ] {
        if let (false, Some(members)) = (headers.is_empty(), logger.as_object_mut()) {
            members.insert(name.to_owned(), json!(headers));
        }
    }
    logger
}

/// Port of the adapter's service that takes logs: that of xDS, or the one for the adapter's sidecar.
pub(super) fn port(options: &Options) -> u16 {
    match options.link {
        Link::Tls => options.deployment.listen.xds.port(),
        Link::Mesh => options.feed_port(),
    }
}
