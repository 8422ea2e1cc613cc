//! Look-ups of one worker: what of shared data it has read, in the form the decision needs.
//!
//! Small tables are read when they change, APIs and subscribers when they are first asked for. A shard that cannot be read leaves in place
//! what was known before; an entry that cannot be read is denied by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use tollgate_enforce::token::{SignatureVerifier, TokenCache};
use tollgate_enforce::{
    CompiledApi, CompiledIssuer, CompiledTier, Directory, Found, Quotas, Revocations, Subscribers, Throttle,
    Unreadable, Verdicts,
};
use tollgate_model::contract::PluginConfig;
use tollgate_model::wire::{Entry, Index, Shard};
use tollgate_model::{
    Application, Callbacks, Credential, Cutoff, CutoffKind, Settings, Slot, Subscription, Table, Tier, TierKind, keys,
};

use super::entries::{self, Problem};
use super::lazy::{Judged, Lazy};
use super::routes::{FoundRoute, Routes};
use super::shared;
use crate::metrics::{Metrics, UNREADABLE};
use crate::quota::QuotaPool;
use crate::{Abi, Level};

/// What came of looking for an API: the API, none, or one that must be denied.
type FoundApi = Result<Option<Rc<CompiledApi>>, Unreadable>;

/// The snapshot as one worker sees it.
pub(crate) struct SnapshotDirectory {
    pub(super) abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    verifier: Box<dyn SignatureVerifier>,
    callbacks: Callbacks,
    owns_routes: bool,
    tokens: TokenCache,
    verdicts: Verdicts,
    /// What has been taken over from shared data.
    index: RefCell<Index>,
    /// Shared data's own version of the news, so that an unchanged index is not even copied.
    news: Cell<Option<u32>>,
    settings: RefCell<Option<Rc<Settings>>>,
    virtual_hosts: RefCell<HashSet<Box<[u8]>>>,
    routes: RefCell<Routes>,
    issuers: RefCell<Vec<Rc<CompiledIssuer>>>,
    /// By key; only keys that the route table names get here.
    apis: RefCell<HashMap<Box<[u8]>, FoundApi>>,
    /// The key at hand, so that looking for one allocates nothing.
    key: RefCell<Vec<u8>>,
    tiers: Lazy<Tier>,
    advanced: Lazy<CompiledTier>,
    applications: Lazy<Application>,
    credentials: Lazy<Credential>,
    subscriptions: Lazy<Subscription>,
    cutoffs: Lazy<Cutoff>,
    /// Whether there are any cut-offs at all.
    has_cutoffs: Cell<bool>,
    judged: Judged,
    throttle: RefCell<Rc<Throttle>>,
    pub(crate) quotas: QuotaPool,
}

impl SnapshotDirectory {
    pub(crate) fn new(
        abi: Rc<dyn Abi>,
        metrics: Rc<Metrics>,
        verifier: Box<dyn SignatureVerifier>,
        config: &PluginConfig,
    ) -> Self {
        let quotas = QuotaPool::new(Rc::clone(&abi), Rc::clone(&metrics));
        Self {
            abi,
            metrics,
            verifier,
            callbacks: config.callbacks,
            owns_routes: config.own_routes,
            tokens: TokenCache::default(),
            verdicts: Verdicts::default(),
            index: RefCell::default(),
            news: Cell::default(),
            settings: RefCell::default(),
            virtual_hosts: RefCell::default(),
            routes: RefCell::default(),
            issuers: RefCell::default(),
            apis: RefCell::default(),
            key: RefCell::default(),
            tiers: Lazy::new(Table::Tier),
            advanced: Lazy::new(Table::Tier),
            applications: Lazy::new(Table::Application),
            credentials: Lazy::new(Table::Credential),
            subscriptions: Lazy::new(Table::Subscription),
            cutoffs: Lazy::new(Table::Cutoff),
            has_cutoffs: Cell::default(),
            judged: Judged::default(),
            throttle: RefCell::default(),
            quotas,
        }
    }

    /// The version of a slot that this worker sees; 0 when it is empty.
    pub(super) fn version(&self, slot: Slot) -> u64 {
        self.index.borrow().version(slot)
    }

    /// Takes over what changed in shared data since the last time.
    pub(crate) fn refresh(&self) {
        let Ok(Some((_, version))) = self.abi.shared(&shared::news()) else { return };
        if self.news.get() == Some(version) {
            return;
        }
        let Ok(Some((bytes, _))) = self.abi.shared(&shared::index()) else { return };
        self.news.set(Some(version));
        match Index::decode(&bytes) {
            Ok(index) => {
                let changed: Vec<Slot> = self.index.borrow().changed(&index).collect();
                self.forget(&changed);
                for slot in changed.into_iter().filter(|slot| !slot.table.is_lazy()) {
                    self.take_over(slot);
                }
                self.index.replace(index);
                self.has_cutoffs.set(self.index.borrow().is_used(Table::Cutoff));
            }
            Err(error) => self.abi.log(Level::Error, &format!("index of the snapshot is unreadable: {error}")),
        }
    }

    /// Forgets what was read of slots that changed. They are in ascending order.
    fn forget(&self, changed: &[Slot]) {
        if !changed.is_empty() {
            self.verdicts.clear();
        }
        if changed.iter().any(|slot| slot.table == Table::Api) {
            self.apis.borrow_mut().retain(|key, _| changed.binary_search(&Table::Api.slot(key)).is_err());
        }
        self.tiers.forget(changed);
        self.advanced.forget(changed);
        self.applications.forget(changed);
        self.credentials.forget(changed);
        self.subscriptions.forget(changed);
        self.cutoffs.forget(changed);
    }

    fn take_over(&self, slot: Slot) {
        let bytes = match self.abi.shared(&shared::shard(slot)) {
            Ok(found) => found.map(|(bytes, _)| bytes).unwrap_or_default(),
            Err(status) => {
                self.cannot_read(slot, &format!("{status:?}"));
                return;
            }
        };
        if bytes.is_empty() {
            return self.replace(&Shard { slot, entries: Vec::new() });
        }
        let why = match Shard::decode(&bytes) {
            Ok(shard) if shard.slot == slot => return self.replace(&shard),
            Ok(_) => "it belongs elsewhere".to_owned(),
            Err(error) => error.to_string(),
        };
        self.cannot_read(slot, &why);
    }

    pub(super) fn cannot_read(&self, slot: Slot, why: &str) -> Unreadable {
        self.metrics.increment(UNREADABLE);
        let text = format!("shard {} of {}: {why}; the last good one stays", slot.shard, slot.table.name());
        self.abi.log(Level::Error, &text);
        Unreadable
    }

    /// An entry of a small table that cannot be read is left out: what it would have allowed is denied.
    pub(super) fn deny(&self, problem: &Problem) -> Unreadable {
        self.metrics.increment(UNREADABLE);
        self.abi.log(Level::Error, &format!("{} is denied: {}", problem.entry, problem.why));
        Unreadable
    }

    fn replace(&self, shard: &Shard) {
        match shard.slot.table {
            Table::Settings => self.replace_settings(shard),
            Table::Issuer => self.replace_issuers(shard),
            // The names alone count, readable or not: a host that is left out would be served as a wildcard one.
            Table::VirtualHost => {
                self.virtual_hosts.replace(shard.entries.iter().map(|entry| Box::from(entry.key)).collect());
            }
            Table::Route => self.replace_routes(shard),
            Table::Throttle => self.replace_throttle(shard),
            // Read when they are asked for.
            Table::Api
            | Table::Tier
            | Table::Application
            | Table::Credential
            | Table::Subscription
            | Table::Cutoff
            | Table::Revoked => {}
        }
    }

    fn replace_settings(&self, shard: &Shard) {
        let settings = shard.get(b"").map(|entry| entries::read::<Settings>(Table::Settings, entry));
        match settings {
            Some(Ok(settings)) => {
                self.quotas.set_replicas(settings.gateways);
                self.settings.replace(Some(Rc::new(settings)));
            }
            Some(Err(problem)) => {
                self.deny(&problem);
            }
            None => {
                self.settings.replace(None);
            }
        }
    }

    fn replace_issuers(&self, shard: &Shard) {
        let mut issuers = Vec::new();
        for entry in &shard.entries {
            match entries::issuer(entry) {
                Ok((issuer, useless_keys)) => {
                    for problem in useless_keys {
                        self.abi.log(Level::Warn, &format!("{} is not used: {}", problem.entry, problem.why));
                    }
                    issuers.push(Rc::new(issuer));
                }
                Err(problem) => {
                    self.deny(&problem);
                }
            }
        }
        self.issuers.replace(issuers);
        // What was verified may have been verified with a key that is gone.
        self.tokens.clear();
    }

    fn replace_throttle(&self, shard: &Shard) {
        let mut throttle = Throttle::default();
        for entry in &shard.entries {
            // Nobody can say whom an entry is for that cannot be read, so it is said and the others count.
            let problem = if keys::is_deny(entry.key) {
                entries::read(Table::Throttle, entry).map(|deny| throttle.deny.push(deny)).err()
            } else {
                entries::read(Table::Throttle, entry).map(|policy| throttle.custom.push(policy)).err()
            };
            if let Some(problem) = problem {
                self.deny(&problem);
            }
        }
        self.throttle.replace(Rc::new(throttle));
    }

    fn replace_routes(&self, shard: &Shard) {
        let read = |entry: &Entry| {
            let id = entries::read::<String>(Table::Route, entry).map(Rc::from).map_err(|problem| self.deny(&problem));
            (Box::from(entry.key), id)
        };
        self.routes.borrow_mut().replace(shard.slot.shard, shard.entries.iter().map(read));
    }

    fn load_api(&self, key: &[u8]) -> FoundApi {
        let found = self.load(Table::Api.slot(key), key, |_, entry| entries::api(entry))?;
        Ok(found.map(|(api, _)| {
            self.warn_of_callbacks(&api);
            Rc::new(api)
        }))
    }

    /// Its operations that need what this gateway does not give are denied one by one; here it is said once.
    fn warn_of_callbacks(&self, api: &CompiledApi) {
        let needed = api.callbacks();
        if !self.callbacks.cover(needed) {
            let (id, has) = (api.id(), self.callbacks);
            let text = format!("API {id:?} needs {needed:?}, this gateway has {has:?}: what needs more is denied");
            self.abi.log(Level::Error, &text);
        }
    }
}

/// Looks for the key of two parts, written into `buffer`.
fn with_key<T>(buffer: &RefCell<Vec<u8>>, first: &[u8], second: &[u8], look: impl FnOnce(&[u8]) -> T) -> T {
    match buffer.try_borrow_mut() {
        Ok(mut key) => {
            keys::write(first, second, &mut key);
            look(&key)
        }
        // Somebody looks while looking; it cannot be, and costs an allocation.
        Err(_) => look(&keys::route(first, second)),
    }
}

impl Subscribers for SnapshotDirectory {
    fn credential(&self, key: &[u8]) -> Found<Credential> {
        self.credentials.get(self, key)
    }

    fn application(&self, uuid: &str) -> Found<Application> {
        self.applications.get(self, uuid.as_bytes())
    }

    fn subscription(&self, key: &[u8]) -> Found<Subscription> {
        self.subscriptions.get(self, key)
    }

    fn tier(&self, kind: TierKind, name: &str) -> Found<Tier> {
        self.tiers.get(self, &keys::tier(kind, name))
    }

    fn advanced(&self, kind: TierKind, name: &str) -> Found<CompiledTier> {
        self.advanced.get(self, &keys::tier(kind, name))
    }
}

impl Revocations for SnapshotDirectory {
    fn is_revoked(&self, token_id: &str) -> Result<bool, Unreadable> {
        self.judged.is_revoked(self, token_id)
    }

    fn cutoff(&self, kind: CutoffKind, of: &str) -> Found<Cutoff> {
        if self.has_cutoffs.get() { self.cutoffs.get(self, &keys::cutoff(kind, of)) } else { Ok(None) }
    }
}

impl Directory for SnapshotDirectory {
    fn settings(&self) -> Option<Rc<Settings>> {
        self.settings.borrow().clone()
    }

    fn has_virtual_host(&self, domain: &[u8]) -> bool {
        self.virtual_hosts.borrow().contains(domain)
    }

    fn route(&self, virtual_host: &[u8], base_path: &[u8]) -> FoundRoute {
        with_key(&self.key, virtual_host, base_path, |key| self.routes.borrow().get(key))
    }

    fn base_path_depths(&self) -> u16 {
        self.routes.borrow().depths()
    }

    fn api(&self, virtual_host: &[u8], id: &str) -> FoundApi {
        let known = with_key(&self.key, virtual_host, id.as_bytes(), |key| self.apis.borrow().get(key).cloned());
        if let Some(known) = known {
            return known;
        }
        let key = keys::api(virtual_host, id.as_bytes());
        let loaded = self.load_api(&key);
        self.apis.borrow_mut().insert(key.into_boxed_slice(), loaded.clone());
        loaded
    }

    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
        let issuers = self.issuers.borrow();
        // One without `iss` issues no access tokens.
        issuers.iter().find(|issuer| !iss.is_empty() && issuer.iss() == iss).cloned()
    }

    fn issuer_named(&self, name: &str) -> Option<Rc<CompiledIssuer>> {
        self.issuers.borrow().iter().find(|issuer| issuer.name() == name).cloned()
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn throttle(&self) -> Rc<Throttle> {
        Rc::clone(&self.throttle.borrow())
    }

    fn quotas(&self) -> &dyn Quotas {
        &self.quotas
    }

    fn verdicts(&self) -> Option<&Verdicts> {
        Some(&self.verdicts)
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        self.verifier.as_ref()
    }

    fn revision(&self) -> u64 {
        self.index.borrow().cursor.revision
    }

    fn owns_routes(&self) -> bool {
        self.owns_routes
    }
}
