//! The response's side: what was kept of the request, what the response interceptor is told, and what becomes of the
//! response. Whatever fails, the client gets nothing of what the backend has said.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use tollgate_model::{Callbacks, Include, Interceptor};

use super::answer::{self, Wanted};
use super::before::has_body;
use super::headers::{OF_RESPONSES, is_reserved};
use super::told::{self, Facts, Told};
use super::{MAX_ANSWER, MAX_BODY};
use crate::rejection::Rejection;
use crate::{Call, CallAnswer, HeaderEdit, HeaderMap, Reply};

const PATH: &str = "/api/v1/handle-response";

/// A response interceptor that will be asked, with all that it will be told of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Interception {
    service: Interceptor,
    request: Facts,
    context: BTreeMap<String, String>,
}

/// It holds what clients tell nobody else.
impl fmt::Debug for Interception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interception").field("cluster", &self.service.cluster).finish_non_exhaustive()
    }
}

/// What of a response's body is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'b> {
    /// There is none.
    Nothing,
    /// It was not waited for.
    Unseen,
    /// All of it.
    Whole(&'b [u8]),
}

/// What to do with the response.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Let it go on with these changes. A body is for a response of which the whole one is held.
    Edit(Vec<HeaderEdit>, Option<Vec<u8>>),
    /// Send this instead.
    Replace(Reply),
}

impl Interception {
    /// Most bytes of a body that is waited for.
    pub const MAX_BODY: usize = MAX_BODY;
    /// Most bytes of the service's answer.
    pub const MAX_ANSWER: usize = MAX_ANSWER;

    pub(super) fn new(service: &Interceptor, request: Facts, context: BTreeMap<String, String>) -> Self {
        Self { service: service.clone(), request, context }
    }

    /// Whether the response must be whole before it can be told.
    #[must_use]
    pub fn waits_for_body(&self) -> bool {
        self.service.waits_for_response_body()
    }

    /// Whether Envoy makes all the callbacks that it takes.
    #[must_use]
    pub fn is_covered_by(&self, callbacks: Callbacks) -> bool {
        callbacks.response_headers && callbacks.response_wait && (callbacks.response_body || !self.waits_for_body())
    }

    /// The call that tells it.
    #[must_use]
    pub fn call(&self, response: &HeaderMap, held: Held<'_>, trailers: Option<&Vec<u8>>) -> Call {
        let body = match held {
            Held::Whole(bytes) => bytes,
            Held::Nothing | Held::Unseen => &[],
        };
        let includes = |what| self.service.includes(what);
        let told = Told {
            response_code: status(response),
            interceptor_context: Some(&self.context),
            request: &self.request,
            response_headers: includes(Include::ResponseHeaders).then(|| told::headers(response.iter())),
            response_body: includes(Include::ResponseBody).then(|| told::body(body)),
            response_trailers: includes(Include::ResponseTrailers).then(|| told::trailers(trailers)),
        };
        told::call(&self.service, PATH, &told)
    }

    /// What becomes of the response. `answer` is `None` when there was none in time.
    #[must_use]
    pub fn outcome(&self, answer: Option<&CallAnswer>, response: &HeaderMap, held: Held<'_>) -> Outcome {
        match answer::read(answer, OF_RESPONSES) {
            Err(rejection) => Outcome::Replace(rejection.reply()),
            Ok(None) => Outcome::Edit(Vec::new(), None),
            Ok(Some(wanted)) => {
                let told = self.service.includes(Include::ResponseBody);
                change(wanted, response, if told { held } else { unseen(held) })
                    .unwrap_or_else(|| Outcome::Replace(Rejection::InterceptorAnswer.reply()))
            }
        }
    }
}

/// A body that was waited for, but not told, must not be replaced.
const fn unseen(held: Held<'_>) -> Held<'_> {
    match held {
        Held::Nothing => Held::Nothing,
        Held::Unseen | Held::Whole(_) => Held::Unseen,
    }
}

fn status(response: &HeaderMap) -> Option<u16> {
    std::str::from_utf8(response.pseudo(":status")?).ok()?.parse().ok()
}

fn change(mut wanted: Wanted, response: &HeaderMap, held: Held<'_>) -> Option<Outcome> {
    if wanted.body.is_some() && held == Held::Unseen {
        return None;
    }
    let named = wanted.headers.pseudo.remove(":status").map(|text| text.parse().ok());
    let named = match named {
        Some(Some(code)) if (200..=599).contains(&code) => Some(code),
        Some(_) => return None,
        None => None,
    };
    // As in the original, a new body makes the response a success, unless a code says otherwise.
    let implied = wanted.body.as_ref().map(|body| if body.is_empty() { 204 } else { 200 });
    let new_status = wanted.status.or(named).or(implied);
    let status = new_status.or(status(response))?;
    let mut edits = wanted.headers.edits;
    if let Some(status) = new_status {
        edits.push(HeaderEdit::Set(":status".into(), status.to_string().into_bytes()));
    }
    let whole = matches!(held, Held::Whole(body) if !body.is_empty());
    match wanted.body {
        // Envoy's filters cannot end a message that has begun otherwise than it began.
        _ if held != Held::Nothing && !has_body(status) => {
            Some(Outcome::Replace(replaced(response, &edits, status, Vec::new())))
        }
        Some(body) if !body.is_empty() && !whole => Some(Outcome::Replace(replaced(response, &edits, status, body))),
        body => {
            if !has_body(status) {
                // It may say how long the body of another status would have been.
                edits.push(HeaderEdit::Remove("content-length".into()));
            }
            Some(Outcome::Edit(edits, body.filter(|_| whole)))
        }
    }
}

/// The response, as the gateway would have to make it itself.
fn replaced(response: &HeaderMap, edits: &[HeaderEdit], status: u16, body: Vec<u8>) -> Reply {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let own = response.iter().map(|(name, value)| (text(name), text(value)));
    let mut headers: Vec<(Cow<'static, str>, String)> = own
        .filter(|(name, _)| !name.starts_with(':') && !is_reserved(name))
        .map(|(name, value)| (name.into(), value))
        .collect();
    for edit in edits {
        match edit {
            HeaderEdit::Remove(name) => headers.retain(|(other, _)| other != name),
            HeaderEdit::Set(name, _) if name.starts_with(':') => {}
            HeaderEdit::Set(name, value) => {
                headers.retain(|(other, _)| other != name);
                headers.push((name.clone(), text(value)));
            }
            HeaderEdit::Add(name, value) => headers.push((name.clone(), text(value))),
        }
    }
    let body = if has_body(status) { body } else { Vec::new() };
    Reply { status, headers, body, details: "tollgate_intercepted", record: None }
}
