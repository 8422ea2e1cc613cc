//! Policies of an operation: what they change of a request that may go on, and of its response.
//!
//! They count after authentication and authorisation, and before interceptors, in the order in which api.yaml lists them.

mod headers;
mod opa;
mod query;
mod rewrite;

pub(crate) use headers::{edit_request, edit_response};
pub(crate) use opa::{Caller, consult, transport_headers};
pub(crate) use query::edit as edit_query;
pub(crate) use rewrite::Rewrite;

use tollgate_model::{Policies, RequestPolicy};

/// The method that the backend gets, if it is another one. The first policy of the kind counts.
pub(crate) fn method(policies: &Policies) -> Option<&str> {
    policies.request.iter().find_map(|policy| match policy {
        RequestPolicy::RewriteMethod { method } => Some(method.as_str()),
        _ => None,
    })
}
