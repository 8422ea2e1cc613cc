//! The artifacts directory: every project folder and zip in `<artifacts>/apis` is deployed at the start, replacing what is
//! there. A broken one is reported and stops no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::catalog::{Catalog, DeployError, Source};
use super::project::{ProjectFiles, archive, directory};
use crate::model::{Problems, Refusals};

/// Most projects in the directory.
const MAX_PROJECTS: usize = 20_000;

/// Why the directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the projects in {} cannot be listed ({reason}); create the folder, or remove adapter.artifactsDirectory", folder.display())]
pub struct FolderError {
    folder: PathBuf,
    reason: String,
}

/// What came of the directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Deployed projects.
    pub deployed: usize,
    /// Refused ones.
    pub refused: usize,
}

/// Deploys all projects of the directory.
///
/// # Errors
/// When it cannot be listed.
pub async fn deploy_all(
    artifacts: &Path,
    catalog: &Arc<Catalog>,
    refusals: &dyn Refusals,
) -> Result<Outcome, FolderError> {
    let folder = artifacts.join("apis");
    let fail = |reason: String| FolderError { folder: folder.clone(), reason };
    let list = {
        let folder = folder.clone();
        spawn_blocking(move || projects(&folder)).await
    };
    let list = list.map_err(|error| fail(error.to_string()))?.map_err(|error| fail(error.to_string()))?;
    if list.len() > MAX_PROJECTS {
        return Err(fail(format!("it holds more than {MAX_PROJECTS} projects")));
    }
    let mut outcome = Outcome::default();
    for path in list {
        let origin = path.display().to_string();
        match deploy(&path, &folder, catalog).await {
            Ok(warnings) => {
                outcome.deployed = outcome.deployed.saturating_add(1);
                refusals.accept(&origin);
                for warning in &warnings {
                    tracing::warn!(project = %origin, %warning, "deployed with a warning");
                }
            }
            Err(problems) => {
                outcome.refused = outcome.refused.saturating_add(1);
                for problem in problems.errors() {
                    tracing::error!(project = %origin, %problem, "project refused");
                }
                refusals.refuse(&origin, &problems);
            }
        }
    }
    Ok(outcome)
}

/// Reads a project: a folder, or a zip.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path, root: &Path) -> Result<ProjectFiles, Problems> {
    if path.is_dir() {
        return directory::read(path, root);
    }
    let bytes = directory::read_bounded(path, archive::MAX_ARCHIVE_BYTES).map_err(|what| {
        let mut problems = Problems::new();
        let what = format!("{} {what}", path.display());
        problems.error(("", ""), what, "the project cannot be read", "name a project folder or a zip file");
        problems
    })?;
    archive::unpack(&bytes)
}

async fn deploy(path: &Path, root: &Path, catalog: &Arc<Catalog>) -> Result<Problems, Problems> {
    let (path, root) = (path.to_path_buf(), root.to_path_buf());
    let files = spawn_blocking(move || read(&path, &root)).await.map_err(|error| failure(&error.to_string()))??;
    match catalog.deploy(Source::Files(files), true).await {
        Ok(warnings) => Ok(warnings),
        Err(DeployError::Invalid(problems) | DeployError::Conflict(problems)) => Err(problems),
        Err(error) => Err(failure(&error.to_string())),
    }
}

/// Folders and zips, in the order of their names, so that a collision always ends alike.
fn projects(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        let zip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        if !hidden && (zip || path.is_dir()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn failure(what: &str) -> Problems {
    let mut problems = Problems::new();
    problems.error(("", ""), what.to_owned(), "the adapter failed", "see its log");
    problems
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::*;
    use crate::inputs::catalog::Store;
    use crate::inputs::project::CompileOptions;
    use crate::model::{World, WorldWriter};

    #[derive(Default)]
    struct Reported(Mutex<BTreeSet<String>>);

    impl Refusals for Reported {
        fn refuse(&self, origin: &str, _: &Problems) {
            self.0.lock().unwrap().insert(origin.to_owned());
        }
        fn accept(&self, origin: &str) {
            self.0.lock().unwrap().remove(origin);
        }
    }

    fn catalog(directory: &Path) -> (Arc<Catalog>, WorldWriter) {
        let world = WorldWriter::new(World::default());
        let store = Store::open(directory).unwrap();
        (Catalog::new(store, CompileOptions::default(), world.clone(), Arc::new(Reported::default())), world)
    }

    fn write(folder: &Path, name: &str) {
        fs::create_dir_all(folder.join("Definitions")).unwrap();
        let api = format!(
            "type: api\ndata: {{name: {name}, version: '1', context: /{name}, endpointConfig: {{production_endpoints: {{url: 'http://backend'}}}}}}"
        );
        fs::write(folder.join("api.yaml"), api).unwrap();
        fs::write(folder.join("Definitions/swagger.yaml"), "openapi: 3.0.1\npaths: {/a: {get: {}}}").unwrap();
    }

    #[tokio::test]
    async fn a_broken_project_stops_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let apis = directory.path().join("apis");
        write(&apis.join("a-good"), "good");
        write(&apis.join("z-good"), "fine");
        write(&apis.join(".hidden"), "hidden");
        fs::create_dir_all(apis.join("empty")).unwrap();
        fs::write(apis.join("broken.zip"), "no zip").unwrap();
        fs::write(apis.join("README.md"), "no project").unwrap();
        let (catalog, world) = catalog(&directory.path().join("state"));
        let reported = Reported::default();
        let outcome = deploy_all(directory.path(), &catalog, &reported).await.unwrap();
        assert_eq!(outcome, Outcome { deployed: 2, refused: 2 });
        assert_eq!(world.current().deployments.len(), 2);
        let refused = reported.0.lock().unwrap();
        assert!(refused.iter().any(|origin| origin.ends_with("broken.zip")), "{refused:?}");
        assert!(refused.iter().any(|origin| origin.ends_with("empty")), "{refused:?}");
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_an_error_that_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let (catalog, _) = catalog(&directory.path().join("state"));
        let error = deploy_all(directory.path(), &catalog, &Reported::default()).await.unwrap_err();
        assert!(error.to_string().contains("create the folder"), "{error}");
    }
}
