//! What a request has asked and what came back, and what it is to be counted against: once, however often it is decided.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_model::contract::BackendJwt;
use tollgate_model::{JwkSet, Usage};

use crate::stages::limit::FrameLimits;
use crate::{Counter, Question};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Keys`].
    Keys(JwkSet),
    /// To [`Question::Call`].
    Response(CallAnswer),
    /// To [`Question::BackendJwt`].
    BackendJwt(Rc<BackendJwt>),
    /// To [`Question::Body`].
    Body(RequestBody),
    /// To [`Question::Quota`]: what was granted is at hand now.
    Granted,
    /// To [`Question::Body`]: it has more bytes than that.
    BodyTooLarge,
    /// Nothing, or nothing that can be read. Each stage says what that means to it.
    Failed,
}

/// What a service answered.
#[derive(Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body, bounded by [`Call::max_answer`].
    pub body: Vec<u8>,
}

impl std::fmt::Debug for CallAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallAnswer").field("status", &self.status).field("bytes", &self.body.len()).finish()
    }
}

/// The body of a request, and what came after it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestBody {
    /// The body; empty when there is none.
    pub bytes: Vec<u8>,
    /// Trailers in the host's encoding (see [`HeaderMap::parse`]), if there are any.
    pub trailers: Option<Vec<u8>>,
    /// Whether Envoy holds a body, which can be replaced by another one.
    pub replaceable: bool,
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestBody").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// Questions one request may ask before it is refused, so that a request can never circle.
pub const MAX_QUESTIONS: usize = 12;

/// The answers a request has collected, in the order asked, and what it is to be counted against.
#[derive(Debug, Default)]
pub struct Answers {
    given: Vec<(Question, Answer)>,
    charges: RefCell<Charges>,
    /// What the client is told of its limits.
    told: RefCell<Vec<(&'static str, String)>>,
    /// What a Traffic Manager is to be told.
    uses: RefCell<Vec<Usage>>,
    /// What frames are held to, once the request has opened a WebSocket.
    frames: RefCell<Option<Box<dyn FrameLimits>>>,
}

/// How far the counting of a request is.
#[derive(Debug, Default)]
enum Charges {
    /// No decision has come so far.
    #[default]
    Open,
    /// These are to be taken from.
    Due(Vec<Rc<Counter>>),
    /// Taken.
    Settled,
}

impl Answers {
    /// The answer to that question, if it was asked before.
    #[must_use]
    pub fn get(&self, question: &Question) -> Option<&Answer> {
        self.given.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer)
    }

    /// Adds an answer.
    pub fn add(&mut self, question: Question, answer: Answer) {
        self.given.push((question, answer));
    }

    /// The same answers, for a decision that leaves no trace here.
    #[cfg(test)]
    pub(crate) fn again(&self) -> Self {
        let charges = if self.is_counted() { Charges::Settled } else { Charges::Open };
        Self {
            given: self.given.clone(),
            charges: RefCell::new(charges),
            told: self.told.clone(),
            uses: RefCell::default(),
            frames: RefCell::default(),
        }
    }

    /// Whether nothing was asked, and nothing came of the request.
    pub(crate) fn are_fresh(&self) -> bool {
        self.given.is_empty() && !self.is_counted()
    }

    /// Whether nothing was asked, and nothing follows from the request but that it is counted.
    pub(crate) fn led_to_nothing_else(&self) -> bool {
        self.given.is_empty()
            && self.told.borrow().is_empty()
            && self.uses.borrow().is_empty()
            && self.frames.borrow().is_none()
    }

    /// Whether the request was counted already.
    pub(crate) fn is_counted(&self) -> bool {
        !matches!(*self.charges.borrow(), Charges::Open)
    }

    /// Counts the request against these, whatever becomes of it from here on.
    pub(crate) fn count(&self, counters: Vec<Rc<Counter>>) {
        if !self.is_counted() {
            self.charges.replace(Charges::Due(counters));
        }
    }

    /// All that was asked, with what came back.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&Question, &Answer)> {
        self.given.iter().map(|(question, answer)| (question, answer))
    }

    /// Keys of the counters that are to be taken from.
    pub(crate) fn charges(&self) -> Vec<String> {
        match &*self.charges.borrow() {
            Charges::Due(counters) => counters.iter().map(|counter| counter.key().to_owned()).collect(),
            Charges::Open | Charges::Settled => Vec::new(),
        }
    }

    /// A Traffic Manager is to be told of these uses.
    pub(crate) fn report(&self, uses: Vec<Usage>) {
        self.uses.replace(uses);
    }

    /// What a Traffic Manager is to be told now; nothing the next time.
    pub fn take_uses(&self) -> Vec<Usage> {
        self.uses.take()
    }

    /// Frames that follow the request are held to these.
    pub(crate) fn follow(&self, frames: Box<dyn FrameLimits>) {
        self.frames.replace(Some(frames));
    }

    /// What frames that follow the request are held to; nothing the next time.
    pub fn take_frames(&self) -> Option<Box<dyn FrameLimits>> {
        self.frames.take()
    }

    /// The client is to be told this of its limits, whatever becomes of the request.
    pub(crate) fn tell(&self, fields: Vec<(&'static str, String)>) {
        self.told.replace(fields);
    }

    /// What the client is to be told of its limits.
    pub(crate) fn told(&self) -> Vec<(&'static str, String)> {
        self.told.borrow().clone()
    }

    /// What is to be taken from now; nothing the next time.
    pub fn settle(&self) -> Vec<Rc<Counter>> {
        match self.charges.take() {
            Charges::Open => Vec::new(),
            Charges::Due(counters) => {
                self.charges.replace(Charges::Settled);
                counters
            }
            Charges::Settled => {
                self.charges.replace(Charges::Settled);
                Vec::new()
            }
        }
    }

    /// How often quota was asked for.
    pub(crate) fn quota_rounds(&self) -> u8 {
        let rounds = self.given.iter().filter(|(question, _)| matches!(question, Question::Quota { .. })).count();
        u8::try_from(rounds).unwrap_or(u8::MAX)
    }

    /// Whether the request has asked all it may.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.given.len() >= MAX_QUESTIONS
    }
}
