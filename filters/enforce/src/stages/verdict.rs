//! What was decided of an access token for an operation, remembered until anything changes.
//!
//! A verdict stands for the stages `authenticate` and `authorize` of requests that bring the same token to the same operation.
//! It holds nothing that depends on anything else of the request: who asks for more than the token (certificates, keys, a
//! GraphQL body) is judged every time, and so are times, quotas, and whatever follows. The directory forgets all verdicts
//! whenever its tables change, so that a subscription, a plan or a revocation counts at once. A test compares decisions with
//! those of a directory without this memory.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use tollgate_model::{Operation, Requirement};

use super::admit::Admitted;
use super::authenticate::{Identity, authorization_header};
use super::authorize::Permit;
use crate::bytes::same;
use crate::decide::way::Ways;
use crate::token::{Validity, signed};
use crate::{Cx, Header, Timestamp};

/// Verdicts of one generation. When it is full it becomes the old one, and the old one goes.
const GENERATION: usize = 8_192;
/// Bytes of tokens that one generation keeps alive.
const GENERATION_BYTES: usize = 16 * 1024 * 1024;

/// Who calls, and what they may do.
pub(crate) struct Verdict {
    pub(crate) identity: Identity,
    pub(crate) permit: Permit,
}

impl Verdict {
    /// Whether the token that it is about is good now.
    pub(crate) fn is_current(&self, now: Timestamp, skew_seconds: u32) -> bool {
        let token = self.identity.token();
        token.is_some_and(|token| token.claims.at(now.seconds(), skew_seconds) == Validity::Current)
    }
}

struct Known {
    operation: Rc<Operation>,
    /// The token's text.
    raw: Rc<str>,
    verdict: Rc<Verdict>,
}

impl Known {
    fn is(&self, operation: &Rc<Operation>, raw: &[u8]) -> bool {
        Rc::ptr_eq(&self.operation, operation) && same(self.raw.as_bytes(), raw)
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

    fn get(&self, operation: &Rc<Operation>, raw: &[u8]) -> Option<Rc<Verdict>> {
        let mut memory = self.memory.try_borrow_mut().ok()?;
        let hash = memory.hash(operation, raw);
        if let Some(known) = memory.young.find(hash, |known| known.is(operation, raw)) {
            return Some(Rc::clone(&known.verdict));
        }
        let known = memory.old.find_entry(hash, |known| known.is(operation, raw)).ok()?.remove().0;
        let verdict = Rc::clone(&known.verdict);
        memory.put(hash, known);
        Some(verdict)
    }

    fn put(&self, known: Known) {
        if let Ok(mut memory) = self.memory.try_borrow_mut() {
            let hash = memory.hash(&known.operation, known.raw.as_bytes());
            memory.put(hash, known);
        }
    }
}

impl Memory {
    /// Tokens were found good before they get here, so their ends tell them apart; see [`signed`].
    fn hash(&self, operation: &Rc<Operation>, raw: &[u8]) -> u64 {
        self.hasher.hash_one((Rc::as_ptr(operation), signed(raw)))
    }

    fn put(&mut self, hash: u64, known: Known) {
        let weight = known.verdict.identity.token().map_or(0, |token| token.weight()).saturating_add(known.raw.len());
        if self.young.len() >= GENERATION || self.young_bytes.saturating_add(weight) > GENERATION_BYTES {
            // The next one will be as large, and so it need not grow.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.young_bytes = 0;
        }
        self.young_bytes = self.young_bytes.saturating_add(weight);
        let Self { young, hasher, .. } = self;
        let rehash = |known: &Known| hasher.hash_one((Rc::as_ptr(&known.operation), signed(known.raw.as_bytes())));
        match young.entry(hash, |other| other.is(&known.operation, known.raw.as_bytes()), rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = known,
            Entry::Vacant(entry) => drop(entry.insert(known)),
        }
    }
}

/// The verdict about this request, if there is one that holds now.
pub(crate) fn recall(cx: &Cx, admitted: &Admitted) -> Option<Rc<Verdict>> {
    let verdicts = cx.directory.verdicts().filter(|_| depends_on_token_only(cx, admitted))?;
    let verdict = verdicts.get(&admitted.operation, shown(cx, admitted)?)?;
    // Why a token is not good any more is for the stages to say.
    verdict.is_current(cx.now, admitted.settings.clock_skew_seconds).then_some(verdict)
}

/// A verdict, to be recalled where nothing but the token counts.
pub(crate) fn remember(cx: &Cx, admitted: &Admitted, identity: Identity, permit: Permit) -> Rc<Verdict> {
    let verdict = Rc::new(Verdict { identity, permit });
    if let Some(verdicts) = cx.directory.verdicts()
        && depends_on_token_only(cx, admitted)
        && let Identity::Bearer(token) = &verdict.identity
        && !token.is_bound()
        // The text that will be looked for.
        && shown(cx, admitted).is_some_and(|raw| same(raw, token.raw.as_bytes()))
    {
        let (operation, raw) = (Rc::clone(&admitted.operation), Rc::clone(&token.raw));
        verdicts.put(Known { operation, raw, verdict: Rc::clone(&verdict) });
    }
    verdict
}

/// Whether a good access token alone says who calls, whatever else the request brings.
fn depends_on_token_only(cx: &Cx, admitted: &Admitted) -> bool {
    let plain = admitted.asked.is_none() && admitted.api.api.mutual_ssl.is_none() && !admitted.is_prototype();
    let requirements = admitted.operation.security.requirements();
    plain
        && requirements.contains(&Requirement::TOKEN)
        // It would come first.
        && cx.request.get(&admitted.settings.internal_key_header) == Header::Absent
}

/// The text behind `Bearer `, in its usual form.
fn shown<'c>(cx: &Cx<'c>, admitted: &Admitted) -> Option<&'c [u8]> {
    const SCHEME: &[u8] = b"Bearer ";
    match cx.request.get(authorization_header(admitted)) {
        Header::One(value) => value.strip_prefix(SCHEME),
        Header::Absent | Header::Many => None,
    }
}
