//! What a service answers. Members of the wrong type refuse the answer; members that nobody knows are ignored, as in the
//! original.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::headers::{Changes, Reserved};
use crate::CallAnswer;
use crate::rejection::Rejection;

/// Most changes to headers.
const MAX_CHANGES: usize = 256;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The client is answered at once.
    pub(super) direct: bool,
    pub(super) status: Option<u16>,
    pub(super) endpoint: Option<String>,
    pub(super) headers: Changes,
    pub(super) body: Option<Vec<u8>>,
    /// For the response interceptor.
    pub(super) context: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    direct_respond: Option<bool>,
    response_code: Option<u16>,
    dynamic_endpoint: Option<Map<String, Value>>,
    headers_to_add: Option<BTreeMap<String, String>>,
    headers_to_replace: Option<BTreeMap<String, String>>,
    headers_to_remove: Option<Vec<String>>,
    trailers_to_add: Option<BTreeMap<String, String>>,
    trailers_to_replace: Option<BTreeMap<String, String>>,
    trailers_to_remove: Option<Vec<String>>,
    body: Option<String>,
    interceptor_context: Option<BTreeMap<String, String>>,
}

/// Reads the answer; `None` when nothing is to be changed.
pub(super) fn read(answer: Option<&CallAnswer>, reserved: &Reserved) -> Result<Option<Wanted>, Rejection> {
    match answer {
        Some(CallAnswer { status: 200, body }) => match parse(body, reserved) {
            Some(wanted) => Ok(Some(wanted)),
            None => Err(Rejection::InterceptorAnswer),
        },
        Some(CallAnswer { status: 204, .. }) => Ok(None),
        Some(_) | None => Err(Rejection::InterceptorFailed),
    }
}

fn parse(body: &[u8], reserved: &Reserved) -> Option<Wanted> {
    // An object, since serde would take a list for one.
    let object: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let answer: Answer = serde_json::from_value(Value::Object(object)).ok()?;
    let maps = [answer.trailers_to_add, answer.trailers_to_replace];
    let trailers = maps.iter().flatten().any(|map| !map.is_empty());
    // Envoy lets nobody make trailers, so a change to them could be carried out only by chance.
    if trailers || answer.trailers_to_remove.is_some_and(|names| !names.is_empty()) {
        return None;
    }
    if answer.response_code.is_some_and(|code| !(200..=599).contains(&code)) {
        return None;
    }
    let endpoint = match answer.dynamic_endpoint.as_ref().and_then(|endpoint| endpoint.get("endpointName")) {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
        Some(_) => return None,
    };
    let remove = answer.headers_to_remove.unwrap_or_default();
    let replace = answer.headers_to_replace.unwrap_or_default();
    let add = answer.headers_to_add.unwrap_or_default();
    if remove.len().saturating_add(replace.len()).saturating_add(add.len()) > MAX_CHANGES {
        return None;
    }
    Some(Wanted {
        direct: answer.direct_respond.unwrap_or(false),
        status: answer.response_code,
        endpoint,
        headers: Changes::read(&remove, replace, add, reserved)?,
        body: answer.body.map(|text| STANDARD.decode(text)).transpose().ok()?,
        context: answer.interceptor_context.unwrap_or_default(),
    })
}
