//! The three kinds of objects that put a filter into a proxy. Only one of them may be used for a proxy: each judges every
//! request.

use serde_json::{Map, Value, json};

use super::{beside_proxies, configuration};
use crate::render::{Delivery, Document, Options, RenderError, plugin};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/// What the proxy's agent puts in the filter's place when the module cannot be had: everything is denied.
const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const EXTENSIONS: &str = "extensions.istio.io/v1alpha1";

/// `WasmPlugin`.
pub(super) fn wasm_plugin(options: &Options) -> Result<Document, RenderError> {
    let mut spec = placement(options);
    spec.extend(wasm(options)?);
    Ok(Document::new(
        "The filter in Istio's proxies. Versions of Istio without FAIL_RELOAD take FAIL_CLOSE, their default; never use FAIL_OPEN.",
        json!({
            "apiVersion": EXTENSIONS,
            "kind": "WasmPlugin",
            "metadata": beside_proxies(options, &name(options)),
            "spec": spec,
        }),
    ))
}

/// `TrafficExtension`.
pub(super) fn traffic_extension(options: &Options) -> Result<Document, RenderError> {
    let mut spec = placement(options);
    spec.insert("wasm".to_owned(), Value::Object(wasm(options)?));
    Ok(Document::new(
        "The filter in the proxies of Istio 1.30 and newer. An istiod that reads files instead of Kubernetes knows only this kind.",
        json!({
            "apiVersion": EXTENSIONS,
            "kind": "TrafficExtension",
            "metadata": beside_proxies(options, &name(options)),
            "spec": spec,
        }),
    ))
}

/// Which proxies, and where in their chain.
fn placement(options: &Options) -> Map<String, Value> {
    let (phase, priority) = phase(&options.source.name);
    let mut spec = Map::from_iter([("selector".to_owned(), json!({ "matchLabels": options.proxies.labels }))]);
    if let Some(phase) = phase {
        spec.insert("phase".to_owned(), phase.into());
    }
    spec.insert("priority".to_owned(), priority.into());
    if options.proxies.inbound {
        spec.insert("match".to_owned(), json!([{ "mode": "SERVER" }]));
    }
    spec
}

/// The module, and what it is told.
fn wasm(options: &Options) -> Result<Map<String, Value>, RenderError> {
    let location = plugin::location(options)?;
    let mut wasm = Map::from_iter([("url".to_owned(), location.url.into())]);
    if let Some(sha256) = location.sha256 {
        wasm.insert("sha256".to_owned(), sha256.into());
    }
    wasm.insert("pluginName".to_owned(), options.source.name.clone().into());
    wasm.insert("failStrategy".to_owned(), "FAIL_RELOAD".into());
    wasm.insert("pluginConfig".to_owned(), serde_json::to_value(configuration(options))?);
    Ok(wasm)
}

/// Phase of a module, and its priority there: the higher goes first. docs/mesh.md says the order.
fn phase(module: &str) -> (Option<&'static str>, i32) {
    match module {
        "authorize" => (Some("AUTHZ"), 20),
        "ratelimit" => (Some("AUTHZ"), 10),
        "observe" => (Some("STATS"), 10),
        "mediate" => (None, 10),
        _ => (Some("AUTHN"), 10),
    }
}

/// `EnvoyFilter`: the extension's configuration as Envoy knows it, and the place in the chain that discovers it. The proxy's
/// agent fetches the module for it as for the other kinds.
pub(super) fn envoy_filter(options: &Options) -> Result<Document, RenderError> {
    let context = if options.proxies.inbound { "SIDECAR_INBOUND" } else { "GATEWAY" };
    let filter = format!("tollgate.{}", options.source.name);
    let plugin = plugin::envoy_before_1_40(options, &filter, &configuration(options), code(options)?)?;
    let http_filter = json!({
        "name": filter,
        "config_discovery": {
            "config_source": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
            "type_urls": [WASM, RBAC],
        },
    });
    let (mut place, operation) = (json!({ "name": "envoy.filters.network.http_connection_manager" }), insert(options));
    if let (Some(place), "INSERT_BEFORE") = (place.as_object_mut(), operation) {
        place.insert("subFilter".to_owned(), json!({ "name": "envoy.filters.http.router" }));
    }
    let patches = json!([
        {
            "applyTo": "EXTENSION_CONFIG",
            "match": { "context": context },
            "patch": {
                "operation": "ADD",
                "value": { "name": filter, "typed_config": { "@type": WASM, "config": plugin } },
            },
        },
        {
            "applyTo": "HTTP_FILTER",
            "match": { "context": context, "listener": { "filterChain": { "filter": place } } },
            "patch": { "operation": operation, "value": http_filter },
        },
    ]);
    Ok(Document::new(
        "The filter with all that Envoy can be told of it: the list of capabilities spares calls into the module, and \
         allow_on_headers_stop_iteration lets it see bodies before headers go on. Needs Envoy's names and fields, so look at it \
         again with every new Istio.",
        json!({
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": beside_proxies(options, &name(options)),
            "spec": { "workloadSelector": { "labels": options.proxies.labels }, "configPatches": patches },
        }),
    ))
}

fn insert(options: &Options) -> &'static str {
    if phase(&options.source.name).0 == Some("AUTHN") { "INSERT_FIRST" } else { "INSERT_BEFORE" }
}

fn code(options: &Options) -> Result<Value, RenderError> {
    if options.source.delivery == Delivery::File {
        return Ok(json!({ "local": { "filename": options.source.file } }));
    }
    let location = plugin::location(options)?;
    // The cluster is never used: the agent fetches the module and puts a file in its place.
    Ok(json!({
        "remote": {
            "http_uri": { "uri": location.url, "cluster": "fetched-by-the-agent", "timeout": "30s" },
            "sha256": location.sha256,
        },
    }))
}

fn name(options: &Options) -> String {
    format!("tollgate-{}", options.source.name)
}
