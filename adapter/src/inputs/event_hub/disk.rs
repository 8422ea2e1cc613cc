//! The part of the hub that keeps the state on the disk. What a message says is written before it is acknowledged; a list is written
//! bit by bit, so that messages need not wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::fact::Id;
use super::hub::Hub;
use super::store::Write;

/// Records that are written in one go.
const CHUNK: usize = 2_000;
/// After the disk failed.
const DISK_PAUSE: Duration = Duration::from_secs(1);

impl Hub {
    /// Writes on the disk, and says whether that went well.
    pub(super) async fn write(&mut self, writes: Vec<Write>) -> bool {
        let store = Arc::clone(&self.store);
        let outcome = spawn_blocking(move || store.write(&writes)).await;
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &error {
            tracing::error!(error, "the state of API Manager cannot be kept; it is served all the same");
            self.disk_pause = Instant::now().checked_add(DISK_PAUSE);
        }
        self.report.store_error = error;
        self.report.store_error.is_none()
    }

    pub(super) fn has_unwritten(&self) -> bool {
        let some = !self.unwritten.is_empty() || !self.unwritten_apis.is_empty() || !self.complete_written;
        some && self.disk_pause.is_none_or(|pause| pause <= Instant::now())
    }

    pub(super) async fn write_some(&mut self) {
        self.disk_pause = None;
        let ids: Vec<Id> = self.unwritten.keys().take(CHUNK).cloned().collect();
        let keys: Vec<String> = self.unwritten_apis.keys().take(CHUNK / 20).cloned().collect();
        let mut writes: Vec<Write> = ids.iter().filter_map(|id| self.unwritten.get(id).cloned()).collect();
        writes.extend(keys.iter().filter_map(|key| self.unwritten_apis.get(key).cloned()));
        let last = writes.len() == self.unwritten.len().saturating_add(self.unwritten_apis.len());
        if last {
            writes.push(Write::Complete(self.complete.clone()));
        }
        if !self.write(writes).await {
            return;
        }
        for id in &ids {
            self.unwritten.remove(id);
        }
        for key in &keys {
            self.unwritten_apis.remove(key);
        }
        if last {
            self.complete_written = true;
            for message in std::mem::take(&mut self.unacknowledged) {
                message.acknowledge().await;
            }
        }
    }
}
