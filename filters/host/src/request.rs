//! One request, from the host's callbacks: it goes the way of an earlier one, or has a journey of its own.
//!
//! Most requests look like one before them. All that happens to those is here, and nothing is kept of them: what they run
//! through, and what is made for them, stays as little as can be.

mod body;
mod carry;
mod explained;
mod frames;
mod journey;
mod metered;
mod outgoing;
mod under_way;

use std::rc::Rc;

use tollgate_enforce::HeaderMap;
use tollgate_enforce::rejection::Rejection;

use self::journey::{Journey, Outcome};
pub(crate) use self::under_way::UnderWay;
use crate::{CallId, Fields, Nanos, Response, Status, Worker};

/// Whether Envoy goes on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It does not: the request was answered, or waits for a call-out or its body. On a gateway with
    /// `Callbacks::hold_headers` what follows is shown here as it arrives, and every part must be stopped too, or it would
    /// take the headers with it; Envoy buffers it, and answers 413 when it outgrows the buffer. On others nothing follows
    /// before the headers go on.
    Stop,
}

/// One request's state.
pub struct RequestFlow {
    worker: Rc<Worker>,
    course: Course,
}

/// What has become of it.
enum Course {
    /// Its headers have not come.
    Unbegun,
    /// Let go, like one before it. Nothing that follows is of interest.
    Repeated,
    /// Whatever else.
    Own(Box<Journey>),
}

impl RequestFlow {
    /// A request that has not begun.
    #[must_use]
    pub const fn new(worker: Rc<Worker>) -> Self {
        Self { worker, course: Course::Unbegun }
    }

    /// The request's headers have arrived; `end` says that nothing follows.
    pub fn on_request_headers(&mut self, end: bool) -> Flow {
        self.worker.have_snapshot();
        let headers = match self.worker.abi.headers(Fields::Request).map(HeaderMap::parse) {
            Ok(Ok(headers)) => headers,
            Ok(Err(_)) => return self.go_own(None, end, |journey| journey.refuse(&Rejection::Malformed)),
            Err(status) => {
                return self.go_own(None, end, |it| it.refuse_because("request headers cannot be read", status));
            }
        };
        #[cfg(feature = "trap-injection")]
        trap_if_asked(&headers);
        let clock = self.worker.clock();
        match self.again(&headers, clock) {
            Some(Ok(())) => {
                self.course = Course::Repeated;
                Flow::Continue
            }
            Some(Err(status)) => self.go_own(None, end, |it| it.refuse_because("request cannot be edited", status)),
            None => self.go_own(Some(headers), end, |journey| journey.advance(clock)),
        }
    }

    /// Sends it the way of an earlier one, if there is one that it may go.
    fn again(&self, headers: &HeaderMap, clock: Nanos) -> Option<Result<(), Status>> {
        let Worker { directory, abi, role, .. } = &*self.worker;
        let repeat = role.again?(directory, headers, clock.timestamp())?;
        // Looking and taking happen in one go, so nobody else on this worker can have taken it in between.
        repeat.counters().for_each(|counter| directory.quotas.take(counter));
        Some(carry::apply(abi.as_ref(), repeat.edits()))
    }

    fn go_own(&mut self, headers: Option<HeaderMap>, end: bool, go: impl FnOnce(&mut Journey) -> Outcome) -> Flow {
        let mut journey = Box::new(Journey::new(Rc::clone(&self.worker), headers, end));
        let flow = go(&mut journey).into();
        self.course = Course::Own(journey);
        flow
    }

    /// More of the body has arrived: `size` bytes are held now.
    pub fn on_request_body(&mut self, size: usize, end: bool) -> Flow {
        self.course.go(Flow::Stop, |journey| journey.on_request_body(size, end))
    }

    /// The body has ended with trailers.
    pub fn on_request_trailers(&mut self) -> Flow {
        self.course.go(Flow::Stop, Journey::on_request_trailers)
    }

    /// A call-out has been answered. An answer nobody waits for is none of this request's business.
    pub fn on_response(&mut self, call: CallId, response: Response) {
        if let Course::Own(journey) = &mut self.course {
            journey.on_response(call, response);
        }
    }

    /// The response's headers are here, whoever made them.
    pub fn on_response_headers(&mut self, end: bool) -> Flow {
        self.course.go(Flow::Continue, |journey| journey.on_response_headers(end))
    }

    /// More of the response's body is here.
    pub fn on_response_body(&mut self, size: usize, end: bool) -> Flow {
        self.course.go(Flow::Continue, |journey| journey.on_response_body(size, end))
    }

    /// The response has ended with trailers.
    pub fn on_response_trailers(&mut self) -> Flow {
        self.course.go(Flow::Continue, Journey::on_response_trailers)
    }
}

impl Course {
    /// What a callback comes to; `unbegun` where the headers of the request have not come.
    fn go(&mut self, unbegun: Flow, own: impl FnOnce(&mut Journey) -> Flow) -> Flow {
        match self {
            Self::Unbegun => unbegun,
            Self::Repeated => Flow::Continue,
            Self::Own(journey) => own(journey),
        }
    }
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
