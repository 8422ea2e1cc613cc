//! What can be asked of `adapter render`, and what goes together.

use std::collections::BTreeMap;

use clap::ValueEnum;
use tollgate_model::Callbacks;

use super::RenderError;
use crate::config::{Deployment, Environment};
use crate::delivery::{ImageFormat, Module};

/// What the manifests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// A bootstrap for plain Envoy whose routes are the user's own.
    Envoy,
    /// A bootstrap for plain Envoy that takes everything from the adapter.
    EnvoyAds,
    /// `WasmPlugin`, and the way to the adapter.
    Istio,
    /// `TrafficExtension` of Istio 1.30 and newer, and the way to the adapter.
    IstioExt,
    /// `EnvoyFilter`, for what the other two have no field for, and the way to the adapter.
    IstioEnvoyfilter,
    /// The adapter itself, and gateways of plain Envoy.
    Kubernetes,
}

/// How proxies get the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Delivery {
    /// From a registry.
    Oci,
    /// From the adapter, under its hash.
    Http,
    /// From a file that is on the proxy's machine.
    File,
}

/// How proxies reach the adapter's feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Link {
    /// By mutual TLS with certificates of the adapter's own authority.
    Tls,
    /// By the mutual TLS of the mesh, which the adapter is part of.
    Mesh,
}

/// The module, and where it is.
#[derive(Debug, Clone)]
pub struct ModuleSource {
    /// Its name, which is its root id.
    pub name: String,
    /// The module itself; none when only its hash is known.
    pub module: Option<Module>,
    /// The hash to write instead of the module's own.
    pub sha256: Option<String>,
    /// How proxies get it.
    pub delivery: Delivery,
    /// What the names of images begin with.
    pub repository: String,
    /// Their tag.
    pub tag: String,
    /// Their form.
    pub format: ImageFormat,
    /// Where it lies on a proxy's machine.
    pub file: String,
}

/// The proxies that are to run the module.
#[derive(Debug, Clone)]
pub struct Proxies {
    /// Their namespace.
    pub namespace: String,
    /// Labels of their workloads.
    pub labels: BTreeMap<String, String>,
    /// Whether only requests that arrive at a workload are looked at.
    pub inbound: bool,
    /// `namespace/service account` of those that may ask the adapter in a mesh.
    pub callers: Vec<String>,
    /// Secret with the certificate that they show to the adapter, where the mesh does not.
    pub secret: String,
}

/// The adapter and its gateways in Kubernetes.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Image of the adapter.
    pub image: String,
    /// Image of Envoy.
    pub router_image: String,
    /// How many adapters.
    pub replicas: u32,
    /// How many gateways of plain Envoy.
    pub router_replicas: u32,
    /// Text of a subscriptions file, which lies beside config.toml.
    pub subscriptions: Option<String>,
    /// Size of the volume for the adapter's state; none when it is lost with the pod.
    pub storage: Option<String>,
    /// Certificates to put into secrets; none when the secrets are made by other means.
    pub certificates: Option<Certificates>,
    /// Values of the variables that the configuration names; none when the secret is made by other means.
    pub secrets: Option<Secrets>,
}

/// Passwords and the like, by the name of their variable.
#[derive(Clone)]
pub struct Secrets(pub BTreeMap<String, String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// PEM texts.
#[derive(Clone)]
pub struct Certificates {
    /// The authority of the following.
    pub ca: String,
    /// The adapter's certificate and key.
    pub adapter: (String, String),
    /// The gateways'.
    pub router: (String, String),
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Everything that manifests are made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// What they are for.
    pub target: Target,
    /// Text of the adapter's config.toml.
    pub config: String,
    /// What it says.
    pub deployment: Deployment,
    /// Environment (gateway label) whose APIs the proxies serve.
    pub environment: String,
    /// Callbacks beside those for the headers of requests.
    pub callbacks: Callbacks,
    /// The module.
    pub source: ModuleSource,
    /// Namespace of the adapter.
    pub namespace: String,
    /// Host of the adapter, if it is not the service in that namespace.
    pub host: Option<String>,
    /// How it is reached.
    pub link: Link,
    /// Who reaches it.
    pub proxies: Proxies,
    /// How it is run.
    pub installation: Installation,
    /// Variables for bootstraps of Envoy.
    pub variables: Environment,
}

impl Options {
    /// Host by which proxies reach the adapter.
    #[must_use]
    pub fn host(&self) -> String {
        let own = || format!("{}.{}.svc.cluster.local", super::kubernetes::ADAPTER, self.namespace);
        self.host.clone().unwrap_or_else(own)
    }

    /// Port of the adapter's service by which proxies reach the feed.
    #[must_use]
    pub fn feed_port(&self) -> u16 {
        let own = self.deployment.listen.feed.port();
        match self.link {
            Link::Tls => own,
            Link::Mesh => self.deployment.listen.mesh_feed.map_or(own, |address| address.port()),
        }
    }

    /// Whether the adapter is outside of the cluster.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        !self.host().ends_with(".svc.cluster.local")
    }

    pub(super) fn check(&self) -> Result<(), RenderError> {
        if !self.deployment.environments.contains(&self.environment) {
            return Err(RenderError::options(
                format!("the configuration maps no environment {}", self.environment),
                format!("choose one of {}, or add it to adapter.vhostMapping", self.deployment.environments.join(", ")),
            ));
        }
        if self.callbacks.hold_headers() && matches!(self.target, Target::Istio | Target::IstioExt) {
            return Err(RenderError::options(
                "Istio's WasmPlugin and TrafficExtension have no field that lets headers wait for bodies",
                "use --target istio-envoyfilter, or leave request-body and response-body out of --callbacks",
            ));
        }
        self.check_link()?;
        self.check_replicas()
    }

    fn check_link(&self) -> Result<(), RenderError> {
        if self.link == Link::Mesh && self.deployment.listen.mesh_feed.is_none() {
            return Err(RenderError::options(
                "the adapter's configuration has no feed for a mesh",
                "set tollgate.listen.meshFeed in config.toml, for example to 8083, or use --link tls",
            ));
        }
        if self.link == Link::Mesh && self.is_outside() {
            return Err(RenderError::options(
                format!("{} is not in the cluster, so the mesh does not reach it", self.host()),
                "use --link tls, or leave --adapter out",
            ));
        }
        let by_http =
            self.source.delivery == Delivery::Http && !matches!(self.target, Target::Envoy | Target::EnvoyAds);
        if by_http && self.deployment.listen.filters.is_none() {
            return Err(RenderError::options(
                "the adapter's configuration offers no modules over plain HTTP, and Istio does not know its authority",
                "set tollgate.listen.filters in config.toml, for example to 9002, or use --delivery oci",
            ));
        }
        Ok(())
    }

    fn check_replicas(&self) -> Result<(), RenderError> {
        let several = self.target == Target::Kubernetes && self.installation.replicas > 1;
        if several && !self.deployment.shared_quota {
            return Err(RenderError::options(
                "several adapters would each count requests for themselves",
                "set tollgate.quota.owner to redis, or use --replicas 1",
            ));
        }
        if several && self.installation.storage.is_some() {
            return Err(RenderError::options(
                "several adapters cannot share one store",
                "use --storage none and a source that all of them read, such as Git, or --replicas 1",
            ));
        }
        Ok(())
    }
}

/// The configuration when none is given.
#[must_use]
pub fn default_config(environment: &str, host: &str, link: Link) -> String {
    let mesh = match link {
        Link::Tls => "",
        Link::Mesh => {
            "# The feed for the adapter's own sidecar, which judges by the mesh's certificates who may ask.\nmeshFeed = 8083\n"
        }
    };
    format!(
        "# docs/configuration.md lists all keys.\n\n[[adapter.vhostMapping]]\nenvironment = \"{environment}\"\nvhost = \"{host}\"\n\n\
         [router]\nsystemHost = \"{host}\"\n\n[tollgate.listen]\n# Filter modules for proxies that check them by their hash.\nfilters = 9002\n{mesh}"
    )
}
