//! How the catalogue follows a source of projects: all that changed there is taken over in one step, and whatever one
//! project gets wrong concerns that project alone. Must never touch the deployments of another project.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{commit, entry, show};
use super::state::{Claim, Entry, State};
use super::store;
use super::{Catalog, DeployError};
use crate::model::{Deployment, DeploymentKey, Origin, Problems};

/// How often projects that collide are tried again because others have given way.
const MAX_PASSES: usize = 8;

/// What changed in a source.
#[derive(Debug, Default)]
pub struct Batch {
    /// New and changed projects.
    pub put: Vec<ProjectPut>,
    /// Projects that are gone.
    pub gone: Vec<Origin>,
}

/// A new or changed project.
#[derive(Debug)]
pub struct ProjectPut {
    /// Which.
    pub origin: Origin,
    /// What it says, on every virtual host.
    pub deployments: Vec<Arc<Deployment>>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Synced {
    /// Of every put project, in their order.
    pub outcomes: Vec<Result<(), Problems>>,
    /// Revision of the world that has all of it.
    pub revision: u64,
}

/// What is known of a put project while its place is looked for.
struct Candidate {
    number: usize,
    origin: Origin,
    deployments: Vec<Arc<Deployment>>,
}

pub(super) async fn sync(catalog: Arc<Catalog>, batch: Batch) -> Result<Synced, DeployError> {
    let mut state = catalog.state.lock().await;
    // On a copy: a store that fails leaves everything as it was.
    let mut next = state.clone();
    let mut held = by_project(&state);
    let mut touched = BTreeSet::new();
    for origin in &batch.gone {
        for key in held.remove(&identity(origin)).unwrap_or_default() {
            next.remove(&key);
            touched.insert(key);
        }
    }
    let mut outcomes: Vec<Result<(), Problems>> = vec![Ok(()); batch.put.len()];
    let mut waiting: Vec<Candidate> = batch.put.into_iter().enumerate().map(candidate).collect();
    for _ in 0..MAX_PASSES {
        let before = waiting.len();
        waiting.retain(|candidate| {
            let own = held.get(&identity(&candidate.origin)).map(Vec::as_slice).unwrap_or_default();
            let outcome = place(&mut next, own, candidate);
            if outcome.is_ok() {
                touched.extend(own.iter().cloned());
                touched.extend(candidate.deployments.iter().map(|deployment| deployment.key()));
            }
            let collides = outcome.is_err();
            if let Some(slot) = outcomes.get_mut(candidate.number) {
                *slot = outcome;
            }
            collides
        });
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    // A project has taken the place of what the store holds; should the project go, nothing of the past must come back.
    let replaced = touched.iter().filter(|key| state.get(key).is_some_and(|entry| entry.origin.is_stored()));
    let changes: Vec<store::Change> = replaced.map(|key| store::Change::Remove(key.clone())).collect();
    if !changes.is_empty() {
        commit(&catalog.store, changes).await??;
    }
    *state = next;
    let touched: Vec<DeploymentKey> = touched.into_iter().collect();
    let revision = if touched.is_empty() {
        catalog.world.current().revision
    } else {
        tell(&state, &touched);
        show(&catalog, &state, &touched)
    };
    Ok(Synced { outcomes, revision })
}

/// Puts a project where its former deployments were, or leaves those as they are.
fn place(state: &mut State, own: &[DeploymentKey], candidate: &Candidate) -> Result<(), Problems> {
    // Somebody may have replaced one of them over the REST API meanwhile. That one is not this project's any more.
    let own = own.iter().filter(|key| state.get(key).is_some_and(|one| one.origin.is_project_of(&candidate.origin)));
    let own: Vec<DeploymentKey> = own.cloned().collect();
    let former: Vec<(DeploymentKey, Entry)> =
        own.into_iter().filter_map(|key| state.remove(&key).map(|entry| (key, entry))).collect();
    let collision = candidate.deployments.iter().find_map(|deployment| {
        let outcome = state.check(deployment, Claim::Project(&candidate.origin));
        outcome.err().map(|collision| collision.problems(deployment))
    });
    if let Some(problems) = collision {
        for (key, entry) in former {
            state.put(key, entry);
        }
        return Err(problems);
    }
    for deployment in &candidate.deployments {
        let (key, entry) = entry(Arc::clone(deployment), candidate.origin.clone());
        state.put(key, entry);
    }
    Ok(())
}

fn candidate((number, put): (usize, ProjectPut)) -> Candidate {
    Candidate { number, origin: put.origin, deployments: put.deployments }
}

/// A project without its revision.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Folder(Arc<str>),
    Git(Arc<str>),
    ApiManager(Arc<str>),
}

fn identity(origin: &Origin) -> Option<Identity> {
    match origin {
        Origin::Rest => None,
        Origin::Folder(project) => Some(Identity::Folder(Arc::clone(&project.project))),
        Origin::Git(project) => Some(Identity::Git(Arc::clone(&project.project))),
        Origin::ApiManager(project) => Some(Identity::ApiManager(Arc::clone(&project.project))),
    }
}

/// The deployments of every project.
fn by_project(state: &State) -> BTreeMap<Option<Identity>, Vec<DeploymentKey>> {
    let mut held: BTreeMap<Option<Identity>, Vec<DeploymentKey>> = BTreeMap::new();
    for (key, entry) in state.entries().filter(|(_, entry)| !entry.origin.is_stored()) {
        held.entry(identity(&entry.origin)).or_default().push(key.clone());
    }
    held
}

fn tell(state: &State, touched: &[DeploymentKey]) {
    for key in touched {
        match state.get(key) {
            Some(entry) => tracing::info!(api = %entry.record.name, version = %entry.record.version,
                virtual_host = %key.virtual_host, environments = ?entry.record.environments,
                origin = entry.origin.describe(), "deployed"),
            None => tracing::info!(virtual_host = %key.virtual_host, api = %key.api_id, "undeployed with its project"),
        }
    }
}
