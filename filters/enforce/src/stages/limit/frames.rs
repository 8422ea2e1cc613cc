//! Limits of an open WebSocket: every frame of data counts at the levels of the original (API, subscription, application), in
//! both directions.
//!
//! Who the frames count for was decided at the handshake. What an administrator changes meanwhile (deny conditions, plans of the API)
//! counts from the next frame on.

use std::rc::Rc;

use tollgate_model::ApiKind;

use super::request::Request;
use super::{advanced, deny, in_stock, plans};
use crate::decide::Halt;
use crate::limit::charge::{Charge, Cost};
use crate::rejection::{Level, Rejection};
use crate::stages::admit::{self, Admitted};
use crate::stages::verdict::Verdict;
use crate::{Counter, Cx, Question};

/// What frames of one WebSocket are held to.
pub struct FrameLimits {
    verdict: Rc<Verdict>,
    charges: Vec<Charge>,
    /// The snapshot that they are of.
    revision: u64,
}

impl std::fmt::Debug for FrameLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrameLimits").field("charges", &self.charges).finish_non_exhaustive()
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

impl FrameLimits {
    /// Those of the WebSocket that this request opens; none where its frames are not limited.
    ///
    /// # Errors
    /// When there are some, and Envoy does not show frames.
    pub(super) fn of(cx: &Cx, admitted: &Admitted, verdict: &Rc<Verdict>) -> Result<Option<Self>, Rejection> {
        // A Traffic Manager counts by itself.
        if admitted.api.api.kind != ApiKind::WebSocket || admitted.settings.traffic_manager.is_some() {
            return Ok(None);
        }
        let charges = charges(cx, &Request::new(cx, admitted, &verdict.permit))?;
        if charges.is_empty() {
            return Ok(None);
        }
        if !cx.callbacks.frames {
            return Err(Rejection::CallbacksMissing);
        }
        Ok(Some(Self { verdict: Rc::clone(verdict), charges, revision: cx.directory.revision() }))
    }

    /// Whether frames count against this counter.
    #[must_use]
    pub fn hold(&self, counter: &Counter) -> bool {
        self.charges.iter().any(|charge| charge.counter.id() == counter.id())
    }

    /// Decides about the next frame of data. `cx` is about the handshake, with answers of this frame alone. What is to be taken is
    /// noted in the answers.
    pub fn decide(&mut self, cx: &Cx) -> FrameDecision {
        match self.count(cx) {
            Ok(()) => FrameDecision::Pass,
            Err(Halt::Ask(question)) if !cx.answers.exhausted() => FrameDecision::Ask(question),
            Err(_) => FrameDecision::Drop,
        }
    }

    fn count(&mut self, cx: &Cx) -> Result<(), Halt> {
        if cx.directory.revision() != self.revision {
            let admitted = admit::admit(cx)?;
            let request = Request::new(cx, &admitted, &self.verdict.permit);
            deny(cx, &request)?;
            self.charges = charges(cx, &request)?;
            self.revision = cx.directory.revision();
        }
        cx.answers.count(in_stock(cx, &self.charges)?);
        Ok(())
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
