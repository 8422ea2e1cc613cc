//! What was decided of a credential for an operation, remembered until anything changes.
//!
//! A verdict stands for the stages `authenticate` and `authorize` of requests that bring the same access token or API key, or
//! nothing where that suffices, to the same operation. It holds nothing that depends on anything else of the request
//! ([`Shown`]): where that counts, all is judged every time, and so are times, quotas, and whatever follows. The directory forgets all verdicts
//! whenever its tables change, so that a subscription, a plan or a revocation counts at once. A test compares decisions with
//! those of a directory without this memory.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use tollgate_model::Operation;

use super::admit::Admitted;
use super::authenticate::{Identity, Shown};
use super::authorize::Permit;
use crate::bytes::same;
use crate::decide::way::Ways;
use crate::token::{Usage, signed};
use crate::{Cx, Timestamp};

/// Verdicts of one generation. When it is full it becomes the old one, and the old one goes.
const GENERATION: usize = 8_192;
/// Bytes of credentials that one generation keeps alive.
const GENERATION_BYTES: usize = 16 * 1024 * 1024;

/// Who calls, and what they may do.
pub(crate) struct Verdict {
    pub(crate) identity: Identity,
    pub(crate) permit: Permit,
}

impl Verdict {
    /// Whether the credential that it is about is good now.
    pub(crate) fn is_current(&self, now: Timestamp, skew_seconds: u32) -> bool {
        self.identity.is_current(now, skew_seconds)
    }
}

struct Known {
    operation: Rc<Operation>,
    usage: Option<Usage>,
    /// The credential's.
    text: Rc<str>,
    verdict: Rc<Verdict>,
}

impl Known {
    fn is(&self, operation: &Rc<Operation>, usage: Option<Usage>, text: &[u8]) -> bool {
        Rc::ptr_eq(&self.operation, operation) && self.usage == usage && same(self.text.as_bytes(), text)
    }
}

/// Verdicts of one worker.
#[derive(Default)]
pub struct Verdicts {
    memory: RefCell<Memory>,
    /// What follows from them.
    pub(crate) ways: Ways,
}

#[derive(Default)]
struct Memory {
    young: HashTable<Known>,
    old: HashTable<Known>,
    young_bytes: usize,
    hasher: DefaultHashBuilder,
}

impl Verdicts {
    /// Forgets everything; to be called when any table changes.
    pub fn clear(&self) {
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            let hasher = memory.hasher.clone();
            *memory = Memory { hasher, ..Memory::default() };
        }
        self.ways.clear();
    }

    fn get(&self, operation: &Rc<Operation>, shown: &Shown) -> Option<Rc<Verdict>> {
        let mut memory = self.memory.try_borrow_mut().ok()?;
        let hash = memory.hash(operation, &shown.text);
        let is = |known: &Known| known.is(operation, shown.usage, &shown.text);
        if let Some(known) = memory.young.find(hash, is) {
            return Some(Rc::clone(&known.verdict));
        }
        let known = memory.old.find_entry(hash, is).ok()?.remove().0;
        let verdict = Rc::clone(&known.verdict);
        memory.put(hash, known);
        Some(verdict)
    }

    fn put(&self, known: Known) {
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            let hash = memory.hash(&known.operation, known.text.as_bytes());
            memory.put(hash, known);
        }
    }
}

impl Memory {
    /// Credentials were found good before they get here, so their ends tell them apart; see [`signed`].
    fn hash(&self, operation: &Rc<Operation>, text: &[u8]) -> u64 {
        self.hasher.hash_one((Rc::as_ptr(operation), signed(text)))
    }

    fn put(&mut self, hash: u64, known: Known) {
        let weight = known.verdict.identity.token().map_or(0, |token| token.weight()).saturating_add(known.text.len());
        if self.young.len() >= GENERATION || self.young_bytes.saturating_add(weight) > GENERATION_BYTES {
            // The next one will be as large, and so it need not grow.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(weight);
        let Self { young, hasher, .. } = self;
        let rehash = |known: &Known| hasher.hash_one((Rc::as_ptr(&known.operation), signed(known.text.as_bytes())));
        match young.entry(hash, |other| other.is(&known.operation, known.usage, known.text.as_bytes()), rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = known,
            Entry::Vacant(entry) => drop(entry.insert(known)),
        }
    }
}

/// The verdict about this request, if there is one that holds now.
pub(crate) fn recall(cx: &Cx, admitted: &Admitted) -> Option<Rc<Verdict>> {
    let verdicts = cx.directory.verdicts()?;
    let verdict = verdicts.get(&admitted.operation, &Shown::of(cx, admitted)?)?;
    // Why a credential is not good any more is for the stages to say.
    verdict.is_current(cx.now, admitted.settings.clock_skew_seconds).then_some(verdict)
}

/// A verdict, to be recalled where nothing else of a request counts.
pub(crate) fn remember(cx: &Cx, admitted: &Admitted, identity: Identity, permit: Permit) -> Rc<Verdict> {
    let verdict = Rc::new(Verdict { identity, permit });
    if let Some(verdicts) = cx.directory.verdicts()
        && let Some(shown) = Shown::of(cx, admitted).filter(|shown| shown.makes(&verdict.identity))
    {
        let text = match verdict.identity.token() {
            Some(token) => Rc::clone(&token.raw),
            None => Rc::from(verdict.identity.credential().map_or("", |(_, text)| text)),
        };
        let (operation, usage) = (Rc::clone(&admitted.operation), shown.usage);
        verdicts.put(Known { operation, usage, text, verdict: Rc::clone(&verdict) });
    }
    verdict
}
