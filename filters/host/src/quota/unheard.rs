//! Questions whose answers were not heard: the owner was too slow, or the request that waited is gone. What was leased for them
//! is of no use to anybody, and the owner is told so.
//!
//! Must never name a question whose answer was used, or may be yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use tollgate_model::{MAX_UNHEARD, QuotaAsk};

use crate::Steady;

/// The questions of one worker.
pub(super) struct Questions {
    next: Cell<u64>,
    unheard: Names,
}

/// Names of questions. Of too many, the oldest are forgotten: that costs quota of a window that is nearly over.
type Names = Rc<RefCell<VecDeque<u64>>>;

/// A question that is under way. Unless it is heard, it is unheard from the moment it is dropped.
pub(crate) struct Asked {
    pub(super) sent: Steady,
    id: u64,
    /// Whether anything may be leased for it.
    leases: bool,
    told: Vec<u64>,
    unheard: Names,
}

impl Questions {
    pub(super) fn new() -> Self {
        // So far from those of every other worker that none has the same name.
        Self { next: Cell::new(RandomState::new().build_hasher().finish()), unheard: Names::default() }
    }

    pub(super) fn begin(&self, asks: &[QuotaAsk], sent: Steady) -> Asked {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let leases = asks.iter().any(|ask| ask.want > 0);
        let told = self.unheard.borrow().iter().copied().collect();
        Asked { sent, id, leases, told, unheard: Rc::clone(&self.unheard) }
    }

    /// Whether there is something to say although nothing is asked.
    pub(super) fn are_unheard(&self) -> bool {
        !self.unheard.borrow().is_empty()
    }
}

impl Asked {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// What the owner is told of earlier ones.
    pub(super) fn told(&self) -> &[u64] {
        &self.told
    }

    /// The owner has answered, and knows what it was told.
    pub(super) fn heard(mut self) {
        self.unheard.borrow_mut().retain(|name| !self.told.contains(name));
        self.leases = false;
    }

    /// It never went out.
    pub(super) fn unsent(mut self) {
        self.leases = false;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.leases {
            return;
        }
        let mut unheard = self.unheard.borrow_mut();
        if unheard.len() >= MAX_UNHEARD {
            unheard.pop_front();
        }
        unheard.push_back(self.id);
    }
}
