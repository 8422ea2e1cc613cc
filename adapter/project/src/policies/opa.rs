//! The OPA action: where the agent is, and how it is asked.

use tollgate_model::{OpaPolicy, Secret};

use super::parameters::Parameters;
use crate::model::{CircuitBreakers, Endpoint};
use crate::upstream;

pub(super) const PARAMETERS: [&str; 10] = [
    "serverURL",
    "policy",
    "rule",
    "accessKey",
    "additionalProperties",
    "sendAccessToken",
    "maxOpenConnections",
    "maxPerRoute",
    "connectionTimeout",
    "requestGenerator",
];
/// The class that writes requests unless another one is named, by the end of its name.
const DEFAULT_GENERATOR: &str = "OPADefaultRequestGenerator";
const DEFAULT_TIMEOUT_MS: u32 = 5_000;
const MAX_TIMEOUT_MS: u32 = 60_000;

/// A service that policies call, before it is known on which host the API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyService {
    /// Prefix of its cluster's name, unique within the API. Policies hold it in the place of the name.
    pub prefix: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// How many connections it gets.
    pub circuit_breakers: Option<CircuitBreakers>,
}

/// Reads the action.
pub(super) fn read(parameters: &mut Parameters<'_, '_>, services: &mut Vec<PolicyService>) -> Option<Box<OpaPolicy>> {
    check_extensions(parameters)?;
    let address = match upstream::address(&parameters.required("serverURL")?) {
        Ok(address) => address,
        Err(what) => return parameters.wrong("serverURL", &what, "write a URL such as http://opa:8181/v1/data"),
    };
    let mut path = address.base_path;
    let policy = parameters.required("policy")?;
    for (name, part) in [("policy", Some(policy)), ("rule", parameters.optional("rule").map(str::to_owned))] {
        let Some(part) = part else { continue };
        let part = part.trim_matches('/');
        let plain = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if !part.split('/').all(plain) {
            return parameters.wrong(name, "is no path of a package or rule", "write, for example, authz/allow");
        }
        path.push('/');
        path.push_str(part);
    }
    let access_key = parameters.optional("accessKey").map(str::to_owned);
    if access_key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return parameters.wrong("accessKey", "holds a character that no bearer token holds", "correct it");
    }
    let send = parameters.optional("sendAccessToken").map(str::to_owned);
    let send_access_token = match send {
        Some(text) => parameters.boolean("sendAccessToken", &text)?,
        None => false,
    };
    let timeout = match parameters.optional("connectionTimeout") {
        // What the original takes for none.
        None | Some("-1" | "0") => DEFAULT_TIMEOUT_MS,
        Some(_) => parameters.number("connectionTimeout")?,
    };
    let endpoint = address.endpoint;
    let authority = authority(&endpoint);
    let circuit_breakers = limits(parameters)?;
    Some(Box::new(OpaPolicy {
        cluster: service(services, endpoint, circuit_breakers),
        authority,
        path,
        access_key: access_key.map(Secret::from),
        send_access_token,
        timeout_ms: timeout.min(MAX_TIMEOUT_MS),
    }))
}

/// Java classes and properties that only Java filters set.
fn check_extensions(parameters: &mut Parameters<'_, '_>) -> Option<()> {
    if parameters.optional("requestGenerator").is_some_and(|class| !class.ends_with(DEFAULT_GENERATOR)) {
        let fix = "leave it empty, and let the policy use the default request";
        return parameters.wrong("requestGenerator", "names a Java class, which cannot be run here", fix);
    }
    if parameters.optional("additionalProperties").is_some() {
        let what = "names properties of Java filters, which are not there, so the policy would decide without them";
        return parameters.wrong("additionalProperties", what, "leave it empty");
    }
    Some(())
}

/// The smaller one of both limits. As for backends, one that is not positive sets none.
fn limits(parameters: &mut Parameters<'_, '_>) -> Option<Option<CircuitBreakers>> {
    let mut smallest = None;
    for name in ["maxOpenConnections", "maxPerRoute"] {
        if !matches!(parameters.optional(name), None | Some("-1" | "0")) {
            let limit = parameters.number(name)?;
            smallest = Some(smallest.map_or(limit, |smallest: u32| smallest.min(limit)));
        }
    }
    Some(smallest.map(|limit| CircuitBreakers { max_connections: Some(limit), ..CircuitBreakers::default() }))
}

/// Policies that go to the same place within the same limits share a cluster.
fn service(services: &mut Vec<PolicyService>, endpoint: Endpoint, circuit_breakers: Option<CircuitBreakers>) -> String {
    let same = |service: &&PolicyService| service.endpoint == endpoint && service.circuit_breakers == circuit_breakers;
    if let Some(service) = services.iter().find(same) {
        return service.prefix.clone();
    }
    let prefix = format!("opa{}", services.len());
    services.push(PolicyService { prefix: prefix.clone(), endpoint, circuit_breakers });
    prefix
}

/// The host header: without the port that the scheme implies.
fn authority(endpoint: &Endpoint) -> String {
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let implied = if endpoint.tls { 443 } else { 80 };
    if endpoint.port == implied { host } else { format!("{host}:{}", endpoint.port) }
}
