//! Look-ups of one worker: what of shared data it has read, in the form the decision needs.
//!
//! Small tables are read when they change, APIs and subscribers when they are first asked for. A shard that cannot be read leaves in place
//! what was known before; an entry that cannot be read is denied by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use tollgate_enforce::token::{SignatureVerifier, TokenCache};
use tollgate_enforce::{
    CompiledApi, CompiledDecisions, CompiledIssuer, CompiledTier, Directory, Found, Quotas, Revocations, Subscribers,
    Throttle, Unreadable, Verdicts,
};
use tollgate_model::contract::PluginConfig;
use tollgate_model::wire::{Cursor, Index, checksum};
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

/// The version of a slot that was read while it was ahead of the index. No shard has it, but for one in 2^64.
const AHEAD: u64 = u64::MAX;

/// What came of looking for an API: the API, none, or one that must be denied.
type FoundApi = Result<Option<Rc<CompiledApi>>, Unreadable>;

/// The snapshot as one worker sees it.
pub(crate) struct SnapshotDirectory {
    pub(super) abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    verifier: Box<dyn SignatureVerifier>,
    callbacks: Callbacks,
    owns_routes: bool,
    pub(super) tokens: TokenCache,
    pub(super) verdicts: Verdicts,
    /// What has been taken over from shared data.
    pub(super) index: RefCell<Index>,
    /// Shared data's own version of the news, so that an unchanged index is not even copied.
    pub(super) news: Cell<Option<u32>>,
    pub(super) settings: RefCell<Option<Rc<Settings>>>,
    pub(super) virtual_hosts: RefCell<HashSet<Box<[u8]>>>,
    pub(super) routes: RefCell<Routes>,
    pub(super) issuers: RefCell<Vec<Rc<CompiledIssuer>>>,
    /// By key; only keys that the route table names get here.
    pub(super) apis: RefCell<HashMap<Box<[u8]>, FoundApi>>,
    /// The key at hand, so that looking for one allocates nothing.
    key: RefCell<Vec<u8>>,
    pub(super) tiers: Lazy<Tier>,
    pub(super) advanced: Lazy<CompiledTier>,
    pub(super) applications: Lazy<Application>,
    pub(super) credentials: Lazy<Credential>,
    pub(super) subscriptions: Lazy<Subscription>,
    pub(super) cutoffs: Lazy<Cutoff>,
    pub(super) decisions: Lazy<CompiledDecisions>,
    /// Whether there are any cut-offs at all.
    pub(super) has_cutoffs: Cell<bool>,
    judged: Judged,
    pub(super) throttle: RefCell<Rc<Throttle>>,
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
            decisions: Lazy::new(Table::Decision),
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

    /// A slot as it lies in shared data; empty when there is nothing.
    ///
    /// The leader writes shards before the index that names them, so this may be newer than what the index speaks of. Should
    /// the slot be like the index says again before the next index, nothing would tell that something else was read
    /// meanwhile. So the index is made to differ from the next one, whatever that says.
    pub(super) fn bytes(&self, slot: Slot) -> Result<Vec<u8>, Unreadable> {
        let bytes = match self.abi.shared(&shared::shard(slot)) {
            Ok(found) => found.map(|(bytes, _)| bytes).unwrap_or_default(),
            Err(status) => return Err(self.cannot_read(slot, &format!("{status:?}"))),
        };
        if checksum(&bytes) != self.version(slot) {
            self.index.borrow_mut().set(slot, AHEAD);
        }
        Ok(bytes)
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

    fn decisions(&self, key: &str) -> Found<CompiledDecisions> {
        self.decisions.get(self, key.as_bytes())
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
        // Revisions of two lives of an adapter may be the same number.
        let Cursor { epoch, revision } = self.index.borrow().cursor;
        epoch.rotate_left(32) ^ revision
    }

    fn owns_routes(&self) -> bool {
        self.owns_routes
    }
}
