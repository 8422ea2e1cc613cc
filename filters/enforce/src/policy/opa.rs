//! Open Policy Agent: what it is asked, and what its answers mean. Anything but a clear yes is a no.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_model::contract::CLUSTER_HEADER;
use tollgate_model::{ApiKeyPlace, Backend, OpaPolicy, RequestPolicy};

use crate::connection::client_address;
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::stages::admit::Admitted;
use crate::stages::authenticate::{Identity, authorization_header, bearer_token};
use crate::stages::authorize::Permit;
use crate::stages::mediate::query_without_keys;
use crate::token::KeyType;
use crate::{Call, Cx, Header};

/// Most bytes of an answer, which is a single truth value.
const MAX_ANSWER: usize = 64 * 1024;

/// Whose request it is.
pub(crate) struct Caller<'d> {
    pub(crate) identity: &'d Identity,
    pub(crate) permit: &'d Permit,
}

/// Asks every agent that the operation's policies name.
pub(crate) fn consult(cx: &Cx, admitted: &Admitted, caller: &Caller) -> Result<(), Halt> {
    let Some(policies) = &admitted.operation.policies else { return Ok(()) };
    for policy in &policies.request {
        if let RequestPolicy::Opa(policy) = policy {
            let answer = cx.call(call(cx, admitted, caller, policy))?;
            judge(answer.map(|answer| (answer.status, answer.body.as_slice())))?;
        }
    }
    Ok(())
}

/// The answer, which must say exactly this.
#[derive(Deserialize)]
struct Verdict {
    result: bool,
}

fn judge(answer: Option<(u16, &[u8])>) -> Result<(), Rejection> {
    let Some((200, body)) = answer else { return Err(Rejection::PolicyAgentFailed) };
    match serde_json::from_slice(body) {
        Ok(Verdict { result: true }) => Ok(()),
        Ok(Verdict { result: false }) => Err(Rejection::PolicyDenied),
        Err(_) => Err(Rejection::PolicyAgentUnclear),
    }
}

#[derive(Serialize)]
struct Question<'q> {
    input: Input<'q>,
}

/// What a policy sees. Names are those of the original.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'q> {
    transport_headers: Map<String, Value>,
    /// Address of the client; empty when nobody knows it.
    request_origin: String,
    method: String,
    /// Without the query.
    path: String,
    /// With its question mark, or empty.
    query: String,
    api_context: ApiContext<'q>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_context: Option<AuthenticationContext>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiContext<'q> {
    api_name: &'q str,
    api_version: &'q str,
    org_id: &'q str,
    vhost: &'q str,
    path_template: &'q str,
    prod_cluster_name: &'q str,
    sand_cluster_name: &'q str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthenticationContext {
    token: String,
    token_type: &'static str,
    key_type: &'static str,
}

fn call(cx: &Cx, admitted: &Admitted, caller: &Caller, policy: &OpaPolicy) -> Call {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if let Some(key) = &policy.access_key {
        headers.push(("authorization".to_owned(), format!("Bearer {}", key.expose())));
    }
    let question = Question { input: input(cx, admitted, caller, policy) };
    Call {
        cluster: policy.cluster.clone(),
        authority: policy.authority.clone(),
        method: "POST",
        path: policy.path.clone(),
        headers,
        // Texts and maps of texts can always be written; an empty body would be answered with an error.
        body: serde_json::to_vec(&question).unwrap_or_default(),
        timeout_ms: policy.timeout_ms,
        max_answer: MAX_ANSWER,
    }
}

fn input<'q>(cx: &Cx, admitted: &'q Admitted, caller: &Caller, policy: &OpaPolicy) -> Input<'q> {
    let (api, resource) = (&admitted.api.api, &admitted.resource.resource);
    let path = cx.request.pseudo(":path").unwrap_or_default();
    let path = path.split(|byte| *byte == b'?').next().unwrap_or(path);
    let cluster = |backend: Option<&'q Backend>| backend.map_or("", |backend| backend.cluster.as_str());
    Input {
        transport_headers: transport_headers(cx, admitted),
        request_origin: client_address(cx, &admitted.settings).map(|address| address.to_string()).unwrap_or_default(),
        method: text(cx.request.pseudo(":method").unwrap_or_default()),
        path: text(path),
        query: text(&query_without_keys(admitted)),
        api_context: ApiContext {
            api_name: &api.name,
            api_version: &api.version,
            org_id: &api.organization,
            vhost: &api.virtual_host,
            path_template: &resource.template,
            prod_cluster_name: cluster(resource.production.as_ref().or(api.production.as_ref())),
            sand_cluster_name: cluster(resource.sandbox.as_ref().or(api.sandbox.as_ref())),
        },
        authentication_context: policy
            .send_access_token
            .then(|| authentication_context(cx, admitted, caller))
            .flatten(),
    }
}

/// Headers of the request but pseudo headers and those that may hold credentials for the gateway, whether or not the
/// operation asks for them.
pub(crate) fn transport_headers(cx: &Cx, admitted: &Admitted) -> Map<String, Value> {
    let settings = &admitted.settings;
    let (internal_key, certificate) = (&settings.internal_key_header, &settings.client_certificate.header);
    let mut protected = vec![authorization_header(admitted), internal_key, certificate, "apikey", CLUSTER_HEADER];
    for requirement in admitted.operation.security.requirements() {
        protected.extend(requirement.api_keys.iter().filter_map(|place| match place {
            ApiKeyPlace::Header { name } => Some(name.as_str()),
            ApiKeyPlace::Query { .. } => None,
        }));
    }
    let mut headers = Map::new();
    for (name, value) in cx.request.iter() {
        let hidden = name.starts_with(b":") || protected.iter().any(|protected| protected.as_bytes() == name);
        if hidden {
            continue;
        }
        match headers.entry(text(name)).or_insert(Value::Null) {
            Value::String(values) => {
                values.push_str(", ");
                values.push_str(&text(value));
            }
            empty => *empty = Value::String(text(value)),
        }
    }
    headers
}

fn authentication_context(cx: &Cx, admitted: &Admitted, caller: &Caller) -> Option<AuthenticationContext> {
    let (Identity::Bearer(_), Header::One(value)) = (caller.identity, cx.request.get(authorization_header(admitted)))
    else {
        return None;
    };
    let key_type = match caller.permit.key_type {
        Some(KeyType::Production) => "PRODUCTION",
        Some(KeyType::Sandbox) => "SANDBOX",
        Some(KeyType::Unknown) | None => "",
    };
    Some(AuthenticationContext { token: bearer_token(value)?.to_owned(), token_type: "JWT", key_type })
}

/// Bytes that are no UTF-8 are replaced: a policy can compare texts only.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (answer, expected) in [
            (Some((200, &b"{\"result\": true}"[..])), Ok(())),
            (Some((200, b"{\"result\": true, \"decision_id\": \"x\"}")), Ok(())),
            (Some((200, b"{\"result\": false}")), Err(Rejection::PolicyDenied)),
            (Some((200, b"{\"result\": \"true\"}")), Err(Rejection::PolicyAgentUnclear)),
            (Some((200, b"{\"result\": true}{")), Err(Rejection::PolicyAgentUnclear)),
            (Some((200, b"{\"result\": true, \"result\": false}")), Err(Rejection::PolicyAgentUnclear)),
            (Some((200, b"{}")), Err(Rejection::PolicyAgentUnclear)),
            (Some((200, b"true")), Err(Rejection::PolicyAgentUnclear)),
            (Some((200, b"")), Err(Rejection::PolicyAgentUnclear)),
            (Some((201, b"{\"result\": true}")), Err(Rejection::PolicyAgentFailed)),
            (Some((500, b"{\"result\": true}")), Err(Rejection::PolicyAgentFailed)),
            (None, Err(Rejection::PolicyAgentFailed)),
        ] {
            assert_eq!(judge(answer), expected, "{answer:?}");
        }
    }
}
