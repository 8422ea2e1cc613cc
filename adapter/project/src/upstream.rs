//! Backends: URLs, and how several of them share the load. The same rules for api.yaml, for `servers` and for the vendor
//! extensions, which differ only in how they are written.

use std::sync::Arc;

use tollgate_model::Secret;
use url::{Host, Url};

use super::consul;
use super::credentials::Credentials;
use super::document::Node;
use super::tuning::Tuning;
use crate::model::{Discovery, Endpoint, Instance, LambdaFunction, Problems};

/// Most addresses of one backend.
pub const MAX_ADDRESSES: usize = 64;

/// A backend, before it is known which cluster it becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Where requests go.
    pub endpoints: Vec<Endpoint>,
    /// Path in front of the resource's, without a trailing slash.
    pub base_path: String,
    /// File and place of the first service of Consul among them.
    pub discovered_at: Option<(String, String)>,
    /// Whether its URLs say `ws` or `wss`.
    pub web_socket: bool,
    /// Timeouts, retries and limits.
    pub tuning: Tuning,
    /// What the backend wants to be told, as it was asked for.
    pub credentials: Option<Credentials>,
    /// The function that is called, when the endpoints are AWS Lambda.
    pub lambda: Option<LambdaFunction>,
    /// The same as the value of a header, once all of it is known.
    pub authorization: Option<Secret>,
}

impl Upstream {
    /// Whether its endpoints stand in for each other instead of sharing the load.
    #[must_use]
    pub fn is_failover(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.priority > 0)
    }

    /// Turns credentials into the header, when nobody can change them any more.
    pub fn authorize(&mut self, problems: &mut Problems) {
        self.authorization = self.credentials.take().and_then(|credentials| credentials.authorization(problems));
    }
}

/// One URL with its path.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    /// Where it points.
    pub endpoint: Endpoint,
    /// Its path, without a trailing slash.
    pub base_path: String,
}

/// Reads a backend URL of an HTTP API.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str) -> Result<Address, String> {
    match any_address(text)? {
        (address, false) => Ok(address),
        (_, true) => Err("has the scheme of a WebSocket; only http and https can be used".to_owned()),
    }
}

/// Reads a backend URL, and tells whether it is a WebSocket's.
///
/// # Errors
/// What is wrong with it.
pub fn any_address(text: &str) -> Result<(Address, bool), String> {
    if consul::is_consul(text) {
        let (service, default) = consul::parse(text)?;
        if consul::is_consul(default) {
            return Err("names a service of Consul as the default of another".to_owned());
        }
        let (mut address, web_socket) =
            any_address(default).map_err(|what| format!("names a service of Consul, whose default {what}"))?;
        let default = Instance { host: address.endpoint.host.clone(), port: address.endpoint.port };
        address.endpoint.discovery = Some(Arc::new(Discovery { service, default, mesh: None }));
        return Ok((address, web_socket));
    }
    if text.contains(['{', '}']) {
        return Err("holds a placeholder".to_owned());
    }
    let url = Url::parse(text.trim()).map_err(|error| format!("is no absolute URL ({error})"))?;
    let (tls, web_socket) = match url.scheme() {
        "http" => (false, false),
        "https" => (true, false),
        "ws" => (false, true),
        "wss" => (true, true),
        other => return Err(format!("has the scheme {other}; only http and https, or ws and wss, can be used")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds credentials, which would not be sent".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment, which would not be sent".to_owned());
    }
    let host = match url.host() {
        Some(Host::Domain(name)) if is_host_name(name) => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        _ => return Err("has no valid host name".to_owned()),
    };
    let port = url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| "has no usable port".to_owned())?;
    let base_path = url.path().trim_end_matches('/').to_owned();
    Ok((
        Address { endpoint: Endpoint { host, port, tls, trusted_ca: None, priority: 0, discovery: None }, base_path },
        web_socket,
    ))
}

/// Makes one backend of several URLs. They share the load, or stand in for each other in order when `failover`.
pub fn combine(urls: &[(Node<'_>, &str)], failover: bool, problems: &mut Problems) -> Option<Upstream> {
    let (first, rest) = urls.split_first()?;
    if urls.len() > MAX_ADDRESSES {
        first.0.error(
            problems,
            format!("there are {} URLs", urls.len()),
            "a backend has at most 64",
            "list fewer of them",
        );
        return None;
    }
    let mut upstream: Option<Upstream> = None;
    let mut complete = true;
    let mut discovered_at = None;
    for (priority, (node, text)) in (0_u32..).zip(std::iter::once(first).chain(rest)) {
        let Some((mut found, web_socket)) = usable(node, text, problems) else {
            complete = false;
            continue;
        };
        let at = || (node.at().0.to_owned(), node.at().1.to_owned());
        discovered_at = discovered_at.or_else(|| found.endpoint.discovery.is_some().then(at));
        found.endpoint.priority = if failover { priority } else { 0 };
        match &mut upstream {
            None => {
                upstream = Some(Upstream {
                    endpoints: vec![found.endpoint],
                    base_path: found.base_path,
                    web_socket,
                    ..Upstream::default()
                });
            }
            Some(upstream) if upstream.web_socket != web_socket => {
                let why = "an API takes either HTTP requests or WebSockets";
                node.error(problems, "the URL has a scheme of another kind than the first one", why, "use one kind");
                complete = false;
            }
            Some(upstream) if upstream.base_path == found.base_path => upstream.endpoints.push(found.endpoint),
            Some(upstream) => {
                let expected = if upstream.base_path.is_empty() { "/" } else { &upstream.base_path };
                node.error(
                    problems,
                    format!("the URL has another path than the first one ({expected})"),
                    "all URLs of a backend must have the same path, because the path is rewritten before one is chosen",
                    "use the same path in all URLs",
                );
                complete = false;
            }
        }
    }
    upstream.filter(|_| complete).map(|upstream| Upstream { discovered_at, ..upstream })
}

/// The address, or an error about it.
fn usable(node: &Node<'_>, text: &str, problems: &mut Problems) -> Option<(Address, bool)> {
    let wrong = match any_address(text) {
        Ok(found) => return Some(found),
        Err(what) => format!("the URL {what}"),
    };
    let url = "correct the URL, for example https://host:port/path";
    let fix = if consul::is_consul(text) { consul::CONSUL_FORM } else { url };
    node.error(problems, wrong, "requests could not be sent there", fix);
    None
}

fn is_host_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.len() >= 2 && name.bytes().all(plain) && ends(name.bytes().next()) && ends(name.bytes().last())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("http://127.0.0.1:8080/v2", Some(("127.0.0.1", 8080, false, "/v2"))),
            ("https://petstore.swagger.io", Some(("petstore.swagger.io", 443, true, ""))),
            ("http://backend/", Some(("backend", 80, false, ""))),
            ("http://backend/v2/", Some(("backend", 80, false, "/v2"))),
            ("http://[::1]:9000/x", Some(("::1", 9000, false, "/x"))),
            ("/relative", None),
            ("", None),
            ("ws://a.b/", None),
            ("http://user:secret@host/", None),
            ("http://host/?a=b", None),
            ("http://host/#x", None),
            ("http://host:0/", None),
            ("http://-host-/", None),
            ("http://x/", None),
            ("http://{host}/", None),
            ("consul([dc].[ns].svc.[tag],http://aa:80/x)", Some(("aa", 80, false, "/x"))),
            ("consul(svc, https://aa/x/ )", Some(("aa", 443, true, "/x"))),
            ("consul(svc,ftp://aa:80)", None),
            ("consul(svc,consul(svc,http://aa:80))", None),
            ("consul(a.b,http://aa:80)", None),
        ] {
            let found = address(text).ok();
            let found = found
                .as_ref()
                .map(|a| (a.endpoint.host.as_str(), a.endpoint.port, a.endpoint.tls, a.base_path.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[track_caller]
    fn combined(urls: &[&str], failover: bool) -> Result<Vec<(String, u32)>, usize> {
        let value = json!(urls);
        let mut problems = Problems::new();
        let nodes: Vec<_> = Node::root("a.yaml", &value).items(&mut problems);
        let pairs: Vec<_> = nodes.into_iter().map(|node| (node.clone(), node.value().as_str().unwrap())).collect();
        combine(&pairs, failover, &mut problems)
            .map(|upstream| upstream.endpoints.into_iter().map(|e| (e.host, e.priority)).collect())
            .ok_or_else(|| problems.errors().count())
    }

    #[test]
    fn several_urls_share_the_load_or_stand_in_for_each_other() {
        let both = ["http://aa/x", "http://bb/x"];
        assert_eq!(combined(&both, false), Ok(vec![("aa".into(), 0), ("bb".into(), 0)]));
        assert_eq!(combined(&both, true), Ok(vec![("aa".into(), 0), ("bb".into(), 1)]));
        assert_eq!(combined(&["http://aa/x", "http://bb/y"], false), Err(1));
        assert_eq!(combined(&["nonsense", "http://bb/y", "also"], false), Err(2));
        assert_eq!(combined(&["http://aa/x"; 65], false), Err(1));
        let sockets = ["ws://aa/x", "wss://bb/x"];
        assert_eq!(combined(&sockets, true), Ok(vec![("aa".into(), 0), ("bb".into(), 1)]));
        assert_eq!(combined(&["http://aa/x", "ws://bb/x"], false), Err(1));
    }
}
