//! The owner inside the adapter: the ledger in memory, and its longer windows in a file.
//!
//! A lease of a window of a minute or more is answered only after the store knows that so much may be out. It is told in
//! blocks, so that most leases write nothing; a restart counts the whole block as used.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, oneshot};
use tollgate_model::{Limit, QuotaAsk, QuotaGrant, TimeUnit, Window};

use super::clock::Clock;
use super::ledger::{Ledger, Mark};
use super::store::{Store, StoreError};
use super::{Leasing, OwnerError, QuotaOwner};

/// A block is this part of the limit: what a restart may cost.
const BLOCKS: u64 = 100;
/// Counters that are kept although their window is over: their next one begins with the same name.
const MAX_KEPT: usize = 100_000;
/// Writes that may wait for the disk. More wait for their turn.
const QUEUE: usize = 1024;

/// The owner inside the adapter.
#[derive(Debug)]
pub struct Embedded {
    state: Mutex<State>,
    writer: mpsc::Sender<Write>,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// What the store knows, or will know before anyone learns of a lease that needs it.
    ceilings: HashMap<String, Mark>,
}

/// Marks on their way to the disk.
#[derive(Debug)]
struct Write {
    ceilings: Vec<(String, Mark)>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Embedded {
    /// Opens the store and goes on where it ends. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read: counters must not be forgotten in silence.
    pub fn open(path: &Path, zone: TimeZone) -> Result<Self, StoreError> {
        let clock = Clock::start();
        let (store, kept) = Store::open(path)?;
        let mut ledger = Ledger::new(zone);
        let mut ceilings = HashMap::new();
        let mut ended = Vec::new();
        let crowded = kept.len() > MAX_KEPT;
        for (key, ceiling) in kept {
            let over = ledger.restore(&key, ceiling, clock.now_ms());
            if over && crowded {
                ended.push(key);
            } else {
                ceilings.insert(key, ceiling);
            }
        }
        if let Err(error) = store.write(&[], &ended) {
            tracing::warn!(error, "ended quota windows stay in the store");
        }
        let (writer, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write_out(store, queue));
        Ok(Self { state: Mutex::new(State { ledger, ceilings }), writer, clock })
    }

    async fn lease_batch(&self, asks: Vec<QuotaAsk>, holder: &str) -> Result<Vec<QuotaGrant>, OwnerError> {
        let holder = BuildHasherDefault::<DefaultHasher>::default().hash_one(holder);
        let place = self.writer.reserve().await.map_err(|error| OwnerError::Store(error.to_string()))?;
        let (done, stored) = oneshot::channel();
        let grants = {
            // Queued before the lock is let go, so that no older ceiling is written over a newer one.
            let mut state = self.state();
            let (grants, ceilings) = state.lease(&asks, holder, self.clock.now_ms())?;
            if ceilings.is_empty() {
                return Ok(grants);
            }
            place.send(Write { ceilings, done });
            grants
        };
        match stored.await {
            Ok(Ok(())) => Ok(grants),
            Ok(Err(error)) => Err(OwnerError::Store(error)),
            Err(error) => Err(OwnerError::Store(error.to_string())),
        }
    }

    /// A panic elsewhere must not stop the counting: every change leaves the state whole.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaOwner for Embedded {
    fn lease<'a>(&'a self, asks: Vec<QuotaAsk>, holder: &'a str) -> Leasing<'a> {
        Box::pin(self.lease_batch(asks, holder))
    }
}

/// What a batch gives, and what the store must know first.
type Leased = (Vec<QuotaGrant>, Vec<(String, Mark)>);

impl State {
    fn lease(&mut self, asks: &[QuotaAsk], holder: u64, now_ms: i64) -> Result<Leased, OwnerError> {
        let mut grants = Vec::with_capacity(asks.len());
        let mut ceilings = Vec::new();
        for ask in asks {
            grants.push(self.ledger.ask(ask, holder, now_ms)?);
            if let Some(ceiling) = self.raise(&ask.key, &ask.limit) {
                ceilings.push((ask.key.clone(), ceiling));
            }
        }
        Ok((grants, ceilings))
    }

    /// The new ceiling of a counter, when it needs one.
    fn raise(&mut self, key: &str, limit: &Limit) -> Option<Mark> {
        let mark = self.ledger.mark(key)?;
        if !is_durable(mark.window) || (mark.leased == 0 && mark.ahead == 0) {
            return None;
        }
        if self.ceilings.get(key).is_some_and(|known| known.covers(mark)) {
            return None;
        }
        let block = limit.amount / BLOCKS;
        let known = self.ceilings.get(key).map(|known| known.turned(mark.number));
        let known = known.filter(|known| known.window == mark.window && known.number == mark.number);
        let (leased, ahead) = known.map_or((0, 0), |known| (known.leased, known.ahead));
        // A block more of what goes beyond it, and no less of the other than was said before.
        let raised = |out: u64, known: u64| if out > known { out.saturating_add(block) } else { known };
        let ceiling = Mark { leased: raised(mark.leased, leased), ahead: raised(mark.ahead, ahead), ..mark };
        self.ceilings.insert(key.to_owned(), ceiling);
        Some(ceiling)
    }
}

/// Whether a window is long enough for a restart within it to matter.
fn is_durable(window: Window) -> bool {
    window.unit != TimeUnit::Second || window.count >= 60
}

/// Writes whatever has queued up in one step, as long as there is somebody to write for.
async fn write_out(store: Store, mut queue: mpsc::Receiver<Write>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, QUEUE).await > 0 {
        let writes = std::mem::take(&mut batch);
        let (ceilings, waiting): (Vec<_>, Vec<_>) =
            writes.into_iter().map(|write| (write.ceilings, write.done)).unzip();
        let ceilings: Vec<_> = ceilings.into_iter().flatten().collect();
        let store = store.clone();
        let written = tokio::task::spawn_blocking(move || store.write(&ceilings, &[])).await;
        let result = written.unwrap_or_else(|error| Err(error.to_string()));
        if let Err(error) = &result {
            tracing::error!(error, "leases cannot be stored, so none is given");
        }
        for done in waiting {
            // Whoever went away meanwhile does not need to know.
            done.send(result.clone()).ok();
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use tollgate_model::QuotaUnit;

    use super::*;

    fn ask(key: &str, amount: u64, want: u64, unit: TimeUnit) -> QuotaAsk {
        let window = Window { count: 1, unit };
        let limit = Limit { amount, unit: QuotaUnit::Requests, window };
        QuotaAsk { key: key.to_owned(), limit, want, unused: None, ahead: false }
    }

    async fn granted(owner: &Embedded, ask: QuotaAsk) -> u64 {
        owner.lease(vec![ask], "gateway").await.unwrap()[0].granted
    }

    #[tokio::test]
    async fn a_restart_forgets_no_lease_of_a_long_window() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quota.redb");
        let owner = Embedded::open(&path, TimeZone::UTC).unwrap();
        assert_eq!(granted(&owner, ask("year", 1_000, 400, TimeUnit::Year)).await, 400);
        assert_eq!(granted(&owner, ask("other", 1_000, 1_000, TimeUnit::Year)).await, 1_000);
        drop(owner);
        // The writer ends when nobody can ask any more, and lets go of the file.
        let owner = loop {
            match Embedded::open(&path, TimeZone::UTC) {
                Ok(owner) => break owner,
                Err(error) if error.to_string().contains("already open") => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        // 400 and the block of 10 that was promised with it.
        assert_eq!(granted(&owner, ask("year", 1_000, 1_000, TimeUnit::Year)).await, 590);
        assert_eq!(granted(&owner, ask("other", 1_000, 1, TimeUnit::Year)).await, 0);
    }

    #[tokio::test]
    async fn a_damaged_store_is_said_and_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quota.redb");
        std::fs::write(&path, b"no database").unwrap();
        let error = Embedded::open(&path, TimeZone::UTC).unwrap_err().to_string();
        assert!(error.contains("quota.redb") && error.contains("fix:"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_askers_at_once_get_the_limit_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let owner = std::sync::Arc::new(Embedded::open(&folder.path().join("quota.redb"), TimeZone::UTC).unwrap());
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                let owner = std::sync::Arc::clone(&owner);
                tokio::spawn(async move {
                    let holder = format!("gateway {}", task % 3);
                    let mut total = 0;
                    for _ in 0..40 {
                        let asks = vec![ask("k", 1_000, 3, TimeUnit::Year)];
                        total += owner.lease(asks, &holder).await.unwrap()[0].granted;
                    }
                    total
                })
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        assert_eq!(total, 1_000);
    }
}
