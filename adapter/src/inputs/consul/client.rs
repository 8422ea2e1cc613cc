//! A small client of Consul's HTTP interface: the healthy instances of a service. Must never log the token, and never wait for
//! ever for an answer.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use tollgate_model::Secret;
use url::{Host, Url};

use crate::model::{Instance, Mesh, Service};
use crate::tls::{self, TlsError};

/// How long a connection, and a whole answer, may take.
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(10)];
/// Most bytes of an answer.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Says that there is more than the token may see.
const HIDDEN: &str = "x-consul-results-filtered-by-acls";

/// Where Consul is.
#[derive(Debug, Clone)]
pub struct ConsulSettings {
    /// `http://host:port` or `https://host:port`.
    pub url: Url,
    /// How often it is asked.
    pub interval: Duration,
    /// What it knows this gateway by.
    pub token: Option<Secret>,
    /// PEM file or folder of authorities beside the system's.
    pub trusted: Option<PathBuf>,
    /// Certificate and key that it is shown.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The service that gateways are in its mesh; none when services are spoken to without.
    pub mesh: Option<String>,
}

/// Why Consul does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ConsulError {
    /// The client cannot be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No answer.
    #[error("no answer: {}", chain(.0))]
    Request(#[from] reqwest::Error),
    /// Answered with something else than success.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The token may see none.
    #[error("the token may not see the service")]
    Hidden,
    /// The answer is not what it should be.
    #[error("the answer cannot be read ({0})")]
    Json(#[from] serde_json::Error),
    /// It has no authority or certificate.
    #[error("the mesh has no {0}")]
    NoIdentity(&'static str),
    /// Too much.
    #[error("the answer is too large")]
    TooLarge,
}

impl ConsulError {
    /// Whether nobody else will be answered either.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_connect())
    }

    /// Whether it is the token.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Hidden | Self::Status(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED))
    }
}

/// What Consul is asked: a service in one datacenter, whatever its tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub(super) datacenter: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Question {
    /// The questions whose answers make up the service.
    pub(super) fn all_of(service: &Service) -> impl Iterator<Item = Self> {
        service.datacenters.iter().map(|datacenter| Self {
            datacenter: datacenter.clone(),
            namespace: service.namespace.clone(),
            name: service.name.clone(),
        })
    }
}

/// A healthy instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) instance: Instance,
    pub(super) tags: Vec<String>,
}

/// The client.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<Secret>,
    mesh: bool,
}

impl Client {
    pub(super) fn new(settings: &ConsulSettings) -> Result<Self, ConsulError> {
        let identity = settings.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let config = tls::client_config_as(settings.trusted.as_deref(), identity)?;
        let [connect, whole] = TIMEOUTS;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .connect_timeout(connect)
            .timeout(whole)
            // A redirection would take the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, url: settings.url.clone(), token: settings.token.clone(), mesh: settings.mesh.is_some() })
    }

    /// The healthy instances; in a mesh, what stands in front of them.
    pub(super) async fn ask(&self, question: &Question) -> Result<Vec<Found>, ConsulError> {
        let (body, hidden) = self.get(address(&self.url, question, self.mesh)).await?;
        let found = read(&body)?;
        // No instance, and none that may be seen, are not the same.
        if found.is_empty() && hidden { Err(ConsulError::Hidden) } else { Ok(found) }
    }

    /// As whom gateways are members of the mesh. The agent renews the certificate in time.
    pub(super) async fn identity(&self, service: &str) -> Result<Mesh, ConsulError> {
        let (roots, _) = self.get(below(&self.url, &["v1", "agent", "connect", "ca", "roots"])).await?;
        let (leaf, _) = self.get(below(&self.url, &["v1", "agent", "connect", "ca", "leaf", service])).await?;
        identity(&roots, &leaf)
    }

    /// An answer, and whether there is more than may be seen.
    async fn get(&self, url: Url) -> Result<(Vec<u8>, bool), ConsulError> {
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token.expose());
        }
        // Errors would name the URL, which differs from question to question.
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        if !response.status().is_success() {
            return Err(ConsulError::Status(response.status()));
        }
        let hidden = response.headers().get(HIDDEN).is_some_and(|value| value == "true");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(ConsulError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, hidden))
    }
}

fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn address(base: &Url, question: &Question, mesh: bool) -> Url {
    let mut url = below(base, &["v1", "health", if mesh { "connect" } else { "service" }, &question.name]);
    let mut query = url.query_pairs_mut();
    query.append_pair("passing", "1");
    if let Some(datacenter) = &question.datacenter {
        query.append_pair("dc", datacenter);
    }
    if let Some(namespace) = &question.namespace {
        query.append_pair("ns", namespace);
    }
    drop(query);
    url
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: Node,
    service: Registered,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Registered {
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: i64,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Roots {
    trust_domain: String,
    #[serde(default)]
    roots: Vec<Root>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    root_cert: String,
}

#[derive(Deserialize)]
struct Leaf {
    #[serde(rename = "CertPEM")]
    certificate: String,
    #[serde(rename = "PrivateKeyPEM")]
    key: Secret,
}

/// All authorities count: while they change, members have certificates of both.
fn identity(roots: &[u8], leaf: &[u8]) -> Result<Mesh, ConsulError> {
    let Roots { trust_domain, roots } = serde_json::from_slice(roots)?;
    let Leaf { certificate, key } = serde_json::from_slice(leaf)?;
    let lines = |pem: &str| format!("{}\n", pem.trim());
    let authorities: String = roots.iter().map(|root| lines(&root.root_cert)).collect();
    if authorities.is_empty() || trust_domain.is_empty() {
        return Err(ConsulError::NoIdentity("authority"));
    }
    if certificate.is_empty() || key.expose().is_empty() {
        return Err(ConsulError::NoIdentity("certificate"));
    }
    Ok(Mesh { certificate: lines(&certificate), key, authorities, trust_domain })
}

/// The instances of an answer. One that cannot be an address is left out.
fn read(body: &[u8]) -> Result<Vec<Found>, ConsulError> {
    let entries: Vec<Entry> = serde_json::from_slice(body)?;
    let found = entries.into_iter().filter_map(|Entry { node, service }| {
        let host = if service.address.is_empty() { node.address } else { service.address };
        let port = u16::try_from(service.port).ok().filter(|port| *port != 0);
        let (Some(host), Some(port)) = (host_of(&host), port) else {
            tracing::warn!(host, port = service.port, "Consul names an instance by what is no address; it is left out");
            return None;
        };
        Some(Found { instance: Instance { host, port }, tags: service.tags.unwrap_or_default() })
    });
    Ok(found.collect())
}

fn host_of(text: &str) -> Option<String> {
    match Host::parse(text.trim_matches(['[', ']'])) {
        Ok(Host::Domain(name)) => Some(name),
        Ok(Host::Ipv4(ip)) => Some(ip.to_string()),
        Ok(Host::Ipv6(ip)) => Some(ip.to_string()),
        Err(_) => text.parse::<std::net::IpAddr>().ok().map(|ip| ip.to_string()),
    }
}

/// An error with its causes, which reqwest hides behind its own text.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        for (base, datacenter, namespace, name, expected) in [
            ("http://a:8500", None, None, "pets", "http://a:8500/v1/health/service/pets?passing=1"),
            (
                "https://a/consul/",
                Some("the east"),
                Some("prod"),
                "pet shop",
                "https://a/consul/v1/health/service/pet%20shop?passing=1&dc=the+east&ns=prod",
            ),
        ] {
            let own = |text: &str| text.to_owned();
            let question = Question { datacenter: datacenter.map(own), namespace: namespace.map(own), name: own(name) };
            assert_eq!(address(&Url::parse(base).unwrap(), &question, false).as_str(), expected);
            let mesh = address(&Url::parse(base).unwrap(), &question, true);
            assert_eq!(mesh.as_str(), expected.replace("/service/", "/connect/"));
        }
    }

    #[test]
    fn answers() {
        let entry = |node: &str, address: &str, port: i64| serde_json::json!({"Node": {"Address": node}, "Service": {"Address": address, "Port": port, "Tags": null}});
        for (node, address, port, expected) in [
            ("10.0.0.1", "", 80, Some(("10.0.0.1", 80))),
            ("10.0.0.1", "10.0.0.2", 80, Some(("10.0.0.2", 80))),
            ("10.0.0.1", "pets.internal", 80, Some(("pets.internal", 80))),
            ("::1", "", 80, Some(("::1", 80))),
            ("10.0.0.1", "", 0, None),
            ("10.0.0.1", "", 65536, None),
            ("", "", 80, None),
            ("10.0.0.1", "a/b", 80, None),
        ] {
            let body = serde_json::json!([entry(node, address, port)]).to_string();
            let found = read(body.as_bytes()).unwrap();
            let found = found.first().map(|one| (one.instance.host.as_str(), one.instance.port));
            assert_eq!(found, expected, "{body}");
        }
        assert!(read(b"{}").is_err());
    }

    #[test]
    fn identities() {
        let roots = |list: &str| format!(r#"{{"ActiveRootID": "x", "TrustDomain": "a.consul", "Roots": {list}}}"#);
        let two = roots(r#"[{"RootCert": "ONE\n", "Active": true}, {"RootCert": "TWO", "Active": false}]"#);
        let leaf = r#"{"CertPEM": "LEAF\n", "PrivateKeyPEM": "hush", "Service": "wso2"}"#;
        let found = identity(two.as_bytes(), leaf.as_bytes()).unwrap();
        assert_eq!((found.authorities.as_str(), found.certificate.as_str()), ("ONE\nTWO\n", "LEAF\n"));
        assert_eq!((found.trust_domain.as_str(), found.key.expose()), ("a.consul", "hush"));
        assert!(!format!("{found:?}").contains("hush"));
        assert!(identity(roots("[]").as_bytes(), leaf.as_bytes()).is_err());
        assert!(identity(two.as_bytes(), br#"{"CertPEM": "", "PrivateKeyPEM": ""}"#).is_err());
        assert!(identity(b"{}", leaf.as_bytes()).is_err());
    }
}
