//! xDS for Envoy: what every gateway gets, and the stream over which it gets it.
//!
//! All but the clusters is made once, at start, from settings and files. Must never send one environment's clusters to
//! another.

mod clusters;
mod delta;
mod dialect;
mod gateway;
mod isolation;
mod kind;
mod offers;
mod resources;
mod server;
mod session;
#[cfg(test)]
pub(in crate::outputs) mod tests;
mod translate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use tokio::sync::watch;
use tollgate_model::Callbacks;
use tollgate_model::contract::{CAPABILITIES, VM_ID};

pub use kind::ResourceType;
pub use offers::{Offer, Offering, Offers};
pub use resources::{Resource, Resources};
pub use server::service;
pub use translate::{FEED_CLUSTER, Materials, OwnKeys, PUBLIC_CLUSTER};

use super::settings::{AccessLog, Gateway, GatewayFiles, WireLog};
use crate::admin::Status;
use crate::tls::{self, TlsError};

/// Why there is nothing to serve.
#[derive(Debug, thiserror::Error)]
pub enum XdsError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source} (fix: {fix})", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        fix: &'static str,
    },
    /// The module is none.
    #[error("enforcer module {} is not a WebAssembly module (fix: build it, or correct tollgate.module)", path.display())]
    NoModule {
        /// The file.
        path: PathBuf,
    },
    /// The router's certificate or key cannot be used.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// No listener.
    #[error("both listeners are switched off (fix: set router.listenerPort or router.securedListenerPort)")]
    NoListener,
    /// A resource cannot be written.
    #[error("cannot write the enforcer's configuration: {0}")]
    Json(#[from] serde_json::Error),
}

/// What gateways get, whatever the APIs.
#[derive(Debug)]
pub struct Blueprint {
    gateway: Gateway,
    materials: Materials,
    /// The only resources that change while the adapter runs, apart from the APIs': what is logged may.
    listeners: watch::Sender<Arc<Resources>>,
    routes: [Arc<Resources>; 2],
    /// Clusters that are there whatever the APIs.
    clusters: Vec<Arc<Resource>>,
}

impl Blueprint {
    /// Reads the files and makes the resources.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn load(gateway: Gateway, files: &GatewayFiles, keys: OwnKeys) -> Result<Self, XdsError> {
        if gateway.http.is_none() && gateway.https.is_none() {
            return Err(XdsError::NoListener);
        }
        tls::server_config(&files.certificate, &files.key, None)?;
        let check = "check the path and that the adapter may read it";
        let client_authorities = gateway.downstream_tls.client_authorities.as_deref();
        let materials = Materials {
            client_authorities: client_authorities.map(tls::trusted_bundle).transpose()?,
            certificate: read("router certificate", &files.certificate, check)?,
            key: read("router key", &files.key, check)?,
            module: read("enforcer module", &files.module, "build it with `./just wasm`, or correct tollgate.module")?,
        };
        if !materials.module.starts_with(b"\0asm") {
            return Err(XdsError::NoModule { path: files.module.clone() });
        }
        let routes = |ready| {
            let (name, resource) = translate::routes(&gateway, keys, ready);
            Arc::new(Resources::new(vec![Arc::new(Resource::new(name, resource))]))
        };
        let routes = [routes(false), routes(true)];
        let listeners = watch::Sender::new(listeners(&gateway, &materials));
        let clusters = translate::own_clusters(&gateway, &materials).into_iter().map(shared).collect();
        Ok(Self { routes, listeners, clusters, gateway, materials })
    }

    /// Has gateways log requests in this way from now on.
    pub fn log(&self, access_log: Option<AccessLog>, wire_log: Option<WireLog>) {
        let now = listeners(&Gateway { access_log, wire_log, ..self.gateway.clone() }, &self.materials);
        self.listeners.send_if_modified(|shown| {
            let changed = **shown != *now;
            *shown = now;
            changed
        });
    }

    /// Settings the clusters are made with.
    #[must_use]
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// File contents the clusters are made with.
    #[must_use]
    pub const fn materials(&self) -> &Materials {
        &self.materials
    }

    /// The clusters that every gateway has, whatever the APIs.
    #[must_use]
    pub fn own_clusters(&self) -> &[Arc<Resource>] {
        &self.clusters
    }

    fn routes(&self, ready: bool) -> &Arc<Resources> {
        let [not_ready, when_ready] = &self.routes;
        if ready { when_ready } else { not_ready }
    }

    /// The enforcer for gateways of an environment, called for this.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn extension(&self, environment: &str, callbacks: Callbacks) -> Result<Arc<Resources>, serde_json::Error> {
        let (name, resource) = translate::extension(environment, callbacks, &self.materials)?;
        let mut parts = vec![environment.as_bytes(), VM_ID.as_bytes(), &self.materials.module];
        parts.extend(CAPABILITIES.into_iter().chain(callbacks.capabilities()).map(|name| name.as_bytes()));
        let resource = Resource::made_of(name, resource, parts);
        Ok(Arc::new(Resources::new(vec![Arc::new(resource)])))
    }
}

/// What the gRPC service works on.
#[derive(Debug, Clone)]
pub struct XdsContext {
    /// What does not change.
    pub blueprint: Arc<Blueprint>,
    /// What does.
    pub offers: watch::Receiver<Arc<Offers>>,
    /// Where gateways are noted.
    pub status: Arc<Status>,
}

fn shared((name, resource): (String, Any)) -> Arc<Resource> {
    Arc::new(Resource::new(name, resource))
}

fn listeners(gateway: &Gateway, materials: &Materials) -> Arc<Resources> {
    let listeners = translate::listeners(gateway, materials);
    Arc::new(Resources::new(listeners.into_iter().map(shared).collect()))
}

fn read(what: &'static str, path: &Path, fix: &'static str) -> Result<Vec<u8>, XdsError> {
    std::fs::read(path).map_err(|source| XdsError::Read { what, path: path.to_owned(), source, fix })
}
