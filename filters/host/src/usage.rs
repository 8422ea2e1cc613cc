//! Uses that a Traffic Manager is to be told of: gathered here, and reported to the adapter on ticks, so that no request waits.
//!
//! Equal uses are counted together. What cannot be reported is kept and tried again after a pause, within bounds. What is beyond
//! them, or is refused for what it is, is lost, and counted.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use tollgate_enforce::Timestamp;
use tollgate_model::contract::USAGE_PATH;
use tollgate_model::{MAX_USES, Usage, UsageReport};

use crate::metrics::{Metrics, USES_LOST};
use crate::worker::Caller;
use crate::{Abi, CallId, Response};

/// Different uses that wait.
const MAX_WAITING: usize = 4_096;
/// Reports under way.
const MAX_REPORTS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure, nothing is reported for so long.
const PAUSE_MS: u64 = 1_000;

/// What a worker has to report.
pub(crate) struct UsageLog {
    metrics: Rc<Metrics>,
    waiting: RefCell<HashMap<Usage, u32>>,
    under_way: RefCell<HashMap<u32, UsageReport>>,
    not_before: Cell<Timestamp>,
}

impl UsageLog {
    pub(crate) fn new(metrics: Rc<Metrics>) -> Self {
        Self { metrics, waiting: RefCell::default(), under_way: RefCell::default(), not_before: Cell::default() }
    }

    /// Notes uses.
    pub(crate) fn add(&self, uses: impl IntoIterator<Item = Usage>) {
        for usage in uses {
            self.note(usage, 1);
        }
    }

    fn note(&self, usage: Usage, count: u32) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(known) = waiting.get_mut(&usage) {
            *known = known.saturating_add(count);
        } else if waiting.len() < MAX_WAITING {
            waiting.insert(usage, count);
        } else {
            self.lose(count);
        }
    }

    fn lose(&self, uses: u32) {
        self.metrics.add(USES_LOST, uses);
    }

    /// Reports what is there. To be called on every tick.
    pub(crate) fn on_tick(&self, caller: &Caller, now: Timestamp) {
        while now >= self.not_before.get()
            && self.under_way.borrow().len() < MAX_REPORTS
            && !self.waiting.borrow().is_empty()
        {
            let report = self.next();
            let Ok(body) = serde_json::to_vec(&report) else {
                self.give_up(&report);
                continue;
            };
            match caller.post(USAGE_PATH, &body, TIMEOUT) {
                Ok(call) => drop(self.under_way.borrow_mut().insert(call.0, report)),
                Err(_) => self.keep(report, now),
            }
        }
    }

    fn next(&self) -> UsageReport {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() <= MAX_USES {
            return UsageReport { uses: waiting.drain().map(|(usage, count)| (count, usage)).collect() };
        }
        let some: Vec<Usage> = waiting.keys().take(MAX_USES).cloned().collect();
        let taken = some.into_iter().filter_map(|usage| waiting.remove(&usage).map(|count| (count, usage)));
        UsageReport { uses: taken.collect() }
    }

    /// Takes an answer, if it is to one of the reports.
    pub(crate) fn answered(&self, abi: &dyn Abi, call: CallId, response: Response) {
        let Some(report) = self.under_way.borrow_mut().remove(&call.0) else { return };
        match if response.arrived { abi.answer_status() } else { None } {
            Some(200) => {}
            // It would be refused again.
            Some(400 | 404 | 413) => self.give_up(&report),
            // Told twice is counted twice, which is the safer mistake.
            _ => self.keep(report, abi.now()),
        }
    }

    fn keep(&self, report: UsageReport, now: Timestamp) {
        self.not_before.set(Timestamp(now.0.saturating_add(PAUSE_MS)));
        for (count, usage) in report.uses {
            self.note(usage, count);
        }
    }

    fn give_up(&self, report: &UsageReport) {
        for (count, _) in &report.uses {
            self.lose(*count);
        }
    }
}
