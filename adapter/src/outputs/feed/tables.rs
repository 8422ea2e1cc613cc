//! The tables of one environment, as encoded shards. A new world touches only the slots its changes fall into.
//!
//! Must never do I/O. What cannot be encoded keeps its last good shard and is reported: half a table is never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tollgate_model::wire::{Entry, MAX_FRAME, Shard};
use tollgate_model::{Slot, Table, keys};

use crate::model::{Deployment, DeploymentKey, World};

/// The release a filter must have to understand entries without anything new in them.
const NEEDS: u16 = 1;
/// The release that knows throttling.
const THROTTLE_NEEDS: u16 = 2;
/// Largest shard, so that a frame always has room for one.
pub(super) const MAX_SHARD: usize = MAX_FRAME / 2;

/// Who wrote an entry: where two deployments want the same key, the smaller one has it. A base path of its own goes before
/// the short path of a default version.
type Owner = (u8, Option<DeploymentKey>);

/// Values of one key by who wants them.
type Candidates = BTreeMap<Owner, Written>;

/// The release a filter must have, and the value.
type Written = (u16, Vec<u8>);

const OWN: u8 = 0;
const DEFAULT_VERSION: u8 = 1;

/// An encoded shard and when it last changed.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) bytes: Bytes,
    pub(super) changed: u64,
}

/// Tables of an environment.
#[derive(Debug, Default)]
pub(super) struct Tables {
    revision: u64,
    entries: BTreeMap<Slot, BTreeMap<Vec<u8>, Candidates>>,
    shards: BTreeMap<Slot, Stored>,
    deployments: BTreeMap<DeploymentKey, Arc<Deployment>>,
}

impl Tables {
    /// Number of changes so far.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Encoded shards in the order in which they must be stored.
    pub(super) fn shards(&self) -> impl Iterator<Item = (&Slot, &Stored)> {
        self.shards.iter()
    }

    /// Takes over a world. Says whether anything changed.
    pub(super) fn apply(&mut self, environment: &str, world: &World) -> bool {
        let mut touched = BTreeSet::new();
        self.replace_globals(environment, world, &mut touched);
        self.replace_deployments(environment, world, &mut touched);
        let revision = self.revision.saturating_add(1);
        let changed = touched.into_iter().filter(|slot| self.encode(*slot, revision)).count() > 0;
        if changed {
            self.revision = revision;
        }
        changed
    }

    /// Takes over shards that are the same for every environment.
    pub(super) fn take(&mut self, shards: impl IntoIterator<Item = (Slot, Bytes)>) -> bool {
        let revision = self.revision.saturating_add(1);
        let mut changed = false;
        for (slot, bytes) in shards {
            self.shards.insert(slot, Stored { bytes, changed: revision });
            changed = true;
        }
        if changed {
            self.revision = revision;
        }
        changed
    }

    fn replace_globals(&mut self, environment: &str, world: &World, touched: &mut BTreeSet<Slot>) {
        self.replace_table(Table::Settings, [(Vec::new(), world.settings.needs(), json(&world.settings))], touched);
        // A key manager and a token service may share a name.
        let mut names = BTreeSet::new();
        let issuers = world.issuers.iter().map(|issuer| {
            let is_first = names.insert(&issuer.name);
            let key = if is_first { issuer.name.clone() } else { format!("{}\0{}", issuer.name, issuer.issuer) };
            (key.into_bytes(), issuer.needs(), json(issuer.as_ref()))
        });
        self.replace_table(Table::Issuer, issuers, touched);
        let deny = world.throttle.deny.iter().map(|(key, value)| (key.to_vec(), THROTTLE_NEEDS, json(value)));
        let custom = world.throttle.custom.iter().map(|(key, value)| (key.to_vec(), THROTTLE_NEEDS, json(value)));
        self.replace_table(Table::Throttle, deny.chain(custom), touched);
        let own = world.environments.get(environment).into_iter();
        let hosts = own.chain(in_environment(world, environment).map(|deployment| &deployment.api.virtual_host));
        let hosts: BTreeSet<&String> = hosts.collect();
        let hosts = hosts.into_iter().map(|host| (host.clone().into_bytes(), NEEDS, Some(b"{}".to_vec())));
        self.replace_table(Table::VirtualHost, hosts, touched);
    }

    /// Replaces all entries of a table that has one shard. An entry that cannot be written keeps its former value.
    fn replace_table(
        &mut self,
        table: Table,
        entries: impl IntoIterator<Item = (Vec<u8>, u16, Option<Vec<u8>>)>,
        touched: &mut BTreeSet<Slot>,
    ) {
        let mut fresh: BTreeMap<Slot, BTreeMap<Vec<u8>, Candidates>> = BTreeMap::new();
        for (key, needs, value) in entries {
            let slot = table.slot(&key);
            let former = self.entries.get(&slot).and_then(|entries| entries.get(&key)).cloned();
            let candidates = value.map(|value| Candidates::from([((OWN, None), (needs, value))])).or(former);
            if let Some(candidates) = candidates {
                fresh.entry(slot).or_default().insert(key, candidates);
            }
        }
        for shard in 0..table.shards() {
            let Some(slot) = Slot::from_wire(table.id(), shard) else { continue };
            let fresh = fresh.remove(&slot).unwrap_or_default();
            let held = self.entries.entry(slot).or_default();
            if *held != fresh {
                *held = fresh;
                touched.insert(slot);
            }
        }
    }

    fn replace_deployments(&mut self, environment: &str, world: &World, touched: &mut BTreeSet<Slot>) {
        let gone: Vec<Arc<Deployment>> = self
            .deployments
            .iter()
            .filter(|(key, held)| !current(world, environment, key).is_some_and(|now| Arc::ptr_eq(now, held)))
            .map(|(_, held)| Arc::clone(held))
            .collect();
        for deployment in gone {
            self.remove(&deployment, touched);
        }
        let fresh: Vec<Arc<Deployment>> = in_environment(world, environment)
            .filter(|deployment| !self.deployments.contains_key(&deployment.key()))
            .map(Arc::clone)
            .collect();
        for deployment in fresh {
            self.add(deployment, touched);
        }
    }

    fn remove(&mut self, deployment: &Deployment, touched: &mut BTreeSet<Slot>) {
        let owner = deployment.key();
        for Row { table, key, rank, .. } in rows(deployment) {
            let slot = table.slot(&key);
            if let Some(entries) = self.entries.get_mut(&slot) {
                let Some(candidates) = entries.get_mut(&key) else { continue };
                candidates.remove(&(rank, Some(owner.clone())));
                if candidates.is_empty() {
                    entries.remove(&key);
                }
            }
            touched.insert(slot);
        }
        self.deployments.remove(&owner);
    }

    fn add(&mut self, deployment: Arc<Deployment>, touched: &mut BTreeSet<Slot>) {
        let owner = deployment.key();
        for Row { table, key, rank, needs, value } in rows(&deployment) {
            let Some(value) = value else {
                tracing::error!(api = owner.api_id, "an API cannot be written for the filters and is not served");
                continue;
            };
            let slot = table.slot(&key);
            let candidates = self.entries.entry(slot).or_default().entry(key).or_default();
            candidates.insert((rank, Some(owner.clone())), (needs, value));
            if candidates.len() > 1 {
                let base_path = &deployment.api.base_path;
                tracing::warn!(api = owner.api_id, base_path, "several APIs want the same path; one of them is served");
            }
            touched.insert(slot);
        }
        self.deployments.insert(owner, deployment);
    }

    /// Encodes a slot, and says whether its shard changed.
    fn encode(&mut self, slot: Slot, revision: u64) -> bool {
        let entries = self.entries.get(&slot).into_iter().flatten();
        let entries = entries.filter_map(|(key, candidates)| {
            candidates.values().next().map(|(needs, value)| Entry { needs: *needs, key, value })
        });
        let shard = Shard { slot, entries: entries.collect() };
        let unwritten = shard.entries.is_empty() && !self.shards.contains_key(&slot);
        let bytes = match shard.encode() {
            Ok(bytes) if bytes.len() <= MAX_SHARD => Bytes::from(bytes),
            Ok(bytes) => return refuse(slot, &format!("{} bytes are more than a shard may have", bytes.len())),
            Err(error) => return refuse(slot, &error.to_string()),
        };
        if unwritten || self.shards.get(&slot).is_some_and(|stored| stored.bytes == bytes) {
            return false;
        }
        self.shards.insert(slot, Stored { bytes, changed: revision });
        true
    }
}

pub(super) fn refuse(slot: Slot, error: &str) -> bool {
    tracing::error!(table = slot.table.name(), shard = slot.shard, error, "a shard keeps its last good content");
    false
}

fn current<'w>(world: &'w World, environment: &str, key: &DeploymentKey) -> Option<&'w Arc<Deployment>> {
    world.deployments.get(key).filter(|deployment| deployment.environments.contains(environment))
}

fn in_environment<'w>(world: &'w World, environment: &'w str) -> impl Iterator<Item = &'w Arc<Deployment>> {
    world.deployments.values().filter(move |deployment| deployment.environments.contains(environment))
}

/// Something a deployment writes.
struct Row {
    table: Table,
    key: Vec<u8>,
    rank: u8,
    needs: u16,
    value: Option<Vec<u8>>,
}

fn rows(deployment: &Deployment) -> Vec<Row> {
    let api = &deployment.api;
    let host = &api.virtual_host;
    let route = |path: &str, rank| {
        let key = keys::route(host, path);
        Row { table: Table::Route, key, rank, needs: NEEDS, value: json(&api.id) }
    };
    let own = Row { table: Table::Api, key: keys::api(host, &api.id), rank: OWN, needs: api.needs(), value: json(api) };
    let default = api.default_base_path.as_deref().map(|path| route(path, DEFAULT_VERSION));
    [own, route(&api.base_path, OWN)].into_iter().chain(default).collect()
}

fn json<T: serde::Serialize>(value: &T) -> Option<Vec<u8>> {
    serde_json::to_vec(value).inspect_err(|error| tracing::error!(%error, "cannot write an entry")).ok()
}
