//! Carries out what was decided: edits of headers and bodies, and answers read back.

use std::rc::Rc;

use tollgate_enforce::{Answer, CallAnswer, Edits, HeaderEdit, Question, Record};
use tollgate_model::JwkSet;
use tollgate_model::contract::{BackendJwt, LIMIT_HEADERS, RESPONSE_HEADERS, USAGE_STATE};

use crate::{Abi, Fields, Level, Response, Side, Status};

/// Most bytes of an answer about keys.
const MAX_KEYS: usize = 1024 * 1024;

/// Most bytes of an answer with a token for a backend.
const MAX_BACKEND_JWT: usize = 128 * 1024;

/// Removals first; see [`Edits`].
pub(super) fn apply(abi: &dyn Abi, edits: &Edits) -> Result<(), Status> {
    for name in &edits.remove {
        abi.remove_header(Fields::Request, name)?;
    }
    if let Some(path) = &edits.path {
        abi.set_header(Fields::Request, ":path", path)?;
    }
    for (name, value) in &edits.set {
        abi.set_header(Fields::Request, name, value)?;
    }
    for (name, value) in &edits.add {
        abi.add_header(Fields::Request, name, value)?;
    }
    for (name, value) in &edits.response {
        let known = RESPONSE_HEADERS.iter().chain(&LIMIT_HEADERS);
        let state = known.into_iter().find(|(header, _)| header == name).map(|(_, state)| *state);
        abi.set_state(state.ok_or(Status::NotFound)?, value.as_bytes())?;
    }
    record(abi, edits.record.as_ref());
    match &edits.body {
        Some(body) => replace_body(abi, Side::Request, body),
        None => Ok(()),
    }
}

/// Leaves a record where access logs find it. Nobody is refused because nobody can be told of it.
pub(super) fn record(abi: &dyn Abi, record: Option<&Record>) {
    if let Some(record) = record
        && let Err(status) = abi.set_state(USAGE_STATE, record)
    {
        abi.log(Level::Error, &format!("usage of a request cannot be recorded: {status:?}"));
    }
}

/// The length goes with the body: what is left over would be the beginning of the next message on the connection.
pub(super) fn replace_body(abi: &dyn Abi, side: Side, body: &[u8]) -> Result<(), Status> {
    let fields = match side {
        Side::Request => Fields::Request,
        Side::Response => Fields::Response,
    };
    abi.remove_header(fields, "transfer-encoding")?;
    abi.set_header(fields, "content-length", body.len().to_string().as_bytes())?;
    abi.set_body(side, body)
}

/// In the order given.
pub(super) fn edit_headers(abi: &dyn Abi, of: Fields, edits: &[HeaderEdit]) -> Result<(), Status> {
    edits.iter().try_for_each(|edit| match edit {
        HeaderEdit::Set(name, value) => abi.set_header(of, name, value),
        HeaderEdit::Add(name, value) => abi.add_header(of, name, value),
        HeaderEdit::Remove(name) => abi.remove_header(of, name),
    })
}

/// What came back for this question.
pub(super) fn read_answer(abi: &dyn Abi, question: &Question, response: Response) -> Answer {
    let answer = match question {
        Question::Keys { .. } => read(abi, response, MAX_KEYS)
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<JwkSet>(&answer.body).ok().map(Answer::Keys)),
        Question::BackendJwt(_) => read(abi, response, MAX_BACKEND_JWT)
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<BackendJwt>(&answer.body).ok())
            .filter(|made| made.token.expose().bytes().all(|byte| byte.is_ascii_graphic()))
            .map(|made| Answer::BackendJwt(Rc::new(made))),
        Question::Call(call) => read(abi, response, call.max_answer).map(Answer::Response),
        // Told to the quotas, not to the request.
        Question::Quota { .. } => None,
        // Not a call-out.
        Question::Body { .. } => None,
    };
    answer.unwrap_or(Answer::Failed)
}

pub(super) fn read(abi: &dyn Abi, response: Response, most: usize) -> Option<CallAnswer> {
    if !response.arrived || response.body > most {
        return None;
    }
    let status = abi.answer_status()?;
    let body = if response.body == 0 { Vec::new() } else { abi.answer_body(response.body).ok()? };
    Some(CallAnswer { status, body })
}
