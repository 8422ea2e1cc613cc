//! Look-ups of one worker: what of shared data it has read, in the form the decision needs.
//!
//! Small tables are read when they change, APIs when they are first called. A shard that cannot be read leaves in place
//! what was known before; an entry that cannot be read is denied by itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use tollgate_enforce::token::{SignatureVerifier, TokenCache};
use tollgate_enforce::{CompiledApi, CompiledIssuer, Directory, Unreadable};
use tollgate_model::wire::{Index, Shard};
use tollgate_model::{Settings, Slot, Table, keys};

use super::entries::{self, Problem};
use super::shared;
use crate::metrics::{Metrics, UNREADABLE};
use crate::{Abi, Level};

/// Base paths of one shard, to the ids of their APIs or to something that must be denied.
type Routes = HashMap<Box<[u8]>, Result<Rc<str>, Unreadable>>;
/// What came of looking for a base path.
type FoundRoute = Result<Option<Rc<str>>, Unreadable>;
/// What came of looking for an API: the API, none, or one that must be denied.
type FoundApi = Result<Option<Rc<CompiledApi>>, Unreadable>;

/// The snapshot as one worker sees it.
pub(crate) struct SnapshotDirectory {
    abi: Rc<dyn Abi>,
    metrics: Rc<Metrics>,
    verifier: Box<dyn SignatureVerifier>,
    tokens: TokenCache,
    /// What has been taken over from shared data.
    index: RefCell<Index>,
    /// Shared data's own version of the index, so that an unchanged one is not even decoded.
    index_version: Cell<Option<u32>>,
    settings: RefCell<Option<Rc<Settings>>>,
    virtual_hosts: RefCell<HashSet<Box<[u8]>>>,
    /// By shard, so that a changed shard replaces its part.
    routes: RefCell<HashMap<u16, Routes>>,
    issuers: RefCell<HashMap<String, Rc<CompiledIssuer>>>,
    /// By key; only keys that the route table names get here.
    apis: RefCell<HashMap<Box<[u8]>, FoundApi>>,
}

impl SnapshotDirectory {
    pub(crate) fn new(abi: Rc<dyn Abi>, metrics: Rc<Metrics>, verifier: Box<dyn SignatureVerifier>) -> Self {
        Self {
            abi,
            metrics,
            verifier,
            tokens: TokenCache::default(),
            index: RefCell::default(),
            index_version: Cell::default(),
            settings: RefCell::default(),
            virtual_hosts: RefCell::default(),
            routes: RefCell::default(),
            issuers: RefCell::default(),
            apis: RefCell::default(),
        }
    }

    /// Takes over what changed in shared data since the last time.
    pub(crate) fn refresh(&self) {
        let Ok(Some((bytes, version))) = self.abi.shared(&shared::index()) else { return };
        if self.index_version.replace(Some(version)) == Some(version) {
            return;
        }
        match Index::decode(&bytes) {
            Ok(index) => {
                let changed: Vec<Slot> = self.index.borrow().changed(&index).collect();
                for slot in changed {
                    self.take_over(slot);
                }
                self.index.replace(index);
            }
            Err(error) => self.abi.log(Level::Error, &format!("index of the snapshot is unreadable: {error}")),
        }
    }

    fn take_over(&self, slot: Slot) {
        if slot.table == Table::Api {
            self.apis.borrow_mut().retain(|key, _| Table::Api.slot(key) != slot);
            return;
        }
        let bytes = match self.abi.shared(&shared::shard(slot)) {
            Ok(found) => found.map(|(bytes, _)| bytes).unwrap_or_default(),
            Err(status) => return self.cannot_read(slot, &format!("{status:?}")),
        };
        if bytes.is_empty() {
            return self.replace(&Shard { slot, entries: Vec::new() });
        }
        match Shard::decode(&bytes) {
            Ok(shard) if shard.slot == slot => self.replace(&shard),
            Ok(_) => self.cannot_read(slot, "it belongs elsewhere"),
            Err(error) => self.cannot_read(slot, &error.to_string()),
        }
    }

    fn cannot_read(&self, slot: Slot, why: &str) {
        self.metrics.increment(UNREADABLE);
        let text = format!("shard {} of {}: {why}; the last good one stays", slot.shard, slot.table.name());
        self.abi.log(Level::Error, &text);
    }

    /// An entry of a small table that cannot be read is left out: what it would have allowed is denied.
    fn deny(&self, problem: &Problem) {
        self.metrics.increment(UNREADABLE);
        self.abi.log(Level::Error, &format!("{} is denied: {}", problem.entry, problem.why));
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
            Table::Api => {}
        }
    }

    fn replace_settings(&self, shard: &Shard) {
        let settings = shard.get(b"").map(|entry| entries::read::<Settings>(Table::Settings, entry));
        match settings {
            Some(Ok(settings)) => {
                self.settings.replace(Some(Rc::new(settings)));
            }
            Some(Err(problem)) => self.deny(&problem),
            None => {
                self.settings.replace(None);
            }
        }
    }

    fn replace_issuers(&self, shard: &Shard) {
        let mut issuers = HashMap::new();
        for entry in &shard.entries {
            match entries::issuer(entry) {
                Ok((issuer, useless_keys)) => {
                    for problem in useless_keys {
                        self.abi.log(Level::Warn, &format!("{} is not used: {}", problem.entry, problem.why));
                    }
                    issuers.insert(issuer.iss().to_owned(), Rc::new(issuer));
                }
                Err(problem) => self.deny(&problem),
            }
        }
        self.issuers.replace(issuers);
        // What was verified may have been verified with a key that is gone.
        self.tokens.clear();
    }

    fn replace_routes(&self, shard: &Shard) {
        let mut routes = Routes::new();
        for entry in &shard.entries {
            let id = entries::read::<String>(Table::Route, entry).map(Rc::from).map_err(|problem| {
                self.deny(&problem);
                Unreadable
            });
            routes.insert(Box::from(entry.key), id);
        }
        self.routes.borrow_mut().insert(shard.slot.shard, routes);
    }

    fn load_api(&self, key: &[u8]) -> FoundApi {
        let slot = Table::Api.slot(key);
        let bytes = match self.abi.shared(&shared::shard(slot)) {
            Ok(Some((bytes, _))) if !bytes.is_empty() => bytes,
            Ok(_) => return Ok(None),
            Err(status) => {
                self.cannot_read(slot, &format!("{status:?}"));
                return Err(Unreadable);
            }
        };
        let shard = Shard::decode(&bytes).map_err(|error| {
            self.cannot_read(slot, &error.to_string());
            Unreadable
        })?;
        let Some(entry) = shard.get(key) else { return Ok(None) };
        entries::api(entry).map(|api| Some(Rc::new(api))).map_err(|problem| {
            self.deny(&problem);
            Unreadable
        })
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
        let key = keys::route(virtual_host, base_path);
        let routes = self.routes.borrow();
        routes.get(&Table::Route.slot(&key).shard).and_then(|shard| shard.get(key.as_slice())).cloned().transpose()
    }

    fn api(&self, virtual_host: &[u8], id: &str) -> FoundApi {
        let key = keys::api(virtual_host, id.as_bytes());
        if let Some(known) = self.apis.borrow().get(key.as_slice()) {
            return known.clone();
        }
        let loaded = self.load_api(&key);
        self.apis.borrow_mut().insert(key.into_boxed_slice(), loaded.clone());
        loaded
    }

    fn issuer(&self, iss: &str) -> Option<Rc<CompiledIssuer>> {
        self.issuers.borrow().get(iss).cloned()
    }

    fn tokens(&self) -> &TokenCache {
        &self.tokens
    }

    fn verifier(&self) -> &dyn SignatureVerifier {
        self.verifier.as_ref()
    }
}
