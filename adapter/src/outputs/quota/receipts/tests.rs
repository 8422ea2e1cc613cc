//! Questions that are heard, given up, told of too early, or twice: nothing is lost for good, and nothing is there twice.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tokio::sync::Notify;
use tollgate_model::{Limit, QuotaUnit, TimeUnit, Window};

use super::super::Leasing;
use super::super::ledger::Ledger;
use super::*;

const LIMIT: u64 = 100;
/// The middle of a window.
const NOW: i64 = 1_800_000_010_000;

/// A ledger, which keeps a question waiting when it is told to.
#[derive(Debug)]
struct Owner {
    ledger: Mutex<Ledger>,
    slow: AtomicBool,
    go_on: Notify,
}

impl Owner {
    fn new() -> Arc<Self> {
        let ledger = Mutex::new(Ledger::new(TimeZone::UTC));
        Arc::new(Self { ledger, slow: AtomicBool::new(false), go_on: Notify::new() })
    }
}

impl QuotaOwner for Owner {
    fn lease<'a>(&'a self, asks: Vec<QuotaAsk>, _holder: &'a str) -> Leasing<'a> {
        Box::pin(async move {
            if self.slow.load(Ordering::SeqCst) {
                self.go_on.notified().await;
            }
            let mut ledger = self.ledger.lock().unwrap();
            asks.iter().map(|ask| Ok(ledger.ask(ask, 1, NOW)?)).collect()
        })
    }
}

fn ask(key: &str, want: u64, ahead: bool) -> QuotaAsk {
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limit = Limit { amount: LIMIT, unit: QuotaUnit::Requests, window };
    QuotaAsk { key: key.to_owned(), limit, want, unused: None, ahead }
}

fn question(id: u64, unheard: &[u64], asks: Vec<QuotaAsk>) -> QuotaRequest {
    QuotaRequest { asks, id: Some(id), unheard: unheard.to_vec() }
}

async fn granted(receipts: &Receipts, question: QuotaRequest) -> Vec<u64> {
    receipts.lease(question, "gateway").await.unwrap().iter().map(|grant| grant.granted).collect()
}

#[tokio::test]
async fn what_was_leased_for_an_unheard_answer_is_there_again_once() {
    let receipts = Receipts::new(Owner::new());
    assert_eq!(granted(&receipts, question(1, &[], vec![ask("a", 60, false), ask("b", 9, true)])).await, [60, 9]);
    // The names of one gateway say nothing to another.
    let other = receipts.lease(question(1, &[1], vec![ask("a", 0, false)]), "other").await;
    assert!(matches!(other, Err(OwnerError::Unheard)), "{other:?}");
    // This answer is heard, and the same is told again, because answers overtake each other.
    assert_eq!(granted(&receipts, question(2, &[1], vec![ask("a", LIMIT, false)])).await, [100]);
    assert_eq!(granted(&receipts, question(3, &[1], vec![ask("a", LIMIT, false)])).await, [0]);
    assert_eq!(granted(&receipts, question(4, &[], vec![ask("b", LIMIT, true)])).await, [100]);
}

#[tokio::test]
async fn a_question_that_arrives_after_it_was_given_up_gets_nothing() {
    let receipts = Receipts::new(Owner::new());
    assert_eq!(granted(&receipts, question(2, &[1], vec![])).await, [] as [u64; 0]);
    let late = receipts.lease(question(1, &[], vec![ask("a", 7, false)]), "gateway").await;
    assert!(matches!(late, Err(OwnerError::Unheard)), "{late:?}");
    assert_eq!(granted(&receipts, question(3, &[], vec![ask("a", LIMIT, false)])).await, [100]);
}

#[tokio::test]
async fn a_question_that_is_given_up_while_the_owner_thinks_costs_nothing() {
    let owner = Owner::new();
    let receipts = Receipts::new(Arc::clone(&owner) as Arc<dyn QuotaOwner>);
    owner.slow.store(true, Ordering::SeqCst);
    let waiting = {
        let receipts = receipts.clone();
        tokio::spawn(async move { receipts.lease(question(1, &[], vec![ask("a", 70, false)]), "gateway").await })
    };
    while !matches!(receipts.kept().receipts.values().next(), Some(Receipt::UnderWay)) {
        tokio::task::yield_now().await;
    }
    // Its connection is gone, but the owner is asked nevertheless.
    waiting.abort();
    owner.slow.store(false, Ordering::SeqCst);
    assert_eq!(granted(&receipts, question(2, &[1], vec![])).await, [] as [u64; 0]);
    owner.go_on.notify_one();
    let mut total = 0;
    for id in 3.. {
        total += granted(&receipts, question(id, &[], vec![ask("a", LIMIT, false)])).await[0];
        if total == LIMIT {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn memory_is_bounded_in_time_and_size() {
    let mut kept = Kept::default();
    let start = Instant::now();
    let lease = ask("a", 0, false);
    for id in 0..100_000 {
        let question = (Box::from("gateway"), id);
        kept.forget(start);
        assert!(kept.begin(&question, start));
        assert!(kept.finish(&question, vec![lease.clone(); 3]).is_none());
    }
    assert!(kept.leases <= MAX_LEASES + 4, "{}", kept.leases);
    assert_eq!(kept.receipts.len(), kept.leases / 4);
    assert_eq!(kept.receipts.len(), kept.order.len());
    kept.forget(start + KEPT);
    assert_eq!((kept.receipts.len(), kept.order.len(), kept.leases), (0, 0, 0));
}

/// What happens to a question's answer.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Heard,
    Unheard,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is heard and whatever not: what was heard never adds up to more than the limit, and once all is told that was not,
    /// the rest of the limit is there.
    #[test]
    fn nothing_is_lost_and_nothing_is_there_twice(
        steps in prop::collection::vec(
            (1_u64..40, any::<bool>(), prop_oneof![Just(Fate::Heard), Just(Fate::Unheard)], any::<bool>()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let receipts = Receipts::new(Owner::new());
            let (mut held, mut unheard) = ([0, 0], Vec::new());
            let mut id = 0;
            for (want, ahead, fate, tells) in steps {
                let told = if tells { unheard.clone() } else { Vec::new() };
                let got = granted(&receipts, question(id, &told, vec![ask("a", want, ahead)])).await[0];
                match fate {
                    Fate::Heard => {
                        held[usize::from(ahead)] += got;
                        unheard.retain(|id| !told.contains(id));
                    }
                    Fate::Unheard => unheard.push(id),
                }
                id += 1;
            }
            granted(&receipts, question(id, &unheard, vec![])).await;
            for (ahead, held) in [false, true].into_iter().zip(held) {
                let rest = granted(&receipts, question(id + 1 + u64::from(ahead), &[], vec![ask("a", LIMIT, ahead)])).await[0];
                assert_eq!(held + rest, LIMIT);
            }
        });
    }
}
