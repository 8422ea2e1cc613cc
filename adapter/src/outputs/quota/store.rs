//! What the embedded owner remembers across restarts: how far each counter may have been leased out. Must never be behind
//! what a gateway holds; being ahead only costs quota.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::ledger::Mark;

const COUNTERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("counters");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the quota store {path}: {why} (fix: remove the file, which starts every quota window afresh)")]
pub struct StoreError {
    path: String,
    why: String,
}

/// The store; clones share it. Blocks: call it off the async threads.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<Database>,
}

impl Store {
    /// Opens or creates the file, and reads what is in it.
    ///
    /// # Errors
    /// When it cannot be read as a whole. Counters must not be forgotten one by one.
    pub fn open(path: &Path) -> Result<(Self, Vec<(String, Mark)>), StoreError> {
        let problem = |why: String| StoreError { path: path.display().to_string(), why };
        let database = Database::create(path).map_err(|error| problem(error.to_string()))?;
        let store = Self { database: Arc::new(database) };
        let counters = store.read().map_err(problem)?;
        Ok((store, counters))
    }

    fn read(&self) -> Result<Vec<(String, Mark)>, String> {
        let write = self.database.begin_write().map_err(|error| error.to_string())?;
        write.open_table(COUNTERS).map_err(|error| error.to_string())?;
        write.commit().map_err(|error| error.to_string())?;
        let read = self.database.begin_read().map_err(|error| error.to_string())?;
        let table = read.open_table(COUNTERS).map_err(|error| error.to_string())?;
        let mut counters = Vec::new();
        for entry in table.iter().map_err(|error| error.to_string())? {
            let (key, value) = entry.map_err(|error| error.to_string())?;
            let mark = serde_json::from_slice(value.value()).map_err(|error| format!("{}: {error}", key.value()))?;
            counters.push((key.value().to_owned(), mark));
        }
        Ok(counters)
    }

    /// Writes all of them in one durable step.
    ///
    /// # Errors
    /// When nothing was written.
    pub fn write(&self, marks: &[(String, Mark)], ended: &[String]) -> Result<(), String> {
        let write = self.database.begin_write().map_err(|error| error.to_string())?;
        {
            let mut table = write.open_table(COUNTERS).map_err(|error| error.to_string())?;
            for key in ended {
                table.remove(key.as_str()).map_err(|error| error.to_string())?;
            }
            for (key, mark) in marks {
                let value = serde_json::to_vec(mark).map_err(|error| error.to_string())?;
                table.insert(key.as_str(), value.as_slice()).map_err(|error| error.to_string())?;
            }
        }
        write.commit().map_err(|error| error.to_string())
    }
}
