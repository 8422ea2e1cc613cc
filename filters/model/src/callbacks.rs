//! What of Envoy's callbacks an API needs, so that a gateway pays only for those that its APIs use.
//!
//! Must be complete: a callback that is needed and not listed here is a rule that is not enforced.

use serde::{Deserialize, Serialize};

use crate::{Api, ApiKind, Operation};

/// Callbacks besides those for the headers of requests. Each costs every request of the gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Callbacks {
    /// Bodies and trailers of requests whose headers wait. Needs `allow_on_headers_stop_iteration` of the plugin: without
    /// it Envoy hands out no body while headers wait.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub request_body: bool,
    /// Headers of responses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub response_headers: bool,
    /// That responses may wait for a call-out. Costs nothing by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub response_wait: bool,
    /// Bodies and trailers of responses whose headers wait; as with those of requests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub response_body: bool,
    /// What passes through open WebSockets, and with it what passes of any body, none of which is held up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub frames: bool,
}

impl Callbacks {
    /// None at all.
    pub const NONE: Self = Self {
        request_body: false,
        response_headers: false,
        response_wait: false,
        response_body: false,
        frames: false,
    };
    /// All of them.
    pub const ALL: Self =
        Self { request_body: true, response_headers: true, response_wait: true, response_body: true, frames: true };

    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            request_body: self.request_body || other.request_body,
            response_headers: self.response_headers || other.response_headers,
            response_wait: self.response_wait || other.response_wait,
            response_body: self.response_body || other.response_body,
            frames: self.frames || other.frames,
        }
    }

    /// Whether all of `needed` are among them.
    #[must_use]
    pub fn cover(self, needed: Self) -> bool {
        self.and(needed) == self
    }

    /// Whether headers that wait are to wait by themselves (`allow_on_headers_stop_iteration`), so that bodies come.
    ///
    /// It holds for every request and response of the gateway. A part of a body that is let go takes the headers with it,
    /// waiting or not, so with this all that may wait must have the callbacks of its body too.
    #[must_use]
    pub const fn hold_headers(self) -> bool {
        self.request_body || self.response_body
    }

    /// Their names in Envoy's `capability_restriction_config`, and those of the calls that go with them.
    pub fn capabilities(self) -> impl Iterator<Item = &'static str> {
        let request_body = self.hold_headers() || self.frames;
        let response_body = self.hold_headers() && self.response_wait || self.frames;
        let names = [
            (request_body, "proxy_on_request_body"),
            (request_body, "proxy_on_request_trailers"),
            // A message of which only a part can pass ends the connection.
            (self.frames, "proxy_close_stream"),
            (self.response_headers, "proxy_on_response_headers"),
            (self.response_body || response_body, "proxy_on_response_body"),
            (self.response_body || response_body, "proxy_on_response_trailers"),
        ];
        names.into_iter().filter(|(needed, _)| *needed).map(|(_, name)| name)
    }
}

impl Api {
    /// What this operation of the API needs. The one place that says what needs what.
    #[must_use]
    pub fn callbacks_of(&self, operation: &Operation) -> Callbacks {
        let own = Callbacks {
            // The operations of a GraphQL API are in the body.
            request_body: self.kind == ApiKind::GraphQl,
            response_headers: operation.policies.as_ref().is_some_and(|policies| !policies.response.is_empty()),
            ..Callbacks::NONE
        };
        own.and(operation.interceptors.callbacks())
    }

    /// What any of its operations needs, and what some of its callers may: whose frames are limited is known when they call.
    #[must_use]
    pub fn callbacks(&self) -> Callbacks {
        let operations = self.resources.iter().flat_map(|resource| &resource.operations);
        let own = Callbacks { frames: self.kind == ApiKind::WebSocket, ..Callbacks::NONE };
        operations.fold(own, |sum, operation| sum.and(self.callbacks_of(operation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_cover_their_parts() {
        let body = Callbacks { request_body: true, ..Callbacks::NONE };
        let headers = Callbacks { response_headers: true, ..Callbacks::NONE };
        assert!(body.and(headers).cover(body) && body.and(headers).cover(headers) && body.cover(Callbacks::NONE));
        assert!(!body.cover(headers) && !Callbacks::NONE.cover(body));
        assert_eq!(body.and(headers).capabilities().count(), 3);
        assert_eq!(headers.capabilities().count(), 1);
        assert_eq!(Callbacks::NONE.capabilities().count(), 0);
    }

    /// Every request may wait for keys. Were its body not shown here, it would release the headers.
    #[test]
    fn what_may_wait_has_its_body_shown_wherever_headers_wait_alone() {
        for bits in 0..32_u8 {
            let bit = |number: u8| bits & (1 << number) != 0;
            let callbacks = Callbacks {
                request_body: bit(0),
                response_headers: bit(1),
                response_wait: bit(2),
                response_body: bit(3),
                frames: bit(4),
            };
            let shows = |name| callbacks.capabilities().any(|shown| shown == name);
            if callbacks.hold_headers() {
                assert!(shows("proxy_on_request_body") && shows("proxy_on_request_trailers"), "{callbacks:?}");
            }
            if callbacks.hold_headers() && (callbacks.response_wait || callbacks.response_body) {
                assert!(shows("proxy_on_response_body") && shows("proxy_on_response_trailers"), "{callbacks:?}");
            }
        }
    }

    #[test]
    fn none_leaves_no_trace_in_the_configuration() {
        assert_eq!(serde_json::to_string(&Callbacks::NONE).ok().as_deref(), Some("{}"));
        let read = |text| serde_json::from_str::<Callbacks>(text).ok();
        assert_eq!(read(r#"{"requestBody":true}"#), Some(Callbacks { request_body: true, ..Callbacks::NONE }));
        assert_eq!(read(r#"{"requestBodies":true}"#), None);
    }
}
