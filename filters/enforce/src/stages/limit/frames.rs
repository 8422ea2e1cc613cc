//! Limits of an open WebSocket: every frame of data counts at the levels of the original (API, subscription, application), in
//! both directions. The gateway counts, or a Traffic Manager does.
//!
//! Who the frames count for was decided at the handshake. What an administrator changes meanwhile (deny conditions, plans of the API)
//! counts from the next frame on, and so does what a Traffic Manager decides.

use std::fmt::{self, Debug};
use std::rc::Rc;

use tollgate_model::{ApiKind, Usage};

use super::manager::Watch;
use super::request::Request;
use super::{advanced, deny, in_stock, plans};
use crate::decide::Halt;
use crate::limit::charge::{Charge, Cost};
use crate::rejection::{Level, Rejection};
use crate::stages::admit::{self, Admitted};
use crate::stages::verdict::Verdict;
use crate::{Counter, Cx, Question};

/// What frames of one WebSocket are held to. An object, so that only modules that limit have the code for it.
pub trait FrameLimits: Debug {
    /// Whether frames count against this counter.
    fn hold(&self, counter: &Counter) -> bool;
    /// Decides about the next frame of data. `cx` is about the handshake, with answers of this frame alone. What is to be taken is
    /// noted in the answers.
    fn decide(&mut self, cx: &Cx) -> FrameDecision;
    /// What a Traffic Manager is to be told of so many bytes of a frame that passed, if one counts.
    fn usage(&self, bytes: u64) -> Option<Usage>;
}

/// The limits of a WebSocket, which hold for whom the handshake was for.
pub(super) struct Held {
    verdict: Rc<Verdict>,
    counted: Counted,
    /// The snapshot that they are of.
    revision: u64,
}

/// Who counts.
#[derive(Debug)]
enum Counted {
    /// The gateway, against these.
    Here(Vec<Charge>),
    /// A Traffic Manager.
    Elsewhere(Box<Watch>),
}

impl Counted {
    fn of(cx: &Cx, admitted: &Admitted, request: &Request) -> Result<Self, Rejection> {
        match admitted.settings.traffic_manager {
            Some(manager) => Ok(Self::Elsewhere(Box::new(Watch::new(cx, request, manager)))),
            None => charges(cx, request).map(Self::Here),
        }
    }
}

impl Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("counted", &self.counted).finish_non_exhaustive()
    }
}

/// What is to be done with a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameDecision {
    /// It counts, and passes.
    Pass,
    /// There is nothing left, or somebody is kept out.
    Drop,
    /// More quota must be asked for first.
    Ask(Question),
}

impl Held {
    /// Those of the WebSocket that this request opens; none where its frames are not limited.
    ///
    /// # Errors
    /// When there are some, and Envoy does not show frames.
    pub(super) fn of(cx: &Cx, admitted: &Admitted, verdict: &Rc<Verdict>) -> Result<Option<Self>, Rejection> {
        if admitted.api.api.kind != ApiKind::WebSocket {
            return Ok(None);
        }
        let counted = Counted::of(cx, admitted, &Request::new(cx, admitted, &verdict.permit))?;
        if matches!(&counted, Counted::Here(charges) if charges.is_empty()) {
            return Ok(None);
        }
        if !cx.callbacks.frames {
            return Err(Rejection::CallbacksMissing);
        }
        Ok(Some(Self { verdict: Rc::clone(verdict), counted, revision: cx.directory.revision() }))
    }

    fn count(&mut self, cx: &Cx) -> Result<(), Halt> {
        if cx.directory.revision() != self.revision {
            let admitted = admit::admit(cx)?;
            let request = Request::new(cx, &admitted, &self.verdict.permit);
            deny(cx, &request)?;
            self.counted = Counted::of(cx, &admitted, &request)?;
            self.revision = cx.directory.revision();
        }
        match &self.counted {
            Counted::Here(charges) => cx.answers.count(in_stock(cx, charges)?),
            Counted::Elsewhere(watch) => watch.refuse(cx, &self.verdict.permit)?,
        }
        Ok(())
    }
}

impl FrameLimits for Held {
    fn hold(&self, counter: &Counter) -> bool {
        match &self.counted {
            Counted::Here(charges) => charges.iter().any(|charge| charge.counter.id() == counter.id()),
            Counted::Elsewhere(_) => false,
        }
    }

    fn usage(&self, bytes: u64) -> Option<Usage> {
        match &self.counted {
            Counted::Here(_) => None,
            Counted::Elsewhere(watch) => Some(watch.usage(bytes)),
        }
    }

    fn decide(&mut self, cx: &Cx) -> FrameDecision {
        match self.count(cx) {
            Ok(()) => FrameDecision::Pass,
            Err(Halt::Ask(question)) if !cx.answers.exhausted() => FrameDecision::Ask(question),
            Err(_) => FrameDecision::Drop,
        }
    }
}

/// What a frame counts against. Neither plans of single operations nor custom policies nor burst control hold for frames, as in the
/// original.
fn charges(cx: &Cx, request: &Request) -> Result<Vec<Charge>, Rejection> {
    let mut charges = Vec::new();
    let cost = Cost { bytes: 0, ..request.cost() };
    if let Some(name) = &request.api().tier {
        advanced(cx, request, Level::Api, name, &request.api_key(), cost, &mut charges)?;
    }
    plans(request, cost, &mut charges);
    Ok(charges)
}
