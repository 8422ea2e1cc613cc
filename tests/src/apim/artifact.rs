//! The archive of deployed APIs, as API Manager builds it: a description of the deployments, endpoints by environment, and
//! one project for each revision.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::state::{Api, Files, Tenant};
use crate::project::{archive, sample_with};

/// The project of the next revision.
pub(super) fn project(api: &Api, organization: &str) -> Result<Vec<u8>> {
    let (uuid, revision) = (&api.uuid, api.revision);
    match &api.project.files {
        Files::Sample { folder, backend } => {
            let identity = format!("data:\n  id: {uuid}\n  revisionId: {revision}\n  organizationId: {organization}\n");
            // The backend is told which revision it is called by.
            let backend = format!("{backend}/r{revision}");
            sample_with(folder, &backend, &[("data:\n", &identity)])
        }
        Files::Built(project) => (**project)
            .clone()
            .with("id", uuid.clone())
            .with("revisionId", revision)
            .with("organizationId", organization)
            .with("lifeCycleStatus", api.status.clone())
            .with_extension("x-wso2-basePath", api.project.context.clone())
            .zip(),
    }
}

/// The archive of what is deployed in any of these environments; of one API, if it is named by its UUID. `None` when there
/// is nothing. `without_files` leaves out what the description names.
pub(super) fn runtime(
    tenants: &[&Tenant],
    labels: &[String],
    uuids: Option<&[String]>,
    without_files: bool,
) -> Result<Option<Vec<u8>>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let (mut deployments, mut properties) = (Vec::new(), Map::new());
    for (tenant, api) in tenants.iter().flat_map(|tenant| tenant.apis.values().map(move |api| (tenant, api))) {
        if uuids.is_some_and(|uuids| !uuids.contains(&api.uuid)) {
            continue;
        }
        // By revision, of which each has its own file.
        let mut revisions: BTreeMap<&str, (Vec<Value>, &Bytes)> = BTreeMap::new();
        let mut of_environments = Map::new();
        for (environment, deployment) in api.deployments.iter().filter(|(name, _)| labels.contains(name)) {
            let (places, _) = revisions.entry(&deployment.revision_uuid).or_insert((Vec::new(), &deployment.archive));
            places.push(json!({
                "name": environment, "vhost": deployment.vhost, "deployedTime": "2026-01-01 00:00:00.0",
            }));
            let configs = match &deployment.endpoints {
                None => json!({}),
                Some((production, sandbox)) => json!({"productionEndpoint": production, "sandboxEndpoint": sandbox}),
            };
            of_environments.insert(environment.clone(), json!({"envId": environment, "configs": configs}));
        }
        for (revision, (places, content)) in revisions {
            let file = format!("{}-{revision}.zip", api.uuid);
            deployments.push(json!({
                "apiFile": file, "environments": places, "organizationId": tenant.domain,
                "apiContext": api.project.context, "version": api.project.version,
            }));
            if !without_files {
                files.insert(file, content.to_vec());
            }
        }
        if !of_environments.is_empty() {
            properties.insert(api.uuid.clone(), of_environments.into());
        }
    }
    if deployments.is_empty() {
        return Ok(None);
    }
    let description = json!({"type": "deployments", "version": "v4.1.0", "data": {"deployments": deployments}});
    files.insert("deployments.json".to_owned(), description.to_string().into_bytes());
    files.insert("env_properties.json".to_owned(), json!({"apis": properties}).to_string().into_bytes());
    archive(&files).map(Some).map_err(|error| anyhow!("building the archive: {error:#}"))
}
