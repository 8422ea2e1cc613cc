//! Asking the owner of the quotas: for a request that has to wait, and on ticks for those that then need not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use tollgate_model::contract::QUOTA_PATH;
use tollgate_model::{QuotaAnswer, QuotaAsk, QuotaRequest};

use super::{Asked, QuotaPool};
use crate::worker::Caller;
use crate::{Abi, CallId, Response, Status};

/// How long a request waits for quota at most. The owner's own deadline is shorter.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Questions of ticks that may be under way at a time.
const MAX_PENDING: usize = 16;

/// Questions that no request waits for.
#[derive(Default)]
pub(crate) struct Pending(RefCell<HashMap<u32, (Vec<QuotaAsk>, Asked)>>);

impl Pending {
    /// Asks for what will be needed soon, and gives back what is not. To be called on every tick.
    pub(crate) fn on_tick(&self, quotas: &QuotaPool, caller: &Caller) {
        if self.0.borrow().len() >= MAX_PENDING {
            return;
        }
        let asks = quotas.on_tick();
        if asks.is_empty() && !quotas.is_to_tell() {
            return;
        }
        match send(quotas, caller, &asks) {
            Ok((call, asked)) => drop(self.0.borrow_mut().insert(call.0, (asks, asked))),
            Err(_) => quotas.lost(),
        }
    }

    /// Takes an answer, if it is to one of these questions.
    pub(crate) fn answered(&self, quotas: &QuotaPool, abi: &Rc<dyn Abi>, call: CallId, response: Response) {
        let Some((asks, asked)) = self.0.borrow_mut().remove(&call.0) else { return };
        take(quotas, abi.as_ref(), &asks, asked, response);
    }
}

/// Asks the owner. Whoever drops the question before its answer is there gives up what is leased for it.
pub(crate) fn send(quotas: &QuotaPool, caller: &Caller, asks: &[QuotaAsk]) -> Result<(CallId, Asked), Status> {
    let asked = quotas.question(asks);
    let request = QuotaRequest { asks: asks.to_vec(), id: Some(asked.id()), unheard: asked.told().to_vec() };
    let body = serde_json::to_vec(&request).map_err(|_| Status::Failed(0));
    match body.and_then(|body| caller.post(QUOTA_PATH, &body, TIMEOUT)) {
        Ok(call) => Ok((call, asked)),
        Err(status) => {
            asked.unsent();
            Err(status)
        }
    }
}

/// Puts what was granted where requests find it. Says whether there was an answer.
pub(crate) fn take(quotas: &QuotaPool, abi: &dyn Abi, asks: &[QuotaAsk], asked: Asked, response: Response) -> bool {
    let good = response.arrived && response.body <= MAX_ANSWER && abi.answer_status() == Some(200);
    let answer = good.then(|| abi.answer_body(response.body).ok()).flatten();
    let answer = answer.and_then(|body| serde_json::from_slice::<QuotaAnswer>(&body).ok());
    match answer.filter(|answer| answer.grants.len() == asks.len()) {
        Some(answer) => {
            for (ask, grant) in asks.iter().zip(&answer.grants) {
                quotas.granted(ask, grant, asked.sent);
            }
            asked.heard();
            true
        }
        None => {
            quotas.lost();
            false
        }
    }
}
