//! What a gateway has logged of a request, as an event. Pure: an entry in, a line out, or nothing where there is nothing to tell.
//!
//! Names, kinds and codes are those of Choreo Connect.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::{Address, address, socket_address};
use envoy_types::pb::envoy::data::accesslog::v3::{AccessLogCommon, HttpAccessLogEntry};
use envoy_types::pb::google::protobuf::{Any, BytesValue, Duration, Timestamp};
use prost::{Message as _, Name as _};
use serde::Serialize;
use tollgate_model::contract::USAGE_STATE;
use tollgate_project::model::{Deployment, DeploymentKey};

use super::connectivity;
use super::usage::{Done, Usage};
use crate::model::World;

/// What is said where nothing is known.
const UNKNOWN: &str = "UNKNOWN";
/// Of a response that a backend has made.
const BY_BACKEND: &str = "via_upstream";
const WEBSOCKET: u32 = 101;

/// What every event has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'e> {
    request_timestamp: String,
    correlation_id: &'e str,
    api_id: &'e str,
    api_name: &'e str,
    api_version: &'e str,
    api_type: &'e str,
    api_creator: &'e str,
    api_creator_tenant_domain: &'e str,
    api_method: &'e str,
    api_resource_template: &'e str,
    application_id: &'e str,
    application_name: &'e str,
    application_owner: &'e str,
    key_type: &'e str,
    region_id: &'e str,
    gateway_type: &'static str,
    proxy_response_code: u32,
    target_response_code: i64,
    event_type: &'static str,
    #[serde(flatten)]
    kind: Kind<'e>,
    properties: BTreeMap<&'e str, &'e str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Kind<'e> {
    Response(Served<'e>),
    Fault(Fault),
}

/// What events of served requests have besides. Latencies are in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Served<'e> {
    destination: String,
    api_context: &'e str,
    user_name: &'e str,
    user_agent: &'e str,
    user_ip: &'e str,
    response_cache_hit: bool,
    response_latency: u64,
    backend_latency: u64,
    request_mediation_latency: u64,
    response_mediation_latency: u64,
}

/// What events of faults have besides.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    error_type: &'static str,
    error_code: i64,
    error_message: &'static str,
}

/// The line for what was logged, if there is anything to tell.
pub(super) fn line(entry: &HttpAccessLogEntry, world: &World) -> Option<String> {
    let common = entry.common_properties.as_ref()?;
    let usage = Usage::read(&record(common)?)?;
    let deployment = deployment(world, &usage);
    let event = event(entry, common, &usage, deployment)?;
    let name = if matches!(event.kind, Kind::Response(_)) { "apim:response" } else { "apim:faulty" };
    let mut line = format!("{} INFO ELKCounterMetric apimMetrics: {name}, properties :", event.request_timestamp);
    // Texts and numbers, and nothing else, which cannot fail.
    let _ = writeln!(line, "{}", serde_json::to_string(&event).ok()?);
    Some(line)
}

/// The enforcer's record. Requests without one never came to an API.
fn record(common: &AccessLogCommon) -> Option<Vec<u8>> {
    let Any { type_url, value } = common.filter_state_objects.get(&format!("wasm.{USAGE_STATE}"))?;
    let bytes = (*type_url == BytesValue::type_url()).then(|| BytesValue::decode(value.as_slice()).ok());
    bytes.flatten().map(|bytes| bytes.value)
}

fn deployment<'w>(world: &'w World, usage: &Usage) -> Option<&'w Arc<Deployment>> {
    let first =
        DeploymentKey { virtual_host: usage.virtual_host.clone(), api_id: usage.api.clone(), variant: String::new() };
    let (key, deployment) = world.deployments.range(&first..).next()?;
    key.is_of_same_api(&first).then_some(deployment)
}

fn event<'e>(
    entry: &'e HttpAccessLogEntry,
    common: &'e AccessLogCommon,
    usage: &'e Usage,
    deployment: Option<&'e Arc<Deployment>>,
) -> Option<Event<'e>> {
    let (request, response) = (entry.request.as_ref()?, entry.response.as_ref()?);
    let status = response.response_code.as_ref().map_or(0, |code| code.value);
    let by_backend = response.response_code_details == BY_BACKEND;
    let kind = match usage.done() {
        // Frames are not told of.
        Done::Forwarded if by_backend && status == WEBSOCKET => return None,
        Done::Forwarded if by_backend => Kind::Response(served(entry, common, deployment, false)),
        Done::Served => Kind::Response(served(entry, common, deployment, true)),
        Done::Forwarded => Kind::Fault(unreached(common, status, &response.response_code_details)?),
        Done::Refused(code) => Kind::Fault(refused(code, status)?),
        Done::Trivial => return None,
    };
    let texts = |text: &'e Option<String>| text.as_deref().filter(|text| !text.is_empty()).unwrap_or(UNKNOWN);
    let faulty = matches!(kind, Kind::Fault(_));
    Some(Event {
        request_timestamp: timestamp(common.start_time.as_ref()),
        correlation_id: known(&request.request_id),
        api_id: known(&usage.api),
        api_name: texts(&usage.api_name),
        api_version: texts(&usage.api_version),
        api_type: deployment.map_or(UNKNOWN, |deployment| &deployment.api_type),
        api_creator: UNKNOWN,
        api_creator_tenant_domain: texts(&usage.organization),
        api_method: texts(&usage.method),
        api_resource_template: texts(&usage.resource),
        application_id: texts(&usage.application),
        application_name: texts(&usage.application_name),
        application_owner: texts(&usage.subscriber),
        key_type: texts(&usage.key_type),
        region_id: UNKNOWN,
        gateway_type: "ENVOY",
        proxy_response_code: status,
        target_response_code: if by_backend { status.into() } else { -1 },
        event_type: if faulty { "fault" } else { "response" },
        kind,
        properties: properties([&request.request_headers, &response.response_headers, &response.response_trailers]),
    })
}

fn served<'e>(
    entry: &'e HttpAccessLogEntry,
    common: &'e AccessLogCommon,
    deployment: Option<&'e Arc<Deployment>>,
    by_gateway: bool,
) -> Served<'e> {
    let total = millis(common.time_to_last_downstream_tx_byte.as_ref());
    let sent = millis(common.time_to_first_upstream_tx_byte.as_ref());
    let received = millis(common.time_to_last_upstream_rx_byte.as_ref());
    let (backend, before, after) =
        if by_gateway { (0, total, 0) } else { (received.saturating_sub(sent), sent, total.saturating_sub(received)) };
    let agent = entry.request.as_ref().map_or("", |request| &request.user_agent);
    Served {
        destination: if by_gateway { "MockImplementation".to_owned() } else { destination(common, deployment) },
        api_context: deployment.map_or(UNKNOWN, |deployment| &deployment.context),
        user_name: UNKNOWN,
        user_agent: known(agent),
        user_ip: address(common.downstream_remote_address.as_ref()).map_or(UNKNOWN, |(host, _)| host),
        response_cache_hit: false,
        response_latency: total,
        backend_latency: backend,
        request_mediation_latency: before,
        response_mediation_latency: after,
    }
}

/// The first endpoint of the API's cluster; where routes are somebody else's, the address that Envoy has chosen.
fn destination(common: &AccessLogCommon, deployment: Option<&Arc<Deployment>>) -> String {
    let clusters = deployment.iter().flat_map(|deployment| &deployment.clusters);
    let endpoint =
        clusters.filter(|cluster| cluster.name == common.upstream_cluster).find_map(|it| it.endpoints.first());
    match (endpoint, address(common.upstream_remote_address.as_ref())) {
        (Some(endpoint), _) => {
            let scheme = if endpoint.tls { "https" } else { "http" };
            format!("{scheme}://{}:{}", endpoint.host, endpoint.port)
        }
        (None, Some((host, port))) => format!("{host}:{port}"),
        (None, None) => UNKNOWN.to_owned(),
    }
}

/// The gateway let the request go, and no backend has answered it.
fn unreached(common: &AccessLogCommon, status: u32, details: &str) -> Option<Fault> {
    // Nobody's fault, or told already.
    if matches!(status, 200 | 204) || details == "route_not_found" {
        return None;
    }
    let code = connectivity::code(common.response_flags.as_ref());
    Some(Fault {
        error_type: "TARGET_CONNECTIVITY",
        error_code: code.into(),
        error_message: connectivity::message(code),
    })
}

/// The gateway has refused the request. What there is not is no use of an API.
fn refused(code: u32, status: u32) -> Option<Fault> {
    let (error_type, error_message) = match code {
        404 => return None,
        900_800 => ("THROTTLED", "API_LEVEL_LIMIT_EXCEEDED"),
        900_801 => ("THROTTLED", "HARD_LIMIT_EXCEEDED"),
        900_802 => ("THROTTLED", "RESOURCE_LEVEL_LIMIT_EXCEEDED"),
        900_803 => ("THROTTLED", "APPLICATION_LEVEL_LIMIT_EXCEEDED"),
        900_804 => ("THROTTLED", "SUBSCRIPTION_LIMIT_EXCEEDED"),
        900_805 => ("THROTTLED", "BLOCKED"),
        900_806 => ("THROTTLED", "CUSTOM_POLICY_LIMIT_EXCEEDED"),
        _ if status == 429 => ("THROTTLED", "OTHER"),
        900_900..=900_904 => ("AUTH", "AUTHENTICATION_FAILURE"),
        900_905 | 900_910 | 901_101 => ("AUTH", "AUTHORIZATION_FAILURE"),
        700_700 | 900_907..=900_909 => ("AUTH", "SUBSCRIPTION_VALIDATION_FAILURE"),
        _ if matches!(status, 401 | 403) => ("AUTH", "OTHER"),
        _ => ("OTHER", "UNCLASSIFIED"),
    };
    Some(Fault { error_type, error_code: code.into(), error_message })
}

fn properties(headers: [&HashMap<String, String>; 3]) -> BTreeMap<&str, &str> {
    headers.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn known(text: &str) -> &str {
    if text.is_empty() { UNKNOWN } else { text }
}

fn address(address: Option<&Address>) -> Option<(&str, u32)> {
    let Some(address::Address::SocketAddress(socket)) = &address?.address else { return None };
    let port = match socket.port_specifier {
        Some(socket_address::PortSpecifier::PortValue(port)) => port,
        _ => 0,
    };
    Some((&socket.address, port))
}

fn millis(duration: Option<&Duration>) -> u64 {
    let Some(Duration { seconds, nanos }) = duration else { return 0 };
    let (seconds, nanos) = (u64::try_from(*seconds).unwrap_or_default(), u64::try_from(*nanos).unwrap_or_default());
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

/// In UTC, as RFC 3339 writes it, with milliseconds.
fn timestamp(time: Option<&Timestamp>) -> String {
    let found = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok()).unwrap_or_default();
    format!("{found:.3}")
}

#[cfg(test)]
mod tests;
