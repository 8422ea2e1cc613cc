//! The durable store: one record and one archive a deployment, in one file. Whatever [`Store::apply`] returned from
//! survives a crash. Must never interpret an archive; it is read again, with the code of the day, at every start.
//!
//! Blocks: call it off the async threads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::model::DeploymentKey;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("deployments");
const ARCHIVES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("archives");

/// Version of [`Record`]. A record of another version is reported and kept, never guessed at.
const FORMAT: u32 = 1;
/// Between virtual host and id in a key. Neither can hold it.
const SEPARATOR: char = '\0';

/// What is kept beside the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`] of the release that wrote it.
    format: u32,
    /// Environments it is deployed to.
    pub environments: BTreeSet<String>,
    /// Name of the API, so that it can be listed even when its archive cannot be read any more.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its type.
    pub api_type: String,
    /// Its base path.
    pub context: String,
}

impl Record {
    /// A record of this release.
    #[must_use]
    pub const fn new(
        environments: BTreeSet<String>,
        name: String,
        version: String,
        api_type: String,
        context: String,
    ) -> Self {
        Self { format: FORMAT, environments, name, version, api_type, context }
    }
}

/// One step of a change. All steps of a change happen, or none.
#[derive(Debug, Clone)]
pub enum Change {
    /// Writes the record, and the archive unless it stays as it is.
    Put(DeploymentKey, Record, Option<Bytes>),
    /// Removes both, if they exist.
    Remove(DeploymentKey),
}

/// A deployment as it was found.
#[derive(Debug)]
pub struct Stored {
    /// Its key.
    pub key: DeploymentKey,
    /// Its record.
    pub record: Record,
    /// The archive as it was uploaded.
    pub archive: Vec<u8>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{0} is in use by another adapter; stop that one, or give this one its own tollgate.stateDirectory")]
    InUse(PathBuf),
    /// The file cannot be opened.
    #[error(
        "{path} cannot be opened ({source}); check the permissions of tollgate.stateDirectory and the space on its disk"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Reading or writing failed.
    #[error("the store failed ({0}); check the disk that holds tollgate.stateDirectory")]
    Failed(Box<redb::Error>),
    /// A record cannot be understood.
    #[error(
        "the stored deployment {key:?} cannot be read ({reason}); it was written by another release of the adapter"
    )]
    Record {
        /// Key of the record.
        key: String,
        /// Why.
        reason: String,
    },
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
}

impl Store {
    /// Opens the store in that directory, which is made if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be opened or another process has it open.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("deployments.redb");
        let open = |source: redb::Error| StoreError::Open { path: path.clone(), source: Box::new(source) };
        std::fs::create_dir_all(directory).map_err(|error| open(error.into()))?;
        let database = match Database::create(&path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path)),
            Err(error) => return Err(open(error.into())),
        };
        let transaction = database.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(ARCHIVES)?;
        transaction.commit()?;
        Ok(Self { database })
    }

    /// Everything stored, one deployment at a time, so that only one archive is in memory.
    ///
    /// # Errors
    /// When the file cannot be read. A single unreadable record goes to `visit`.
    pub fn load(&self, mut visit: impl FnMut(Result<Stored, StoreError>)) -> Result<(), StoreError> {
        let transaction = self.database.begin_read()?;
        let records = transaction.open_table(RECORDS)?;
        let archives = transaction.open_table(ARCHIVES)?;
        for row in records.iter()? {
            let (key, record) = row?;
            let archive = archives.get(key.value())?.map(|archive| archive.value().to_vec());
            visit(read(key.value(), record.value(), archive));
        }
        Ok(())
    }

    /// Applies all changes in one transaction and returns when it is on the disk.
    ///
    /// # Errors
    /// When nothing was changed because the disk failed.
    pub fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            let mut archives = transaction.open_table(ARCHIVES)?;
            for change in changes {
                match change {
                    Change::Put(key, record, archive) => {
                        let key = text(key);
                        let bytes = serde_json::to_vec(record)
                            .map_err(|error| StoreError::Record { key: key.clone(), reason: error.to_string() })?;
                        records.insert(key.as_str(), bytes.as_slice())?;
                        if let Some(archive) = archive {
                            archives.insert(key.as_str(), archive.as_ref())?;
                        }
                    }
                    Change::Remove(key) => {
                        records.remove(text(key).as_str())?;
                        archives.remove(text(key).as_str())?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn text(key: &DeploymentKey) -> String {
    format!("{}{SEPARATOR}{}", key.virtual_host, key.api_id)
}

fn read(key: &str, record: &[u8], archive: Option<Vec<u8>>) -> Result<Stored, StoreError> {
    let wrong = |reason: String| StoreError::Record { key: key.replace(SEPARATOR, ":"), reason };
    let (virtual_host, api_id) = key.split_once(SEPARATOR).ok_or_else(|| wrong("its key is malformed".to_owned()))?;
    let record: Record = serde_json::from_slice(record).map_err(|error| wrong(error.to_string()))?;
    if record.format != FORMAT {
        return Err(wrong(format!("it has format {}, this release knows {FORMAT}", record.format)));
    }
    let archive = archive.ok_or_else(|| wrong("its archive is missing".to_owned()))?;
    let (virtual_host, api_id) = (virtual_host.to_owned(), api_id.to_owned());
    let key = DeploymentKey { virtual_host, api_id, variant: String::new() };
    Ok(Stored { key, record, archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> DeploymentKey {
        DeploymentKey { virtual_host: "localhost".to_owned(), api_id: id.to_owned(), variant: String::new() }
    }

    fn record(environment: &str) -> Record {
        let environments = BTreeSet::from([environment.to_owned()]);
        Record::new(environments, "Pets".to_owned(), "1.0.0".to_owned(), "HTTP".to_owned(), "/pets/1.0.0".to_owned())
    }

    fn all(store: &Store) -> Vec<(String, String, Vec<u8>)> {
        let mut found = Vec::new();
        store
            .load(|stored| {
                let stored = stored.unwrap();
                let environments: Vec<String> = stored.record.environments.into_iter().collect();
                found.push((stored.key.api_id, environments.join(","), stored.archive));
            })
            .unwrap();
        found
    }

    #[test]
    fn what_was_applied_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state")).unwrap();
        let archive = Bytes::from_static(b"zip");
        store
            .apply(&[
                Change::Put(key("a"), record("Default"), Some(archive.clone())),
                Change::Put(key("b"), record("Default"), Some(archive)),
            ])
            .unwrap();
        store
            .apply(&[
                Change::Remove(key("b")),
                Change::Remove(key("never there")),
                Change::Put(key("a"), record("Europe"), None),
            ])
            .unwrap();
        drop(store);
        let again = Store::open(&directory.path().join("state")).unwrap();
        assert_eq!(all(&again), [("a".to_owned(), "Europe".to_owned(), b"zip".to_vec())]);
    }

    #[test]
    fn two_adapters_never_share_a_store() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path()).unwrap();
        assert!(matches!(Store::open(directory.path()), Err(StoreError::InUse(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(Store::open(&file.join("state")), Err(StoreError::Open { .. })));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_reported_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let future = Record { format: FORMAT + 1, ..record("Default") };
        store
            .apply(&[
                Change::Put(key("future"), future, Some(Bytes::from_static(b"zip"))),
                Change::Put(key("no archive"), record("Default"), None),
            ])
            .unwrap();
        for _ in 0..2 {
            let mut errors = 0;
            store.load(|stored| errors += i32::from(stored.is_err())).unwrap();
            assert_eq!(errors, 2);
        }
    }
}
