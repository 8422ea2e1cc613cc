//! The REST interface: who asks, for what, and what is shown. Requests that the real one would not understand are
//! remembered as complaints.

use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::fault::Fault;
use super::state::Tenant;
use super::view::{self, Asked};
use super::{Acknowledgement, Asking, PASSWORD, Shared, USER, World, artifact};
use crate::server::Misbehaviour;
use crate::token::KeyPair;

const BASE: &str = "/internal/data/v1/";
/// Where anybody finds the keys of the resident key manager.
const JWKS: &str = "/oauth2/jwks";
const NONE: &str = "No Api artifacts found for given gateway label";

/// Why a request gets no list: status and words.
type Refused = (StatusCode, String);

fn refused(status: StatusCode, words: impl Into<String>) -> Refused {
    (status, words.into())
}

/// Answers one request.
pub(super) fn answer(shared: &Shared, request: &Request<Bytes>) -> Response<Bytes> {
    let mut world = shared.world.lock().unwrap_or_else(PoisonError::into_inner);
    let path = request.uri().path().to_owned();
    world.asked.push(Asking { method: request.method().to_string(), path: path.clone(), query: query(request) });
    if path == JWKS {
        return json_of(&json!({"keys": KeyPair::shared().map(KeyPair::jwk).into_iter().collect::<Vec<_>>()}));
    }
    let fault = world.faults.take(&path);
    match fault {
        Some(Fault::Status(status)) => return failure(status, "it is broken"),
        Some(Fault::Hang) => return misbehaving(Bytes::new(), Misbehaviour::Hang),
        Some(Fault::Nonsense) => return Response::new(Bytes::from_static(b"<html>Welcome")),
        Some(Fault::OtherForm) => return json_of(&json!({"list": {"0": true}, "api": 5})),
        Some(Fault::Half | Fault::FileMissing) | None => {}
    }
    let outcome = tenants(&world, request, &path).and_then(|()| resource(&mut world, request, &path, fault));
    match outcome {
        Ok(response) if fault == Some(Fault::Half) => {
            let (head, body) = response.into_parts();
            let mut response = misbehaving(body, Misbehaviour::Half);
            response.headers_mut().extend(head.headers);
            response
        }
        Ok(response) => response,
        Err((status, words)) => {
            // 404 is how the real one says that there is nothing.
            if words != NONE {
                world.complaints.push(format!("{} {path}: {status} {words}", request.method()));
            }
            failure(status.as_u16(), &words)
        }
    }
}

fn misbehaving(body: Bytes, misbehaviour: Misbehaviour) -> Response<Bytes> {
    let mut response = Response::new(body);
    response.extensions_mut().insert(misbehaviour);
    response
}

fn failure(status: u16, words: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(words.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn json_of(value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn query(request: &Request<Bytes>) -> Vec<(String, String)> {
    let text = request.uri().query().unwrap_or_default();
    let pairs = text.split('&').filter(|part| !part.is_empty());
    let pairs = pairs.map(|part| part.split_once('=').unwrap_or((part, "")));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => match (hex(rest.next()), hex(rest.next())) {
                (Some(high), Some(low)) => {
                    bytes.push(u8::try_from(high.saturating_mul(16).saturating_add(low)).unwrap_or(b'?'));
                }
                _ => bytes.push(b'?'),
            },
            b'+' => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tenants(world: &World, request: &Request<Bytes>, path: &str) -> Result<(), Refused> {
    if !path.starts_with(BASE) {
        return Err(refused(StatusCode::NOT_FOUND, "no such path"));
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = world.tenants.keys().any(|domain| given == basic(domain));
    if known { Ok(()) } else { Err(refused(StatusCode::UNAUTHORIZED, "unknown credentials")) }
}

/// The `authorization` of a tenant's administrator.
fn basic(domain: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{PASSWORD}", user(domain))))
}

/// Name of a tenant's administrator.
pub(super) fn user(domain: &str) -> String {
    if domain == super::SUPER_TENANT { USER.to_owned() } else { format!("{USER}@{domain}") }
}

/// The tenants that a request is about: that of its user, or all.
fn of<'a>(world: &'a World, request: &Request<Bytes>) -> Vec<&'a Tenant> {
    let all = query(request).contains(&("organizationId".to_owned(), "ALL".to_owned()));
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    world.tenants.iter().filter(|(domain, _)| all || given == basic(domain)).map(|(_, tenant)| tenant).collect()
}

fn resource(
    world: &mut World,
    request: &Request<Bytes>,
    path: &str,
    fault: Option<Fault>,
) -> Result<Response<Bytes>, Refused> {
    let asked = query(request);
    let value = |name: &str| asked.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let tenants = of(world, request);
    let listed = |of: fn(&Tenant) -> Vec<Value>| json_of(&view::listed(tenants.iter().copied(), of));
    let plain = |of: fn(&Tenant) -> Vec<Value>| json_of(&tenants.iter().flat_map(|tenant| of(tenant)).collect());
    let known = path.strip_prefix(BASE).unwrap_or_default();
    Ok(match (request.method(), known) {
        (&Method::GET, "subscriptions") => listed(view::subscriptions),
        (&Method::GET, "applications") => listed(view::applications),
        (&Method::GET, "application-key-mappings") => listed(view::key_mappings),
        (&Method::GET, "application-policies") => listed(view::application_policies),
        (&Method::GET, "subscription-policies") => listed(view::subscription_policies),
        (&Method::GET, "api-policies") => listed(|_| Vec::new()),
        (&Method::GET, "apis") => {
            let label = value("gatewayLabel").ok_or(refused(StatusCode::BAD_REQUEST, "gatewayLabel is missing"))?;
            let (context, version, api_id) = (value("context"), value("version"), value("apiId"));
            let asked = Asked { label, context, version, api_id };
            json_of(&view::listed(tenants.into_iter(), |tenant| view::apis(tenant, &asked)))
        }
        (&Method::GET, "keymanagers") => plain(view::key_managers),
        (&Method::GET, "revokedjwt") => plain(view::revoked),
        (&Method::GET, "keyTemplates") => {
            json_of(&tenants.iter().flat_map(|tenant| tenant.key_templates.iter().cloned()).collect())
        }
        (&Method::GET, "block") => json_of(&view::blocks(tenants.into_iter())),
        (&Method::GET, "runtime-artifacts") => {
            let uuids = value("apiId").map(|uuid| vec![uuid]);
            archive(&tenants, &labels(&asked)?, uuids.as_deref(), fault)?
        }
        (&Method::POST, "retrieve-api-artifacts") => {
            let wrong = || refused(StatusCode::BAD_REQUEST, "the body has no list of uuids");
            let body: Value = serde_json::from_slice(request.body()).map_err(|_| wrong())?;
            let uuids = body.get("uuids").and_then(Value::as_array).ok_or_else(wrong)?;
            let uuids: Vec<String> = uuids.iter().filter_map(|uuid| uuid.as_str().map(str::to_owned)).collect();
            archive(&tenants, &labels(&asked)?, Some(&uuids), fault)?
        }
        (&Method::PATCH, "apis/deployed-revisions") => acknowledge(world, deployed(request.body()))?,
        (&Method::POST, "apis/undeployed-revision") => acknowledge(world, undeployed(request.body()))?,
        _ => return Err(refused(StatusCode::NOT_FOUND, "no such resource")),
    })
}

fn labels(asked: &[(String, String)]) -> Result<Vec<String>, Refused> {
    let wrong = |words: &str| refused(StatusCode::BAD_REQUEST, words);
    let value = |name: &str| asked.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if value("type") != Some("Envoy") {
        return Err(wrong("type is not Envoy"));
    }
    let encoded = value("gatewayLabel").ok_or_else(|| wrong("gatewayLabel is missing"))?;
    let labels = STANDARD.decode(encoded).map_err(|_| wrong("gatewayLabel is no base64"))?;
    let labels = String::from_utf8(labels).map_err(|_| wrong("gatewayLabel is no text"))?;
    Ok(labels.split('|').map(str::to_owned).collect())
}

fn archive(
    tenants: &[&Tenant],
    labels: &[String],
    uuids: Option<&[String]>,
    fault: Option<Fault>,
) -> Result<Response<Bytes>, Refused> {
    let built = artifact::runtime(tenants, labels, uuids, fault == Some(Fault::FileMissing));
    let built = built.map_err(|error| refused(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    let archive = built.ok_or(refused(StatusCode::NOT_FOUND, NONE))?;
    let mut response = Response::new(Bytes::from(archive));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/zip"));
    Ok(response)
}

fn acknowledge(world: &mut World, read: Option<Vec<Acknowledgement>>) -> Result<Response<Bytes>, Refused> {
    let read = read.ok_or(refused(StatusCode::BAD_REQUEST, "no acknowledgement"))?;
    world.acknowledged.extend(read);
    Ok(json_of(&json!({})))
}

fn deployed(body: &[u8]) -> Option<Vec<Acknowledgement>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let mut all = Vec::new();
    for revision in body.as_array()? {
        let (api, number) = (revision.get("apiId")?.as_str()?, revision.get("revisionId")?.as_i64()?);
        for place in revision.get("envInfo")?.as_array()? {
            all.push(Acknowledgement::Deployed {
                api: api.to_owned(),
                revision: number,
                environment: place.get("name")?.as_str()?.to_owned(),
                vhost: place.get("vhost")?.as_str()?.to_owned(),
            });
        }
    }
    Some(all)
}

fn undeployed(body: &[u8]) -> Option<Vec<Acknowledgement>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |member: &str| body.get(member)?.as_str().map(str::to_owned);
    let (api, revision) = (text("apiUUID")?, text("revisionUUID")?);
    Some(vec![Acknowledgement::Undeployed { api, revision, environment: text("environment")? }])
}
