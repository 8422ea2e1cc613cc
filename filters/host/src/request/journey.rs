//! A request that has a way of its own: has it decided, as often as it takes, and carries the decision out.
//!
//! Whatever goes wrong on the way ends in a refusal. A request is either answered or let go, never both.

use std::rc::Rc;

use tollgate_enforce::explain::pass;
use tollgate_enforce::parts::Decided;
use tollgate_enforce::rejection::Rejection;
use tollgate_enforce::{
    Answer, Answers, Cx, Decision, Directory as _, Edits, Evidence, FrameLimits, HeaderEdit, HeaderMap, MAX_QUESTIONS,
    Question, Reply,
};
use tollgate_model::contract::EVIDENCE_STATE;

use super::body::Incoming;
use super::frames::{EXTENSIONS, Frames};
use super::metered::Metered;
use super::outgoing::Outgoing;
use super::{Flow, UnderWay, carry, explained};
use crate::connection::RequestConnection;
use crate::metrics::QUESTIONS;
use crate::{CallId, Fields, Level, Nanos, Response, Side, Status, Worker};

/// Its state.
pub(super) struct Journey {
    worker: Rc<Worker>,
    headers: Option<HeaderMap>,
    answers: Answers,
    state: State,
    incoming: Incoming,
    /// What the module before this one has left.
    evidence: Option<Vec<u8>>,
    /// What is left for the next one.
    left: Option<Vec<u8>>,
    /// What to change of the response.
    response: Vec<HeaderEdit>,
    outgoing: Outgoing,
    metered: Option<Metered>,
    /// What passes through the WebSocket that the request has opened, where its frames are limited.
    frames: Option<Box<Frames>>,
    /// Whether its decisions go to the log with their reasons; not known before the first.
    explained: Option<bool>,
}

/// Where a request is on its way.
enum State {
    /// Being decided, or answered: in either case it does not go on by itself.
    Stopped,
    /// A call-out is under way.
    Waiting(UnderWay),
    /// Its body is arriving.
    Collecting(usize),
    /// Let go.
    Passed,
}

/// What became of a decision.
pub(super) enum Outcome {
    Passed,
    Answered,
    Waiting,
}

impl From<Outcome> for Flow {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Continue,
            Outcome::Answered | Outcome::Waiting => Self::Stop,
        }
    }
}

impl Journey {
    /// The request's headers have arrived; `end` says that nothing follows. Without headers it can only be refused.
    pub(super) fn new(worker: Rc<Worker>, headers: Option<HeaderMap>, end: bool) -> Self {
        let mut journey = Self {
            worker,
            headers,
            answers: Answers::default(),
            state: State::Stopped,
            incoming: Incoming::begun(end),
            evidence: None,
            left: None,
            response: Vec::new(),
            outgoing: Outgoing::default(),
            metered: None,
            frames: None,
            explained: None,
        };
        journey.follow();
        journey
    }

    /// More of the body has arrived: `size` bytes are held now.
    pub(super) fn on_request_body(&mut self, size: usize, end: bool) -> Flow {
        if matches!(self.state, State::Passed) {
            return self.on_frames(Side::Request, size);
        }
        self.incoming.arrived(size, end);
        self.on_more_body()
    }

    /// The body has ended with trailers.
    pub(super) fn on_request_trailers(&mut self) -> Flow {
        if matches!(self.state, State::Passed) {
            return self.after_frames(Side::Request);
        }
        self.incoming.ended = true;
        self.incoming.trailers = self.worker.abi.headers(Fields::RequestTrailers).ok();
        self.on_more_body()
    }

    /// A call-out has been answered. An answer nobody waits for is none of this request's business.
    pub(super) fn on_response(&mut self, call: CallId, response: Response) {
        if self.outgoing.awaits(call) {
            return self.outgoing.on_answer(&self.worker, response);
        }
        if let (Some(frames), Some(handshake)) = (&mut self.frames, &self.headers)
            && frames.awaits(call)
        {
            return frames.on_answer(handshake, response);
        }
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Waiting(waiting) if waiting.call == call => {
                let (question, answer) = waiting.answer(&self.worker, response);
                self.answers.add(question, answer);
            }
            other => {
                self.state = other;
                return;
            }
        }
        match self.advance(self.worker.clock()) {
            Outcome::Passed => {
                if let Err(status) = self.worker.abi.resume(Side::Request) {
                    self.worker.abi.log(Level::Error, &format!("request cannot go on: {status:?}"));
                }
            }
            Outcome::Answered | Outcome::Waiting => {}
        }
    }

    /// The response's headers are here, whoever made them.
    pub(super) fn on_response_headers(&mut self, end: bool) -> Flow {
        if !matches!(self.state, State::Passed) {
            return Flow::Continue;
        }
        match self.edit_response() {
            Flow::Continue => self.outgoing.on_headers(&self.worker, end),
            Flow::Stop => Flow::Stop,
        }
    }

    fn edit_response(&mut self) -> Flow {
        if self.response.is_empty() {
            return Flow::Continue;
        }
        let edits = std::mem::take(&mut self.response);
        match carry::edit_headers(self.worker.abi.as_ref(), Fields::Response, &edits) {
            Ok(()) => Flow::Continue,
            Err(status) => {
                // What was to be taken away may be a secret.
                self.refuse_because("response cannot be edited", status);
                Flow::Stop
            }
        }
    }

    /// More of the response's body is here.
    pub(super) fn on_response_body(&mut self, size: usize, end: bool) -> Flow {
        match self.outgoing.on_body(&self.worker, size, end) {
            Flow::Continue => self.on_frames(Side::Response, size),
            Flow::Stop => Flow::Stop,
        }
    }

    /// The response has ended with trailers.
    pub(super) fn on_response_trailers(&mut self) -> Flow {
        match self.outgoing.on_trailers(&self.worker) {
            Flow::Continue => self.after_frames(Side::Response),
            Flow::Stop => Flow::Stop,
        }
    }

    fn on_frames(&mut self, side: Side, size: usize) -> Flow {
        match (&mut self.frames, &self.headers) {
            (Some(frames), Some(handshake)) => frames.on_bytes(handshake, side, size),
            _ => Flow::Continue,
        }
    }

    fn after_frames(&mut self, side: Side) -> Flow {
        let holds = self.frames.as_mut().is_some_and(|frames| frames.holds(side));
        if holds { Flow::Stop } else { Flow::Continue }
    }

    fn on_more_body(&mut self) -> Flow {
        let State::Collecting(limit) = self.state else { return Flow::Stop };
        let Some(answer) = self.incoming.answer(self.worker.abi.as_ref(), limit) else { return Flow::Stop };
        self.state = State::Stopped;
        self.answers.add(Question::Body { limit }, answer);
        self.advance(self.worker.clock()).into()
    }

    /// Decides until the request is let go, answered, or has to wait.
    pub(super) fn advance(&mut self, clock: Nanos) -> Outcome {
        // One round more than there may be questions: the last one can only pass or refuse.
        for _ in 0..=MAX_QUESTIONS {
            let question = match self.decide(clock) {
                None => return self.refuse(&Rejection::Malformed),
                Some(Decision::Forward(edits)) => return self.forward(edits),
                Some(Decision::Reply(reply)) => return self.reply(&reply),
                Some(Decision::Ask(question)) => question,
            };
            if let Some(waiting) = self.ask(question) {
                self.state = waiting;
                return Outcome::Waiting;
            }
        }
        self.refuse(&Rejection::Unreadable)
    }

    /// Asks a question. `None` when its answer is there already.
    fn ask(&mut self, question: Question) -> Option<State> {
        if let Question::Body { limit } = question {
            if !self.worker.callbacks().request_body {
                // It would never come.
                self.answers.add(question, Answer::Failed);
                return None;
            }
            return match self.incoming.answer(self.worker.abi.as_ref(), limit) {
                Some(answer) => {
                    self.answers.add(question, answer);
                    None
                }
                None => Some(State::Collecting(limit)),
            };
        }
        self.worker.metrics.increment(QUESTIONS);
        match self.worker.ask(question) {
            Ok(waiting) => Some(State::Waiting(waiting)),
            // No answer will ever come, so this is the answer.
            Err(question) => {
                self.answers.add(question, Answer::Failed);
                None
            }
        }
    }

    /// Takes what the module before this one has left, and catches up with the snapshot that it had.
    fn follow(&mut self) {
        if !self.worker.role.follows {
            return;
        }
        self.evidence = self.worker.abi.state(EVIDENCE_STATE);
        let revision = self.evidence.as_deref().and_then(|bytes| Evidence::decode(bytes).ok()).map(|it| it.revision);
        if revision.is_some_and(|revision| revision != self.worker.directory.revision()) {
            self.worker.directory.refresh();
        }
    }

    fn decide(&mut self, clock: Nanos) -> Option<Decision> {
        let request = self.headers.as_ref()?;
        let Worker { directory, abi, .. } = &*self.worker;
        let callbacks = self.worker.callbacks();
        let connection = &RequestConnection(Rc::clone(abi));
        let now = clock.timestamp();
        let cx = Cx { directory, request, answers: &self.answers, connection, now, callbacks };
        let role = &self.worker.role;
        let explain =
            role.explain.filter(|_| *self.explained.get_or_insert_with(|| pass::is_shown(&cx, &self.worker.passes)));
        let decision = match explain {
            Some(explain) => explained::decide(abi.as_ref(), &cx, explain),
            None => {
                let Decided { decision, evidence } = (role.decide)(&cx, self.evidence.as_deref());
                self.left = evidence;
                decision
            }
        };
        // Looking and taking happen in one go, so nobody else on this worker can have taken it in between.
        for counter in self.answers.settle() {
            directory.quotas.take(&counter);
            Metered::note(&mut self.metered, &self.worker, counter);
        }
        self.worker.usage.add(self.answers.take_uses());
        Some(decision)
    }

    fn forward(&mut self, edits: Edits) -> Outcome {
        if !edits.response_headers.is_empty() && !self.worker.callbacks().response_headers {
            return self.refuse_because("responses do not pass here, and this one must be changed", Status::NotFound);
        }
        if edits.intercept.as_ref().is_some_and(|one| !one.is_covered_by(self.worker.callbacks())) {
            return self.refuse_because("responses do not pass here, and this one must be shown", Status::NotFound);
        }
        if edits.body.is_some() && !self.incoming.is_held() {
            return self.refuse_because("there is no body to replace", Status::NotFound);
        }
        let frames = self.answers.take_frames();
        if frames.is_some() && self.incoming.holds_some() {
            // RFC 6455 §4.1: nothing is sent before the answer to the handshake. It would pass uncounted.
            return self.refuse(&Rejection::Malformed);
        }
        let applied = self.leave().and_then(|()| carry::apply(self.worker.abi.as_ref(), &edits));
        match applied.and_then(|()| frames.map_or(Ok(()), |limits| self.watch(limits))) {
            Ok(()) => {
                self.state = State::Passed;
                self.response = edits.response_headers;
                self.outgoing = Outgoing::after(edits.intercept);
                // None of it is needed any more, and the request may go on for long.
                self.answers = Answers::default();
                Outcome::Passed
            }
            Err(status) => self.refuse_because("request cannot be edited", status),
        }
    }

    /// The request opens a WebSocket whose frames are held to these limits.
    fn watch(&mut self, limits: Box<dyn FrameLimits>) -> Result<(), Status> {
        self.worker.abi.remove_header(Fields::Request, EXTENSIONS)?;
        if let Some(metered) = &mut self.metered {
            metered.leave_out(limits.as_ref());
        }
        self.frames = Some(Box::new(Frames::new(Rc::clone(&self.worker), limits)));
        Ok(())
    }

    /// Leaves word for the next module.
    fn leave(&mut self) -> Result<(), Status> {
        match self.left.take() {
            Some(evidence) => self.worker.abi.set_state(EVIDENCE_STATE, &evidence),
            None => Ok(()),
        }
    }

    pub(super) fn refuse(&self, rejection: &Rejection) -> Outcome {
        self.reply(&rejection.reply())
    }

    pub(super) fn refuse_because(&self, what: &str, status: Status) -> Outcome {
        self.worker.abi.log(Level::Error, &format!("{what}: {status:?}"));
        self.refuse(&Rejection::Unreadable)
    }

    fn reply(&self, reply: &Reply) -> Outcome {
        carry::record(self.worker.abi.as_ref(), reply.record.as_ref());
        if let Err(status) = self.worker.abi.reply(reply) {
            // The request stays stopped: better a client that waits than one that gets through.
            self.worker.abi.log(Level::Error, &format!("request cannot be answered: {status:?}"));
        }
        Outcome::Answered
    }
}
