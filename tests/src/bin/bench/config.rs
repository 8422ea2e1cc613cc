//! The configuration of the Envoy that is measured: three listeners that differ in one filter.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tollgate_model::Callbacks;
use tollgate_model::contract::{CAPABILITIES, ENFORCER_FILTER, PluginConfig, VM_ID};
use tollgate_tests::ports::Ports;

const TYPES: &str = "type.googleapis.com/envoy.extensions";
const ADAPTER_CLUSTER: &str = "tollgate_adapter";

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// No filter but the router.
    None,
    /// Envoy's own token check, with its cache.
    Native,
    /// Our module.
    Enforcer,
}

impl Contender {
    /// In the order in which they take turns.
    pub const ALL: [Self; 3] = [Self::None, Self::Native, Self::Enforcer];

    /// As the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no filter",
            Self::Native => "jwt_authn",
            Self::Enforcer => "enforcer",
        }
    }

    /// Its listener. The names in [`Ports`] mean nothing here: what counts is that nobody else has them.
    pub const fn port(self, ports: &Ports) -> u16 {
        match self {
            Self::None => ports.http,
            Self::Native => ports.https,
            Self::Enforcer => ports.public,
        }
    }
}

/// What the configuration is made of.
pub struct Setup<'s> {
    /// Where to listen.
    pub ports: &'s Ports,
    /// Port of the adapter's feed.
    pub feed: u16,
    /// Folder of the development certificates.
    pub certificates: &'s Path,
    /// The enforcer module.
    pub module: &'s Path,
    /// Issuer of the token.
    pub issuer: &'s str,
    /// Its keys.
    pub keys: &'s str,
}

impl Setup<'_> {
    /// The bootstrap.
    pub fn envoy(&self) -> Result<Value> {
        let listeners = Contender::ALL
            .into_iter()
            .map(|contender| Ok(listener(contender, contender.port(self.ports), self.filter(contender)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(json!({
            "node": { "id": "Default", "cluster": "bench", "metadata": { "instanceIdentifier": "bench" } },
            "admin": { "address": address(self.ports.envoy_admin) },
            "static_resources": { "listeners": listeners, "clusters": [self.adapter()] },
        }))
    }

    fn filter(&self, contender: Contender) -> Result<Option<Value>> {
        match contender {
            Contender::None => Ok(None),
            Contender::Native => Ok(Some(self.jwt_authn())),
            Contender::Enforcer => self.enforcer().map(Some),
        }
    }

    fn jwt_authn(&self) -> Value {
        json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": format!("{TYPES}.filters.http.jwt_authn.v3.JwtAuthentication"),
                "providers": { "tollgate": {
                    "issuer": self.issuer,
                    "local_jwks": { "inline_string": self.keys },
                    "jwt_cache_config": { "jwt_cache_size": 1000 },
                } },
                "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "tollgate" } }],
            },
        })
    }

    fn enforcer(&self) -> Result<Value> {
        let plugin = PluginConfig {
            cluster: ADAPTER_CLUSTER.to_owned(),
            authority: None,
            environment: "Default".to_owned(),
            managed: false,
            own_routes: true,
            callbacks: Callbacks::NONE,
        };
        let plugin = serde_json::to_string(&plugin).context("encoding the plugin's configuration")?;
        let allowed: Map<String, Value> = CAPABILITIES.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        Ok(json!({
            "name": ENFORCER_FILTER,
            "typed_config": {
                "@type": format!("{TYPES}.filters.http.wasm.v3.Wasm"),
                "config": {
                    "name": ENFORCER_FILTER,
                    "root_id": "enforcer",
                    "failure_policy": "FAIL_RELOAD",
                    "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin },
                    "vm_config": {
                        "vm_id": VM_ID,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": { "local": { "filename": self.module } },
                        "capability_restriction_config": { "allowed_capabilities": allowed },
                    },
                },
            },
        }))
    }

    fn adapter(&self) -> Value {
        let file = |name: &str| json!({ "filename": self.certificates.join(name) });
        json!({
            "name": ADAPTER_CLUSTER,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": ADAPTER_CLUSTER,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(self.feed) } }] }],
            },
            "transport_socket": {
                "name": "envoy.transport_sockets.tls",
                "typed_config": {
                    "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
                    "common_tls_context": {
                        "tls_certificates": [{ "certificate_chain": file("router.pem"), "private_key": file("router.key") }],
                        "validation_context": { "trusted_ca": file("ca.pem") },
                    },
                },
            },
        })
    }
}

fn listener(contender: Contender, port: u16, filter: Option<Value>) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") },
    });
    let filters: Vec<Value> = filter.into_iter().chain([router]).collect();
    let route = json!({
        "match": { "prefix": "/" },
        "direct_response": { "status": 200, "body": { "inline_string": "ok" } },
    });
    json!({
        "name": contender.name(),
        "address": address(port),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "bench",
                "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
                "http_filters": filters,
            },
        }] }],
    })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
