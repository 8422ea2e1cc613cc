//! The configuration of the Envoy that is measured: listeners that differ in their filters.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use tollgate_bench::tokens::ISSUER;
use tollgate_bench::world::BASE_PATH;
use tollgate_model::Callbacks;
use tollgate_model::contract::{CAPABILITIES, ENFORCER_FILTER, VM_ID};

use crate::contender::Contender;
use crate::floor;

const TYPES: &str = "type.googleapis.com/envoy.extensions";
/// Cluster of the adapter's part.
const FEED: &str = "feed";
/// Tokens that Envoy's own cache may hold.
const CACHED_TOKENS: u32 = 20_000;

/// What the configuration is made of.
pub struct Setup<'s> {
    /// Of the listeners that answer by themselves, by [`Contender::position`].
    pub direct: &'s [u16],
    /// Of those that ask the backend.
    pub proxied: &'s [u16],
    /// Envoy's admin interface.
    pub admin: u16,
    /// The adapter's part.
    pub feed: u16,
    /// The server that `ext_authz` asks.
    pub authorization: u16,
    /// The backend.
    pub backend: u16,
    /// The enforcer module.
    pub module: &'s Path,
    /// Keys of the tokens.
    pub jwks: &'s Value,
    /// One of them, signed with the first of the keys.
    pub token: &'s str,
}

impl Setup<'_> {
    /// The bootstrap with listeners for these.
    pub fn bootstrap(&self, contenders: &[Contender]) -> Result<Value> {
        let mut listeners = Vec::new();
        for contender in contenders {
            for (kind, ports) in [("direct", self.direct), ("proxied", self.proxied)] {
                let port = ports.get(contender.position()).context("a listener has no port")?;
                let name = format!("{} {kind}", contender.name());
                listeners.push(listener(&name, *port, self.filters(*contender)?, ports == self.proxied));
            }
        }
        let clusters = [
            cluster(FEED, self.feed, false),
            cluster("authorization", self.authorization, true),
            cluster("backend", self.backend, false),
        ];
        Ok(json!({
            "node": { "id": "bench", "cluster": "bench", "metadata": { "instanceIdentifier": "bench" } },
            "admin": { "address": address(self.admin) },
            "static_resources": { "listeners": listeners, "clusters": clusters },
        }))
    }

    fn filters(&self, contender: Contender) -> Result<Vec<Value>> {
        Ok(match contender {
            Contender::None => Vec::new(),
            Contender::JwtCached => vec![self.jwt_authn(true, false)],
            Contender::JwtUncached => vec![self.jwt_authn(false, false)],
            Contender::NativeChain => vec![self.jwt_authn(true, true), rbac(), local_ratelimit(), header_mutation()],
            Contender::ExtAuthz => vec![ext_authz()],
            Contender::Authn
            | Contender::Full
            | Contender::FullUnlimited
            | Contender::Frames
            | Contender::FramesUnlimited
            | Contender::FullApis
            | Contender::FullSubscriptions => {
                let code = json!({ "filename": self.module });
                vec![module(contender, &code)]
            }
            Contender::AuthnCalls => vec![module(contender, &json!({ "inline_bytes": floor::authn()? }))],
            Contender::AuthnNewCalls => {
                let code = floor::new_token(&floor::question(self.token, self.jwks)?)?;
                vec![module(contender, &json!({ "inline_bytes": code }))]
            }
            Contender::FullCalls => vec![module(contender, &json!({ "inline_bytes": floor::full()? }))],
        })
    }

    fn jwt_authn(&self, cache: bool, payload: bool) -> Value {
        let mut provider = json!({ "issuer": ISSUER, "local_jwks": { "inline_string": self.jwks.to_string() } });
        if let Some(provider) = provider.as_object_mut() {
            if cache {
                // It caches tokens of up to 4 KiB unless told otherwise.
                provider.insert("jwt_cache_config".to_owned(), json!({ "jwt_cache_size": CACHED_TOKENS }));
            }
            if payload {
                provider.insert("payload_in_metadata".to_owned(), json!("token"));
            }
        }
        filter(
            "jwt_authn.v3.JwtAuthentication",
            &json!({
                "providers": { "bench": provider },
                "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "bench" } }],
            }),
        )
    }
}

/// A module as a filter, with shared data of its own.
fn module(contender: Contender, code: &Value) -> Value {
    let callbacks = Callbacks { frames: contender.is_shown_frames(), ..Callbacks::NONE };
    // Whoever only authenticates leaves routes to Envoy, as Envoy's own filter does.
    let own_routes = contender != Contender::Authn;
    let plugin = json!({
        "cluster": FEED, "environment": contender.name(), "callbacks": callbacks, "ownRoutes": own_routes,
    });
    let plugin = plugin.to_string();
    let allowed = CAPABILITIES.into_iter().chain(callbacks.capabilities());
    let allowed: Map<String, Value> = allowed.map(|name| (name.to_owned(), json!({}))).collect();
    filter(
        "wasm.v3.Wasm",
        &json!({ "config": {
                "name": format!("{ENFORCER_FILTER}.{}", contender.name()),
                "root_id": "enforcer",
                "failure_policy": "FAIL_RELOAD",
                "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin },
                "vm_config": {
                    // Shared data of its own, and so a snapshot of its own.
                    "vm_id": format!("{VM_ID}.{}", contender.name()),
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": code },
                    "capability_restriction_config": { "allowed_capabilities": allowed },
                },
            } }),
    )
}

/// Lets in who holds the scope, for the operations that there are.
fn rbac() -> Value {
    let scope = json!({ "metadata": {
        "filter": "envoy.filters.http.jwt_authn", "path": [{ "key": "token" }, { "key": "scope" }],
        "value": { "string_match": { "contains": "read:items" } },
    } });
    let operation = json!({ "and_rules": { "rules": [
        { "url_path": { "path": { "prefix": BASE_PATH } } },
        { "header": { "name": ":method", "string_match": { "safe_regex": { "regex": "GET|POST" } } } },
    ] } });
    let policies = json!({ "items": { "permissions": [operation], "principals": [scope] } });
    filter("rbac.v3.RBAC", &json!({ "rules": { "action": "ALLOW", "policies": policies } }))
}

fn local_ratelimit() -> Value {
    let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" }, "runtime_key": "always" });
    filter(
        "local_ratelimit.v3.LocalRateLimit",
        &json!({
            "stat_prefix": "bench", "filter_enabled": always, "filter_enforced": always,
            "token_bucket": { "max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "60s" },
        }),
    )
}

fn header_mutation() -> Value {
    let set = |key: &str, value: &str| {
        json!({ "append": {
            "header": { "key": key, "value": value }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        } })
    };
    let mutations = [set("x-api", "items"), set("x-stage", "production")];
    filter("header_mutation.v3.HeaderMutation", &json!({ "mutations": { "request_mutations": mutations } }))
}

fn ext_authz() -> Value {
    filter(
        "ext_authz.v3.ExtAuthz",
        &json!({
            "transport_api_version": "V3",
            "grpc_service": { "envoy_grpc": { "cluster_name": "authorization" }, "timeout": "1s" },
            // The less it is told, the faster it is.
            "allowed_headers": { "patterns": [{ "exact": "authorization" }] },
        }),
    )
}

fn filter(kind: &str, config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(config) = config.as_object_mut() {
        config.insert("@type".to_owned(), json!(format!("{TYPES}.filters.http.{kind}")));
    }
    let name = kind.split('.').next().unwrap_or(kind);
    json!({ "name": format!("envoy.filters.http.{name}"), "typed_config": config })
}

fn listener(name: &str, port: u16, mut filters: Vec<Value>, proxied: bool) -> Value {
    filters.push(filter("router.v3.Router", &json!({})));
    let route = if proxied {
        json!({ "match": { "prefix": "/" }, "route": { "cluster": "backend" } })
    } else {
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": "ok" } } })
    };
    let upgrades = if proxied { json!([{ "upgrade_type": "websocket" }]) } else { json!([]) };
    json!({
        "name": name,
        "address": address(port),
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "bench",
                "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }] },
                "http_filters": filters,
                "upgrade_configs": upgrades,
            },
        }] }],
    })
}

fn cluster(name: &str, port: u16, http2: bool) -> Value {
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(port) } }] }],
        },
    });
    if let Some(cluster) = cluster.as_object_mut().filter(|_| http2) {
        let options = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": { "http2_protocol_options": {} },
        } });
        cluster.insert("typed_extension_protocol_options".to_owned(), options);
    }
    cluster
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
