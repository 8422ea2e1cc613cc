//! The subscriptions file: plans, applications with their keys, and subscriptions, for gateways without a control plane.
//!
//! The file is taken whole or not at all. It is read when the adapter starts, which a broken file prevents, and followed from
//! then on: a broken edit is reported and changes nothing.

mod document;
mod entries;
mod limits;
mod read;
#[cfg(test)]
mod tests;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use self::document::Document;
pub use self::read::read;
use crate::model::{Problems, Refusals, WorldWriter};
use tollgate_project::directory::read_bounded;

/// How often the file is looked at. A change is taken when two looks in a row find the same, so that a file is not read while
/// it is being written.
const LOOK: Duration = Duration::from_millis(500);
/// Largest file.
const MAX_FILE: usize = 256 * 1024 * 1024;

/// The file, and what was last seen of it.
pub struct SubscriptionsFile {
    path: PathBuf,
    seen: Option<Stamp>,
    world: WorldWriter,
    refusals: Arc<dyn Refusals>,
}

/// Tells one content of a file from the next without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// `None` when there is no file.
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self { inode: file.ino(), length: file.len(), modified: (file.mtime(), file.mtime_nsec()) })
    }
}

impl SubscriptionsFile {
    /// Reads the file and puts what it says into the world.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub async fn open(path: PathBuf, world: WorldWriter, refusals: Arc<dyn Refusals>) -> Result<Self, Problems> {
        let mut file = Self { path, seen: None, world, refusals };
        file.seen = file.stamp().await;
        file.take().await?;
        Ok(file)
    }

    /// Follows the file until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut last = self.seen;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let now = self.stamp().await;
            if now != self.seen && now == last {
                self.seen = now;
                self.follow().await;
            }
            last = now;
        }
    }

    async fn follow(&self) {
        let origin = self.path.display().to_string();
        match self.take().await {
            Ok(()) => {
                tracing::info!(file = origin, "subscriptions file read again");
                self.refusals.accept(&origin);
            }
            Err(problems) => {
                for problem in problems.errors() {
                    tracing::error!(%problem, "the subscriptions file is refused; what it said before stays");
                }
                self.refusals.refuse(&origin, &problems);
            }
        }
    }

    async fn stamp(&self) -> Option<Stamp> {
        let path = self.path.clone();
        spawn_blocking(move || Stamp::of(&path)).await.ok().flatten()
    }

    async fn take(&self) -> Result<(), Problems> {
        let path = self.path.clone();
        let document = spawn_blocking(move || load(&path)).await.unwrap_or_else(|error| {
            let mut problems = Problems::new();
            problems.error(("", ""), error.to_string(), "the file could not be read", "report this as a bug");
            Err(problems)
        })?;
        for warning in &document.warnings {
            tracing::warn!(%warning, "subscriptions file");
        }
        self.world.update(|world| {
            world.throttle = document.throttle.clone();
            document.apply(&mut world.subscribers);
        });
        Ok(())
    }
}

/// Reads and checks a file.
///
/// # Errors
/// All that is wrong with it.
pub fn load(path: &Path) -> Result<Document, Problems> {
    let file = path.display().to_string();
    let refuse = |what: String, fix: &str| {
        let mut problems = Problems::new();
        problems.error((&file, ""), what, "", fix);
        problems
    };
    let bytes = read_bounded(path, MAX_FILE)
        .map_err(|what| refuse(what, "create the file, or remove adapter.subscriptionsFile"))?;
    if bytes.len() > MAX_FILE {
        return Err(refuse(format!("the file has more than {MAX_FILE} bytes"), "make it smaller"));
    }
    read(&file, &bytes)
}
