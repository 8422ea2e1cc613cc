//! A Git repository as a source of projects: what is in its branch is what is deployed from it. Deletions follow, a rewritten
//! history does too, and while the remote cannot be reached the last good state stays.
//!
//! Projects are the folders and zips in `apis`, and those folders and zips at the top that are recognised as projects.

mod repository;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::repository::{GitError, Repository};

use super::catalog::Catalog;
use super::folder::collection::{Collection, Kind};
use super::folder::scan::{self, Found, Rule};
use crate::model::Refusals;

/// Folder of the repository that holds projects.
const APIS: &str = "apis";

/// What is configured of the repository.
#[derive(Clone)]
pub struct GitSettings {
    /// Where it is.
    pub url: String,
    /// The branch; the remote's default one when absent.
    pub branch: Option<String>,
    /// Name to sign in with over HTTP.
    pub username: Option<String>,
    /// Token or password to sign in with over HTTP.
    pub access_token: Option<String>,
    /// Key to sign in with over SSH.
    pub ssh_key: Option<PathBuf>,
    /// Files with the keys of SSH servers; those of the user whom the adapter runs as when there are none.
    pub known_hosts: Vec<PathBuf>,
    /// Where the clone is kept. It belongs to the adapter.
    pub directory: PathBuf,
    /// How often the remote is asked.
    pub poll: Duration,
    /// How soon it is asked again when it could not be reached.
    pub retry: Duration,
    /// How often that is tried at the start.
    pub max_retries: u32,
}

/// Names no credentials.
impl std::fmt::Debug for GitSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitSettings")
            .field("url", &repository::shown(&self.url))
            .field("branch", &self.branch)
            .field("username", &self.username)
            .field("access_token", &self.access_token.as_ref().map(|_| "<redacted>"))
            .field("ssh_key", &self.ssh_key)
            .field("known_hosts", &self.known_hosts)
            .field("directory", &self.directory)
            .field("poll", &self.poll)
            .field("retry", &self.retry)
            .field("max_retries", &self.max_retries)
            .finish()
    }
}

/// The repository and what was deployed from it.
pub struct Git {
    settings: GitSettings,
    repository: Repository,
    collection: Collection,
    revision: String,
    failures: u32,
}

impl Git {
    /// Deploys the repository. When the remote cannot be reached, the state of the last run counts; when there is none,
    /// it is tried again as configured. An adapter that began without its APIs would take them from its gateways.
    ///
    /// # Errors
    /// When there is nothing to begin with.
    pub async fn open(
        settings: GitSettings,
        catalog: Arc<Catalog>,
        reports: Arc<dyn Refusals>,
    ) -> Result<Self, GitError> {
        let location = match &settings.branch {
            Some(branch) => format!("{} ({branch})", repository::shown(&settings.url)),
            None => repository::shown(&settings.url),
        };
        let repository = Repository::open(settings.clone()).await?;
        let collection = Collection::new(Kind::Git, location, catalog, reports);
        let mut git = Self { repository, collection, revision: String::new(), failures: 0, settings };
        let served = git.repository.served().await;
        loop {
            let error = match git.advance().await {
                Ok(()) => return Ok(git),
                Err(error) => error,
            };
            git.collection.failed(&error.to_string());
            if let Some(revision) = &served {
                git.take(revision).await?;
                git.collection.failed(&error.to_string());
                git.failures = 1;
                return Ok(git);
            }
            git.failures = git.failures.saturating_add(1);
            if git.failures > git.settings.max_retries {
                return Err(error);
            }
            sleep(git.settings.retry).await;
        }
    }

    /// Follows the branch until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(self.pause()) => {}
            }
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.advance() => outcome,
            };
            match outcome {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    self.collection.failed(&error.to_string());
                }
            }
        }
    }

    /// Twice as long after every failure, but never longer than between two ordinary looks.
    fn pause(&self) -> Duration {
        match self.failures.checked_sub(1) {
            None => self.settings.poll,
            Some(doublings) => {
                let pause = self.settings.retry.saturating_mul(2_u32.saturating_pow(doublings));
                pause.min(self.settings.poll.max(self.settings.retry))
            }
        }
    }

    /// Takes over what the remote has now.
    async fn advance(&mut self) -> Result<(), GitError> {
        let revision = self.repository.fetch().await?;
        self.take(&revision).await
    }

    async fn take(&mut self, revision: &str) -> Result<(), GitError> {
        if self.revision != revision {
            self.repository.check_out(revision).await?;
        }
        let folder = self.repository.folder().to_owned();
        let found = spawn_blocking({
            let folder = folder.clone();
            move || projects(&folder)
        });
        let found = found.await.map_err(|error| GitError::Deploy(error.to_string()))?;
        let found = found.map_err(|error| GitError::Deploy(format!("the projects cannot be listed ({error})")))?;
        let outcome = self.collection.follow(&found, &folder, Some(revision)).await;
        let outcome = outcome.map_err(|error| GitError::Deploy(error.to_string()))?;
        if self.revision != revision {
            tracing::info!(
                repository = self.collection.location(),
                revision,
                served = outcome.served,
                refused = outcome.refused,
                "a commit is deployed"
            );
            self.repository.note_served(revision).await?;
            revision.clone_into(&mut self.revision);
        }
        Ok(())
    }
}

fn projects(folder: &std::path::Path) -> std::io::Result<BTreeMap<String, Found>> {
    let mut found = scan::scan(folder, Rule::Recognised)?;
    found.remove(APIS);
    let apis = folder.join(APIS);
    if apis.is_dir() {
        let inner = scan::scan(&apis, Rule::Everything)?;
        found.extend(inner.into_iter().map(|(name, project)| (format!("{APIS}/{name}"), project)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
