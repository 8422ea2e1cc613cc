//! What a decision is made of ([`Cx`], [`Answers`]) and what it can be ([`Decision`]).

use std::borrow::Cow;

use tollgate_model::JwkSet;

use crate::{Connection, Directory, HeaderMap};

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

/// Changes to a request's headers. Removals come first, so that a name in both lists ends up with the value given here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// New value of `:path`, when it changes.
    pub path: Option<Vec<u8>>,
    /// Names of headers to remove, every value of them.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set.
    pub set: Vec<(&'static str, Vec<u8>)>,
    /// Header fields that the response is to have, whatever the backend says. Only names of
    /// [`tollgate_model::contract::RESPONSE_HEADERS`].
    pub response: Vec<(&'static str, String)>,
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
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Keys`].
    Keys(JwkSet),
    /// Nothing, or nothing that can be read. Each stage says what that means to it.
    Failed,
}

/// Questions one request may ask before it is refused, so that a request can never circle.
pub const MAX_QUESTIONS: usize = 4;

/// The answers a request has collected, in the order asked.
#[derive(Debug, Default)]
pub struct Answers(Vec<(Question, Answer)>);

impl Answers {
    /// The answer to that question, if it was asked before.
    #[must_use]
    pub fn get(&self, question: &Question) -> Option<&Answer> {
        self.0.iter().find(|(asked, _)| asked == question).map(|(_, answer)| answer)
    }

    /// Adds an answer.
    pub fn add(&mut self, question: Question, answer: Answer) {
        self.0.push((question, answer));
    }

    /// Whether the request has asked all it may.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.0.len() >= MAX_QUESTIONS
    }
}
