//! The filters' own metrics. Envoy shows them as `wasmcustom.<name>`; all VMs of a process share them.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;

use crate::{Abi, MetricId, MetricKind};

/// Metrics by name. Each is defined at first use; the set of names is fixed in the code.
pub(crate) struct Metrics {
    abi: Rc<dyn Abi>,
    ids: RefCell<HashMap<&'static str, Option<MetricId>>>,
}

/// Gauge: revision of the feed that this process holds.
pub(crate) const FEED_REVISION: &str = "tollgate_feed_revision";
/// Counter: feed call-outs that failed.
pub(crate) const FEED_FAILURES: &str = "tollgate_feed_failures_total";
/// Counter: call-outs to the adapter that Envoy did not take, since it has no such cluster or nobody is behind it.
pub(crate) const CLUSTER_MISSING: &str = "tollgate_adapter_cluster_missing_total";
/// Counter: configuration entries that could not be read and are denied.
pub(crate) const UNREADABLE: &str = "tollgate_unreadable_total";
/// Counter: call-outs made for requests.
pub(crate) const QUESTIONS: &str = "tollgate_questions_total";
/// Gauge: 1 while the owner of the quotas cannot be reached.
pub(crate) const QUOTA_DEGRADED: &str = "tollgate_quota_degraded";
/// Counter: uses that the Traffic Manager is not told of.
pub(crate) const USES_LOST: &str = "tollgate_uses_lost_total";
/// Counter: frames of WebSockets that went nowhere because of a limit.
pub(crate) const FRAMES_DROPPED: &str = "tollgate_frames_dropped_total";
/// Counter: signatures checked in the module, because Envoy's function is missing or does not know the algorithm.
pub(crate) const PORTABLE_SIGNATURES: &str = "tollgate_portable_signatures_total";

impl Metrics {
    pub(crate) fn new(abi: Rc<dyn Abi>) -> Self {
        Self { abi, ids: RefCell::default() }
    }

    pub(crate) fn increment(&self, name: &'static str) {
        self.add(name, 1);
    }

    pub(crate) fn add(&self, name: &'static str, by: u32) {
        if let Some(id) = self.id(MetricKind::Counter, name) {
            self.abi.add(id, by);
        }
    }

    pub(crate) fn record(&self, name: &'static str, value: u64) {
        if let Some(id) = self.id(MetricKind::Gauge, name) {
            self.abi.record(id, value);
        }
    }

    fn id(&self, kind: MetricKind, name: &'static str) -> Option<MetricId> {
        let mut ids = self.ids.try_borrow_mut().ok()?;
        *ids.entry(name).or_insert_with(|| self.abi.define_metric(kind, name))
    }
}
