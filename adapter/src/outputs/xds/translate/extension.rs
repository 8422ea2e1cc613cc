//! The enforcer filter's configuration, discovered by the listeners.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3 as wasm;
use envoy_types::pb::google::protobuf::{Any, StringValue};
use tollgate_model::Callbacks;
use tollgate_model::contract::{CAPABILITIES, ENFORCER_FILTER, PluginConfig, VM_ID};

use super::{FEED_CLUSTER, Materials, any, inline, yes};

const ROOT: &str = "enforcer";
const RUNTIME: &str = "envoy.wasm.runtime.v8";

/// Name and resource of the enforcer for gateways of an environment, called for what its APIs need.
///
/// # Errors
/// When the configuration cannot be written as JSON.
pub fn extension(
    environment: &str,
    callbacks: Callbacks,
    materials: &Materials,
) -> Result<(String, Any), serde_json::Error> {
    let configuration = serde_json::to_string(&PluginConfig {
        cluster: FEED_CLUSTER.to_owned(),
        authority: None,
        environment: environment.to_owned(),
        managed: true,
        callbacks,
        own_routes: true,
    })?;
    let plugin = wasm::PluginConfig {
        name: ENFORCER_FILTER.to_owned(),
        root_id: ROOT.to_owned(),
        // A string, not a Struct: filters would get the latter as raw protobuf.
        configuration: Some(any(&StringValue { value: configuration })),
        failure_policy: wasm::FailurePolicy::FailReload.into(),
        vm: Some(wasm::plugin_config::Vm::VmConfig(vm(callbacks, materials))),
        // Without it Envoy hands out no body while headers wait; with it, it does so for every request.
        allow_on_headers_stop_iteration: callbacks.hold_headers().then(yes).flatten(),
        ..wasm::PluginConfig::default()
    };
    let filter = Wasm { config: Some(plugin) };
    let resource = core::TypedExtensionConfig { name: ENFORCER_FILTER.to_owned(), typed_config: Some(any(&filter)) };
    Ok((ENFORCER_FILTER.to_owned(), any(&resource)))
}

fn vm(callbacks: Callbacks, materials: &Materials) -> wasm::VmConfig {
    let code = core::async_data_source::Specifier::Local(inline(&materials.module));
    let allowed = CAPABILITIES.into_iter().chain(callbacks.capabilities());
    let allowed = allowed.map(|name| (name.to_owned(), wasm::SanitizationConfig::default()));
    wasm::VmConfig {
        vm_id: VM_ID.to_owned(),
        runtime: RUNTIME.to_owned(),
        code: Some(core::AsyncDataSource { specifier: Some(code) }),
        capability_restriction_config: Some(wasm::CapabilityRestrictionConfig {
            allowed_capabilities: allowed.collect(),
        }),
        ..wasm::VmConfig::default()
    }
}
