//! `adapter explain`: what a gateway would decide of a request, and why, by the filters' own code over the adapter's own tables.
//!
//! Asks nobody and changes nothing: where a gateway would ask a service, the verdict says whom. Must never show a credential.

pub mod pass;
pub mod text;

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tollgate_enforce::explain::Trace;
use tollgate_enforce::{Answer, Answers, Connection, Cx, Decision, HeaderMap, Question, RequestBody, Timestamp};
use tollgate_model::contract::BackendJwt;
use tollgate_model::{Api, Callbacks, Secret};

use crate::model::{World, WorldDirectory};

/// A request to be explained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// Whose gateways get it.
    pub environment: String,
    /// `name` or `name:version` of the API, whose host and base path then count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// HTTP method.
    pub method: String,
    /// Host; that of the API when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path and query: below the API's base path where an API is named.
    pub path: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// An access token, put into the header that the API takes it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// SHA-256 of the certificate that the caller shows in the handshake, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// SPIFFE ID that the certificate of the calling workload gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A request with the decision about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The line of the request, without its query.
    pub request: String,
    /// How the decision comes about.
    #[serde(flatten)]
    pub trace: Trace,
}

/// Explains the request as gateways of its environment would decide it at that moment.
///
/// # Errors
/// Why there is nothing to explain, for people.
pub fn explain(world: &World, request: &Request, now: Timestamp) -> Result<Explanation, String> {
    if !world.environments.contains_key(&request.environment) {
        let known: Vec<&str> = world.environments.keys().map(String::as_str).collect();
        return Err(format!("there is no environment {:?}; there is {}", request.environment, known.join(", ")));
    }
    let api = request.api.as_deref().map(|name| find(world, request, name)).transpose()?;
    let host = request.host.clone().or_else(|| api.map(|api| api.virtual_host.clone()));
    let host = host.ok_or("no host is given; name it, or the API")?;
    let path = format!("{}{}", api.map_or("", |api| &api.base_path), request.path);
    let headers = headers(world, request, api, (&host, &path));
    let headers = HeaderMap::parse(HeaderMap::encode(&headers)).map_err(|_| "there are too many headers")?;
    let directory = WorldDirectory::new(world, &request.environment).with_limits();
    let connection = Shown(request);
    let mut answers = Answers::default();
    loop {
        let cx = Cx {
            directory: &directory,
            request: &headers,
            answers: &answers,
            connection: &connection,
            now,
            callbacks: EVERYTHING,
        };
        let (decision, trace) = tollgate_enforce::explain(&cx);
        let asked = match decision {
            Decision::Ask(question) => answer(&question, request).map(|answer| (question, answer)),
            Decision::Forward(_) | Decision::Reply(_) => None,
        };
        let Some((question, answer)) = asked else {
            let line = path.split('?').next().unwrap_or_default();
            return Ok(Explanation { request: format!("{} {host}{line}", request.method), trace });
        };
        answers.add(question, answer);
    }
}

/// This moment.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A gateway that lacks callbacks gets them when an API needs them.
const EVERYTHING: Callbacks = Callbacks::ALL;

fn find<'w>(world: &'w World, request: &Request, name: &str) -> Result<&'w Api, String> {
    let (name, version) = name.split_once(':').map_or((name, None), |(name, version)| (name, Some(version)));
    let here = world.deployments.values().filter(|one| one.environments.contains(&request.environment));
    let mut found = here.map(|one| &one.api).filter(|api| {
        let host = request.host.as_ref().is_none_or(|host| host.eq_ignore_ascii_case(&api.virtual_host));
        host && (api.name == name || api.id == name) && version.is_none_or(|version| api.version == version)
    });
    match (found.next(), found.next()) {
        (Some(api), None) => Ok(api),
        (None, _) => Err(format!("{} has no API {name}; `adapter status` lists them", request.environment)),
        (Some(one), Some(other)) => Err(format!(
            "{name} is several APIs, such as {} on {} and {} on {}; add :version or the host",
            one.version, one.virtual_host, other.version, other.virtual_host
        )),
    }
}

fn headers(world: &World, request: &Request, api: Option<&Api>, (host, path): (&str, &str)) -> Vec<(String, String)> {
    let pseudo = [(":method", request.method.as_str()), (":authority", host), (":path", path)];
    let mut all: Vec<(String, String)> =
        pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    let own = api.and_then(|api| api.authorization_header.as_ref());
    let header = own.unwrap_or(&world.settings.authorization_header);
    all.extend(request.token.iter().map(|token| (header.clone(), format!("Bearer {}", token.expose()))));
    all
}

/// What is known without asking anybody.
fn answer(question: &Question, request: &Request) -> Option<Answer> {
    match question {
        Question::Body { limit } if request.body.len() > *limit => Some(Answer::BodyTooLarge),
        Question::Body { .. } => {
            let bytes = request.body.clone().into_bytes();
            Some(Answer::Body(RequestBody { replaceable: !bytes.is_empty(), bytes, trailers: None }))
        }
        // The caller is known by now; that it can be signed is not in doubt.
        Question::BackendJwt(_) => {
            let token = BackendJwt { token: Secret::from("not made".to_owned()), expires_at: i64::MAX };
            Some(Answer::BackendJwt(Rc::new(token)))
        }
        Question::Keys { .. } | Question::Call(_) | Question::Quota { .. } => None,
    }
}

/// The connection that the request is said to come by.
struct Shown<'r>(&'r Request);

impl Connection for Shown<'_> {
    fn certificate_digest(&self) -> Option<String> {
        self.0.certificate.clone()
    }

    fn principal(&self) -> Option<String> {
        self.0.workload.clone()
    }

    fn peer(&self) -> Option<String> {
        self.0.peer.clone()
    }

    fn protocol(&self) -> Option<String> {
        Some("HTTP/1.1".to_owned())
    }
}

#[cfg(test)]
mod tests;
