//! The artifacts directory: the projects in `<artifacts>/apis` are what is deployed from it. They are taken when the adapter
//! starts and followed from then on; a broken one is reported, keeps its last good form and stops no other.
//!
//! Notifications of the system only say when to look; what is there decides. A look is taken every now and then anyway,
//! for file systems that notify of nothing.

pub mod collection;
pub mod scan;
pub mod settling;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::collection::{Collection, Kind, Outcome};
use self::scan::Rule;
use self::settling::{SETTLE, Settling};
use super::catalog::Catalog;
use crate::model::{Problems, Refusals};
use tollgate_project::{ProjectFiles, archive, directory};

/// How often to look although nobody said that anything has changed.
const REGULARLY: Duration = Duration::from_secs(30);
/// How often to look when the system notifies of nothing at all.
const POLL: Duration = Duration::from_secs(2);
/// How long the start waits for projects that are still being copied.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the directory cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the projects in {} cannot be listed ({reason}); create the folder, or remove adapter.artifactsDirectory", folder.display())]
pub struct FolderError {
    folder: PathBuf,
    reason: String,
}

/// The artifacts directory.
pub struct Folder {
    folder: PathBuf,
    collection: Collection,
    settling: Settling,
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    lost: bool,
}

impl Folder {
    /// Deploys all projects of the directory.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn open(
        artifacts: &Path,
        catalog: Arc<Catalog>,
        reports: Arc<dyn Refusals>,
    ) -> Result<(Self, Outcome), FolderError> {
        let folder = artifacts.join("apis");
        let collection = Collection::new(Kind::Folder, folder.display().to_string(), catalog, reports);
        let (settling, changed) = (Settling::default(), Arc::default());
        let mut opened = Self { folder, collection, settling, changed, watcher: None, lost: false };
        // Watched before the first look, so that no change falls between the two.
        opened.watch().await;
        let started = Instant::now();
        loop {
            let outcome = opened.look().await;
            let (moving, outcome) = outcome.map_err(|reason| FolderError { folder: opened.folder.clone(), reason })?;
            if !moving || started.elapsed() > PATIENCE {
                return Ok((opened, outcome));
            }
            sleep(SETTLE).await;
        }
    }

    /// Follows the directory until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut moving = true;
        loop {
            let pause = if moving {
                SETTLE
            } else if self.watcher.is_some() {
                REGULARLY
            } else {
                POLL
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                // While something moves, looking more often than this tells nothing new.
                () = sleep(pause) => {}
                () = self.changed.notified(), if !moving => {}
            }
            match self.look().await {
                Ok((now, _)) => {
                    if std::mem::take(&mut self.lost) {
                        // The watched folder is not the one that is there now.
                        self.watch().await;
                    }
                    moving = now;
                }
                Err(reason) => {
                    self.lost = true;
                    moving = false;
                    self.collection.failed(&reason);
                }
            }
        }
    }

    /// Takes a look, and takes over what has come to rest. Says whether something is still moving.
    async fn look(&mut self) -> Result<(bool, Outcome), String> {
        let folder = self.folder.clone();
        let found = spawn_blocking(move || scan::scan(&folder, Rule::Everything)).await;
        let found = found.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let moving = self.settling.look(Instant::now(), i128::try_from(wall).unwrap_or(i128::MAX), found);
        let outcome = self.collection.follow(self.settling.settled(), &self.folder, None).await;
        Ok((moving, outcome.map_err(|error| error.to_string())?))
    }

    async fn watch(&mut self) {
        let (folder, changed) = (self.folder.clone(), Arc::clone(&self.changed));
        let watcher = timeout(PATIENCE, spawn_blocking(move || watcher(&folder, changed))).await;
        self.watcher = match watcher {
            Ok(Ok(Ok(watcher))) => Some(watcher),
            Ok(Ok(Err(error))) => {
                tracing::warn!(folder = %self.folder.display(), %error,
                    "the system does not tell of changes here, so the folder is looked at every {POLL:?}");
                None
            }
            _ => None,
        };
    }
}

fn watcher(folder: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Being read is not a change; the adapter itself reads.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            changed.notify_one();
        }
    })?;
    watcher.watch(folder, RecursiveMode::Recursive)?;
    Ok(watcher)
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

#[cfg(test)]
mod tests;
