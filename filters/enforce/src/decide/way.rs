//! Ways that were walked before: a request that looks like an earlier one, to all stages, goes the same way without them.
//!
//! What a stage looks at of the headers is noted by the header map; nothing else of a request counts on the ways that are
//! remembered, and they lead to a backend without a question to anybody. The life of the credential and the quotas are judged
//! every time. Ways live and go with the verdicts that they rest on, so a change of any table counts at once; the same test
//! compares them with decisions that remember nothing. Must stay short: it is all the code that such a request runs through.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::DefaultHashBuilder;
use tollgate_model::contract::EXPLAIN_HEADER;

use super::Known;
use crate::headers::Excerpt;
use crate::limit::charge::Charge;
use crate::stages::admit::Admitted;
use crate::stages::limit;
use crate::stages::verdict::{self, Verdict, Verdicts};
use crate::token::signed;
use crate::{Answers, Counter, Cx, Directory, Edits, Header, HeaderMap, Timestamp};

/// Ways of one worker.
const PLACES: usize = 1_024;
/// Most bytes of headers that one is told by.
const MAX_HEADERS: usize = 4 * 1024;
/// Most bytes of its new path.
const MAX_PATH: usize = 2 * 1024;

/// A way, and how to tell who may go it.
struct Way {
    looks: Excerpt,
    verdict: Rc<Verdict>,
    skew_seconds: u32,
    repeat: Rc<Repeat>,
}

/// What becomes of a request that goes the way of an earlier one.
#[derive(Debug)]
pub struct Repeat {
    edits: Edits,
    charges: Rc<[Charge]>,
}

impl Repeat {
    /// Send it on, changed like this: its path, and headers of the request, and nothing else.
    #[must_use]
    pub const fn edits(&self) -> &Edits {
        &self.edits
    }

    /// What it counts against. Each has enough.
    pub fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.charges.iter().map(|charge| &*charge.counter)
    }
}

/// What becomes of the request, if it looks like one whose way is known, and may go it now. Who is to be refused, or must ask, is
/// told so by the stages.
#[must_use]
pub fn again(directory: &dyn Directory, request: &HeaderMap, now: Timestamp) -> Option<Rc<Repeat>> {
    let ways = &directory.verdicts()?.ways;
    let spot = ways.spot(request)?;
    let places = ways.places.try_borrow().ok()?;
    let (known, way) = places.get(place(spot))?.way.as_ref()?;
    let goes = *known == spot
        && way.looks.is_of(request)
        && way.verdict.is_current(now, way.skew_seconds)
        && limit::have_enough(directory.quotas(), &way.repeat.charges, now);
    goes.then(|| Rc::clone(&way.repeat))
}

/// One place: what came last, and what came twice in a row.
#[derive(Default)]
struct Place {
    last: u64,
    way: Option<(u64, Way)>,
}

/// Ways of one worker.
#[derive(Default)]
pub(crate) struct Ways {
    places: RefCell<Vec<Place>>,
    hasher: DefaultHashBuilder,
}

impl Ways {
    /// Forgets them all.
    pub(crate) fn clear(&self) {
        if let Ok(mut places) = self.places.try_borrow_mut() {
            places.clear();
        }
    }

    /// Where to look for ways of such requests: by the path, and the end of what tells callers apart.
    fn spot(&self, request: &HeaderMap) -> Option<u64> {
        let (path, caller) = request.path_and_caller()?;
        Some(self.hasher.hash_one((path, signed(caller))))
    }
}

fn place(spot: u64) -> usize {
    usize::try_from(spot).unwrap_or(0) % PLACES
}

/// Where the request's way would be remembered.
pub(super) struct Spot<'c> {
    verdicts: &'c Verdicts,
    hash: u64,
}

impl<'c> Spot<'c> {
    /// None where nothing is remembered, and for a request that has asked somebody.
    pub(super) fn of(cx: &Cx<'c>) -> Option<Self> {
        let verdicts = cx.directory.verdicts().filter(|_| cx.answers.are_fresh())?;
        let hash = verdicts.ways.spot(cx.request)?;
        Some(Self { verdicts, hash })
    }

    /// Whether such a request was here before, and so will probably come again.
    pub(super) fn is_trodden(&self) -> bool {
        let Ok(mut places) = self.verdicts.ways.places.try_borrow_mut() else { return false };
        if places.is_empty() {
            places.resize_with(PLACES, Place::default);
        }
        let Some(place) = places.get_mut(place(self.hash)) else { return false };
        std::mem::replace(&mut place.last, self.hash) == self.hash
    }

    /// Remembers the way.
    pub(super) fn remember(&self, cx: &Cx, walked: Walked, edits: &Edits) {
        let Some(edits) = repeatable(cx.answers, edits) else { return };
        let Some(looks) = cx.request.excerpt(MAX_HEADERS) else { return };
        let Walked { verdict, skew_seconds, charges } = walked;
        let way = Way { looks, verdict, skew_seconds, repeat: Rc::new(Repeat { edits, charges }) };
        if let Ok(mut places) = self.verdicts.ways.places.try_borrow_mut()
            && let Some(place) = places.get_mut(place(self.hash))
        {
            // Requests that look different and come here in turn shall not write each other's ways over every time.
            if place.way.as_ref().is_some_and(|(hash, _)| *hash == self.hash) {
                place.last = !self.hash;
            }
            place.way = Some((self.hash, way));
        }
    }
}

/// A way whose stages have looked at nothing but headers.
pub(super) struct Walked {
    verdict: Rc<Verdict>,
    skew_seconds: u32,
    charges: Rc<[Charge]>,
}

impl Walked {
    /// None when anything else may count: who is kept out (by address, perhaps), the connection, or a clock.
    pub(super) fn of(cx: &Cx, admitted: &Admitted, known: &Known) -> Option<Self> {
        let verdict = known.as_ref()?;
        // A pass that is looked at again may be good then.
        let explained = admitted.settings.explain.is_some() && cx.request.get(EXPLAIN_HEADER) != Header::Absent;
        let plain = !explained
            && cx.directory.throttle().deny.is_empty()
            && admitted.settings.traffic_manager.is_none()
            && admitted.settings.backend_jwt.is_none()
            && admitted.operation.interceptors.is_empty();
        // One that is remembered depends on nothing but the token.
        if !plain || !verdict::recall(cx, admitted).is_some_and(|recalled| Rc::ptr_eq(&recalled, verdict)) {
            return None;
        }
        let charges = Rc::clone(verdict.permit.known_charges()?);
        Some(Self { verdict: Rc::clone(verdict), skew_seconds: admitted.settings.clock_skew_seconds, charges })
    }
}

/// The same edits once more. None of those that lead to more than a request with other headers, and of those that a question was
/// asked for.
fn repeatable(answers: &Answers, edits: &Edits) -> Option<Edits> {
    let Edits { path, remove, set, add, body, response_headers, intercept, response, record } = edits;
    let plain = body.is_none() && response_headers.is_empty() && intercept.is_none() && response.is_empty();
    let short = path.as_ref().is_none_or(|path| path.len() <= MAX_PATH);
    (plain && short && answers.led_to_nothing_else()).then(|| Edits {
        path: path.clone(),
        remove: remove.clone(),
        set: set.clone(),
        add: add.clone(),
        record: record.clone(),
        ..Edits::default()
    })
}
