//! Istio: the filter in its proxies, and their way to the adapter. Routes and listeners stay istiod's.

mod access;
mod analytics;
mod plugin_kinds;

use serde_json::{Value, json};

use super::{Document, Options, RenderError, Target, plugin};

/// The plugin in the kind that is asked for, and what it needs to reach the adapter.
pub(super) fn documents(options: &Options) -> Result<Vec<Document>, RenderError> {
    let filter = match options.target {
        Target::Istio => plugin_kinds::wasm_plugin(options)?,
        Target::IstioExt => plugin_kinds::traffic_extension(options)?,
        _ => plugin_kinds::envoy_filter(options)?,
    };
    let mut documents = vec![filter];
    documents.extend(options.deployment.analytics.iter().map(|settings| analytics::access_log(options, settings)));
    documents.extend(access::documents(options)?);
    Ok(documents)
}

/// Name of the cluster that istiod makes of the adapter's service.
fn cluster(options: &Options) -> String {
    format!("outbound|{}||{}", options.feed_port(), options.host())
}

/// Name and namespace of objects beside the proxies.
fn beside_proxies(options: &Options, name: &str) -> Value {
    json!({ "name": name, "namespace": options.proxies.namespace })
}

/// What the filter of Istio's kinds is told.
fn configuration(options: &Options) -> tollgate_model::contract::PluginConfig {
    plugin::configuration(options, &cluster(options), Some(options.host()))
}
