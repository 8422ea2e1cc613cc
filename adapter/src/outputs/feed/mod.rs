//! The feed: answers the filters of a gateway with the shards that changed since they last asked.
//!
//! Must never answer for an environment that is not configured, and never hold an answer back once there is one.

mod frame;
mod routes;
mod subscribers;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tokio::sync::watch;
use tollgate_model::wire::Cursor;

use self::frame::Answer;
pub use self::frame::has_reached;
pub use self::routes::{FeedContext, routes};
use self::subscribers::SharedTables;
use self::tables::Tables;
use crate::model::World;

/// Most bytes of an answer. A gateway's leader holds one in the memory of its VM, which never shrinks, and does nothing else
/// while it takes it over; so a whole snapshot comes in many small frames and not in a few large ones.
const LIMIT: usize = 2 * 1024 * 1024;

/// Tables of all environments, and a wake-up for whoever waits for their next change.
#[derive(Debug)]
pub struct Feed {
    state: RwLock<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    environments: BTreeMap<String, Environment>,
    shared: SharedTables,
}

#[derive(Debug)]
struct Environment {
    /// Random, so that cursors of another process or another environment are recognised as such.
    epoch: u64,
    tables: Tables,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Not configured.
    #[error(
        "environment {0:?} is not configured (fix: add it to adapter.vhostMapping, or give the gateway a configured label)"
    )]
    UnknownEnvironment(String),
    /// The frame cannot be written.
    #[error("the snapshot cannot be written: {0}")]
    Encode(#[from] tollgate_model::wire::WireError),
}

impl Default for Feed {
    fn default() -> Self {
        Self { state: RwLock::default(), changed: watch::Sender::new(()) }
    }
}

impl Feed {
    /// Takes over a world, and wakes up the gateways of environments that changed.
    ///
    /// # Errors
    /// When the system has no randomness for the epoch of a new environment; nothing has changed then.
    pub fn apply(&self, world: &World) -> Result<(), getrandom::Error> {
        let mut state = self.write();
        let State { environments, shared } = &mut *state;
        let mut epochs = BTreeMap::new();
        for name in world.environments.keys().filter(|name| !environments.contains_key(*name)) {
            epochs.insert(name.clone(), getrandom::u64()?.max(1));
        }
        let news = shared.apply(&world.subscribers);
        let mut changed = false;
        for (name, environment) in environments.iter_mut() {
            changed |= environment.tables.take(news.iter().cloned());
            changed |= environment.tables.apply(name, world);
        }
        for (name, epoch) in epochs {
            let mut tables = Tables::default();
            tables.take(shared.all());
            tables.apply(&name, world);
            environments.insert(name, Environment { epoch, tables });
            changed = true;
        }
        environments.retain(|name, _| world.environments.contains_key(name));
        drop(state);
        if changed {
            self.changed.send_replace(());
        }
        Ok(())
    }

    /// The frame for that cursor, or `None` when there is nothing new.
    ///
    /// # Errors
    /// When the environment is not configured, or the frame cannot be written.
    pub fn answer(&self, environment: &str, since: Cursor) -> Result<Option<Bytes>, FeedError> {
        let state = self.read();
        let found =
            state.environments.get(environment).ok_or_else(|| FeedError::UnknownEnvironment(environment.to_owned()))?;
        match frame::answer(&found.tables, found.epoch, since, LIMIT)? {
            Answer::Frame(bytes) => Ok(Some(bytes)),
            Answer::Nothing => Ok(None),
        }
    }

    /// Where gateways are once they have everything, by environment.
    #[must_use]
    pub fn cursors(&self) -> BTreeMap<String, Cursor> {
        let state = self.read();
        let end = |environment: &Environment| frame::end(&environment.tables, environment.epoch);
        state.environments.iter().map(|(name, environment)| (name.clone(), end(environment))).collect()
    }

    /// Wakes up after every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A panic elsewhere must not stop the feed: every change leaves the tables whole.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
