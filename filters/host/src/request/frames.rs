//! Frames of an open WebSocket on their way through: each is counted where it begins, and those above a limit go nowhere.
//!
//! Bytes pass as they come. They are held only while the owner of the quotas is asked, which it is seldom and for half a second
//! at most; nothing is copied but headers, unless a part of what arrived must be cut out. Where a Traffic Manager counts, it is told of
//! what passed.

use std::rc::Rc;

use tollgate_enforce::websocket::{Judgement, Lane, Step};
use tollgate_enforce::{Answer, Answers, Counter, Cx, FrameDecision, FrameLimits, HeaderMap};
use tollgate_model::QuotaUnit;

use super::{Flow, UnderWay};
use crate::connection::RequestConnection;
use crate::metrics::FRAMES_DROPPED;
use crate::{Abi, CallId, Level, Response, Side, Status, Worker};

/// Header by which clients ask for compression. A compressed message cannot be read without those before it, so none of them
/// could be dropped.
pub(super) const EXTENSIONS: &str = "sec-websocket-extensions";
/// So many bytes are looked at in one go.
const WINDOW: usize = 4_096;
/// Bytes of a frame after which a Traffic Manager is told of what has passed of it, over or not: a frame may be without end.
const PART: u64 = 1024 * 1024;
/// Status of a response that opens a WebSocket. What follows another one has no frames.
const SWITCHED: u64 = 101;

/// Both directions of a WebSocket.
pub(super) struct Frames {
    worker: Rc<Worker>,
    limits: Box<dyn FrameLimits>,
    ways: [Way; 2],
    /// Answers to what was asked for the next frame.
    answers: Answers,
    asked: Option<UnderWay>,
    broken: bool,
}

/// One direction.
#[derive(Default)]
struct Way {
    lane: Lane,
    /// Whether it is known that there are frames.
    known: bool,
    /// Bytes at hand, while they are held.
    held: Option<usize>,
    /// So many of the bytes at hand were decided about.
    done: usize,
    /// Of those, what goes nowhere.
    cuts: Vec<std::ops::Range<usize>>,
    /// What the frame under way counts against in bytes, and has paid so far.
    paying: Vec<(Rc<Counter>, u64)>,
    /// Its bytes so far.
    bytes: u64,
    /// Bytes of a frame that counts of which nobody was told yet.
    untold: u64,
}

/// What came of looking at the bytes at hand.
enum Looked {
    Through,
    Waits,
    Broken,
}

impl Frames {
    pub(super) fn new(worker: Rc<Worker>, limits: Box<dyn FrameLimits>) -> Self {
        Self { worker, limits, ways: Default::default(), answers: Answers::default(), asked: None, broken: false }
    }

    /// More has arrived in one direction: `size` bytes are at hand.
    pub(super) fn on_bytes(&mut self, handshake: &HeaderMap, side: Side, size: usize) -> Flow {
        if self.broken {
            return Flow::Stop;
        }
        if size == 0 || !self.has_frames(side) {
            return Flow::Continue;
        }
        let way = self.way(side);
        if way.held.is_some() {
            way.held = Some(size);
            return Flow::Stop;
        }
        self.go_on(handshake, side, size)
    }

    /// Whether something is held that must not be let go by what comes after it.
    pub(super) fn holds(&mut self, side: Side) -> bool {
        self.broken || self.way(side).held.is_some()
    }

    /// Whether that call-out is its own.
    pub(super) fn awaits(&self, call: CallId) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.call == call)
    }

    /// The owner has answered.
    pub(super) fn on_answer(&mut self, handshake: &HeaderMap, response: Response) {
        let Some(asked) = self.asked.take() else { return };
        let worker = Rc::clone(&self.worker);
        let (question, answer) = asked.answer(&worker, response);
        self.answers.add(question, answer);
        for side in [Side::Request, Side::Response] {
            let Some(size) = self.way(side).held.take() else { continue };
            if self.go_on(handshake, side, size) == Flow::Continue
                && let Err(status) = worker.abi.resume(side)
            {
                worker.abi.log(Level::Error, &format!("frames cannot go on: {status:?}"));
            }
        }
    }

    fn way(&mut self, side: Side) -> &mut Way {
        let [request, response] = &mut self.ways;
        match side {
            Side::Request => request,
            Side::Response => response,
        }
    }

    fn has_frames(&mut self, side: Side) -> bool {
        let worker = Rc::clone(&self.worker);
        let way = self.way(side);
        way.known = way.known || side == Side::Request || worker.abi.number(&["response", "code"]) == Some(SWITCHED);
        way.known
    }

    fn go_on(&mut self, handshake: &HeaderMap, side: Side, size: usize) -> Flow {
        let worker = Rc::clone(&self.worker);
        let abi = worker.abi.as_ref();
        let looked = self.look(handshake, side, size);
        let way = self.way(side);
        way.settle(&worker);
        let done = match looked {
            Ok(Looked::Through) => way.cut(abi, side, size),
            Ok(Looked::Waits) => {
                way.held = Some(size);
                return Flow::Stop;
            }
            Ok(Looked::Broken) => return self.break_off(abi),
            Err(status) => Err(status),
        };
        match done {
            Ok(()) => Flow::Continue,
            Err(status) => {
                abi.log(Level::Error, &format!("frames cannot be read: {status:?}"));
                self.break_off(abi)
            }
        }
    }

    /// Nothing passes any more.
    fn break_off(&mut self, abi: &dyn Abi) -> Flow {
        self.broken = true;
        // If it cannot be closed, it stays stopped.
        if let Err(status) = abi.close() {
            abi.log(Level::Error, &format!("a WebSocket cannot be closed: {status:?}"));
        }
        Flow::Stop
    }

    /// Decides about the bytes at hand, as far as it is known what becomes of them.
    fn look(&mut self, handshake: &HeaderMap, side: Side, size: usize) -> Result<Looked, Status> {
        loop {
            let way = self.way(side);
            let rest = size.saturating_sub(way.done);
            if rest == 0 {
                return Ok(Looked::Through);
            }
            if let Some(step) = way.lane.skip(rest) {
                self.note(side, step);
                continue;
            }
            let from = way.done;
            let window = self.worker.abi.body_from(side, from, rest.min(WINDOW))?;
            let mut bytes = window.as_slice();
            if bytes.is_empty() {
                return Err(Status::Failed(0));
            }
            while !bytes.is_empty() {
                let mut lane = self.way(side).lane;
                let step = lane.read(bytes, || self.judge(handshake, side));
                self.way(side).lane = lane;
                match step {
                    Step::Wait => return Ok(Looked::Waits),
                    Step::Broken => return Ok(Looked::Broken),
                    Step::Free(taken) | Step::Counted(taken) | Step::Dropped(taken) => {
                        self.note(side, step);
                        bytes = bytes.get(taken..).unwrap_or_default();
                    }
                }
            }
        }
    }

    /// Notes what becomes of the next bytes.
    fn note(&mut self, side: Side, step: Step) {
        if let Some(bytes) = self.way(side).note(step) {
            self.tell(bytes);
        }
    }

    fn tell(&self, bytes: u64) {
        self.worker.usage.add(self.limits.usage(bytes));
    }

    /// Decides about a frame that begins.
    fn judge(&mut self, handshake: &HeaderMap, side: Side) -> Judgement {
        let worker = Rc::clone(&self.worker);
        self.way(side).settle(&worker);
        // One question for both directions: who comes later waits for the same answer.
        if self.asked.is_some() {
            return Judgement::Wait;
        }
        let (abi, quotas) = (&worker.abi, &worker.directory.quotas);
        loop {
            let clock = abi.now_nanos();
            quotas.begin(clock);
            let decision = self.limits.decide(&Cx {
                directory: &worker.directory,
                request: handshake,
                answers: &self.answers,
                connection: &RequestConnection(Rc::clone(abi)),
                now: clock.timestamp(),
                callbacks: worker.callbacks(),
            });
            let question = match decision {
                FrameDecision::Ask(question) => question,
                FrameDecision::Pass | FrameDecision::Drop => {
                    let counters = std::mem::take(&mut self.answers).settle();
                    counters.iter().for_each(|counter| quotas.take(counter));
                    self.way(side).begin(counters);
                    if decision == FrameDecision::Pass {
                        return Judgement::Pass;
                    }
                    worker.metrics.increment(FRAMES_DROPPED);
                    return Judgement::Drop;
                }
            };
            match worker.ask(question) {
                Ok(asked) => {
                    self.asked = Some(asked);
                    return Judgement::Wait;
                }
                // No answer will ever come, so this is the answer.
                Err(question) => self.answers.add(question, Answer::Failed),
            }
        }
    }
}

/// What has passed of frames that were not over counts when the connection is gone.
impl Drop for Frames {
    fn drop(&mut self) {
        for way in self.ways.iter().filter(|way| way.untold > 0) {
            self.tell(way.untold);
        }
    }
}

impl Way {
    fn begin(&mut self, counters: Vec<Rc<Counter>>) {
        let of_bytes = counters.into_iter().filter(|counter| counter.limit().unit == QuotaUnit::Bytes);
        self.paying = of_bytes.map(|counter| (Rc::clone(&counter), counter.cost)).collect();
        self.bytes = 0;
    }

    /// Gives the bytes of a frame, or of a part of it, of which it is time to tell.
    fn note(&mut self, step: Step) -> Option<u64> {
        let (Step::Free(taken) | Step::Counted(taken) | Step::Dropped(taken)) = step else { return None };
        let end = self.done.saturating_add(taken);
        match step {
            Step::Counted(_) => {
                let taken = u64::try_from(taken).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(taken);
                self.untold = self.untold.saturating_add(taken);
            }
            Step::Dropped(_) => match self.cuts.last_mut().filter(|last| last.end == self.done) {
                Some(last) => last.end = end,
                None => self.cuts.push(self.done..end),
            },
            _ => {}
        }
        self.done = end;
        let due = self.untold >= PART || self.untold > 0 && self.lane.is_between_frames();
        due.then(|| std::mem::take(&mut self.untold))
    }

    /// Counts the bytes of the frame under way that have passed since.
    fn settle(&mut self, worker: &Worker) {
        for (counter, paid) in &mut self.paying {
            let due = self.bytes.saturating_sub(*paid);
            if due > 0 {
                worker.directory.quotas.spend(counter, due);
                *paid = self.bytes;
            }
        }
    }

    /// Takes out of the bytes at hand what goes nowhere.
    fn cut(&mut self, abi: &dyn Abi, side: Side, size: usize) -> Result<(), Status> {
        self.done = 0;
        let cuts = std::mem::take(&mut self.cuts);
        match cuts.as_slice() {
            [] => return Ok(()),
            [all] if *all == (0..size) => return abi.set_body(side, &[]),
            _ => {}
        }
        let bytes = abi.body(side, size)?;
        let (mut kept, mut from) = (Vec::with_capacity(size), 0);
        for cut in cuts {
            kept.extend_from_slice(bytes.get(from..cut.start).unwrap_or_default());
            from = cut.end;
        }
        kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
        abi.set_body(side, &kept)
    }
}
