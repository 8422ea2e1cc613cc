//! How the catalogue changes over the REST API: the steps of a deployment, of a removal and of loading, in their order.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::state::{Claim, Entry, State};
use super::store::{self, Record, Store, StoreError, Stored};
use super::{Catalog, DeployError, Deployed, Selection, UndeployError, summary};
use crate::inputs::project::{CompileOptions, archive, compile};
use crate::model::{Deployment, DeploymentKey, Origin, Problems, gateways};

pub(super) async fn deploy(catalog: Arc<Catalog>, archive: Bytes, overwrite: bool) -> Result<Deployed, DeployError> {
    let options = Arc::clone(&catalog.options);
    let unpacked = archive.clone();
    let compiled = spawn_blocking(move || compile(&archive::unpack(&unpacked)?, &options)).await?;
    let compiled = compiled.map_err(DeployError::Invalid)?;
    let deployments = compiled.deployments();

    let mut state = catalog.state.lock().await;
    let claim = if overwrite { Claim::Replace } else { Claim::New };
    for deployment in &deployments {
        state.check(deployment, claim).map_err(|collision| DeployError::Conflict(collision.problems(deployment)))?;
    }
    let mut change = gateways::Change::default();
    let entries: Vec<(DeploymentKey, Entry)> =
        deployments.into_iter().map(|deployment| entry(deployment, Origin::Rest)).collect();
    let changes = entries
        .iter()
        .map(|(key, entry)| store::Change::Put(key.clone(), entry.record.clone(), Some(archive.clone())))
        .collect();
    commit(&catalog.store, changes).await??;
    let mut targets = Vec::new();
    for (key, entry) in &entries {
        tracing::info!(api = %entry.record.name, version = %entry.record.version, virtual_host = %key.virtual_host,
            environments = ?entry.record.environments, "deployed");
        catalog.refusals.accept(&origin(key));
        concern(&mut change, state.get(key));
        concern(&mut change, Some(entry));
        change.clusters.extend(clusters(entry));
        targets.push(summary(key, entry));
    }
    change.revision = publish(&catalog, &mut state, entries, &[]);
    Ok(Deployed { warnings: compiled.warnings, change, targets })
}

pub(super) async fn undeploy(catalog: Arc<Catalog>, selection: Selection) -> Result<gateways::Change, UndeployError> {
    let mut state = catalog.state.lock().await;
    let mut change = gateways::Change::default();
    let (mut kept, mut removed, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for (key, entry) in state.entries().filter(|(key, entry)| is_selected(key, entry, &selection)) {
        concern(&mut change, Some(entry));
        let mut entry = entry.clone();
        if !selection.environments.is_empty() {
            entry.record.environments.retain(|environment| !selection.environments.contains(environment));
        }
        if selection.environments.is_empty() || entry.record.environments.is_empty() {
            // Also of one that is not stored: an older one of the same key may be.
            changes.push(store::Change::Remove(key.clone()));
            removed.push(key.clone());
            continue;
        }
        if entry.origin.is_stored() {
            changes.push(store::Change::Put(key.clone(), entry.record.clone(), None));
        }
        let environments = entry.record.environments.clone();
        entry.deployment =
            entry.deployment.map(|deployment| Arc::new(Deployment { environments, ..Deployment::clone(&deployment) }));
        kept.push((key.clone(), entry));
    }
    if kept.is_empty() && removed.is_empty() {
        return Err(UndeployError::NotFound);
    }
    commit(&catalog.store, changes).await??;
    for key in &removed {
        catalog.refusals.accept(&origin(key));
    }
    tracing::info!(api = %selection.name, version = %selection.version, removed = removed.len(), kept = kept.len(), "undeployed");
    if !selection.environments.is_empty() {
        change.environments.retain(|environment| selection.environments.contains(environment));
    }
    change.revision = publish(&catalog, &mut state, kept, &removed);
    Ok(change)
}

pub(super) async fn load(catalog: Arc<Catalog>) -> Result<usize, DeployError> {
    let (store, options) = (Arc::clone(&catalog.store), Arc::clone(&catalog.options));
    let found = spawn_blocking(move || {
        let mut found = Vec::new();
        store.load(|stored| found.push(stored.map(|stored| restore(stored, &options)))).map(|()| found)
    })
    .await??;
    let mut state = catalog.state.lock().await;
    let mut fresh = State::default();
    for restored in found {
        let (key, mut entry, mut problems) = match restored {
            Ok(restored) => restored,
            Err(error) => {
                refuse_record(&catalog, &error);
                continue;
            }
        };
        let collision = entry.deployment.as_ref().and_then(|one| Some((one, fresh.check(one, Claim::New).err()?)));
        if let Some((deployment, collision)) = collision {
            problems.extend(collision.problems(deployment));
            entry.deployment = None;
        }
        if entry.deployment.is_none() {
            tracing::error!(virtual_host = %key.virtual_host, api = %entry.record.name, version = %entry.record.version,
                problems = %joined(&problems), "a stored API cannot be served by this release; it is denied until it is deployed again");
            catalog.refusals.refuse(&origin(&key), &problems);
        }
        fresh.put(key, entry);
    }
    *state = fresh;
    let served = state.entries().filter(|(_, entry)| entry.deployment.is_some()).count();
    let environments = state.environments(&catalog.options.virtual_hosts);
    let deployments = state
        .entries()
        .filter_map(|(key, entry)| Some((key.clone(), Arc::clone(entry.deployment.as_ref()?))))
        .collect();
    let origins = state.entries().map(|(key, entry)| (key.clone(), entry.origin.clone())).collect();
    catalog.world.update(|world| {
        world.origins = origins;
        world.deployments = deployments;
        world.environments = environments;
    });
    Ok(served)
}

fn restore(stored: Stored, options: &CompileOptions) -> (DeploymentKey, Entry, Problems) {
    let Stored { key, record, archive } = stored;
    let compiled = archive::unpack(&archive).and_then(|files| compile(&files, options));
    let (deployment, mut problems) = match compiled {
        // The stored host and environments count, whatever the configuration's defaults are by now.
        Ok(compiled) => {
            let deployment = compiled.blueprint.on(&key.virtual_host, record.environments.clone());
            (Some(Arc::new(deployment)), compiled.warnings)
        }
        Err(problems) => (None, problems),
    };
    let deployment = deployment.filter(|deployment| deployment.key() == key);
    if deployment.is_none() && !problems.has_errors() {
        let why = "this release reads another id from the project";
        problems.error(("", ""), "the stored project belongs to another API", why, "deploy it again");
    }
    (key, Entry { record, deployment, origin: Origin::Rest }, problems)
}

pub(super) fn entry(deployment: impl Into<Arc<Deployment>>, origin: Origin) -> (DeploymentKey, Entry) {
    let deployment = deployment.into();
    let record = Record::new(
        deployment.environments.clone(),
        deployment.api.name.clone(),
        deployment.api.version.clone(),
        deployment.api_type.clone(),
        deployment.context.clone(),
    );
    (deployment.key(), Entry { record, deployment: Some(deployment), origin })
}

/// Gateways of a deployment's environments have to do with the change.
fn concern(change: &mut gateways::Change, entry: Option<&Entry>) {
    change.environments.extend(entry.into_iter().flat_map(|entry| entry.record.environments.iter().cloned()));
}

fn clusters(entry: &Entry) -> impl Iterator<Item = String> {
    entry.deployment.iter().flat_map(|deployment| deployment.clusters.iter().map(|cluster| cluster.name.clone()))
}

fn is_selected(key: &DeploymentKey, entry: &Entry, selection: &Selection) -> bool {
    entry.record.name == selection.name
        && entry.record.version == selection.version
        && selection.virtual_host.as_ref().is_none_or(|host| *host == key.virtual_host)
        && (selection.environments.is_empty()
            || entry.record.environments.iter().any(|one| selection.environments.contains(one)))
}

fn publish(catalog: &Catalog, state: &mut State, put: Vec<(DeploymentKey, Entry)>, removed: &[DeploymentKey]) -> u64 {
    let mut touched: Vec<DeploymentKey> = removed.to_vec();
    for key in removed {
        state.remove(key);
    }
    for (key, entry) in put {
        touched.push(key.clone());
        state.put(key, entry);
    }
    show(catalog, state, &touched)
}

/// Tells the world how these deployments are now, and gives its revision.
pub(super) fn show(catalog: &Catalog, state: &State, touched: &[DeploymentKey]) -> u64 {
    let environments = state.environments(&catalog.options.virtual_hosts);
    catalog.world.update(|world| {
        world.environments = environments;
        for key in touched {
            match state.get(key) {
                Some(entry) => world.origins.insert(key.clone(), entry.origin.clone()),
                None => world.origins.remove(key),
            };
            match state.get(key).and_then(|entry| entry.deployment.as_ref()) {
                Some(deployment) => world.deployments.insert(key.clone(), Arc::clone(deployment)),
                None => world.deployments.remove(key),
            };
        }
    })
}

pub(super) async fn commit(
    store: &Arc<Store>,
    changes: Vec<store::Change>,
) -> Result<Result<(), StoreError>, tokio::task::JoinError> {
    let store = Arc::clone(store);
    spawn_blocking(move || store.apply(&changes)).await
}

fn refuse_record(catalog: &Catalog, error: &StoreError) {
    tracing::error!(%error, "a stored deployment cannot be read; it is denied and kept");
    let mut problems = Problems::new();
    problems.error(("", ""), error.to_string(), "the API is denied", "deploy it again");
    let origin = match error {
        StoreError::Record { key, .. } => format!("stored {key}"),
        _ => "the store".to_owned(),
    };
    catalog.refusals.refuse(&origin, &problems);
}

/// How a deployment is called in status and logs.
fn origin(key: &DeploymentKey) -> String {
    format!("stored {}:{}", key.virtual_host, key.api_id)
}

fn joined(problems: &Problems) -> String {
    problems.errors().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}
