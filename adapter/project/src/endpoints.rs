//! Endpoint configuration as the vendor extensions, `servers` and api.yaml write it.

use super::consul::{CONSUL_FORM, is_consul};
use super::credentials;
use super::document::Node;
use super::names;
use super::options::CompileOptions;
use super::tuning::{Tuning, circuit_breakers, retry, timeout};
use super::unsupported::warn_unknown;
use super::upstream::{Upstream, address, combine};
use crate::model::Problems;

/// `x-wso2-production-endpoints` or `x-wso2-sandbox-endpoints`: an object, or a reference `#/x-wso2-endpoints/<name>`.
pub fn from_extension(
    node: &Node<'_>,
    definition: &Node<'_>,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Option<Upstream> {
    let Some(reference) = node.value().as_str() else { return cluster(node, options, problems) };
    let name = reference.strip_prefix("#/x-wso2-endpoints/").unwrap_or_default();
    let list = definition.get("x-wso2-endpoints").map(|list| list.items(problems)).unwrap_or_default();
    if let Some(named) = list.iter().find_map(|item| item.get(name)) {
        return cluster(&named, options, problems);
    }
    node.error(
        problems,
        format!("{reference:?} refers to no endpoints"),
        "the API would have no backend",
        "refer to an entry of x-wso2-endpoints, as in #/x-wso2-endpoints/<name>",
    );
    None
}

/// All entries of `x-wso2-endpoints`, to which interceptors may refer.
pub fn named(definition: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Vec<(String, Upstream)> {
    let list = definition.get("x-wso2-endpoints").map(|list| list.items(problems)).unwrap_or_default();
    let entries: Vec<_> = list.iter().flat_map(|item| item.members(problems)).collect();
    let mut found: Vec<(String, Upstream)> = Vec::new();
    for (name, node) in entries {
        if let Err(what) = names::token(name) {
            node.error(problems, format!("the name {what}"), "no interceptor could refer to it", "rename it");
        } else if found.iter().any(|(other, _)| other == name) {
            node.error(problems, format!("{name} is named twice"), "only one of them can be meant", "rename one");
        } else if let Some(upstream) = cluster(&node, options, problems) {
            found.push((name.to_owned(), upstream));
        }
    }
    found
}

fn cluster(node: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<Upstream> {
    node.object(problems)?;
    warn_unknown(node, &["urls", "type", "advanceEndpointConfig", "securityConfig"], problems);
    let credentials = node.get("securityConfig").and_then(|security| credentials::read(&security, true, problems));
    let failover = match node.get("type").and_then(|kind| Some((kind.text(problems)?, kind))) {
        None => false,
        Some((text, _)) if text.eq_ignore_ascii_case("failover") => true,
        Some((text, _)) if ["load_balance", "loadbalance"].iter().any(|name| text.eq_ignore_ascii_case(name)) => false,
        Some((text, kind)) => {
            kind.error(problems, format!("{text:?} is no type of endpoints"), "", "write load_balance or failover");
            false
        }
    };
    let tuning = advanced(node.get("advanceEndpointConfig"), options, problems);
    let Some(urls) = node.get("urls") else {
        node.error(problems, "there are no urls", "the API would have no backend", "add urls: [https://host/path]");
        return None;
    };
    let items = urls.items(problems);
    let texts: Vec<_> = items.into_iter().filter_map(|item| Some((item.clone(), item.text(problems)?))).collect();
    if texts.is_empty() {
        urls.error(problems, "the list of urls is empty", "the API would have no backend", "add a URL");
    }
    let upstream = combine(&texts, failover, problems)?;
    Some(Upstream { tuning, credentials, ..upstream })
}

fn advanced(node: Option<Node<'_>>, options: &CompileOptions, problems: &mut Problems) -> Tuning {
    let Some(node) = node else { return Tuning::default() };
    warn_unknown(&node, &["timeoutInMillis", "retryConfig", "circuitBreakers"], problems);
    let circuit_breakers = node.get("circuitBreakers").and_then(|limits| circuit_breakers(&limits, problems));
    let timeout_ms = node.get("timeoutInMillis").and_then(|value| timeout(&value, options, problems));
    let retry = node.get("retryConfig").and_then(|config| {
        let count = config.get("count")?;
        retry(&count, config.get("statusCodes"), options, problems)
    });
    Tuning { timeout_ms, retry, circuit_breakers }
}

/// What a list of `servers` says: a production backend, and the path of the last usable URL.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The backend; `None` when every entry is relative.
    pub upstream: Option<Upstream>,
    /// Path of the last absolute URL, if it has one.
    pub base_path: Option<String>,
}

/// Reads `servers`. Relative URLs are skipped, as they name no backend; unusable ones are skipped with a warning.
pub fn from_servers(servers: &Node<'_>, problems: &mut Problems) -> Servers {
    let mut found: Vec<(Node<'_>, String)> = Vec::new();
    let mut base_path = None;
    for entry in servers.items(problems) {
        let Some(url) = entry.get("url") else { continue };
        let Some(text) = url.text(problems) else { continue };
        if text.is_empty() || text.starts_with('/') {
            continue;
        }
        let text = with_defaults(text, &entry);
        match address(&text) {
            Ok(address) => {
                base_path = Some(address.base_path).filter(|path| !path.is_empty()).or(base_path);
                found.push((url, text));
            }
            // Whoever names a service of Consul means it.
            Err(what) if is_consul(&text) => {
                url.error(problems, format!("the server URL {what}"), "requests could not be sent there", CONSUL_FORM);
            }
            Err(what) => {
                url.warn(problems, format!("the server URL {what}"), "it is skipped", "correct it or remove it");
            }
        }
    }
    let pairs: Vec<_> = found.iter().map(|(node, text)| (node.clone(), text.as_str())).collect();
    Servers { upstream: combine(&pairs, false, problems), base_path }
}

/// One of the servers of an AsyncAPI definition. Its URL may leave the scheme to `protocol`.
pub fn from_server(server: &Node<'_>, problems: &mut Problems) -> Option<Upstream> {
    let Some(url) = server.get("url").filter(|url| url.value() != "") else {
        server.error(problems, "the server has no url", "handshakes could not be sent there", "add a url");
        return None;
    };
    let text = with_defaults(url.text(problems)?, server);
    let protocol = server.get("protocol").and_then(|protocol| protocol.text(problems)).unwrap_or("ws");
    let text = if text.contains("://") { text } else { format!("{protocol}://{text}") };
    combine(&[(url, text.as_str())], false, problems)
}

/// The same of Swagger 2: `host`, `basePath` and `schemes`, of which the safest counts.
pub fn from_host(root: &Node<'_>, problems: &mut Problems) -> Servers {
    let path = root.get("basePath").and_then(|path| path.text(problems)).unwrap_or_default();
    let named = root.get("host").and_then(|host| Some((host.text(problems).filter(|text| !text.is_empty())?, host)));
    let schemes = root.get("schemes").map(|schemes| schemes.texts(problems)).unwrap_or_default();
    let Some((text, host)) = named else {
        let path = path.trim_end_matches('/').to_owned();
        return Servers { upstream: None, base_path: Some(path).filter(|path| !path.is_empty()) };
    };
    let scheme = ["https", "http"].into_iter().find(|scheme| schemes.contains(scheme));
    let url = format!("{}://{text}{path}", scheme.or(schemes.first().copied()).unwrap_or("http"));
    match address(&url) {
        Ok(address) => Servers {
            upstream: combine(&[(host, url.as_str())], false, problems),
            base_path: Some(address.base_path).filter(|path| !path.is_empty()),
        },
        Err(what) => {
            host.warn(problems, format!("the URL that it makes {what}"), "it is skipped", "correct it or remove it");
            Servers::default()
        }
    }
}

/// Fills `{name}` with the default of that server variable.
fn with_defaults(text: &str, entry: &Node<'_>) -> String {
    let Some(variables) = entry.get("variables").and_then(|node| node.value().as_object()) else {
        return text.to_owned();
    };
    variables.iter().fold(text.to_owned(), |text, (name, variable)| {
        match variable.get("default").and_then(serde_json::Value::as_str) {
            Some(default) => text.replace(&format!("{{{name}}}"), default),
            None => text,
        }
    })
}

/// `endpointConfig` of api.yaml for `production` or `sandbox`.
pub fn from_metadata(
    config: &Node<'_>,
    environment: &str,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Option<Upstream> {
    let primary = config.get(&format!("{environment}_endpoints"));
    let failovers = config.get(&format!("{environment}_failovers"));
    let mut entries = primary.map(|node| one_or_many(node, problems)).unwrap_or_default();
    let spare = failovers.map(|node| one_or_many(node, problems)).unwrap_or_default();
    let failover = !spare.is_empty();
    entries.extend(spare);
    let urls: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let Some(url) = entry.get("url") else {
                entry.error(problems, "the endpoint has no url", "the API would have no backend", "add a url");
                return None;
            };
            Some((url.clone(), url.text(problems)?))
        })
        .collect();
    let tuning = entries.first().and_then(|entry| entry.get("config")).map_or_else(Tuning::default, |config| Tuning {
        timeout_ms: filled(&config, "actionDuration").and_then(|value| timeout(&value, options, problems)),
        retry: filled(&config, "retryTimeOut").and_then(|count| retry(&count, None, options, problems)),
        circuit_breakers: None,
    });
    let upstream = combine(&urls, failover, problems)?;
    Some(Upstream { tuning, ..upstream })
}

/// The member, unless it is the empty text that API Manager writes for "not set".
fn filled<'v>(config: &Node<'v>, key: &str) -> Option<Node<'v>> {
    config.get(key).filter(|value| value.value() != "")
}

fn one_or_many<'v>(node: Node<'v>, problems: &mut Problems) -> Vec<Node<'v>> {
    if node.value().is_array() { node.items(problems) } else { vec![node] }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn extension(value: Value, errors: &[&str]) -> Option<Upstream> {
        let document = json!({"x": value, "x-wso2-endpoints": [{"named": {"urls": ["http://named/x"]}}]});
        let root = Node::root("swagger.yaml", &document);
        let mut problems = Problems::new();
        let found = from_extension(&root.get("x").unwrap(), &root, &CompileOptions::default(), &mut problems);
        let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert_eq!(text.len(), errors.len(), "{text:?}");
        for (text, part) in text.iter().zip(errors) {
            assert!(text.contains(part), "{text}");
        }
        found
    }

    #[test]
    fn extension_endpoints() {
        let full = extension(
            json!({"urls": ["http://aa/x", "http://bb/x"], "type": "failover",
                   "advanceEndpointConfig": {"timeoutInMillis": 1000, "retryConfig": {"count": 2, "statusCodes": [503]}}}),
            &[],
        )
        .unwrap();
        assert_eq!(full.endpoints.iter().map(|e| e.priority).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(full.tuning.timeout_ms, Some(1000));
        assert_eq!(full.tuning.retry.unwrap().status_codes, [503]);
        assert_eq!(extension(json!("#/x-wso2-endpoints/named"), &[]).unwrap().endpoints[0].host, "named");
        extension(json!("#/x-wso2-endpoints/other"), &["refers to no endpoints"]);
        extension(json!({"urls": []}), &["empty"]);
        extension(json!({}), &["no urls"]);
        extension(json!({"urls": ["http://aa/"], "type": "sticky"}), &["no type of endpoints"]);
        let other = extension(json!({"urls": ["http://aa/"], "securityConfig": {"type": "oauth"}}), &[]).unwrap();
        assert!(other.credentials.is_none(), "as in the original");
        let secured =
            json!({"urls": ["http://aa/"], "securityConfig": {"type": "basic", "username": "a", "password": "b"}});
        assert!(extension(secured, &[]).unwrap().credentials.is_some());
        extension(json!({"urls": ["http://aa/"], "securityConfig": {"enabled": false}}), &[]);
        let limited = json!({"urls": ["http://aa/"], "advanceEndpointConfig": {"circuitBreakers": {"maxRequests": 5}}});
        let breakers = extension(limited, &[]).unwrap().tuning.circuit_breakers.unwrap();
        assert_eq!((breakers.max_requests, breakers.max_connections), (Some(5), None));
        extension(json!([1]), &["an object"]);
    }

    #[test]
    fn servers() {
        for (value, path, hosts) in [
            (json!([{"url": "/"}]), None, 0),
            (json!([{"url": "/v3"}, {"url": "https://host.io/v2"}]), Some("/v2"), 1),
            (json!([{"url": "https://host.io"}]), None, 1),
            (json!([{"url": "https://{h}.io/v2", "variables": {"h": {"default": "xy"}}}]), Some("/v2"), 1),
            (json!([{"url": "https://{h}.io/v2"}]), None, 0),
        ] {
            let mut problems = Problems::new();
            let found = from_servers(&Node::root("swagger.yaml", &value), &mut problems);
            assert!(!problems.has_errors());
            assert_eq!(found.base_path.as_deref(), path, "{value}");
            assert_eq!(found.upstream.map_or(0, |upstream| upstream.endpoints.len()), hosts, "{value}");
        }
    }

    #[test]
    fn hosts_of_swagger_2() {
        for (value, path, host, reported) in [
            (json!({}), None, None, 0),
            (json!({"basePath": "/v2/"}), Some("/v2"), None, 0),
            (json!({"basePath": "/"}), None, None, 0),
            (json!({"host": "aa.io:81", "basePath": "/v2"}), Some("/v2"), Some(("aa.io", 81, false)), 0),
            (json!({"host": "aa.io", "schemes": ["http"]}), None, Some(("aa.io", 80, false)), 0),
            (json!({"host": "aa.io", "schemes": ["wss", "http", "https"]}), None, Some(("aa.io", 443, true)), 0),
            (json!({"host": "aa.io", "schemes": ["ws"]}), None, None, 1),
            (json!({"host": "{env}.io"}), None, None, 1),
            (json!({"host": 5}), None, None, 1),
        ] {
            let mut problems = Problems::new();
            let found = from_host(&Node::root("swagger.yaml", &value), &mut problems);
            assert_eq!(found.base_path.as_deref(), path, "{value}");
            let endpoint = found.upstream.as_ref().map(|upstream| &upstream.endpoints[0]);
            assert_eq!(endpoint.map(|one| (one.host.as_str(), one.port, one.tls)), host, "{value}");
            assert_eq!(problems.iter().count(), reported, "{value}: {problems:?}");
        }
    }

    #[test]
    fn metadata_endpoints() {
        let value = json!({
            "production_endpoints": {"url": "http://aa/x", "config": {"actionDuration": "3000", "retryTimeOut": "2"}},
            "production_failovers": [{"url": "http://bb/x"}],
            "sandbox_endpoints": [{"url": "http://cc", "config": {"actionDuration": ""}}, {"url": "http://dd"}],
        });
        let root = Node::root("api.yaml", &value);
        let mut problems = Problems::new();
        let production = from_metadata(&root, "production", &CompileOptions::default(), &mut problems).unwrap();
        assert_eq!(production.endpoints.iter().map(|e| e.priority).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(production.tuning.timeout_ms, Some(3000));
        assert_eq!(production.tuning.retry.as_ref().map(|r| (r.count, r.status_codes.clone())), Some((2, vec![504])));
        let sandbox = from_metadata(&root, "sandbox", &CompileOptions::default(), &mut problems).unwrap();
        assert_eq!(sandbox.endpoints.iter().map(|e| e.priority).collect::<Vec<_>>(), [0, 0]);
        assert!(problems.is_empty());
    }
}
