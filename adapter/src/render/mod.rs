//! `adapter render`: ready manifests for whoever installs Tollgate, made of the configuration and what is asked for.
//!
//! Pure: what is read (configuration, module, certificates) comes in as values, and one text comes out. The same input gives
//! the same text, so that a manifest in a repository can be compared with what it was made of.

mod envoy;
mod istio;
mod kubernetes;
mod options;
mod plugin;
mod yaml;

use serde_json::Value;

pub use options::{
    Certificates, Delivery, Installation, Link, ModuleSource, Options, Proxies, Secrets, Target, default_config,
};

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// What is asked for does not go together.
    #[error("{0}; {1}")]
    Options(String, String),
    /// The Envoy bootstrap cannot be filled.
    #[error(transparent)]
    Bootstrap(#[from] crate::bootstrap::BootstrapError),
    /// A value cannot be written.
    #[error("cannot write YAML ({0})")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// The plugin's configuration cannot be written.
    #[error("cannot write JSON ({0})")]
    Json(#[from] serde_json::Error),
    /// The image cannot be made.
    #[error("cannot make the module's image ({0})")]
    Image(#[from] std::io::Error),
}

impl RenderError {
    fn options(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Options(what.into(), fix.into())
    }
}

/// An object of a manifest, with what has to be said about it.
struct Document {
    comment: &'static str,
    object: Value,
}

impl Document {
    const fn new(comment: &'static str, object: Value) -> Self {
        Self { comment, object }
    }
}

/// The manifests for a target, as YAML.
///
/// # Errors
/// When what is asked for does not go together.
pub fn render(options: &Options) -> Result<String, RenderError> {
    options.check()?;
    match options.target {
        Target::Envoy => envoy::own_routes(options),
        Target::EnvoyAds => envoy::ads(options),
        Target::Istio | Target::IstioExt | Target::IstioEnvoyfilter => yaml::write(&istio::documents(options)?),
        Target::Kubernetes => yaml::write(&kubernetes::documents(options)?),
    }
}
