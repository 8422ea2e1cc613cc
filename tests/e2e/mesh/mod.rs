//! The enforcer in a mesh: proxies in the shapes that istiod gives them, which know the adapter only as one more service.
//!
//! Envoy is the stock one, so Istio's own filters (metadata exchange, telemetry) are missing; everything else is as its
//! translation makes it, with files in the place of its xDS.

mod envoy_filter;
mod failures;
mod identities;
mod link;
mod packagings;
mod proxies;
mod refusals;
mod samples;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_model::contract::PluginConfig;
use tollgate_tests::adapter::{Adapter, AdapterConfig};
use tollgate_tests::http::{Answer, client};
use tollgate_tests::ports::{Port, Ports};
use tollgate_tests::{ApiProject, Backend, locate, within};

use self::identities::{Authority, Identity};
use self::proxies::{Extension, Proxy, Shape, local, plugin};
use crate::analytics::Events;

/// The service that is managed, by its full name, and the names that callers use besides.
const HOST: &str = "reviews.default.svc.cluster.local";
const SHORT: [&str; 3] = ["reviews", "reviews.default", "reviews.default.svc"];
const PORT: u16 = 9_080;
const ADAPTER: &str = "outbound|8081||tollgate-adapter.tollgate.svc.cluster.local";
/// What Istio calls the plugin in namespace `default`.
const PLUGIN: &str = "default.tollgate-enforcer";

/// The adapter, an application, and the certificates of a mesh. Fields are dropped in this order.
struct Mesh {
    adapter: Adapter,
    application: Backend,
    authority: Authority,
    ports: Ports,
    /// Where the adapter has the feed for its own sidecar.
    mesh_feed: Port,
    /// Where it offers modules over plain HTTP.
    filters: Port,
    /// What it makes of what proxies log.
    events: Events,
    folder: TempDir,
}

impl Mesh {
    /// Starts all of it, with these subscriptions.
    async fn start(subscriptions: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-mesh-").context("making a temporary folder")?;
        let file = folder.path().join("subscriptions.yaml");
        std::fs::write(&file, subscriptions)?;
        let aliases: Vec<String> = SHORT.iter().map(|name| format!("'{name}'")).collect();
        let tables = format!(
            "[tollgate.quota]\nheaders = true\n[[adapter.vhostMapping]]\nenvironment = 'Default'\nvhost = '{HOST}'\n\
             [[tollgate.virtualHosts]]\nhost = '{HOST}'\naliases = [{}]\n{}",
            aliases.join(", "),
            crate::subscriptions::token_service(&folder, false)
        );
        let mesh = Self::with(folder, &file, None, &tables).await?;
        mesh.adapter.deploy(mesh.reviews().zip()?).await?;
        Ok(mesh)
    }

    /// The same with subscriptions, projects and tables of the configuration that are somebody else's.
    async fn with(folder: TempDir, subscriptions: &Path, artifacts: Option<PathBuf>, tables: &str) -> Result<Self> {
        let events = Events::at(folder.path().join("events.log"));
        let (mesh_feed, filters) = (Port::free()?, Port::free()?);
        let config = AdapterConfig {
            state: folder.path().join("state"),
            module: locate::module()?,
            artifacts,
            adapter: format!("subscriptionsFile = '{}'", subscriptions.display()),
            listen: format!("meshFeed = {}\nfilters = {}", mesh_feed.number(), filters.number()),
            extra: format!("\n{}{tables}", events.config()),
            ..AdapterConfig::default()
        };
        let ports = Ports::free()?;
        let application = Backend::start().await?;
        let adapter = Adapter::start(folder.path(), &config, &ports).await?;
        let authority = Authority::new(folder.path())?;
        Ok(Self { adapter, application, authority, ports, mesh_feed, filters, events, folder })
    }

    /// An API that takes tokens and workloads.
    fn reviews(&self) -> ApiProject {
        ApiProject::new("Reviews", "1.0.0", "/reviews")
            .production(&format!("http://{HOST}:{PORT}/v1"))
            .with("securityScheme", vec!["oauth2", "spiffe"])
            .secured("GET", "/{id}")
            .scoped("DELETE", "/{id}", &["admin"])
            .unsecured("GET", "/health")
            .with_extension(
                "x-wso2-cors",
                json!({ "corsConfigurationEnabled": true, "accessControlAllowOrigins": ["https://shop.example"] }),
            )
    }

    /// A folder for one more proxy.
    fn folder(&self, of: &str) -> PathBuf {
        self.folder.path().join(of)
    }

    /// The port of the application.
    fn application(&self) -> Result<u16> {
        let url = self.application.url();
        Ok(url.rsplit_once(':').context("the application has no port")?.1.parse()?)
    }

    /// The cluster of the adapter.
    fn adapter_cluster(&self) -> Value {
        proxies::adapter(ADAPTER, self.ports.feed, &self.adapter.state().join("certificates"))
    }

    /// The sidecar of `reviews` with the enforcer in the phase AUTHN.
    fn sidecar(&self, identity: &Identity, extension: &Extension) -> Result<Proxy> {
        let mut shape = Shape::new(self.folder(&identity.id.rsplit('/').collect::<Vec<_>>()[..1].concat()));
        shape.filters = vec![extension.filter(), proxies::authorization()];
        shape.clusters = vec![self.adapter_cluster()];
        shape.inbound(identity, PORT, self.application()?)
    }

    /// The plugin's configuration in a mesh, for an adapter at that cluster.
    fn configuration(cluster: &str) -> Value {
        let config: PluginConfig = PluginConfig {
            cluster: cluster.to_owned(),
            authority: None,
            environment: "Default".to_owned(),
            managed: false,
            // As in the manifests.
            callbacks: tollgate_model::Callbacks { response_headers: true, ..tollgate_model::Callbacks::NONE },
            own_routes: false,
        };
        json!(config)
    }

    /// The extension that holds the enforcer.
    fn enforcer(&self, module: &Path, of: &str) -> Result<Extension> {
        let folder = self.folder(of);
        std::fs::create_dir_all(&folder)?;
        let extension = Extension::new(&folder, PLUGIN)?;
        extension.set(&plugin(PLUGIN, "enforcer", &local(module), &Self::configuration(ADAPTER)))?;
        Ok(extension)
    }
}

/// A request to a proxy, for a host.
async fn call(proxy: &Proxy, method: Method, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut request = client(0)?.request(method, format!("http://localhost:{}{path}", proxy.port));
    request = request.header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

/// How long a proxy may take to come up: it compiles its modules first, and several of them do at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a proxy answers so.
async fn answers(proxy: &Proxy, host: &str, path: &str, status: u16) -> Result<Answer> {
    within(PATIENCE, "the proxy answers as it should", async || {
        let answer = call(proxy, Method::GET, host, path, &[]).await?;
        ensure!(answer.status.as_u16() == status, "{path} answers {} {}", answer.status, answer.body);
        Ok(answer)
    })
    .await
}

/// That no VM of a proxy has failed.
fn healthy(proxy: &Proxy) -> Result<()> {
    let failures = proxy.envoy.vm_failures()?;
    ensure!(failures.is_empty(), "a VM has failed: {failures:?}");
    Ok(())
}

/// The end of a proxy's log, for messages.
fn log(proxy: &Proxy) -> String {
    std::fs::read_to_string(proxy.envoy.log()).unwrap_or_default()
}
