//! Key managers of API Manager as issuers: they come, change and go while the adapter runs, and go before an issuer of the
//! configuration with the same `iss`. When one goes, that of the configuration counts again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tollgate_model::Issuer;

use super::Issuers;
use super::entry::Entry;
use crate::model::KeyManager;

/// How long a new issuer is kept back until its keys are there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Key managers by their names without case.
type Managers = BTreeMap<String, KeyManager>;

/// An issuer of API Manager, whose keys are kept fresh for as long as this is there.
struct Managed {
    manager: KeyManager,
    entry: Arc<Entry>,
    _fresh: DropGuard,
}

/// Follows the key managers of the world.
pub(crate) struct Follower {
    issuers: Arc<Issuers>,
    managed: BTreeMap<String, Managed>,
    seen: Arc<Managers>,
}

impl Follower {
    /// Of none yet.
    pub(crate) fn new(issuers: Arc<Issuers>) -> Self {
        Self { issuers, managed: BTreeMap::new(), seen: Arc::default() }
    }

    /// Takes over those that are known already.
    pub(crate) async fn catch_up(&mut self) {
        let now = Arc::clone(&self.issuers.writer.current().key_managers);
        if !Arc::ptr_eq(&now, &self.seen) {
            self.take(&now).await;
            self.seen = now;
        }
    }

    /// Goes on until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut worlds = self.issuers.writer.watch();
        loop {
            worlds.borrow_and_update();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.catch_up() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = worlds.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn take(&mut self, managers: &Managers) {
        let wanted: BTreeMap<&String, &KeyManager> = managers.iter().filter(|(_, manager)| manager.accepted).collect();
        let former = std::mem::take(&mut self.managed);
        let mut fresh = Vec::new();
        let mut kept: BTreeMap<String, Managed> = BTreeMap::new();
        let mut gone: Vec<String> = Vec::new();
        for (key, managed) in former {
            if wanted.get(&key).is_some_and(|manager| **manager == managed.manager) {
                kept.insert(key, managed);
            } else {
                gone.push(managed.manager.name.clone());
            }
        }
        for (key, manager) in wanted {
            if kept.contains_key(key) {
                continue;
            }
            let twin = kept.values().find(|managed| managed.manager.issuer == manager.issuer);
            // That of another tenant, with which it shares all.
            if twin.is_some_and(|twin| twin.manager == *manager) {
                continue;
            }
            if let Some(twin) = twin {
                self.refuse(manager, &format!("the key manager {} has the same issuer", twin.manager.name));
                continue;
            }
            if let Some(managed) = self.open(manager) {
                fresh.push(Arc::clone(&managed.entry));
                kept.insert(key.clone(), managed);
            }
        }
        // Keys first, so that tokens of a new issuer are not refused for want of them; but not at any price.
        let without = fresh.iter().filter(|entry| !entry.urls.is_empty() && entry.issuer().keys.keys.is_empty());
        let fetches = join_all(without.map(|entry| self.issuers.refresh(entry)));
        if timeout(PATIENCE, fetches).await.is_err() {
            tracing::warn!("keys of a key manager are not there yet; its tokens are refused until they are");
        }
        let entries = kept.values().map(|managed| Arc::clone(&managed.entry)).collect();
        *self.issuers.managed.lock().unwrap_or_else(PoisonError::into_inner) = entries;
        self.issuers.publish();
        for name in gone.iter().filter(|name| kept.values().all(|managed| managed.manager.name != **name)) {
            self.issuers.forget(name);
        }
        self.managed = kept;
    }

    fn open(&self, manager: &KeyManager) -> Option<Managed> {
        // Whoever has such a name signs keys that go around subscriptions.
        if [Issuer::API_KEYS, Issuer::PUBLISHER].contains(&manager.name.as_str()) {
            self.refuse(manager, "the name belongs to a token service of the configuration");
            return None;
        }
        let entry = match Entry::of_key_manager(manager, &self.issuers.cache) {
            Ok(entry) => Arc::new(entry),
            Err(error) => {
                self.refuse(manager, &format!("its certificate cannot be used: {error}"));
                return None;
            }
        };
        self.issuers.report(&entry, None, None);
        tracing::info!(name = manager.name, issuer = manager.issuer, "tokens of a key manager are accepted");
        let stop = CancellationToken::new();
        if !entry.urls.is_empty() {
            let (issuers, entry, stop) = (Arc::clone(&self.issuers), Arc::clone(&entry), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = issuers.keep_one_fresh(&entry) => {}
                }
            });
        }
        Some(Managed { manager: manager.clone(), entry, _fresh: stop.drop_guard() })
    }

    fn refuse(&self, manager: &KeyManager, reason: &str) {
        tracing::error!(
            name = manager.name,
            issuer = manager.issuer,
            reason,
            "tokens of a key manager are not accepted"
        );
        let report = crate::admin::IssuerReport {
            issuer: manager.issuer.clone(),
            source: "API Manager".to_owned(),
            error: Some(reason.to_owned()),
            ..crate::admin::IssuerReport::default()
        };
        self.issuers.status.issuer(&manager.name, report);
    }
}

impl Issuers {
    /// The status shows the issuer of the configuration of that name again, or none.
    fn forget(&self, name: &str) {
        match self.entries.iter().find(|entry| entry.issuer().name == name) {
            Some(entry) => self.report(entry, None, None),
            None => self.status.no_issuer(name),
        }
    }
}
