//! How the catalogue changes: the steps of a deployment, of a removal and of loading, in their order.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::state::{Entry, State};
use super::store::{Change, Record, Store, StoreError, Stored};
use super::{Catalog, DeployError, Selection, Source, UndeployError};
use crate::inputs::project::{CompileOptions, Compiled, archive, compile};
use crate::model::{Deployment, DeploymentKey, Problems};

pub(super) async fn deploy(catalog: Arc<Catalog>, source: Source, overwrite: bool) -> Result<Problems, DeployError> {
    let options = catalog.options.clone();
    let (compiled, archive) = spawn_blocking(move || read(source, &options)).await?.map_err(DeployError::Invalid)?;
    let deployments: Vec<Deployment> =
        compiled.targets.iter().map(|(host, environments)| compiled.blueprint.on(host, environments.clone())).collect();

    let mut state = catalog.state.lock().await;
    for deployment in &deployments {
        state
            .check(deployment, overwrite)
            .map_err(|collision| DeployError::Conflict(collision.problems(deployment)))?;
    }
    let entries: Vec<(DeploymentKey, Entry)> =
        deployments.into_iter().map(|deployment| entry(deployment, archive.is_some())).collect();
    if archive.is_some() {
        let changes = entries
            .iter()
            .map(|(key, entry)| Change::Put(key.clone(), entry.record.clone(), archive.clone()))
            .collect();
        commit(&catalog.store, changes).await??;
    }
    for (key, entry) in &entries {
        tracing::info!(api = %entry.record.name, version = %entry.record.version, virtual_host = %key.virtual_host,
            environments = ?entry.record.environments, "deployed");
        catalog.refusals.accept(&origin(key));
    }
    publish(&catalog, &mut state, entries, &[]);
    Ok(compiled.warnings)
}

pub(super) async fn undeploy(catalog: Arc<Catalog>, selection: Selection) -> Result<(), UndeployError> {
    let mut state = catalog.state.lock().await;
    let (mut kept, mut removed, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for (key, entry) in state.entries().filter(|(key, entry)| is_selected(key, entry, &selection)) {
        let mut entry = entry.clone();
        if !selection.environments.is_empty() {
            entry.record.environments.retain(|environment| !selection.environments.contains(environment));
        }
        if selection.environments.is_empty() || entry.record.environments.is_empty() {
            // Also of one that is not stored: an older one of the same key may be.
            changes.push(Change::Remove(key.clone()));
            removed.push(key.clone());
            continue;
        }
        if entry.stored {
            changes.push(Change::Put(key.clone(), entry.record.clone(), None));
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
    publish(&catalog, &mut state, kept, &removed);
    Ok(())
}

pub(super) async fn load(catalog: Arc<Catalog>) -> Result<usize, DeployError> {
    let (store, options) = (Arc::clone(&catalog.store), catalog.options.clone());
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
        let collision = entry.deployment.as_ref().and_then(|one| Some((one, fresh.check(one, false).err()?)));
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
    catalog.world.update(|world| {
        world.deployments = deployments;
        world.environments = environments;
    });
    Ok(served)
}

fn read(source: Source, options: &CompileOptions) -> Result<(Compiled, Option<Bytes>), Problems> {
    match source {
        Source::Archive(bytes) => Ok((compile(&archive::unpack(&bytes)?, options)?, Some(bytes))),
        Source::Files(files) => Ok((compile(&files, options)?, None)),
    }
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
    (key, Entry { record, deployment, stored: true }, problems)
}

fn entry(deployment: Deployment, stored: bool) -> (DeploymentKey, Entry) {
    let record = Record::new(
        deployment.environments.clone(),
        deployment.api.name.clone(),
        deployment.api.version.clone(),
        deployment.api_type.clone(),
        deployment.context.clone(),
    );
    (deployment.key(), Entry { record, deployment: Some(Arc::new(deployment)), stored })
}

fn is_selected(key: &DeploymentKey, entry: &Entry, selection: &Selection) -> bool {
    entry.record.name == selection.name
        && entry.record.version == selection.version
        && selection.virtual_host.as_ref().is_none_or(|host| *host == key.virtual_host)
        && (selection.environments.is_empty()
            || entry.record.environments.iter().any(|one| selection.environments.contains(one)))
}

fn publish(catalog: &Catalog, state: &mut State, put: Vec<(DeploymentKey, Entry)>, removed: &[DeploymentKey]) {
    for (key, entry) in &put {
        state.put(key.clone(), entry.clone());
    }
    for key in removed {
        state.remove(key);
    }
    let environments = state.environments(&catalog.options.virtual_hosts);
    catalog.world.update(|world| {
        world.environments = environments;
        for key in removed {
            world.deployments.remove(key);
        }
        for (key, entry) in put {
            match entry.deployment {
                Some(deployment) => world.deployments.insert(key, deployment),
                None => world.deployments.remove(&key),
            };
        }
    });
}

async fn commit(store: &Arc<Store>, changes: Vec<Change>) -> Result<Result<(), StoreError>, tokio::task::JoinError> {
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
