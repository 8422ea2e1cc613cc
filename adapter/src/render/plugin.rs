//! The plugin itself: what every kind of manifest says of it.

use serde_json::{Map, Value, json};
use tollgate_model::contract::{CAPABILITIES, PluginConfig, VM_ID};

use super::{Delivery, Options, RenderError};
use crate::delivery::Image;

const RESTRICTION: &str = "capability_restriction_config";

/// Where a module is fetched from, and the hash that it must have there.
pub(super) struct Location {
    /// `oci://`, `http://` or `file://`.
    pub url: String,
    /// Hexadecimal digits. Of an image it is its manifest's; none for a file, which proxies do not check.
    pub sha256: Option<String>,
}

/// Configuration of the plugin, for a proxy that knows the adapter's feed as `cluster`.
pub(super) fn configuration(options: &Options, cluster: &str, authority: Option<String>) -> PluginConfig {
    PluginConfig {
        cluster: cluster.to_owned(),
        authority,
        environment: options.environment.clone(),
        managed: false,
        own_routes: false,
        callbacks: options.callbacks,
    }
}

/// Where proxies of Istio fetch the module.
pub(super) fn location(options: &Options) -> Result<Location, RenderError> {
    let source = &options.source;
    let known = |own: Option<String>| {
        source.sha256.clone().or(own).ok_or_else(|| {
            RenderError::options(
                "the module's hash is not known",
                "build the module with `./just wasm` and name it by --wasm, or give --sha256",
            )
        })
    };
    let own = source.module.as_ref().map(|module| module.sha256.clone());
    match source.delivery {
        Delivery::Oci => {
            let image = source.module.as_ref().map(|module| Image::of(module, source.format)).transpose()?;
            let url = format!("oci://{}/{}:{}", source.repository, source.name, source.tag);
            Ok(Location { url, sha256: Some(known(image.map(|image| image.sha256().to_owned()))?) })
        }
        Delivery::Http => {
            let (host, port) = (options.host(), options.deployment.listen.filters.map_or(0, |address| address.port()));
            // Its path is its own hash, whatever the hash is that the proxy is told to expect.
            let sha256 = known(own.clone())?;
            let path = own.unwrap_or_else(|| sha256.clone());
            Ok(Location { url: format!("http://{host}:{port}/filters/{path}.wasm"), sha256: Some(sha256) })
        }
        Delivery::File => Ok(Location { url: format!("file://{}", source.file), sha256: None }),
    }
}

/// Envoy's `PluginConfig`: the plugin with all that Istio's kinds have no field for.
pub(super) fn envoy(
    options: &Options,
    name: &str,
    configuration: &PluginConfig,
    code: Value,
) -> Result<Value, RenderError> {
    let mut plugin = without_capabilities(options, name, configuration, code)?;
    if let Some(vm) = plugin.get_mut("vm_config").and_then(Value::as_object_mut) {
        vm.insert(RESTRICTION.to_owned(), capabilities(options));
    }
    Ok(plugin)
}

/// The same in the form of Envoy before 1.40, which is the only one that proxies of Istio up to 1.31 know. Envoy 1.40 still
/// takes it.
pub(super) fn envoy_before_1_40(
    options: &Options,
    name: &str,
    configuration: &PluginConfig,
    code: Value,
) -> Result<Value, RenderError> {
    let mut plugin = without_capabilities(options, name, configuration, code)?;
    if let Some(members) = plugin.as_object_mut() {
        members.insert(RESTRICTION.to_owned(), capabilities(options));
    }
    Ok(plugin)
}

/// All that the module uses of Envoy; callbacks that are not listed are never made.
fn capabilities(options: &Options) -> Value {
    let allowed = CAPABILITIES.into_iter().chain(options.callbacks.capabilities());
    let allowed: Map<String, Value> = allowed.map(|name| (name.to_owned(), json!({}))).collect();
    json!({ "allowed_capabilities": allowed })
}

fn text(value: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": value })
}

fn without_capabilities(
    options: &Options,
    name: &str,
    configuration: &PluginConfig,
    code: Value,
) -> Result<Value, RenderError> {
    let mut plugin = json!({
        "name": name,
        "root_id": options.source.name,
        "failure_policy": "FAIL_RELOAD",
        "configuration": text(&serde_json::to_string(configuration)?),
        "vm_config": {
            "vm_id": VM_ID,
            "runtime": "envoy.wasm.runtime.v8",
            "code": code,
        },
    });
    // Envoy tells VMs of modules that it fetches apart by this alone: it does not have their code yet. Without it one module could
    // stand in the place of another, or an old one in that of a new one.
    let fetched = plugin.pointer("/vm_config/code/remote/sha256").and_then(Value::as_str).map(text);
    if let (Some(own), Some(vm)) = (fetched, plugin.get_mut("vm_config").and_then(Value::as_object_mut)) {
        vm.insert("configuration".to_owned(), own);
    }
    if let (true, Some(members)) = (options.callbacks.hold_headers(), plugin.as_object_mut()) {
        members.insert("allow_on_headers_stop_iteration".to_owned(), true.into());
    }
    Ok(plugin)
}
