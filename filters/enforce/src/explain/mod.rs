//! Why a request is decided as it is: the stages it went through, the facts each of them used, and the verdict.
//!
//! The decision is made by the very code of [`crate::decide`], which tells a [`Tracer`] of each stage. The usual one is
//! [`Silent`] and compiles to nothing. Must never change a verdict, and must never show a credential.

pub(crate) mod facts;
pub mod pass;
mod recorder;

use serde::Serialize;

use crate::decide::{Halt, decide_with};
use crate::rejection::Rejection;
use crate::stages::authenticate::Attempt;
use crate::{Answer, Cx, Decision, Question};
use recorder::Recorder;

/// Longest text of a fact. What clients send is cut there.
const MAX_TEXT: usize = 256;

/// Decides as [`crate::decide`] does, and says why.
///
/// Nothing is taken from the memory of tokens, so that every check is made and shown.
#[must_use]
pub fn explain(cx: &Cx) -> (Decision, Trace) {
    let recorder = Recorder::new(cx.directory);
    let decision = {
        let cx = Cx { directory: &recorder, ..*cx };
        decide_with(&cx, &recorder)
    };
    let asked = cx.answers.asked().map(|(question, answer)| {
        Fact::new(question_text(question), if *answer == Answer::Failed { "no answer" } else { "answered" })
    });
    let trace = Trace { asked: asked.collect(), stages: recorder.stages(), verdict: Verdict::of(&decision) };
    (decision, trace)
}

/// How a decision came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// What was asked of the world before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Fact>,
    /// The stages, in order; the last one is where the request got to.
    pub stages: Vec<StageTrace>,
    /// What becomes of the request.
    pub verdict: Verdict,
}

/// What happened in a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageTrace {
    /// Its name.
    pub stage: &'static str,
    /// What it looked at, in order.
    pub facts: Vec<Fact>,
    /// `passed`, or why the request goes no further.
    pub outcome: String,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What.
    pub what: String,
    /// How it is.
    pub is: String,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "camelCase")]
pub enum Verdict {
    /// It goes on.
    Forward {
        /// Name of the cluster that it goes to; none where routes are not the gateway's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        cluster: Option<String>,
    },
    /// It is answered by the gateway.
    Reply {
        /// HTTP status.
        status: u16,
        /// As in the access log.
        details: &'static str,
    },
    /// It depends on an answer that is not there.
    Ask {
        /// What is asked.
        question: String,
    },
}

impl Fact {
    pub(crate) fn new(what: impl Into<String>, is: impl Into<String>) -> Self {
        Self { what: short(what.into()), is: short(is.into()) }
    }
}

impl Verdict {
    fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Forward(edits) => Self::Forward { cluster: facts::cluster(edits) },
            Decision::Reply(reply) => Self::Reply { status: reply.status, details: reply.details },
            Decision::Ask(question) => Self::Ask { question: question_text(question) },
        }
    }
}

/// What is told of a decision while it is made. Every method does nothing unless somebody listens.
pub(crate) trait Tracer {
    /// Runs a stage, and tells what it proved.
    fn stage<T>(
        &self,
        _name: &'static str,
        run: impl FnOnce() -> Result<T, Halt>,
        _facts: impl FnOnce(&T) -> Vec<Fact>,
    ) -> Result<T, Halt> {
        run()
    }

    /// What became of a credential.
    fn attempt<T>(&self, _credential: &'static str, _attempt: &Attempt<T>) {}
}

/// Nobody listens.
pub(crate) struct Silent;

impl Tracer for Silent {}

/// Why a request goes no further.
fn halt_text(halt: &Halt) -> String {
    match halt {
        Halt::Reply(reply) => format!("answered {}", reply.status),
        Halt::Refuse(rejection) => refusal_text(rejection),
        Halt::Ask(question) => format!("asks for {}", question_text(question)),
    }
}

fn refusal_text(rejection: &Rejection) -> String {
    let entry = rejection.entry();
    let why = rejection.flaw().map(|flaw| format!("; {}", flaw.text())).unwrap_or_default();
    format!("refused {} {}: {}{why}", entry.status, entry.code, rejection.description())
}

fn question_text(question: &Question) -> String {
    match question {
        Question::Keys { issuer, kid } => format!("the key {kid:?} of the issuer {issuer:?}"),
        Question::Call(call) => {
            let path = call.path.split('?').next().unwrap_or_default();
            format!("the answer of {} to {} {path}", call.cluster, call.method)
        }
        Question::Quota { asks, .. } => {
            let keys: Vec<&str> = asks.iter().map(|ask| ask.key.as_str()).collect();
            format!("quota of {}", keys.join(", "))
        }
        Question::BackendJwt(_) => "a token that tells the backend who calls".to_owned(),
        Question::Body { limit } => format!("the body, of at most {limit} bytes"),
    }
}

/// A text of bounded length.
fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Bytes that are meant to be text.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
