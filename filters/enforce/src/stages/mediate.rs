//! What the backend gets: cluster, path, and headers taken away or added.

use std::borrow::Cow;

use tollgate_model::contract::CLUSTER_HEADER;
use tollgate_model::{ApiKind, Backend, Security};

use super::admit::Admitted;
use super::authenticate::authorization_header;
use super::authorize::Permit;
use crate::decide::Halt;
use crate::rejection::{BadCredentials, Rejection};
use crate::token::KeyType;
use crate::{Cx, Edits, mock};

/// Request headers by which Envoy's router lets itself be steered. They are the gateway's to set and never a client's.
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>
const STEERING: [&str; 11] = [
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-max-retries",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
];

/// Makes the edits.
pub(crate) fn mediate(cx: &Cx, admitted: &Admitted, permit: &Permit) -> Result<Edits, Halt> {
    if let Some(mock) = &admitted.operation.mock {
        return Err(Halt::Reply(mock::answer(cx, mock)?));
    }
    let backend = choose(admitted, permit)?;
    let mut edits = Edits { path: rewritten(cx, admitted, backend), ..Edits::default() };
    edits.remove = cx.request.iter().filter_map(|(name, _)| steering(name)).collect();
    if takes_credentials(admitted) && !admitted.settings.forward_authorization {
        edits.remove.push(Cow::Owned(authorization_header(admitted).to_owned()));
    }
    edits.set.push((CLUSTER_HEADER, backend.cluster.clone().into_bytes()));
    if let Some(authorization) = &backend.authorization {
        edits.set.push(("authorization", authorization.expose().as_bytes().to_vec()));
    }
    steer(backend, &mut edits);
    Ok(edits)
}

/// A header of the client that would steer the router, and the cluster header, which the route reads.
fn steering(name: &[u8]) -> Option<Cow<'static, str>> {
    if !name.starts_with(b"x-") {
        return None;
    }
    STEERING.into_iter().chain([CLUSTER_HEADER]).find(|reserved| reserved.as_bytes() == name).map(Cow::Borrowed)
}

/// Unsecured operations and prototypes leave the header to the backend, as the original does.
fn takes_credentials(admitted: &Admitted) -> bool {
    !admitted.is_prototype() && admitted.operation.security != Security::Unsecured
}

/// Production or sandbox, by the key type of the credentials. A resource's own backend goes before the API's.
fn choose<'a>(admitted: &'a Admitted, permit: &Permit) -> Result<&'a Backend, Rejection> {
    let (api, resource) = (&admitted.api.api, &admitted.resource.resource);
    let production = resource.production.as_ref().or(api.production.as_ref());
    let sandbox = resource.sandbox.as_ref().or(api.sandbox.as_ref());
    let (backend, missing) = match permit.identity.key_type() {
        // A prototype has only its production side; other anonymous calls go wherever there is a backend.
        None if admitted.is_prototype() => (production, BadCredentials::NoProduction),
        None => (production.or(sandbox), BadCredentials::NoProduction),
        Some(KeyType::Production) => (production, BadCredentials::NoProduction),
        Some(KeyType::Sandbox) => (sandbox, BadCredentials::NoSandbox),
        Some(KeyType::Unknown) => (None, BadCredentials::KeyType),
    };
    backend.ok_or(Rejection::InvalidCredentials(missing))
}

/// The backend's base path and the resource's path in the form the definition gives it, with the query as it was sent.
/// `None` when that is what the request has anyway.
fn rewritten(cx: &Cx, admitted: &Admitted, backend: &Backend) -> Option<Vec<u8>> {
    let mut path = backend.base_path.clone().into_bytes();
    match (&admitted.resource.uri_mapping, admitted.api.api.kind) {
        (Some(mapping), ApiKind::WebSocket) => mapping.expand(&admitted.captures, admitted.query, &mut path),
        // The name of a channel is the gateway's; the backend has one path for all that are not mapped.
        (None, ApiKind::WebSocket) => rest_of_path(admitted, &mut path),
        _ => {
            admitted.resource.template.expand(&admitted.captures, &mut path);
            rest_of_path(admitted, &mut path);
        }
    }
    (cx.request.pseudo(":path") != Some(path.as_slice())).then_some(path)
}

fn rest_of_path(admitted: &Admitted, path: &mut Vec<u8>) {
    if path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(admitted.query);
}

/// Timeout and retries of the backend, which Envoy's router takes from headers.
fn steer(backend: &Backend, edits: &mut Edits) {
    if let Some(timeout) = backend.timeout_ms {
        edits.set.push(("x-envoy-upstream-rq-timeout-ms", timeout.to_string().into_bytes()));
    }
    if let Some(retry) = &backend.retry {
        let codes: Vec<String> = retry.status_codes.iter().map(u16::to_string).collect();
        edits.set.push(("x-envoy-retry-on", b"retriable-status-codes".to_vec()));
        edits.set.push(("x-envoy-max-retries", retry.count.to_string().into_bytes()));
        edits.set.push(("x-envoy-retriable-status-codes", codes.join(",").into_bytes()));
    }
}
