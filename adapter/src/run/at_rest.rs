//! The world of an adapter that does not run: from its configuration, and from what it has stored or from projects. Nobody is
//! asked: issuers have the keys that were kept, and revoked tokens are those of the subscriptions file.

use std::path::PathBuf;
use std::sync::Arc;

use super::{RunError, StatusRefusals, first_world, output_settings};
use crate::admin::Status;
use crate::certs;
use crate::config::Config;
use crate::inputs::catalog::{Catalog, Store};
use crate::inputs::folder;
use crate::inputs::project::compile;
use crate::inputs::subscriptions::SubscriptionsFile;
use crate::model::{Refusals, World, WorldWriter};
use crate::outputs::issuers::{IssuerSettings, Issuers};
use crate::outputs::{OutputError, OutputSettings};
use crate::signing::TokenSigner;

/// Reads it: the projects, or what is stored where none are given.
///
/// # Errors
/// Why it cannot be read.
pub async fn world(config: &Config, projects: &[PathBuf]) -> Result<Arc<World>, RunError> {
    let status = Status::new();
    let refusals: Arc<dyn Refusals> = Arc::new(StatusRefusals(Arc::clone(&status)));
    let writer = WorldWriter::new(first_world(config)?);
    if projects.is_empty() {
        let state = config.state.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&state)).await??;
        Catalog::new(store, config.projects.clone(), writer.clone(), Arc::clone(&refusals)).load().await?;
    } else {
        read_projects(config, projects, &writer)?;
    }
    if let Some(path) = &config.subscriptions {
        let file = SubscriptionsFile::open(path.clone(), writer.clone(), refusals).await;
        file.map_err(RunError::Subscriptions)?;
    }
    let certificates = config.state.join("certificates");
    let development = tokio::task::spawn_blocking(move || certs::ensure(&certificates)).await??;
    read_issuers(&output_settings(config, &development), &writer, status).map_err(RunError::Output)?;
    Ok(writer.current())
}

fn read_projects(config: &Config, projects: &[PathBuf], writer: &WorldWriter) -> Result<(), RunError> {
    for project in projects {
        let files = folder::read(project, project).map_err(RunError::Project)?;
        let compiled = compile(&files.without_top_folder(), &config.projects).map_err(RunError::Project)?;
        writer.update(|world| {
            for (host, environments) in &compiled.targets {
                for environment in environments {
                    world.environments.entry(environment.clone()).or_insert_with(|| host.clone());
                }
                let deployment = compiled.blueprint.on(host, environments.clone());
                world.deployments.insert(deployment.key(), Arc::new(deployment));
            }
        });
    }
    Ok(())
}

fn read_issuers(settings: &OutputSettings, writer: &WorldWriter, status: Arc<Status>) -> Result<(), OutputError> {
    let signer = settings.test_keys.as_ref();
    let signer = signer.map(|keys| TokenSigner::load(&keys.signing_key, &keys.certificate)).transpose()?;
    let issuer = settings.test_keys.as_ref().map(|keys| keys.issuer.as_str());
    let issuer_settings = IssuerSettings {
        services: &settings.token_services,
        test_keys: issuer.zip(signer.as_ref().map(TokenSigner::jwk)),
        key_trust: &settings.key_trust,
        key_cache: &settings.key_cache,
    };
    Issuers::new(&issuer_settings, writer.clone(), status)?;
    Ok(())
}
