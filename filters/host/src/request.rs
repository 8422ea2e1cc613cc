//! One request: reads its headers, has it decided, and carries the decision out.
//!
//! Whatever goes wrong on the way ends in a refusal. A request is either answered or let go, never both.

use std::rc::Rc;

use tollgate_enforce::rejection::Rejection;
use tollgate_enforce::{Answer, Answers, Cx, Decision, Edits, HeaderMap, MAX_QUESTIONS, Question, Reply, decide};
use tollgate_model::JwkSet;
use tollgate_model::contract::RESPONSE_HEADERS;

use crate::connection::RequestConnection;
use crate::metrics::QUESTIONS;
use crate::{Abi, CallId, Level, Response, Status, Worker};

/// Most bytes of an answer about keys.
const MAX_KEYS: usize = 1024 * 1024;

/// Whether Envoy goes on with the request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It does not: the request was answered, or waits for a call-out.
    Stop,
}

/// One request's state.
pub struct RequestFlow {
    worker: Rc<Worker>,
    headers: Option<HeaderMap>,
    answers: Answers,
    waiting: Option<(CallId, Question)>,
}

/// What became of a decision.
enum Outcome {
    Passed,
    Answered,
    Waiting,
}

impl RequestFlow {
    /// A request that has not begun.
    #[must_use]
    pub fn new(worker: Rc<Worker>) -> Self {
        Self { worker, headers: None, answers: Answers::default(), waiting: None }
    }

    /// The request's headers have arrived.
    pub fn on_request_headers(&mut self) -> Flow {
        self.worker.have_snapshot();
        let parsed = self.worker.abi.request_headers().map(HeaderMap::parse);
        let outcome = match parsed {
            Ok(Ok(headers)) => {
                #[cfg(feature = "trap-injection")]
                trap_if_asked(&headers);
                self.headers = Some(headers);
                self.advance()
            }
            Ok(Err(_)) => self.refuse(&Rejection::Malformed),
            Err(status) => self.refuse_because("request headers cannot be read", status),
        };
        match outcome {
            Outcome::Passed => Flow::Continue,
            Outcome::Answered | Outcome::Waiting => Flow::Stop,
        }
    }

    /// A call-out has been answered. An answer nobody waits for is none of this request's business.
    pub fn on_response(&mut self, call: CallId, response: Response) {
        match self.waiting.take() {
            Some((waiting, question)) if waiting == call => {
                let answer = self.read_answer(response);
                self.answers.add(question, answer);
            }
            other => {
                self.waiting = other;
                return;
            }
        }
        match self.advance() {
            Outcome::Passed => {
                if let Err(status) = self.worker.abi.resume() {
                    self.worker.abi.log(Level::Error, &format!("request cannot go on: {status:?}"));
                }
            }
            Outcome::Answered | Outcome::Waiting => {}
        }
    }

    /// Decides until the request is let go, answered, or has to wait.
    fn advance(&mut self) -> Outcome {
        // One round more than there may be questions: the last one can only pass or refuse.
        for _ in 0..=MAX_QUESTIONS {
            match self.decide() {
                None => return self.refuse(&Rejection::Malformed),
                Some(Decision::Forward(edits)) => return self.forward(&edits),
                Some(Decision::Reply(reply)) => return self.reply(&reply),
                Some(Decision::Ask(question)) => {
                    self.worker.metrics.increment(QUESTIONS);
                    let Question::Keys { issuer, kid } = &question;
                    match self.worker.ask_for_keys(issuer, kid) {
                        Ok(call) => {
                            self.waiting = Some((call, question));
                            return Outcome::Waiting;
                        }
                        // No answer will ever come, so this is the answer.
                        Err(_) => self.answers.add(question, Answer::Failed),
                    }
                }
            }
        }
        self.refuse(&Rejection::Unreadable)
    }

    fn decide(&self) -> Option<Decision> {
        let request = self.headers.as_ref()?;
        let directory = &self.worker.directory;
        let connection = &RequestConnection(Rc::clone(&self.worker.abi));
        Some(decide(&Cx { directory, request, answers: &self.answers, connection, now: self.worker.abi.now() }))
    }

    fn forward(&self, edits: &Edits) -> Outcome {
        match apply(self.worker.abi.as_ref(), edits) {
            Ok(()) => Outcome::Passed,
            Err(status) => self.refuse_because("request cannot be edited", status),
        }
    }

    fn refuse(&self, rejection: &Rejection) -> Outcome {
        self.reply(&rejection.reply())
    }

    fn refuse_because(&self, what: &str, status: Status) -> Outcome {
        self.worker.abi.log(Level::Error, &format!("{what}: {status:?}"));
        self.refuse(&Rejection::Unreadable)
    }

    fn reply(&self, reply: &Reply) -> Outcome {
        if let Err(status) = self.worker.abi.reply(reply) {
            // The request stays stopped: better a client that waits than one that gets through.
            self.worker.abi.log(Level::Error, &format!("request cannot be answered: {status:?}"));
        }
        Outcome::Answered
    }

    fn read_answer(&self, response: Response) -> Answer {
        let abi = &self.worker.abi;
        if !response.arrived || response.body > MAX_KEYS || abi.answer_status() != Some(200) {
            return Answer::Failed;
        }
        let keys = abi.answer_body(response.body).ok().and_then(|body| serde_json::from_slice::<JwkSet>(&body).ok());
        keys.map_or(Answer::Failed, Answer::Keys)
    }
}

/// Removals first; see [`Edits`].
fn apply(abi: &dyn Abi, edits: &Edits) -> Result<(), Status> {
    for name in &edits.remove {
        abi.remove_header(name)?;
    }
    if let Some(path) = &edits.path {
        abi.set_header(":path", path)?;
    }
    for (name, value) in &edits.set {
        abi.set_header(name, value)?;
    }
    for (name, value) in &edits.response {
        let state = RESPONSE_HEADERS.iter().find(|(header, _)| header == name).map(|(_, state)| *state);
        abi.set_state(state.ok_or(Status::NotFound)?, value.as_bytes())?;
    }
    Ok(())
}

/// Test builds only.
#[cfg(feature = "trap-injection")]
fn trap_if_asked(headers: &HeaderMap) {
    if headers.get("x-tollgate-trap") != tollgate_enforce::Header::Absent {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests;
