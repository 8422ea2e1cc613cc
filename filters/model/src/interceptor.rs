//! Services of an API's owner that look at a request before its backend gets it, or at a response before its client does,
//! and may change it.

use serde::{Deserialize, Serialize};

use crate::{Backend, Callbacks};

/// The interceptors of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interceptors {
    /// Is asked before the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Interceptor>,
    /// Is asked when the backend has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Interceptor>,
}

impl Interceptors {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.request.is_none() && self.response.is_none()
    }

    /// What Envoy must call the filter for.
    #[must_use]
    pub fn callbacks(&self) -> Callbacks {
        let both = [&self.request, &self.response];
        let includes = |what: &[Include]| both.iter().copied().flatten().any(|one| one.includes_any(what));
        Callbacks {
            request_body: includes(&[Include::RequestBody, Include::RequestTrailers]),
            response_headers: self.response.is_some(),
            response_wait: self.response.is_some(),
            response_body: self.response.as_ref().is_some_and(Interceptor::waits_for_response_body),
            frames: false,
        }
    }
}

/// A service, and what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Interceptor {
    /// Envoy cluster of the service.
    pub cluster: String,
    /// Host header of the calls.
    pub authority: String,
    /// Milliseconds until a call has failed.
    pub timeout_ms: u32,
    /// What it is told, each once.
    #[serde(default)]
    pub includes: Vec<Include>,
}

impl Interceptor {
    /// Whether it is told that.
    #[must_use]
    pub fn includes(&self, what: Include) -> bool {
        self.includes.contains(&what)
    }

    /// Whether it is told anything that is known only at the end of the response.
    #[must_use]
    pub fn waits_for_response_body(&self) -> bool {
        self.includes_any(&[Include::ResponseBody, Include::ResponseTrailers])
    }

    fn includes_any(&self, what: &[Include]) -> bool {
        what.iter().any(|one| self.includes(*one))
    }
}

/// What an interceptor may be told besides the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// Headers of the request.
    RequestHeaders,
    /// Its body.
    RequestBody,
    /// Its trailers.
    RequestTrailers,
    /// Headers of the response. Told to response interceptors only, like the next two.
    ResponseHeaders,
    /// Its body.
    ResponseBody,
    /// Its trailers.
    ResponseTrailers,
    /// Which API, resource and caller it is about.
    InvocationContext,
}

impl Include {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RequestHeaders,
        Self::RequestBody,
        Self::RequestTrailers,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::ResponseTrailers,
        Self::InvocationContext,
    ];

    /// Its name in definitions and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestHeaders => "request_headers",
            Self::RequestBody => "request_body",
            Self::RequestTrailers => "request_trailers",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseBody => "response_body",
            Self::ResponseTrailers => "response_trailers",
            Self::InvocationContext => "invocation_context",
        }
    }
}

/// A backend to which an interceptor may send a request (`x-wso2-endpoints`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedEndpoint {
    /// What the interceptor calls it.
    pub name: String,
    /// Where it is.
    pub backend: Backend,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interceptor(includes: &[Include]) -> Option<Interceptor> {
        let (cluster, authority) = ("c".to_owned(), "a".to_owned());
        Some(Interceptor { cluster, authority, timeout_ms: 1, includes: includes.to_vec() })
    }

    #[test]
    fn callbacks_are_those_that_the_told_needs() {
        let none = Callbacks::NONE;
        let response = Callbacks { response_headers: true, response_wait: true, ..none };
        for (request, answer, expected) in [
            (None, None, none),
            (interceptor(&[Include::RequestHeaders, Include::InvocationContext]), None, none),
            (interceptor(&[Include::RequestBody]), None, Callbacks { request_body: true, ..none }),
            (interceptor(&[Include::RequestTrailers]), None, Callbacks { request_body: true, ..none }),
            // A request interceptor knows of no response.
            (interceptor(&[Include::ResponseBody]), None, none),
            (None, interceptor(&[Include::ResponseHeaders]), response),
            (None, interceptor(&[Include::RequestBody]), Callbacks { request_body: true, ..response }),
            (None, interceptor(&[Include::ResponseTrailers]), Callbacks { response_body: true, ..response }),
        ] {
            assert_eq!(Interceptors { request, response: answer }.callbacks(), expected);
        }
    }

    #[test]
    fn names_are_those_on_the_wire() {
        for include in Include::ALL {
            assert_eq!(serde_json::to_value(include).unwrap(), include.name());
        }
    }
}
