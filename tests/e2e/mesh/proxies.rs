//! Envoys in the shapes that istiod gives them: sidecars (inbound and outbound), ingress gateways and waypoints, with filters
//! that are discovered as extensions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use tollgate_tests::Envoy;
use tollgate_tests::ports::Port;

use super::identities::Identity;

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// A proxy of the mesh.
pub struct Proxy {
    /// The Envoy.
    pub envoy: Envoy,
    /// Where it listens.
    pub port: u16,
    folder: PathBuf,
    _ports: [Port; 2],
}

/// What a proxy is made of.
pub struct Shape {
    /// Its folder, which must be its own.
    pub folder: PathBuf,
    /// Filters in front of the router, in their order.
    pub filters: Vec<Value>,
    /// Its upstreams.
    pub clusters: Vec<Value>,
    /// Whether clusters come later, from a file ([`Proxy::discover_clusters`]).
    pub discovers_clusters: bool,
    /// Access logs beside the one in a file.
    pub access_logs: Vec<Value>,
    /// Envoy's worker threads.
    pub workers: u8,
}

impl Shape {
    /// An empty one.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            filters: Vec::new(),
            clusters: Vec::new(),
            discovers_clusters: false,
            access_logs: Vec::new(),
            workers: 1,
        }
    }

    /// The inbound listener of a sidecar: mutual TLS, and everything goes to the application.
    pub fn inbound(self, identity: &Identity, port: u16, application: u16) -> Result<Proxy> {
        self.inbound_to(identity, port, |cluster| plain(cluster, application))
    }

    /// The same for an upstream of that name.
    pub fn inbound_to(self, identity: &Identity, port: u16, upstream: impl FnOnce(&str) -> Value) -> Result<Proxy> {
        let cluster = format!("inbound|{port}||");
        let routes = json!({
            "name": cluster,
            "virtual_hosts": [{ "name": format!("inbound|http|{port}"), "domains": ["*"], "routes": [to(&cluster)] }],
        });
        let chain = json!({
            "filter_chain_match": {
                "transport_protocol": "tls",
                "application_protocols": ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"],
            },
            "transport_socket": identity.downstream(),
            "filters": [self.manager(&format!("inbound_0.0.0.0_{port}"), &routes, "APPEND_FORWARD")],
        });
        self.start(chain, "INBOUND", vec![upstream(&cluster)])
    }

    /// The outbound listener of a sidecar, in plain text for its own application, for one service.
    pub fn outbound(self, hosts: &[&str], cluster: Value) -> Result<Proxy> {
        let name = cluster["name"].as_str().unwrap_or_default().to_owned();
        let domains: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let routes =
            json!({ "name": "9080", "virtual_hosts": [{ "name": name, "domains": domains, "routes": [to(&name)] }] });
        let chain = json!({ "filters": [self.manager("outbound_0.0.0.0_9080", &routes, "SANITIZE")] });
        self.start(chain, "OUTBOUND", vec![cluster])
    }

    /// An ingress gateway, in plain text, with the route of a `VirtualService`.
    pub fn gateway(self, host: &str, cluster: Value) -> Result<Proxy> {
        let name = cluster["name"].as_str().unwrap_or_default().to_owned();
        let routes = json!({
            "name": "http.8080",
            "virtual_hosts": [{ "name": format!("{host}:80"), "domains": [host, format!("{host}:*")], "routes": [to(&name)] }],
        });
        let chain = json!({ "filters": [self.manager("outbound_0.0.0.0_8080", &routes, "SANITIZE_SET")] });
        self.start(chain, "OUTBOUND", vec![cluster])
    }

    /// The inner listener of a waypoint. The connection of the workload ended in front of it, where Istio has put the
    /// workload's name into filter state.
    pub fn waypoint(self, principal: &str, application: u16) -> Result<Proxy> {
        let cluster = "inbound-vip|9080|http|reviews";
        let routes = json!({ "virtual_hosts": [{ "name": cluster, "domains": ["*"], "routes": [to(cluster)] }] });
        let told = json!({
            "name": "set_peer_principal",
            "typed_config": {
                "@type": format!("{TYPES}.filters.network.set_filter_state.v3.Config"),
                "on_new_connection": [{
                    "object_key": "io.istio.peer_principal",
                    "factory_key": "envoy.string",
                    "format_string": { "text_format_source": { "inline_string": principal } },
                }],
            },
        });
        let manager = self.manager("waypoint", &routes, "SANITIZE");
        self.start(json!({ "filters": [told, manager] }), "INBOUND", vec![plain(cluster, application)])
    }

    fn manager(&self, prefix: &str, routes: &Value, forward: &str) -> Value {
        let router = json!({ "name": "envoy.filters.http.router", "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") } });
        let mut filters = self.filters.clone();
        // What Istio puts behind the phases of plugins, as far as Envoy itself has it.
        for name in ["grpc_stats.v3.FilterConfig", "fault.v3.HTTPFault", "cors.v3.Cors"] {
            let kind = name.split('.').next().unwrap_or_default();
            filters.push(json!({
                "name": format!("envoy.filters.http.{kind}"),
                "typed_config": { "@type": format!("{TYPES}.filters.http.{name}") },
            }));
        }
        filters.push(router);
        let mut manager = json!({
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": prefix,
            "server_name": "istio-envoy",
            "use_remote_address": false,
            "forward_client_cert_details": forward,
            "route_config": routes,
            "http_filters": filters,
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": self.folder.join(ACCESS_LOG),
                    "log_format": { "text_format_source": { "inline_string": ACCESS_FORMAT } },
                },
            }],
        });
        if let Some(logs) = manager["access_log"].as_array_mut() {
            logs.extend(self.access_logs.iter().cloned());
        }
        if forward != "SANITIZE" {
            manager["set_current_client_cert_details"] = json!({ "subject": true, "dns": true, "uri": true });
        }
        json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager })
    }

    fn start(self, chain: Value, direction: &str, own: Vec<Value>) -> Result<Proxy> {
        let ports = [Port::free()?, Port::free()?];
        let (port, admin) = (ports[0].number(), ports[1].number());
        std::fs::create_dir_all(&self.folder).with_context(|| format!("creating {}", self.folder.display()))?;
        let listener = json!({
            "name": format!("127.0.0.1_{port}"),
            "address": address(port),
            "traffic_direction": direction,
            "listener_filters": [{
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": { "@type": format!("{TYPES}.filters.listener.tls_inspector.v3.TlsInspector") },
            }],
            "filter_chains": [chain],
        });
        let clusters: Vec<Value> = own.into_iter().chain(self.clusters).collect();
        let mut bootstrap = json!({
            "node": { "id": format!("sidecar~127.0.0.1~{port}.default~default.svc.cluster.local"), "cluster": "mesh" },
            "admin": { "address": address(admin) },
            "static_resources": { "listeners": [listener], "clusters": clusters },
        });
        if self.discovers_clusters {
            let path = self.folder.join(CLUSTERS);
            publish(&path, &[])?;
            bootstrap["dynamic_resources"] = json!({ "cds_config": from_file(&path) });
        }
        let envoy = Envoy::with_bootstrap(&self.folder, &bootstrap.to_string(), admin, self.workers)?;
        Ok(Proxy { envoy, port, folder: self.folder, _ports: ports })
    }
}

const CLUSTERS: &str = "clusters.json";
const ACCESS_LOG: &str = "access.log";
/// Which case of a test it was, how it was answered, and what the enforcer recorded.
const ACCESS_FORMAT: &str = "%REQ(x-case)% %RESPONSE_CODE% %FILTER_STATE(wasm.tollgate:PLAIN)%\n";

impl Proxy {
    /// Tells Envoy of these clusters, as istiod does when a service appears.
    pub fn discover_clusters(&self, clusters: &[Value]) -> Result<()> {
        let typed = clusters.iter().map(|cluster| {
            let mut typed = cluster.clone();
            typed["@type"] = json!("type.googleapis.com/envoy.config.cluster.v3.Cluster");
            typed
        });
        publish(&self.folder.join(CLUSTERS), &typed.collect::<Vec<_>>())
    }

    /// What the access log has of the requests with `x-case` so far, by that header.
    pub fn logged(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.folder.join(ACCESS_LOG)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' ')).filter(|(case, _)| *case != "-");
        lines.map(|(case, rest)| (case.to_owned(), rest.to_owned())).collect()
    }
}

/// Makes these the resources of a file that Envoy watches.
fn publish(path: &Path, resources: &[Value]) -> Result<()> {
    let text = json!({ "resources": resources }).to_string();
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).with_context(|| format!("writing {}", fresh.display()))?;
    // Envoy looks for a file that is moved into place.
    std::fs::rename(&fresh, path).with_context(|| format!("renaming {}", fresh.display()))
}

fn from_file(path: &Path) -> Value {
    json!({ "path_config_source": { "path": path }, "resource_api_version": "V3" })
}

/// An extension that Envoy discovers, as every plugin in Istio.
pub struct Extension {
    name: String,
    path: PathBuf,
}

impl Extension {
    /// One of that plugin, of which nothing is known so far.
    pub fn new(folder: &Path, plugin: &str) -> Result<Self> {
        Self::named(folder, &format!("extensions.istio.io/wasmplugin/{plugin}"))
    }

    /// The same with its whole name.
    pub fn named(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{}.json", name.rsplit('/').next().unwrap_or(name)));
        publish(&path, &[])?;
        Ok(Self { name: name.to_owned(), path })
    }

    /// The filter that waits for it. Until it is there everything is denied.
    pub fn filter(&self) -> Value {
        let mut source = from_file(&self.path);
        source["initial_fetch_timeout"] = json!("0s");
        json!({
            "name": self.name,
            "config_discovery": {
                "config_source": source,
                "type_urls": [format!("{TYPES}.filters.http.wasm.v3.Wasm"), format!("{TYPES}.filters.http.rbac.v3.RBAC")],
                "default_config": deny_all(),
                "apply_default_config_without_warming": true,
            },
        })
    }

    /// Makes this the extension.
    pub fn set(&self, typed_config: &Value) -> Result<()> {
        let resource = json!({
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": self.name,
            "typed_config": typed_config,
        });
        publish(&self.path, &[resource])
    }
}

/// What Istio's agent puts in the place of a plugin whose module it could not get.
pub fn deny_all() -> Value {
    json!({ "@type": format!("{TYPES}.filters.http.rbac.v3.RBAC"), "rules": {} })
}

/// Istio's authorization: only callers of the trust domain.
pub fn authorization() -> Value {
    let principal = json!({ "authenticated": { "principal_name": { "prefix": "spiffe://cluster.local/ns/" } } });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": format!("{TYPES}.filters.http.rbac.v3.RBAC"),
            "rules": { "action": "ALLOW", "policies": {
                "ns[default]-policy[mesh]-rule[0]": { "permissions": [{ "any": true }], "principals": [principal] },
            } },
        },
    })
}

/// A plugin as istiod translates it: no `vm_id`, all capabilities, and the configuration as text.
pub fn plugin(name: &str, root: &str, code: &Value, configuration: &Value) -> Value {
    let mut config = Map::new();
    config.insert("name".to_owned(), json!(name));
    config.insert("root_id".to_owned(), json!(root));
    config.insert("failure_policy".to_owned(), json!("FAIL_RELOAD"));
    let text =
        json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration.to_string() });
    config.insert("configuration".to_owned(), text);
    config.insert("vm_config".to_owned(), json!({ "runtime": "envoy.wasm.runtime.v8", "code": code }));
    json!({ "@type": format!("{TYPES}.filters.http.wasm.v3.Wasm"), "config": config })
}

/// A module in a file, as Istio's agent leaves it.
pub fn local(module: &Path) -> Value {
    json!({ "local": { "filename": module } })
}

/// A service of the mesh as its callers see it: `outbound|<port>||<host>`.
pub fn service(host: &str, port: u16, at: u16, transport: &Value) -> Value {
    let name = format!("outbound|{port}||{host}");
    let mut cluster = plain(&name, at);
    cluster["transport_socket"] = transport.clone();
    cluster
}

/// The adapter, which speaks mutual TLS itself.
pub fn adapter(name: &str, at: u16, certificates: &Path) -> Value {
    let file = |name: &str| json!({ "filename": certificates.join(name) });
    let mut cluster = plain(name, at);
    cluster["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
            "common_tls_context": {
                "tls_certificates": [{ "certificate_chain": file("router.pem"), "private_key": file("router.key") }],
                "validation_context": { "trusted_ca": file("ca.pem") },
            },
        },
    });
    cluster
}

/// An upstream that speaks HTTP/2, as istiod has it for ports of that protocol.
pub fn http2(mut cluster: Value) -> Value {
    cluster["typed_extension_protocol_options"] = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": { "http2_protocol_options": {} },
    } });
    cluster
}

/// An upstream in plain text.
pub fn plain(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(port) } }] }],
        },
    })
}

fn to(cluster: &str) -> Value {
    json!({ "match": { "prefix": "/" }, "route": { "cluster": cluster, "timeout": "0s" } })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
