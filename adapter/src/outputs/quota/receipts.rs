//! What was leased for which question, so that what was leased for an answer that nobody heard can be taken back.
//!
//! An answer is unheard when its gateway says so: it was too late, or the request that waited for it is gone. Only the adapter that
//! leased can take back, and only for as long as it remembers; else that part of the window stays unused, as before.
//!
//! Must never take back twice, nor from a question that is not said to be unheard.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tollgate_model::{QuotaAsk, QuotaGrant, QuotaRequest, Unused};

use super::{OwnerError, QuotaOwner};

/// How long a question is remembered: longer than a gateway takes to say that it was not heard.
const KEPT: Duration = Duration::from_secs(60);
/// Most leases that are remembered. With their keys this bounds memory to some 70 MB.
const MAX_LEASES: usize = 32_768;

/// The owner, and the memory of what it leased for whom.
#[derive(Debug, Clone)]
pub struct Receipts {
    owner: Arc<dyn QuotaOwner>,
    kept: Arc<Mutex<Kept>>,
}

/// A gateway, and how it names the question.
type Question = (Box<str>, u64);

#[derive(Debug, Default)]
struct Kept {
    receipts: HashMap<Question, Receipt>,
    /// In the order in which they came.
    order: VecDeque<(Question, Instant)>,
    /// Leases in all of them; each question counts as one more.
    leases: usize,
}

#[derive(Debug)]
enum Receipt {
    /// The owner is being asked.
    UnderWay,
    /// Each lease, as the ask that gives it back.
    Leased(Vec<QuotaAsk>),
    /// Nobody will hear the answer.
    Unheard,
}

impl Receipts {
    /// Remembers what this owner leases.
    #[must_use]
    pub fn new(owner: Arc<dyn QuotaOwner>) -> Self {
        Self { owner, kept: Arc::default() }
    }

    /// Takes back what was leased for unheard questions, and asks the owner.
    ///
    /// # Errors
    /// Those of the owner; and a question that is said to be unheard already is not asked.
    pub async fn lease(&self, request: QuotaRequest, holder: &str) -> Result<Vec<QuotaGrant>, OwnerError> {
        let question = request.id.map(|id| (Box::from(holder), id));
        let mut asks = {
            let mut kept = self.kept();
            kept.forget(Instant::now());
            let back = kept.take_back(&request.unheard, holder, Instant::now());
            match &question {
                Some(question) if !kept.begin(question, Instant::now()) => return Err(OwnerError::Unheard),
                _ => back,
            }
        };
        let returned = asks.len();
        asks.extend(request.asks);
        // Goes on although the gateway may hang up, or nobody would know what was leased for it.
        let asking = tokio::spawn(self.clone().ask(asks, returned, question, holder.to_owned()));
        asking.await.map_err(|error| OwnerError::Unreachable(error.to_string()))?
    }

    /// Asks the owner, the first `returned` of them only to give something back.
    async fn ask(
        self,
        asks: Vec<QuotaAsk>,
        returned: usize,
        question: Option<Question>,
        holder: String,
    ) -> Result<Vec<QuotaGrant>, OwnerError> {
        let leased = self.owner.lease(asks.clone(), &holder).await;
        let Some(question) = question else { return leased.map(|grants| grants.into_iter().skip(returned).collect()) };
        let Ok(grants) = leased else {
            self.kept().drop_receipt(&question);
            return leased;
        };
        let leases = asks.iter().zip(&grants).skip(returned).filter_map(|(ask, grant)| lease(ask, grant)).collect();
        let unheard = self.kept().finish(&question, leases);
        match unheard {
            None => Ok(grants.into_iter().skip(returned).collect()),
            Some(unheard) => self.owner.lease(unheard, &holder).await.and(Err(OwnerError::Unheard)),
        }
    }

    /// A panic elsewhere leaves the memory whole: every change is one.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What gives this grant back.
fn lease(ask: &QuotaAsk, grant: &QuotaGrant) -> Option<QuotaAsk> {
    let unused = Unused { window: grant.window, amount: grant.granted };
    (grant.granted > 0).then(|| QuotaAsk {
        key: ask.key.clone(),
        limit: ask.limit,
        want: 0,
        unused: Some(unused),
        ahead: false,
    })
}

impl Kept {
    /// Whether the question is to be asked. One that is known already has been asked before; what it gets now is not remembered.
    fn begin(&mut self, question: &Question, now: Instant) -> bool {
        match self.receipts.get(question) {
            Some(Receipt::Unheard) => return false,
            Some(_) => {}
            None => self.insert(question.clone(), Receipt::UnderWay, now),
        }
        true
    }

    /// Remembers what was leased, or says what to give back when nobody will hear of it.
    fn finish(&mut self, question: &Question, leases: Vec<QuotaAsk>) -> Option<Vec<QuotaAsk>> {
        match self.receipts.get_mut(question) {
            Some(Receipt::Unheard) => return Some(leases),
            Some(receipt @ Receipt::UnderWay) => {
                self.leases = self.leases.saturating_add(leases.len());
                *receipt = Receipt::Leased(leases);
            }
            Some(Receipt::Leased(_)) | None => {}
        }
        None
    }

    /// What was leased for these questions.
    fn take_back(&mut self, unheard: &[u64], holder: &str, now: Instant) -> Vec<QuotaAsk> {
        let mut back = Vec::new();
        for id in unheard {
            let question = (Box::from(holder), *id);
            match self.receipts.get_mut(&question) {
                Some(receipt @ Receipt::UnderWay) => *receipt = Receipt::Unheard,
                Some(Receipt::Unheard) => {}
                Some(Receipt::Leased(leases)) => {
                    self.leases = self.leases.saturating_sub(leases.len());
                    back.append(leases);
                }
                // It may yet arrive.
                None => self.insert(question, Receipt::Unheard, now),
            }
        }
        back
    }

    fn insert(&mut self, question: Question, receipt: Receipt, now: Instant) {
        self.leases = self.leases.saturating_add(1);
        self.order.push_back((question.clone(), now));
        self.receipts.insert(question, receipt);
    }

    fn drop_receipt(&mut self, question: &Question) {
        if let Some(Receipt::UnderWay) = self.receipts.get(question) {
            self.receipts.remove(question);
        }
    }

    /// Forgets what is old, and the oldest where there is too much.
    fn forget(&mut self, now: Instant) {
        while let Some((question, since)) = self.order.front()
            && (self.leases > MAX_LEASES || now.saturating_duration_since(*since) >= KEPT)
        {
            let held = match self.receipts.remove(question) {
                Some(Receipt::Leased(leases)) => leases.len(),
                _ => 0,
            };
            self.leases = self.leases.saturating_sub(held.saturating_add(1));
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
