//! What a worker takes over when shared data has news: small tables as a whole; of the others it forgets what changed.
//!
//! A shard that cannot be read leaves in place what was known before.

use std::rc::Rc;

use tollgate_enforce::Throttle;
use tollgate_model::wire::{Entry, Index, Shard};
use tollgate_model::{Settings, Slot, Table, keys};

use super::directory::SnapshotDirectory;
use super::{entries, shared};
use crate::Level;

impl SnapshotDirectory {
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
                self.index.replace(index);
                for slot in changed.into_iter().filter(|slot| !slot.table.is_lazy()) {
                    self.take_over(slot);
                }
                self.has_cutoffs.set(self.index.borrow().is_used(Table::Cutoff));
            }
            Err(error) => self.abi.log(Level::Error, &format!("index of the snapshot is unreadable: {error}")),
        }
    }

    /// Forgets what was read of slots that changed. They are in ascending order.
    fn forget(&self, changed: &[Slot]) {
        // Decisions are looked up for every request, and come and go by the second.
        if changed.iter().any(|slot| slot.table != Table::Decision) {
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
        self.decisions.forget(changed);
    }

    fn take_over(&self, slot: Slot) {
        let Ok(bytes) = self.bytes(slot) else { return };
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
            | Table::Revoked
            | Table::Decision => {}
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
}
