//! Token issuers: reads or fetches their keys, keeps them fresh, and writes them into the world.
//!
//! Keys of an issuer that cannot be reached stay in use; where it has several URLs, those of each by themselves. An unknown key asks for one fetch, whoever and however many ask.
//! Must never publish fewer issuers than are configured: tokens of a missing one would be refused without a reason.
//! Key managers that were registered in API Manager are issuers too ([`managed`]).

mod cache;
mod entry;
mod fetch;
mod managed;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollgate_model::{Issuer, Jwk, JwkSet};

use self::cache::KeyCache;
use self::entry::{Entry, TEST_KEYS};
use self::fetch::KeyClient;
pub use self::fetch::KeyTrust;
pub use self::fetch::{ClientError, FetchError};
pub(super) use self::managed::Follower;
pub use self::source::parse as keys_of_pem;
use super::settings::TokenService;
use crate::admin::{Counters, IssuerReport, Status};
use crate::model::WorldWriter;

/// How often keys are fetched without being asked for.
const REFRESH: Duration = Duration::from_secs(300);
/// How soon it is tried again after a failure.
const RETRY: Duration = Duration::from_secs(15);
/// Between two fetches that unknown keys ask for.
const COOL_DOWN: Duration = Duration::from_secs(5);

/// Why the issuers cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// A certificate cannot be used.
    #[error("token service {name}: certificate {}: {reason} (fix: give a PEM file with an RSA certificate or public key)", path.display())]
    Certificate {
        /// Token service.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two services that cannot be told apart.
    #[error("two token services have the same {what} {value:?} (fix: remove or change one of them)")]
    Duplicate {
        /// `name` or `issuer`.
        what: &'static str,
        /// The value they share.
        value: String,
    },
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What [`Issuers::new`] needs.
#[derive(Debug)]
pub struct IssuerSettings<'s> {
    /// Configured token services.
    pub services: &'s [TokenService],
    /// Issuer and public key of test keys.
    pub test_keys: Option<(&'s str, &'s Jwk)>,
    /// Who is believed when keys are fetched over HTTPS.
    pub key_trust: &'s KeyTrust,
    /// Folder of kept keys.
    pub key_cache: &'s Path,
}

/// All issuers.
#[derive(Debug)]
pub struct Issuers {
    /// Those of the configuration.
    entries: Vec<Arc<Entry>>,
    /// Key managers of API Manager. One goes before an issuer of the configuration with the same `iss`.
    managed: Mutex<Vec<Arc<Entry>>>,
    client: KeyClient,
    cache: KeyCache,
    writer: WorldWriter,
    status: Arc<Status>,
}

impl Issuers {
    /// Reads certificates and kept keys, and publishes them. Nothing is fetched yet.
    ///
    /// # Errors
    /// When a certificate cannot be used, or two services have the same name or issuer.
    pub fn new(
        settings: &IssuerSettings<'_>,
        writer: WorldWriter,
        status: Arc<Status>,
    ) -> Result<Arc<Self>, IssuerError> {
        let cache = KeyCache::new(settings.key_cache);
        let mut entries = Vec::new();
        let (mut names, mut issuers) = (BTreeSet::new(), BTreeSet::new());
        for service in settings.services {
            let duplicate = |what, value: &str| IssuerError::Duplicate { what, value: value.to_owned() };
            if !names.insert(service.name.as_str()) {
                return Err(duplicate("name", &service.name));
            }
            if !service.issuer.is_empty() && !issuers.insert(service.issuer.as_str()) {
                return Err(duplicate("issuer", &service.issuer));
            }
            let test_key = settings.test_keys.filter(|(issuer, _)| *issuer == service.issuer).map(|(_, key)| key);
            entries.push(Arc::new(Entry::new(service, test_key, &cache)?));
        }
        if let Some((issuer, key)) = settings.test_keys.filter(|(issuer, _)| !issuers.contains(issuer)) {
            if names.contains(TEST_KEYS) {
                return Err(IssuerError::Duplicate { what: "name", value: TEST_KEYS.to_owned() });
            }
            entries.push(Arc::new(Entry::of_test_keys(issuer, key)));
        }
        let client = KeyClient::new(settings.key_trust)?;
        let issuers = Self { entries, managed: Mutex::default(), client, cache, writer, status };
        for entry in &issuers.entries {
            issuers.report(entry, None, None);
        }
        issuers.publish();
        Ok(Arc::new(issuers))
    }

    /// Fetches the keys of every issuer that has none, all at once. After it, the filters may be given the issuers.
    pub async fn first_fetch(&self) {
        let missing = self.entries.iter().filter(|entry| !entry.urls.is_empty() && entry.issuer().keys.keys.is_empty());
        join_all(missing.map(|entry| self.refresh(entry))).await;
    }

    /// Keeps the keys fresh until `shutdown`.
    pub async fn keep_fresh(self: Arc<Self>, shutdown: CancellationToken) {
        let loops = self.entries.iter().filter(|entry| !entry.urls.is_empty()).map(|entry| self.keep_one_fresh(entry));
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = join_all(loops) => shutdown.cancelled().await,
        }
    }

    async fn keep_one_fresh(&self, entry: &Entry) {
        loop {
            let tried = entry.fetching.lock().await.succeeded;
            let fresh = match tried {
                Some(succeeded) => succeeded,
                None => self.refresh(entry).await,
            };
            tokio::time::sleep(if fresh { REFRESH } else { RETRY }).await;
            self.refresh(entry).await;
        }
    }

    /// The keys of an issuer, fetched again when none of them has this `kid`; `None` when there is no such issuer.
    pub async fn keys(&self, issuer: &str, kid: &str) -> Option<JwkSet> {
        let entry = self.effective().into_iter().find(|entry| entry.issuer().issuer == issuer)?;
        if !entry.urls.is_empty() && !entry.has(kid) {
            self.refetch_for(&entry, kid).await;
        }
        Some(entry.issuer().keys.clone())
    }

    /// One fetch for all who ask at the same time, and at most one in [`COOL_DOWN`]: a `kid` comes from anybody.
    async fn refetch_for(&self, entry: &Entry, kid: &str) {
        let mut state = entry.fetching.lock().await;
        let now = Instant::now();
        let cooling = state.last_question.is_some_and(|last| now.saturating_duration_since(last) < COOL_DOWN);
        if cooling || entry.has(kid) {
            return;
        }
        state.last_question = Some(now);
        state.succeeded = Some(self.fetch(entry).await);
    }

    /// Fetches, and says whether it went well.
    async fn refresh(&self, entry: &Entry) -> bool {
        let mut state = entry.fetching.lock().await;
        let succeeded = self.fetch(entry).await;
        state.succeeded = Some(succeeded);
        succeeded
    }

    /// From all of its URLs at once. Goes well if it does with every one.
    async fn fetch(&self, entry: &Entry) -> bool {
        let fetches = entry.urls.iter().enumerate().map(|(position, url)| self.fetch_one(entry, position, url));
        let errors: Vec<String> = join_all(fetches).await.into_iter().flatten().collect();
        let good = errors.is_empty();
        self.report(entry, good.then(SystemTime::now), (!good).then(|| errors.join("; ")));
        good
    }

    /// Fetches from one URL, and gives what went wrong.
    async fn fetch_one(&self, entry: &Entry, position: usize, url: &str) -> Option<String> {
        let counters = &self.status.counters;
        match self.client.get(url).await {
            Ok(keys) => {
                Counters::add(&counters.key_fetches, 1);
                self.take(entry, position, url, keys);
                None
            }
            Err(error) => {
                Counters::add(&counters.key_fetch_failures, 1);
                let known = entry.issuer().keys.keys.len();
                tracing::warn!(url, %error, known, "cannot fetch an issuer's keys; those already known stay in use");
                Some(if entry.urls.len() > 1 { format!("{url}: {error}") } else { error.to_string() })
            }
        }
    }

    fn take(&self, entry: &Entry, position: usize, url: &str, fetched: JwkSet) {
        let before = entry.issuer();
        if let Err(error) = self.cache.store(&before.issuer, url, &fetched) {
            tracing::warn!(%error, "cannot keep an issuer's keys for the next start");
        }
        let keys = entry.take(position, fetched);
        if before.keys != keys {
            tracing::info!(issuer = before.issuer, keys = keys.keys.len(), "an issuer has new keys");
            *entry.lock() = Arc::new(Issuer { keys, ..Issuer::clone(&before) });
            self.publish();
        }
    }

    /// Those that count now.
    fn effective(&self) -> Vec<Arc<Entry>> {
        let managed = self.managed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let overridden = |entry: &&Arc<Entry>| managed.iter().any(|one| one.issuer().issuer == entry.issuer().issuer);
        let configured: Vec<Arc<Entry>> =
            self.entries.iter().filter(|entry| !overridden(entry)).map(Arc::clone).collect();
        configured.into_iter().chain(managed).collect()
    }

    /// In one step, so that nobody ever sees fewer.
    fn publish(&self) {
        self.writer.update(|world| world.issuers = self.effective().iter().map(|entry| entry.issuer()).collect());
    }

    fn report(&self, entry: &Entry, fetched: Option<SystemTime>, error: Option<String>) {
        let issuer = entry.issuer();
        let report = IssuerReport {
            issuer: issuer.issuer.clone(),
            source: entry.source.clone(),
            keys: issuer.keys.keys.len(),
            last_fetch: fetched.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs()),
            error,
        };
        self.status.issuer(&issuer.name, report);
    }
}
