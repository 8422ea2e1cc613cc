//! What a service is told: the members of the JSON that is sent to it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tollgate_model::Interceptor;

use super::MAX_ANSWER;
use crate::{Call, HeaderMap};

/// Names and values.
pub(super) type Headers = BTreeMap<String, String>;

/// The members. What is absent is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'t> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) interceptor_context: Option<&'t BTreeMap<String, String>>,
    #[serde(flatten)]
    pub(super) request: &'t Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_headers: Option<Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_trailers: Option<Headers>,
}

impl<'t> Told<'t> {
    /// Of a request only.
    pub(super) const fn request(request: &'t Facts) -> Self {
        Self {
            response_code: None,
            interceptor_context: None,
            request,
            response_headers: None,
            response_body: None,
            response_trailers: None,
        }
    }
}

/// What is known of the request, and kept for the response.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_headers: Option<Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_trailers: Option<Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invocation_context: Option<Context>,
}

/// Which API, resource and caller it is about.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) request_id: String,
    pub(super) protocol: String,
    pub(super) scheme: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) source: String,
    pub(super) base_path: String,
    pub(super) api_name: String,
    pub(super) api_version: String,
    pub(super) vhost: String,
    pub(super) path_template: String,
    pub(super) supported_methods: String,
    pub(super) prod_cluster_name: String,
    pub(super) sand_cluster_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) authentication_context: Option<Authentication>,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authentication {
    pub(super) token_type: &'static str,
    pub(super) token: String,
    pub(super) key_type: &'static str,
}

/// The call that tells it.
pub(super) fn call(service: &Interceptor, path: &'static str, told: &Told<'_>) -> Call {
    let json = |name: &str| (name.to_owned(), "application/json".to_owned());
    Call {
        cluster: service.cluster.clone(),
        authority: service.authority.clone(),
        method: "POST",
        path: path.to_owned(),
        headers: vec![json("content-type"), json("accept")],
        // Maps of texts always have a form in JSON; were it ever otherwise, the service would refuse an empty body.
        body: serde_json::to_vec(told).unwrap_or_default(),
        timeout_ms: service.timeout_ms,
        max_answer: MAX_ANSWER,
    }
}

/// A body, as JSON can hold it.
pub(super) fn body(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Headers, as JSON can hold them: values of one name are joined (RFC 9110 §5.3), and bytes that are no text replaced.
pub(super) fn headers<'h>(pairs: impl Iterator<Item = (&'h [u8], &'h [u8])>) -> Headers {
    let mut told = Headers::new();
    for (name, value) in pairs {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        let separator = if name == "cookie" { "; " } else { ", " };
        match told.get_mut(name.as_ref()) {
            Some(held) => {
                held.push_str(separator);
                held.push_str(&value);
            }
            None => {
                told.insert(name.into_owned(), value.into_owned());
            }
        }
    }
    told
}

/// Trailers; empty when there are none, or none that can be read.
pub(super) fn trailers(encoded: Option<&Vec<u8>>) -> Headers {
    let map = encoded.and_then(|bytes| HeaderMap::parse(bytes.clone()).ok());
    map.map(|map| headers(map.iter())).unwrap_or_default()
}
