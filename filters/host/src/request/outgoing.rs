//! A response on its way to the client while an interceptor is asked about it.
//!
//! A response either goes on or is replaced, never both; while neither is decided, every part of it is stopped.

use tollgate_enforce::rejection::Rejection;
use tollgate_enforce::{HeaderMap, Held, Interception, Outcome, Reply};

use super::{Flow, carry};
use crate::{Abi, CallId, Fields, Level, Response, Side, Worker};

/// Where a response is on its way.
#[derive(Default)]
pub(super) enum Outgoing {
    /// Nobody is asked, or everything was done.
    #[default]
    Free,
    /// Somebody will be asked when its headers are here.
    Expected(Box<Interception>),
    /// Its body is arriving; so many bytes are held.
    Collecting(Box<Told>, usize),
    /// A call-out is under way.
    Waiting(CallId, Box<Told>, Body),
    /// Another response was sent in its place, of which nothing comes by here.
    Replaced,
}

/// What the service is told it of.
pub(super) struct Told {
    interception: Box<Interception>,
    headers: HeaderMap,
}

/// What is at hand of the body, which Envoy holds.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Nothing,
    Unseen,
    Whole(usize),
}

impl Outgoing {
    /// What comes after a request that is let go.
    pub(super) fn after(interception: Option<Box<Interception>>) -> Self {
        interception.map_or(Self::Free, Self::Expected)
    }

    /// Whether that call-out is its own.
    pub(super) fn awaits(&self, call: CallId) -> bool {
        matches!(self, Self::Waiting(waiting, ..) if *waiting == call)
    }

    /// The headers are here; `end` says that nothing follows.
    pub(super) fn on_headers(&mut self, worker: &Worker, end: bool) -> Flow {
        let Self::Expected(interception) = std::mem::take(self) else {
            // Another response than the one that was asked about, made by Envoy.
            return Flow::Continue;
        };
        let Ok(Ok(headers)) = worker.abi.headers(Fields::Response).map(HeaderMap::parse) else {
            return self.replace(worker, &Rejection::InterceptorFailed.reply());
        };
        let told = Box::new(Told { interception, headers });
        if end {
            return self.ask(worker, told, Body::Nothing, None);
        }
        if told.interception.waits_for_body() {
            *self = Self::Collecting(told, 0);
            return Flow::Stop;
        }
        self.ask(worker, told, Body::Unseen, None)
    }

    /// More of the body is here: `size` bytes are held.
    pub(super) fn on_body(&mut self, worker: &Worker, size: usize, end: bool) -> Flow {
        match std::mem::take(self) {
            Self::Free => Flow::Continue,
            Self::Collecting(told, _) if end => self.ask(worker, told, Body::Whole(size), None),
            Self::Collecting(told, _) => {
                *self = Self::Collecting(told, size);
                Flow::Stop
            }
            other => {
                *self = other;
                Flow::Stop
            }
        }
    }

    /// It has ended with trailers.
    pub(super) fn on_trailers(&mut self, worker: &Worker) -> Flow {
        match std::mem::take(self) {
            Self::Free => Flow::Continue,
            Self::Collecting(told, size) => {
                let trailers = worker.abi.headers(Fields::ResponseTrailers).ok();
                self.ask(worker, told, Body::Whole(size), trailers.as_ref())
            }
            other => {
                *self = other;
                Flow::Stop
            }
        }
    }

    /// The service has answered.
    pub(super) fn on_answer(&mut self, worker: &Worker, response: Response) {
        let Self::Waiting(_, told, body) = std::mem::take(self) else { return };
        if self.finish(worker, &told, body, Some(response)) == Flow::Continue
            && let Err(status) = worker.abi.resume(Side::Response)
        {
            worker.abi.log(Level::Error, &format!("response cannot go on: {status:?}"));
        }
    }

    fn ask(&mut self, worker: &Worker, told: Box<Told>, body: Body, trailers: Option<&Vec<u8>>) -> Flow {
        let Some(bytes) = body.read(worker.abi.as_ref()) else { return self.finish(worker, &told, body, None) };
        let call = told.interception.call(&told.headers, body.held(&bytes), trailers);
        match worker.call(&call) {
            Ok(call) => {
                *self = Self::Waiting(call, told, body);
                Flow::Stop
            }
            // No answer will ever come, so this is the answer.
            Err(_) => self.finish(worker, &told, body, None),
        }
    }

    /// Carries out what the service wants; without a `response` it has not answered.
    fn finish(&mut self, worker: &Worker, told: &Told, body: Body, response: Option<Response>) -> Flow {
        let abi = worker.abi.as_ref();
        let answer = response.and_then(|response| carry::read(abi, response, Interception::MAX_ANSWER));
        let Some(bytes) = body.read(abi) else {
            return self.replace(worker, &Rejection::InterceptorFailed.reply());
        };
        match told.interception.outcome(answer.as_ref(), &told.headers, body.held(&bytes)) {
            Outcome::Replace(reply) => self.replace(worker, &reply),
            Outcome::Edit(edits, new) => {
                let edited = carry::edit_headers(abi, Fields::Response, &edits);
                let done = edited.and_then(|()| match new {
                    Some(new) => carry::replace_body(abi, Side::Response, &new),
                    None => Ok(()),
                });
                if let Err(status) = done {
                    abi.log(Level::Error, &format!("response cannot be edited: {status:?}"));
                    return self.replace(worker, &Rejection::InterceptorFailed.reply());
                }
                *self = Self::Free;
                Flow::Continue
            }
        }
    }

    fn replace(&mut self, worker: &Worker, reply: &Reply) -> Flow {
        *self = Self::Replaced;
        if let Err(status) = worker.abi.reply(reply) {
            // The response stays stopped: better a client that waits than one that gets what it must not.
            worker.abi.log(Level::Error, &format!("response cannot be replaced: {status:?}"));
        }
        Flow::Stop
    }
}

impl Body {
    /// `None` when it is too large, or cannot be read.
    fn read(self, abi: &dyn Abi) -> Option<Vec<u8>> {
        match self {
            Self::Nothing | Self::Unseen | Self::Whole(0) => Some(Vec::new()),
            Self::Whole(size) if size > Interception::MAX_BODY => None,
            Self::Whole(size) => abi.body(Side::Response, size).ok().filter(|bytes| bytes.len() == size),
        }
    }

    fn held(self, bytes: &[u8]) -> Held<'_> {
        match self {
            Self::Nothing => Held::Nothing,
            Self::Unseen => Held::Unseen,
            Self::Whole(_) => Held::Whole(bytes),
        }
    }
}
