//! Ways that were walked before: a request that looks like an earlier one, to all stages, goes the same way without them.
//!
//! What a stage looks at of the headers is noted by the header map; nothing else of a request counts on the ways that are
//! remembered, and they lead to a backend without a question to anybody. The life of the token and the quotas are judged
//! every time. Ways live and go with the verdicts that they rest on, so a change of any table counts at once; the same test compares
//! them with decisions that remember nothing.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;

use hashbrown::DefaultHashBuilder;

use super::Known;
use crate::headers::Excerpt;
use crate::limit::charge::Charge;
use crate::stages::admit::Admitted;
use crate::stages::limit;
use crate::stages::verdict::{self, Verdict, Verdicts};
use crate::token::signed;
use crate::{Answers, Cx, Decision, Edits};

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
    charges: Rc<[Charge]>,
    edits: Rc<Edits>,
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

    /// Where to look for ways of such requests: by the path and the end of the credentials.
    fn spot(&self, cx: &Cx) -> Option<u64> {
        let (path, credentials) = cx.request.path_and_authorization()?;
        Some(self.hasher.hash_one((path, signed(credentials))))
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
        let hash = verdicts.ways.spot(cx)?;
        Some(Self { verdicts, hash })
    }

    /// The decision, if the request looks like one whose way is known, and may go it now.
    pub(super) fn again(&self, cx: &Cx) -> Option<Decision> {
        let places = self.verdicts.ways.places.try_borrow().ok()?;
        let (hash, way) = places.get(place(self.hash))?.way.as_ref()?;
        if *hash != self.hash || !way.looks.is_of(cx.request) || !way.verdict.is_current(cx, way.skew_seconds) {
            return None;
        }
        // Who is to be refused, or must ask, is told so by the stages.
        limit::again(cx, &way.charges).ok()?;
        Some(Decision::Repeat(Rc::clone(&way.edits)))
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
        let way = Way { looks, verdict, skew_seconds, charges, edits: Rc::new(edits) };
        if let Ok(mut places) = self.verdicts.ways.places.try_borrow_mut()
            && let Some(place) = places.get_mut(place(self.hash))
        {
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
        let plain = cx.directory.throttle().deny.is_empty()
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
