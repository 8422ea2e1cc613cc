//! The request's side: what the request interceptor is told, and what becomes of the request. Keeps what the response
//! interceptor will be told, whether there is a request interceptor or not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tollgate_model::{Api, Backend, Include, Interceptor, Interceptors, Resource};

use super::answer::{self, Wanted};
use super::headers::{self, OF_REQUESTS};
use super::told::{self, Authentication, Context, Facts, Told};
use super::{Interception, MAX_BODY};
use crate::decide::Halt;
use crate::rejection::Rejection;
use crate::token::KeyType;
use crate::{Cx, Edits, Header, HeaderEdit, Reply, RequestBody};

const PATH: &str = "/api/v1/handle-request";
/// Longest method.
const MAX_METHOD: usize = 32;

/// A request whose operation has interceptors.
pub(crate) struct Intercepted<'r> {
    pub(crate) api: &'r Api,
    pub(crate) resource: &'r Resource,
    pub(crate) interceptors: &'r Interceptors,
    /// Where it goes.
    pub(crate) backend: &'r Backend,
    /// With its question mark and without credentials, or nothing.
    pub(crate) query: Cow<'r, [u8]>,
    /// None when nobody in particular calls.
    pub(crate) caller: Option<Caller>,
}

/// Who calls, and with what.
pub(crate) struct Caller {
    pub(crate) token_type: &'static str,
    pub(crate) token: String,
    pub(crate) key_type: Option<KeyType>,
}

/// What is to be changed of a request, and what comes after it.
#[derive(Default)]
pub(crate) struct Change {
    backend: Option<Backend>,
    path: Option<String>,
    method: Option<String>,
    headers: Vec<HeaderEdit>,
    body: Option<Vec<u8>>,
    response: Option<Box<Interception>>,
}

/// Asks the request interceptor. `edits` is what is to be done with the headers so far.
pub(crate) fn before(cx: &Cx, request: &Intercepted, edits: &Edits) -> Result<Change, Halt> {
    let Interceptors { request: service, response } = request.interceptors;
    let told = |what| [service, response].into_iter().flatten().any(|one: &Interceptor| one.includes(what));
    let body = match told(Include::RequestBody) || told(Include::RequestTrailers) {
        true => Some(cx.body(MAX_BODY)?),
        false => None,
    };
    let facts = |service: &Interceptor| facts(cx, request, edits, body, service);
    let (mut change, mut context) = (Change::default(), BTreeMap::new());
    if let Some(service) = service {
        let answer = cx.call(told::call(service, PATH, &Told::request(&facts(service))))?;
        if let Some(mut wanted) = answer::read(answer, OF_REQUESTS)? {
            if wanted.direct {
                return Err(Halt::Reply(direct(wanted)));
            }
            context = std::mem::take(&mut wanted.context);
            let body = body.filter(|_| service.includes(Include::RequestBody));
            change = Change::of(wanted, request.api, body)?;
        }
    }
    change.response = response.as_ref().map(|service| Box::new(Interception::new(service, facts(service), context)));
    Ok(change)
}

/// The client is answered by the service.
fn direct(wanted: Wanted) -> Reply {
    let body = wanted.body.unwrap_or_default();
    let status = wanted.status.unwrap_or(if body.is_empty() { 204 } else { 200 });
    let added = wanted.headers.edits.into_iter().filter_map(|edit| match edit {
        HeaderEdit::Add(name, value) => Some((name, String::from_utf8_lossy(&value).into_owned())),
        HeaderEdit::Set(..) | HeaderEdit::Remove(_) => None,
    });
    let body = if has_body(status) { body } else { Vec::new() };
    Reply { status, headers: added.collect(), body, details: "tollgate_intercepted", record: None }
}

/// Whether a response of this status may have a body (RFC 9110 §6.4.1).
pub(super) const fn has_body(status: u16) -> bool {
    !matches!(status, 204 | 205 | 304)
}

impl Change {
    /// `body` is there if the service was told it.
    fn of(mut wanted: Wanted, api: &Api, body: Option<&RequestBody>) -> Result<Self, Rejection> {
        const REFUSED: Rejection = Rejection::InterceptorAnswer;
        let backend = match wanted.endpoint {
            None => None,
            Some(name) => {
                let known = api.endpoints.iter().find(|endpoint| endpoint.name == name);
                Some(known.ok_or(REFUSED)?.backend.clone())
            }
        };
        let replaceable = body.is_some_and(|body| body.replaceable && !body.bytes.is_empty());
        if !replaceable && wanted.body.as_ref().is_some_and(|body| !body.is_empty()) {
            return Err(REFUSED);
        }
        let path = wanted.headers.pseudo.remove(":path");
        let method = wanted.headers.pseudo.remove(":method");
        if path.as_deref().is_some_and(|path| !is_path(path)) || method.as_deref().is_some_and(|name| !is_method(name))
        {
            return Err(REFUSED);
        }
        let body = wanted.body.filter(|_| replaceable);
        Ok(Self { backend, path, method, headers: wanted.headers.edits, body, response: None })
    }

    /// Another backend than the one that was chosen.
    pub(crate) const fn backend(&self) -> Option<&Backend> {
        self.backend.as_ref()
    }

    /// Puts it on top of what is to be done with the request anyway.
    pub(crate) fn apply(self, api: &Api, backend_path: &str, edits: &mut Edits) {
        if let Some(path) = self.path {
            edits.path = Some(below(api, backend_path, path).into_bytes());
        }
        if let Some(method) = self.method {
            edits.set.retain(|(name, _)| name != ":method");
            edits.set.push((":method".into(), method.into_bytes()));
        }
        headers::apply(self.headers, edits);
        edits.body = self.body.or(edits.body.take());
        edits.intercept = self.response;
    }
}

/// A path below the API's own is meant for the backend's, as it is for the request that the service was shown.
fn below(api: &Api, backend_path: &str, path: String) -> String {
    let own = [Some(api.base_path.as_str()), api.default_base_path.as_deref()];
    let rest = own.into_iter().flatten().find_map(|base| {
        let rest = path.strip_prefix(base)?;
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
    });
    match rest {
        Some(rest) if backend_path.is_empty() && !rest.starts_with('/') => format!("/{rest}"),
        Some(rest) => format!("{backend_path}{rest}"),
        None => path,
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Any but `CONNECT`, after which the router would open a tunnel.
fn is_method(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_METHOD
        && name != "CONNECT"
        && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn facts(cx: &Cx, request: &Intercepted, edits: &Edits, body: Option<&RequestBody>, service: &Interceptor) -> Facts {
    Facts {
        request_headers: service.includes(Include::RequestHeaders).then(|| request_headers(cx, request, edits)),
        request_body: body.filter(|_| service.includes(Include::RequestBody)).map(|body| told::body(&body.bytes)),
        request_trailers: body
            .filter(|_| service.includes(Include::RequestTrailers))
            .map(|body| told::trailers(body.trailers.as_ref())),
        invocation_context: service.includes(Include::InvocationContext).then(|| invocation_context(cx, request)),
    }
}

/// The request as the client sent it, with what the gateway has taken away and added by now.
fn request_headers(cx: &Cx, request: &Intercepted, edits: &Edits) -> told::Headers {
    let path = path(cx, request);
    let gone = |name: &[u8]| {
        let replaced = edits.set.iter().map(|(name, _)| name);
        edits.remove.iter().chain(replaced).any(|other| other.as_bytes() == name)
    };
    let sent = cx.request.iter().filter(|(name, _)| !gone(name));
    let sent = sent.map(|(name, value)| (name, if name == b":path" { path.as_slice() } else { value }));
    let added = edits.set.iter().chain(&edits.add).filter(|(name, value)| !is_ours(request.backend, name, value));
    let added = added.map(|(name, value)| (name.as_bytes(), value.as_slice()));
    told::headers(sent.chain(added))
}

/// Whether a header is between the gateway and the backend: what steers the router, and what the backend wants to be told.
fn is_ours(backend: &Backend, name: &str, value: &[u8]) -> bool {
    let secret = || backend.authorization.as_ref().is_some_and(|secret| secret.expose().as_bytes() == value);
    headers::is_reserved(name) || (name == "authorization" && secret())
}

/// The path without credentials in its query.
fn path(cx: &Cx, request: &Intercepted) -> Vec<u8> {
    let path = cx.request.pseudo(":path").unwrap_or_default();
    let mut path: Vec<u8> = path.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec();
    path.extend_from_slice(&request.query);
    path
}

fn invocation_context(cx: &Cx, request: &Intercepted) -> Context {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |name: &str| match cx.request.get(name) {
        Header::One(value) => Some(text(value)),
        Header::Absent | Header::Many => None,
    };
    let Intercepted { api, resource, .. } = request;
    let cluster = |own: &Option<Backend>, general: &Option<Backend>| {
        own.as_ref().or(general.as_ref()).map(|backend| backend.cluster.clone()).unwrap_or_default()
    };
    let methods: Vec<&str> = resource.operations.iter().map(|operation| operation.method.as_str()).collect();
    Context {
        request_id: header("x-request-id").unwrap_or_default(),
        protocol: cx.connection.protocol().unwrap_or_default(),
        scheme: header(":scheme").unwrap_or_default(),
        method: header(":method").unwrap_or_default(),
        path: text(&path(cx, request)),
        source: header("x-forwarded-for").or_else(|| cx.connection.peer()).unwrap_or_default(),
        base_path: api.base_path.clone(),
        api_name: api.name.clone(),
        api_version: api.version.clone(),
        vhost: api.virtual_host.clone(),
        path_template: resource.template.clone(),
        supported_methods: methods.join(" "),
        prod_cluster_name: cluster(&resource.production, &api.production),
        sand_cluster_name: cluster(&resource.sandbox, &api.sandbox),
        authentication_context: request.caller.as_ref().map(|caller| Authentication {
            token_type: caller.token_type,
            token: caller.token.clone(),
            key_type: match caller.key_type {
                Some(KeyType::Sandbox) => "SANDBOX",
                Some(KeyType::Production | KeyType::Unknown) | None => "PRODUCTION",
            },
        }),
    }
}
