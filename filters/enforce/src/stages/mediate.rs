//! What the backend gets: cluster, path, and headers taken away or added.

mod assertion;

use std::borrow::Cow;

use tollgate_model::contract::{CLUSTER_HEADER, EXPLAIN_HEADER};
use tollgate_model::{ApiKeyPlace, ApiKind, Backend, Security};

use self::assertion::Assertion;
use super::admit::Admitted;
use super::authenticate::{Identity, authorization_header};
use super::authorize::Permit;
use super::limit::Grant;
use crate::decide::Halt;
use crate::intercept::{self, Caller, Change, Intercepted};
use crate::rejection::{BadCredentials, Rejection};
use crate::token::KeyType;
use crate::{Cx, Edits, Header, HeaderMap, mock, policy, query};

/// Request headers by which Envoy's router lets itself be steered. They are the gateway's to set and never a client's.
/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>
pub(crate) const STEERING: [&str; 11] = [
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

/// Marks of those names, and of the cluster header's: most requests have no header with any of them.
const STEERING_MARKS: u64 = {
    let mut marks = HeaderMap::mark_of(CLUSTER_HEADER);
    let mut rest = STEERING.as_slice();
    while let [name, others @ ..] = rest {
        marks |= HeaderMap::mark_of(name);
        rest = others;
    }
    marks
};

const AUTHORIZATION: &str = "authorization";

/// A handshake of HTTP/2 has no key (RFC 8441 §5), and a backend that speaks HTTP/1.1 wants one. What it answers to it
/// concerns nobody then, so any key will do.
const SOCKET_KEY: &str = "sec-websocket-key";
const ANY_KEY: &[u8] = b"AAAAAAAAAAAAAAAAAAAAAA==";

/// Makes the edits.
pub(crate) fn mediate(cx: &Cx, admitted: &Admitted, identity: &Identity, grant: &Grant) -> Result<Edits, Halt> {
    let permit = grant.permit();
    if let Some(mock) = &admitted.operation.mock {
        return Err(Halt::Reply(mock::answer(cx, mock)?));
    }
    // What was never looked into must not get through.
    if admitted.api.graphql.is_some() && admitted.asked.is_none() {
        return Err(Rejection::Unreadable.into());
    }
    let chosen = choose(cx, admitted, permit)?;
    let assertion = Assertion::about(cx, admitted, identity, permit)?;
    let mut edits = towards(cx, admitted, chosen)?;
    assertion.apply(&mut edits);
    if admitted.operation.interceptors.is_empty() {
        return Ok(edits);
    }
    let change = intercepted(cx, admitted, (identity, permit), chosen, &edits)?;
    let (backend, mut edits) = match change.backend() {
        // The request would go wherever it goes, and not where it is meant to.
        Some(_) if !cx.directory.owns_routes() => return Err(Rejection::ForeignRoutes.into()),
        Some(other) => (other.clone(), towards(cx, admitted, other)?),
        None => (chosen.clone(), edits),
    };
    change.apply(&admitted.api.api, &backend.base_path, &mut edits);
    assertion.apply(&mut edits);
    Ok(edits)
}

/// What a request needs on its way to that backend.
fn towards(cx: &Cx, admitted: &Admitted, backend: &Backend) -> Result<Edits, Rejection> {
    let mut edits = Edits { path: rewritten(cx, admitted, backend)?, ..Edits::default() };
    if cx.request.may_have(STEERING_MARKS) {
        edits.remove.extend(cx.request.iter().filter_map(|(name, _)| steering(name)));
    }
    credentials(cx, admitted, &mut edits.remove);
    // The cluster, and a few more: seldom does it have to grow.
    edits.set.reserve(4);
    if cx.directory.owns_routes() {
        edits.set.push((CLUSTER_HEADER.into(), backend.cluster.clone().into_bytes()));
    }
    // Whoever has shown nothing must not borrow what the gateway shows to the backend.
    if let Some(authorization) = backend.authorization.as_ref().filter(|_| !admitted.is_prototype()) {
        edits.set.push(("authorization".into(), authorization.expose().as_bytes().to_vec()));
    }
    if admitted.api.api.kind == ApiKind::WebSocket && cx.request.get(SOCKET_KEY) == Header::Absent {
        edits.set.push((SOCKET_KEY.into(), ANY_KEY.to_vec()));
    }
    steer(backend, &mut edits);
    if let Some(policies) = &admitted.operation.policies {
        policy::edit_request(cx, policies, &mut edits);
        policy::edit_response(policies, &mut edits);
        if let Some(method) = policy::method(policies) {
            edits.set.push((":method".into(), method.as_bytes().to_vec()));
        }
    }
    Ok(edits)
}

/// What the interceptors of the operation make of the request, when all that can be refused was refused.
fn intercepted(
    cx: &Cx,
    admitted: &Admitted,
    (identity, permit): (&Identity, &Permit),
    backend: &Backend,
    edits: &Edits,
) -> Result<Change, Halt> {
    let key_type = permit.key_type;
    let request = Intercepted {
        api: &admitted.api.api,
        resource: &admitted.resource.resource,
        interceptors: &admitted.operation.interceptors,
        backend,
        query: query_without_keys(admitted),
        caller: identity.shown(cx, admitted).map(|(token_type, token)| Caller { token_type, token, key_type }),
    };
    intercept::before(cx, &request, edits)
}

/// A header of the client that would steer the router, and the cluster header, which the route reads.
fn steering(name: &[u8]) -> Option<Cow<'static, str>> {
    // Most headers are told by their first letters.
    if !name.starts_with(b"x-envoy-") && name != CLUSTER_HEADER.as_bytes() {
        return None;
    }
    STEERING.into_iter().chain([CLUSTER_HEADER]).find(|reserved| reserved.as_bytes() == name).map(Cow::Borrowed)
}

/// Headers of the request that hold credentials, which are not for backends.
fn credentials(cx: &Cx, admitted: &Admitted, remove: &mut Vec<Cow<'static, str>>) {
    let settings = &admitted.settings;
    let mut take = |name: &str| {
        if cx.request.get(name) != Header::Absent {
            remove.push(match name {
                // The usual name needs no copy.
                AUTHORIZATION => Cow::Borrowed(AUTHORIZATION),
                other => Cow::Owned(other.to_owned()),
            });
        }
    };
    if takes_credentials(admitted) {
        if !settings.forward_authorization {
            take(authorization_header(admitted));
        }
        take(&settings.internal_key_header);
        for place in api_keys(admitted) {
            if let ApiKeyPlace::Header { name } = place {
                take(name);
            }
        }
    }
    // One that nobody vouches for is taken away wherever it goes: a backend might believe it.
    let certificate = &settings.client_certificate;
    if !certificate.from_header || !certificate.forward {
        take(&certificate.header);
    }
    if settings.explain.is_some() {
        take(EXPLAIN_HEADER);
    }
}

/// Places that may hold an API key.
fn api_keys<'a>(admitted: &'a Admitted) -> impl Iterator<Item = &'a ApiKeyPlace> {
    admitted.operation.security.requirements().iter().flat_map(|requirement| &requirement.api_keys)
}

/// The query without API keys.
pub(crate) fn query_without_keys<'a>(admitted: &'a Admitted) -> Cow<'a, [u8]> {
    if admitted.query.is_empty() || !takes_credentials(admitted) {
        return Cow::Borrowed(admitted.query);
    }
    let names: Vec<&[u8]> = api_keys(admitted)
        .filter_map(|place| match place {
            ApiKeyPlace::Header { .. } => None,
            ApiKeyPlace::Query { name } => Some(name.as_bytes()),
        })
        .collect();
    if names.is_empty() { Cow::Borrowed(admitted.query) } else { query::without(admitted.query, &names) }
}

/// Unsecured operations and prototypes leave the header to the backend, as the original does.
fn takes_credentials(admitted: &Admitted) -> bool {
    !admitted.is_prototype() && admitted.operation.security != Security::Unsecured
}

/// Production or sandbox, by the key type of the credentials. A resource's own backend goes before the API's. Where routes belong
/// to somebody else they lead to one place, which is production if there is one: sandbox keys must not get there.
fn choose<'a>(cx: &Cx, admitted: &'a Admitted, permit: &Permit) -> Result<&'a Backend, Rejection> {
    let (api, resource) = (&admitted.api.api, &admitted.resource.resource);
    let production = resource.production.as_ref().or(api.production.as_ref());
    let sandbox = resource.sandbox.as_ref().or(api.sandbox.as_ref());
    let sandbox = sandbox.filter(|_| cx.directory.owns_routes() || production.is_none());
    let (backend, missing) = match permit.key_type {
        // A prototype has only its production side; other anonymous calls go wherever there is a backend.
        None if admitted.is_prototype() => (production, BadCredentials::NoProduction),
        None => (production.or(sandbox), BadCredentials::NoProduction),
        Some(KeyType::Production) => (production, BadCredentials::NoProduction),
        Some(KeyType::Sandbox) => (sandbox, BadCredentials::NoSandbox),
        Some(KeyType::Unknown) => (None, BadCredentials::KeyType),
    };
    backend.ok_or(Rejection::InvalidCredentials(missing))
}

/// The backend's base path and the resource's path in the form the definition gives it, with the query as it was sent,
/// unless policies say otherwise. `None` when that is what the request has anyway.
fn rewritten(cx: &Cx, admitted: &Admitted, backend: &Backend) -> Result<Option<Vec<u8>>, Rejection> {
    let most = cx.request.pseudo(":path").map_or(0, <[u8]>::len);
    let mut path = Vec::with_capacity(backend.base_path.len().saturating_add(most));
    path.extend_from_slice(backend.base_path.as_bytes());
    match (&admitted.resource.uri_mapping, admitted.api.api.kind) {
        (Some(mapping), ApiKind::WebSocket) => {
            mapping.expand(&admitted.captures, &query_without_keys(admitted), &mut path);
        }
        // The name of a channel is the gateway's; the backend has one path for all that are not mapped. So has GraphQL.
        (_, ApiKind::WebSocket | ApiKind::GraphQl) => rest_of_path(&query_without_keys(admitted), &mut path),
        _ => {
            let rewrite = admitted.resource.rewrite(&admitted.operation.method);
            match rewrite {
                Some(rewrite) => rewrite.expand(&admitted.captures, &mut path)?,
                None => admitted.resource.template.expand(&admitted.captures, &mut path),
            }
            let kept = rewrite.is_none_or(|rewrite| rewrite.keep_query);
            let query = if kept { query_without_keys(admitted) } else { Cow::Borrowed(&b""[..]) };
            match &admitted.operation.policies {
                Some(policies) => rest_of_path(&policy::edit_query(&query, &policies.request), &mut path),
                None => rest_of_path(&query, &mut path),
            }
        }
    }
    Ok((cx.request.pseudo(":path") != Some(path.as_slice())).then_some(path))
}

fn rest_of_path(query: &[u8], path: &mut Vec<u8>) {
    if path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(query);
}

/// Timeout and retries of the backend, which Envoy's router takes from headers.
fn steer(backend: &Backend, edits: &mut Edits) {
    if let Some(timeout) = backend.timeout_ms {
        edits.set.push(("x-envoy-upstream-rq-timeout-ms".into(), timeout.to_string().into_bytes()));
    }
    if let Some(retry) = &backend.retry {
        let codes: Vec<String> = retry.status_codes.iter().map(u16::to_string).collect();
        edits.set.push(("x-envoy-retry-on".into(), b"retriable-status-codes".to_vec()));
        edits.set.push(("x-envoy-max-retries".into(), retry.count.to_string().into_bytes()));
        edits.set.push(("x-envoy-retriable-status-codes".into(), codes.join(",").into_bytes()));
    }
}
