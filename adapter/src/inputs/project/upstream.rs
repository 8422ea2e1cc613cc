//! Backends: URLs, how several of them share the load, timeouts and retries. The same rules for api.yaml, for `servers`
//! and for the vendor extensions, which differ only in how they are written.

use tollgate_model::{Retry, Secret};
use url::{Host, Url};

use super::credentials::Credentials;
use super::document::Node;
use super::options::CompileOptions;
use super::unsupported::warn_unknown;
use crate::model::{CircuitBreakers, Endpoint, Problems};

/// Most addresses of one backend.
pub const MAX_ADDRESSES: usize = 64;

/// A backend, before it is known which cluster it becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Where requests go.
    pub endpoints: Vec<Endpoint>,
    /// Path in front of the resource's, without a trailing slash.
    pub base_path: String,
    /// Timeouts, retries and limits.
    pub tuning: Tuning,
    /// What the backend wants to be told, as it was asked for.
    pub credentials: Option<Credentials>,
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

/// How requests to a backend are timed, retried and limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Route timeout.
    pub timeout_ms: Option<u32>,
    /// Retries.
    pub retry: Option<Retry>,
    /// Most that is open at a time.
    pub circuit_breakers: Option<CircuitBreakers>,
}

impl Tuning {
    /// This one, with what it leaves open taken from `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            timeout_ms: self.timeout_ms.or(other.timeout_ms),
            retry: self.retry.or_else(|| other.retry.clone()),
            circuit_breakers: self.circuit_breakers.or(other.circuit_breakers),
        }
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
    if text.trim_start().starts_with("consul(") {
        return Err("is a Consul service, which this release does not resolve yet".to_owned());
    }
    if text.contains(['{', '}']) {
        return Err("holds a placeholder".to_owned());
    }
    let url = Url::parse(text.trim()).map_err(|error| format!("is no absolute URL ({error})"))?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(format!("has the scheme {other}; only http and https can be used")),
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
    Ok(Address { endpoint: Endpoint { host, port, tls, priority: 0 }, base_path })
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
    for (priority, (node, text)) in (0_u32..).zip(std::iter::once(first).chain(rest)) {
        let mut found = match address(text) {
            Ok(found) => found,
            Err(what) => {
                node.error(
                    problems,
                    format!("the URL {what}"),
                    "requests could not be sent there",
                    "correct the URL, for example https://host:port/path",
                );
                complete = false;
                continue;
            }
        };
        found.endpoint.priority = if failover { priority } else { 0 };
        match &mut upstream {
            None => {
                upstream = Some(Upstream {
                    endpoints: vec![found.endpoint],
                    base_path: found.base_path,
                    ..Upstream::default()
                });
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
    upstream.filter(|_| complete)
}

/// A timeout within the gateway's cap. Zero means that none is set.
pub fn timeout(node: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<u32> {
    let asked = node.number(problems).filter(|asked| *asked > 0)?;
    let granted = u32::try_from(asked).unwrap_or(u32::MAX).min(options.max_timeout_ms);
    if u64::from(granted) != asked {
        node.warn(
            problems,
            format!("the timeout of {asked} ms is cut to {granted} ms"),
            "router.upstream.timeouts.maxRouteTimeoutInSeconds caps it",
            "ask for less, or raise the cap",
        );
    }
    Some(granted)
}

/// Retries within the gateway's cap. Status codes outside 401 to 598 are replaced by the gateway's own.
pub fn retry(
    count: &Node<'_>,
    codes: Option<Node<'_>>,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Option<Retry> {
    let asked = count.number(problems).filter(|asked| *asked > 0)?;
    let granted = u8::try_from(asked).unwrap_or(u8::MAX).min(options.max_retries);
    if u64::from(granted) != asked {
        count.warn(
            problems,
            format!("{asked} retries are cut to {granted}"),
            "router.upstream.retry.maxRetryCount caps them",
            "ask for less, or raise the cap",
        );
    }
    let mut status_codes = Vec::new();
    if let Some(codes) = codes {
        for item in codes.items(problems) {
            match item
                .number(problems)
                .and_then(|code| u16::try_from(code).ok())
                .filter(|code| (401..=598).contains(code))
            {
                Some(code) => status_codes.push(code),
                None => {
                    item.warn(problems, "this status code is left out", "only 401 to 598 cause a retry", "remove it");
                }
            }
        }
    }
    if status_codes.is_empty() {
        status_codes.clone_from(&options.retry_status_codes);
    }
    Some(Retry { count: granted, status_codes }).filter(|retry| retry.count > 0)
}

/// Limits of a cluster. Zero means that none is set, as in the original.
pub fn circuit_breakers(node: &Node<'_>, problems: &mut Problems) -> Option<CircuitBreakers> {
    const KNOWN: [&str; 5] =
        ["maxConnections", "maxRequests", "maxPendingRequests", "maxRetries", "maxConnectionPools"];
    node.object(problems)?;
    warn_unknown(node, &KNOWN, problems);
    let mut limit = |key: &str| {
        let member = node.get(key)?;
        let asked = member.number(problems).filter(|asked| *asked > 0)?;
        let limit = u32::try_from(asked).ok();
        if limit.is_none() {
            member.error(problems, format!("{asked} is too large"), "a limit has 32 bits", "write a smaller one");
        }
        limit
    };
    let breakers = CircuitBreakers {
        max_connections: limit("maxConnections"),
        max_requests: limit("maxRequests"),
        max_pending_requests: limit("maxPendingRequests"),
        max_retries: limit("maxRetries"),
        max_connection_pools: limit("maxConnectionPools"),
    };
    (breakers != CircuitBreakers::default()).then_some(breakers)
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
            ("consul([dc].[ns].svc.[tag],http://a:80)", None),
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
    }

    #[test]
    fn limits_are_read() {
        let some = |max_connections, max_retries| {
            Some(CircuitBreakers { max_connections, max_retries, ..CircuitBreakers::default() })
        };
        for (value, expected, reported) in [
            (json!({"maxConnections": 25, "maxRetries": "3"}), some(Some(25), Some(3)), 0),
            (json!({"maxConnections": 0}), None, 0),
            (json!({}), None, 0),
            (json!({"maxConnection": 25}), None, 1),
            (json!({"maxConnections": -1}), None, 1),
            (json!({"maxConnections": 4_294_967_296_u64}), None, 1),
            (json!(5), None, 1),
        ] {
            let mut problems = Problems::new();
            assert_eq!(circuit_breakers(&Node::root("a", &value), &mut problems), expected, "{value}");
            assert_eq!(problems.iter().count(), reported, "{value}");
        }
    }

    #[test]
    fn timeouts_and_retries_are_capped() {
        let options = CompileOptions::default();
        for (asked, granted, warned) in
            [(json!(30_000), Some(30_000), false), (json!("90000"), Some(60_000), true), (json!(0), None, false)]
        {
            let mut problems = Problems::new();
            assert_eq!(timeout(&Node::root("a", &asked), &options, &mut problems), granted);
            assert_eq!(!problems.is_empty(), warned);
        }
        for (asked, codes, expected) in [
            (json!(3), json!([503, 504]), Some((3, vec![503, 504]))),
            (json!(9), json!([400, 599, 200]), Some((5, vec![504]))),
            (json!(0), json!([503]), None),
        ] {
            let mut problems = Problems::new();
            let found = retry(&Node::root("a", &asked), Some(Node::root("a", &codes)), &options, &mut problems);
            assert_eq!(found.map(|retry| (retry.count, retry.status_codes)), expected);
            assert!(!problems.has_errors());
        }
    }
}
