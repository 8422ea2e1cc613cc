//! The catalogue of deployments: the one writer of the store and of the world's deployments.
//!
//! Order of every change: check, commit to the store, publish to the world, answer. A change that fails before the commit
//! leaves nothing behind, and a client that goes away cannot stop one half way.

mod change;
mod state;
mod store;
mod sync;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

pub use store::{Store, StoreError};
pub use sync::{Batch, ProjectPut, Synced};

use self::state::State;
use super::project::{CompileOptions, Compiled, Placement, ProjectFiles, compile, compile_placed};
use crate::model::{DeploymentKey, Problems, Refusals, WorldWriter, gateways};

/// What a deployment did.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// What is accepted, but probably not meant.
    pub warnings: Problems,
    /// What gateways are to take.
    pub change: gateways::Change,
    /// The deployments the project made.
    pub targets: Vec<Summary>,
}

/// Why a project was not deployed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The project has errors.
    #[error("the project is not valid")]
    Invalid(Problems),
    /// It collides with what is deployed.
    #[error("the project collides with a deployed API")]
    Conflict(Problems),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The adapter itself failed.
    #[error("the deployment was interrupted ({0})")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Why nothing was undeployed.
#[derive(Debug, thiserror::Error)]
pub enum UndeployError {
    /// There is no such API.
    #[error("there is no such API")]
    NotFound,
    /// The removal could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The adapter itself failed.
    #[error("the removal was interrupted ({0})")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A deployment in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name of the API.
    pub name: String,
    /// Version of the API.
    pub version: String,
    /// `HTTP`.
    pub api_type: String,
    /// Base path.
    pub context: String,
    /// Environments.
    pub environments: BTreeSet<String>,
    /// Virtual host.
    pub virtual_host: String,
}

/// Which deployments to remove.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Name of the API.
    pub name: String,
    /// Version of the API.
    pub version: String,
    /// Only on this virtual host, in lower case.
    pub virtual_host: Option<String>,
    /// Only from these environments; from all when empty.
    pub environments: BTreeSet<String>,
}

/// The catalogue. Share it in an [`Arc`].
pub struct Catalog {
    store: Arc<Store>,
    options: Arc<CompileOptions>,
    world: WorldWriter,
    refusals: Arc<dyn Refusals>,
    state: Mutex<State>,
}

impl Catalog {
    /// An empty catalogue over that store. Call [`Catalog::load`] before anything is deployed.
    #[must_use]
    pub fn new(store: Store, options: CompileOptions, world: WorldWriter, refusals: Arc<dyn Refusals>) -> Arc<Self> {
        Arc::new(Self { store: Arc::new(store), options: Arc::new(options), world, refusals, state: Mutex::default() })
    }

    /// Stores and deploys an uploaded project and returns when gateways are told of it.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn deploy(self: &Arc<Self>, archive: Bytes, overwrite: bool) -> Result<Deployed, DeployError> {
        // A task of its own: it runs to its end even when whoever asked goes away.
        tokio::spawn(change::deploy(Arc::clone(self), archive, overwrite)).await?
    }

    /// Reads a project as [`Catalog::sync`] wants it. Takes a while: call it off the async threads.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(&self, files: &ProjectFiles) -> Result<Compiled, Problems> {
        compile(files, &self.options)
    }

    /// The same, of a project of which somebody else says more than it does itself.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile_placed(&self, files: &ProjectFiles, placement: &Placement) -> Result<Compiled, Problems> {
        compile_placed(files, &self.options, placement)
    }

    /// Takes over what changed in a source of projects, in one step. Each project is taken or refused by itself, and a
    /// refused one leaves what it had deployed before.
    ///
    /// # Errors
    /// Why nothing at all was changed.
    pub async fn sync(self: &Arc<Self>, batch: Batch) -> Result<Synced, DeployError> {
        tokio::spawn(sync::sync(Arc::clone(self), batch)).await?
    }

    /// Removes deployments and returns when gateways are told of it.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn undeploy(self: &Arc<Self>, selection: Selection) -> Result<gateways::Change, UndeployError> {
        tokio::spawn(change::undeploy(Arc::clone(self), selection)).await?
    }

    /// Reads what is stored and publishes it at once. A project that can no longer be read is reported and denied.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub async fn load(self: &Arc<Self>) -> Result<usize, DeployError> {
        tokio::spawn(change::load(Arc::clone(self))).await?
    }

    /// All deployments, by virtual host and id.
    pub async fn list(&self) -> Vec<Summary> {
        let state = self.state.lock().await;
        state.entries().map(|(key, entry)| summary(key, entry)).collect()
    }
}

fn summary(key: &DeploymentKey, entry: &state::Entry) -> Summary {
    Summary {
        name: entry.record.name.clone(),
        version: entry.record.version.clone(),
        api_type: entry.record.api_type.clone(),
        context: entry.record.context.clone(),
        environments: entry.record.environments.clone(),
        virtual_host: key.virtual_host.clone(),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
