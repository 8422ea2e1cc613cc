//! The last good state on the disk, so that an adapter serves while API Manager is away. Whatever [`Store::write`] returned from
//! survives a crash. Must never hold the state of another API Manager, tenant or environment than the configured ones.
//!
//! Blocks: call it off the async threads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::fact::{Fact, Id, Resource};
use super::mirror::Stamp;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const ARTIFACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("artifacts");
const ARCHIVES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("archives");

/// What the records look like. Others are not read: everything can be pulled again.
const FORMAT: u32 = 1;
const OWNER: &str = "owner";
const COMPLETE: &str = "complete";
/// Between resource and key.
const SEPARATOR: char = '/';

/// Whose state it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    format: u32,
    location: String,
    tenant: String,
    environments: Vec<String>,
    /// What the adapter is called by the global adapter that gives it a part of the APIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<String>,
}

impl Owner {
    /// The state of that tenant and those environments at that API Manager; where APIs are shared, of that share.
    #[must_use]
    pub fn new(location: &str, tenant: &str, environments: &[String], share: Option<&str>) -> Self {
        let mut environments = environments.to_vec();
        environments.sort();
        let (location, tenant, share) = (location.to_owned(), tenant.to_owned(), share.map(str::to_owned));
        Self { format: FORMAT, location, tenant, environments, share }
    }
}

/// One step of a change. All steps of a change happen, or none.
#[derive(Debug, Clone)]
pub enum Write {
    /// Sets a fact.
    Fact(Id, Fact, Stamp),
    /// Takes a fact away.
    NoFact(Id),
    /// Sets the deployment of an API, and its project unless that stays as it is.
    Artifact(Artifact, Option<Bytes>),
    /// Takes the deployment of that key away.
    NoArtifact(String),
    /// These sources were read as a whole at least once.
    Complete(BTreeSet<String>),
}

/// Everything, as it was left.
#[derive(Debug, Default)]
pub struct State {
    /// Facts with their times.
    pub facts: Vec<(Id, Fact, Stamp)>,
    /// Deployments of APIs.
    pub artifacts: Vec<Artifact>,
    /// Sources that were read as a whole.
    pub complete: BTreeSet<String>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0} is in use by another adapter; stop that one, or give this one its own tollgate.stateDirectory")]
    InUse(PathBuf),
    /// The file cannot be opened.
    #[error("{} cannot be opened ({source}); check tollgate.stateDirectory and the space on its disk", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Reading or writing failed.
    #[error("the last good state cannot be read or written ({0}); check the disk that holds tollgate.stateDirectory")]
    Failed(Box<redb::Error>),
    /// A record cannot be written.
    #[error("a record cannot be written ({0})")]
    Record(serde_json::Error),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    database: Database,
    /// Whether a test wants the disk to fail.
    #[cfg(test)]
    pub(super) broken: std::sync::atomic::AtomicBool,
}

impl Store {
    /// Opens the store. What is in it of another owner is thrown away.
    ///
    /// # Errors
    /// When the file cannot be opened or another process has it open.
    pub fn open(path: &Path, owner: &Owner) -> Result<Self, StoreError> {
        let open = |source: redb::Error| StoreError::Open { path: path.to_owned(), source: Box::new(source) };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| open(error.into()))?;
        }
        let database = match Database::create(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path.to_owned())),
            Err(error) => return Err(open(error.into())),
        };
        let store = Self {
            database,
            #[cfg(test)]
            broken: <_>::default(),
        };
        store.claim(owner)?;
        Ok(store)
    }

    fn claim(&self, owner: &Owner) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let held = meta.get(OWNER)?.and_then(|bytes| serde_json::from_slice::<Owner>(bytes.value()).ok());
            if held.as_ref() != Some(owner) {
                for table in [FACTS, ARTIFACTS, ARCHIVES] {
                    transaction.delete_table(table)?;
                }
                meta.remove(COMPLETE)?;
                meta.insert(OWNER, json(owner)?.as_slice())?;
            }
            for table in [FACTS, ARTIFACTS, ARCHIVES] {
                transaction.open_table(table)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Everything but the projects. A record that cannot be read counts as none: it will be pulled again.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<State, StoreError> {
        let transaction = self.database.begin_read()?;
        let mut state = State::default();
        if let Some(complete) = transaction.open_table(META)?.get(COMPLETE)? {
            state.complete = serde_json::from_slice(complete.value()).unwrap_or_default();
        }
        for row in transaction.open_table(FACTS)?.iter()? {
            let (key, value) = row?;
            match (id(key.value()), serde_json::from_slice::<(Stamp, Fact)>(value.value())) {
                (Some(id), Ok((stamp, fact))) => state.facts.push((id, fact, stamp)),
                (id, _) => {
                    tracing::warn!(key = key.value(), "a kept record cannot be read; its list is pulled again");
                    if let Some(id) = id {
                        state.complete.remove(id.resource.name());
                    }
                }
            }
        }
        for row in transaction.open_table(ARTIFACTS)?.iter()? {
            let (key, value) = row?;
            match serde_json::from_slice(value.value()) {
                Ok(artifact) => state.artifacts.push(artifact),
                Err(error) => {
                    tracing::warn!(%error, api = key.value(), "a kept deployment cannot be read; it is pulled again");
                }
            }
        }
        Ok(state)
    }

    /// The project of that deployment, as API Manager packed it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn archive(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let archives = self.database.begin_read()?.open_table(ARCHIVES)?;
        Ok(archives.get(key)?.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    /// Writes all of it in one transaction, and returns when it is on the disk.
    ///
    /// # Errors
    /// When nothing was changed because the disk failed.
    pub fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.broken.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(redb::Error::Corrupted("by a test".to_owned()).into());
        }
        let transaction = self.database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let mut facts = transaction.open_table(FACTS)?;
            let mut artifacts = transaction.open_table(ARTIFACTS)?;
            let mut archives = transaction.open_table(ARCHIVES)?;
            for write in writes {
                match write {
                    Write::Fact(id, fact, stamp) => {
                        facts.insert(text(id).as_str(), json(&(stamp, fact))?.as_slice())?;
                    }
                    Write::NoFact(id) => drop(facts.remove(text(id).as_str())?),
                    Write::Artifact(artifact, archive) => {
                        let key = artifact.key();
                        artifacts.insert(key.as_str(), json(artifact)?.as_slice())?;
                        if let Some(archive) = archive {
                            archives.insert(key.as_str(), archive.as_ref())?;
                        }
                    }
                    Write::NoArtifact(key) => {
                        artifacts.remove(key.as_str())?;
                        archives.remove(key.as_str())?;
                    }
                    Write::Complete(sources) => {
                        meta.insert(COMPLETE, json(sources)?.as_slice())?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(StoreError::Record)
}

/// How a fact is named on the disk.
pub(super) fn text(id: &Id) -> String {
    format!("{}{SEPARATOR}{}", id.resource.name(), id.key)
}

/// The fact of that name.
pub(super) fn id(text: &str) -> Option<Id> {
    let (resource, key) = text.split_once(SEPARATOR)?;
    Some(Id::new(Resource::from_name(resource)?, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyManager;

    fn owner(location: &str) -> Owner {
        Owner::new(location, "carbon.super", &["Default".to_owned()], None)
    }

    #[test]
    fn what_was_written_is_there_after_reopening_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/control-plane.redb");
        let store = Store::open(&path, &owner("https://a/")).unwrap();
        assert!(matches!(Store::open(&path, &owner("https://a/")), Err(StoreError::InUse(_))));
        let keys = [Id::credential("K/M", "a/b"), Id::key_manager("x"), Id::new(Resource::RevokedTokens, "j")];
        let fact = |manager: &str| Fact::KeyManager(KeyManager { name: manager.to_owned(), ..KeyManager::default() });
        let artifact = Artifact { uuid: "api".to_owned(), ..Artifact::default() };
        let mut writes: Vec<Write> = keys.iter().map(|id| Write::Fact(id.clone(), fact("m"), 4)).collect();
        writes.push(Write::Artifact(artifact.clone(), Some(Bytes::from_static(b"zip"))));
        writes.push(Write::Complete(BTreeSet::from(["applications".to_owned()])));
        store.write(&writes).unwrap();
        let gone = Write::NoFact(keys[2].clone());
        store.write(&[gone, Write::Artifact(Artifact { digest: "r".to_owned(), ..artifact }, None)]).unwrap();
        drop(store);
        let store = Store::open(&path, &owner("https://a/")).unwrap();
        let state = store.read().unwrap();
        let mut found: Vec<Id> = state.facts.iter().map(|(id, ..)| id.clone()).collect();
        found.sort();
        assert_eq!(found, keys[..2]);
        assert_eq!((state.artifacts.len(), state.artifacts[0].digest.as_str(), state.complete.len()), (1, "r", 1));
        assert_eq!(store.archive("api/").unwrap().as_deref(), Some(&b"zip"[..]));
        store.write(&[Write::NoArtifact("api/".to_owned())]).unwrap();
        assert_eq!(store.archive("api/").unwrap(), None);
        drop(store);
        let share = Owner { share: Some("west".to_owned()), ..owner("https://a/") };
        let kept: Owner = serde_json::from_slice(&json(&share).unwrap()).unwrap();
        assert_eq!(kept, share);
        for other in [owner("https://b/"), share] {
            let store = Store::open(&path, &owner("https://a/")).unwrap();
            store.write(&writes).unwrap();
            drop(store);
            let state = Store::open(&path, &other).unwrap().read().unwrap();
            assert!(state.facts.is_empty() && state.complete.is_empty(), "{other:?}");
        }
    }
}
