//! What a decision is made of ([`Cx`]) and what it can be ([`Decision`]).

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_model::contract::BackendJwtRequest;
use tollgate_model::{Callbacks, QuotaAsk};

use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::{Answer, Answers, Call, CallAnswer, Connection, Directory, HeaderMap, Interception, RequestBody};

/// Milliseconds since the Unix epoch. The host reads the clock once a request and passes it in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds, the unit of token claims.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0 / 1000).unwrap_or(i64::MAX)
    }
}

/// Everything a decision depends on.
pub struct Cx<'c> {
    /// Look-ups in the snapshot.
    pub directory: &'c dyn Directory,
    /// The request's header map, pseudo headers included.
    pub request: &'c HeaderMap,
    /// What earlier rounds asked, and what came back.
    pub answers: &'c Answers,
    /// The connection that the request came by.
    pub connection: &'c dyn Connection,
    /// Now.
    pub now: Timestamp,
    /// What Envoy calls the filter for on this gateway.
    pub callbacks: Callbacks,
}

#[allow(dead_code, reason = "the stages that ask come one by one")]
impl<'c> Cx<'c> {
    /// The answer to a question: to be used with `?`, which asks it if it was not asked before.
    ///
    /// # Errors
    /// The question.
    pub(crate) fn ask(&self, question: Question) -> Result<&'c Answer, Halt> {
        match self.answers.get(&question) {
            Some(answer) => Ok(answer),
            None => Err(Halt::Ask(question)),
        }
    }

    /// The answer of a service; `None` when it could not be reached or gave none in time.
    ///
    /// # Errors
    /// The question.
    pub(crate) fn call(&self, call: Call) -> Result<Option<&'c CallAnswer>, Halt> {
        match self.ask(Question::Call(Box::new(call)))? {
            Answer::Response(answer) => Ok(Some(answer)),
            _ => Ok(None),
        }
    }

    /// The request's body; empty when it has none. Only for operations that [`tollgate_model::Api::callbacks_of`] says need it.
    ///
    /// # Errors
    /// The question, or the refusal of a body with more than `limit` bytes.
    pub(crate) fn body(&self, limit: usize) -> Result<&'c RequestBody, Halt> {
        match self.ask(Question::Body { limit })? {
            Answer::Body(body) => Ok(body),
            Answer::BodyTooLarge => Err(Rejection::BodyTooLarge(limit).into()),
            _ => Err(Rejection::Unreadable.into()),
        }
    }
}

/// What to do with the request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it on, changed like this.
    Forward(Edits),
    /// Answer it here.
    Reply(Reply),
    /// Find this out, add the answer, and decide again.
    Ask(Question),
}

/// Changes to a request. Removals come first, so that a name in several lists ends up with the values given here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// New value of `:path`, when it changes.
    pub path: Option<Vec<u8>>,
    /// Names of headers to remove, every value of them.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set.
    pub set: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// Headers to add to those of the same name.
    pub add: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// New body. Only for a request that has one; `content-length` follows by itself.
    pub body: Option<Vec<u8>>,
    /// Changes to the headers of the response, whoever gives it, in this order. Need [`Callbacks::response_headers`].
    pub response_headers: Vec<HeaderEdit>,
    /// Who is to be asked about the response.
    pub intercept: Option<Box<Interception>>,
    /// Header fields that the response is to have, whatever the backend says. Only names of
    /// [`tollgate_model::contract::RESPONSE_HEADERS`] and [`tollgate_model::contract::LIMIT_HEADERS`].
    pub response: Vec<(&'static str, String)>,
    /// What access logs are told of it, in filter state [`tollgate_model::contract::USAGE_STATE`].
    pub record: Option<Record>,
}

/// A line about a request, without line breaks; see [`Settings::usage_records`](tollgate_model::Settings::usage_records).
pub type Record = Rc<[u8]>;

/// A change to headers. Names are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// The header has this value and no other.
    Set(Cow<'static, str>, Vec<u8>),
    /// The header has this value besides those it has.
    Add(Cow<'static, str>, Vec<u8>),
    /// There is no such header.
    Remove(Cow<'static, str>),
}

/// An answer by the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header fields, without `content-length`.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Body; may be empty.
    pub body: Vec<u8>,
    /// What `%RESPONSE_CODE_DETAILS%` shows in Envoy's access log: `tollgate_<code>`.
    pub details: &'static str,
    /// As in [`Edits::record`].
    pub record: Option<Record>,
}

/// Something only the world can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The current keys of this issuer, since none of the known ones has this id.
    Keys {
        /// `iss` of the token.
        issuer: String,
        /// `kid` of the token.
        kid: String,
    },
    /// What this service answers.
    Call(Box<Call>),
    /// More quota for these counters. What is granted goes to whoever keeps the quotas.
    Quota {
        /// How often this request asked before.
        round: u8,
        /// What is wanted.
        asks: Vec<QuotaAsk>,
    },
    /// A token that tells the backend who calls.
    BackendJwt(Box<BackendJwtRequest>),
    /// The request's body, unless it has more than `limit` bytes.
    Body {
        /// Most bytes.
        limit: usize,
    },
}
