//! Interceptors: `x-wso2-request-interceptor` and `x-wso2-response-interceptor` of the definition, of a path and of an
//! operation. The most specific one counts as a whole.

use std::sync::Arc;

use tollgate_model::Include;

use super::document::Node;
use super::options::CompileOptions;
use super::unsupported::{did_you_mean, warn_unknown};
use super::upstream::address;
use crate::model::{Endpoint, Problems};

const REQUEST: &str = "x-wso2-request-interceptor";
const RESPONSE: &str = "x-wso2-response-interceptor";
const KNOWN: [&str; 4] = ["serviceURL", "clusterTimeout", "requestTimeout", "includes"];
/// Longest wait, in seconds.
const MAX_SECONDS: u64 = 300;

/// The interceptors of an operation, before it is known which clusters they become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterceptorPlans {
    /// Is asked before the backend.
    pub request: Option<InterceptorPlan>,
    /// Is asked when the backend has answered.
    pub response: Option<InterceptorPlan>,
}

/// A service, before it is known which cluster it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptorPlan {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Host header.
    pub authority: String,
    /// Milliseconds until there is a connection.
    pub connect_ms: u32,
    /// Milliseconds until a call has failed.
    pub timeout_ms: u32,
    /// What it is told, each once.
    pub includes: Vec<Include>,
}

impl InterceptorPlans {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.request.is_none() && self.response.is_none()
    }

    /// Those of that level, or else those of the one above it.
    #[must_use]
    pub fn read(node: &Node<'_>, above: &Self, options: &CompileOptions, problems: &mut Problems) -> Self {
        let mut of = |key: &str, above: &Option<InterceptorPlan>| match node.get(key) {
            Some(node) => plan(&node, options, problems),
            None => above.clone(),
        };
        Self { request: of(REQUEST, &above.request), response: of(RESPONSE, &above.response) }
    }

    /// Says that those of that level are not asked.
    pub fn warn_unused(node: &Node<'_>, problems: &mut Problems) {
        for member in [REQUEST, RESPONSE].into_iter().filter_map(|key| node.get(key)) {
            member.warn(
                problems,
                "the interceptor is not asked",
                "the API is mocked, so there is nothing to intercept",
                "",
            );
        }
    }

    /// Tells the services by what they are recognised.
    pub fn trust(&mut self, certificates: Option<&Arc<str>>) {
        let plans = [&mut self.request, &mut self.response].into_iter().flatten();
        for endpoint in plans.map(|plan| &mut plan.endpoint).filter(|endpoint| endpoint.tls) {
            endpoint.trusted_ca = certificates.cloned();
        }
    }
}

fn plan(node: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<InterceptorPlan> {
    node.object(problems)?;
    warn_unknown(node, &KNOWN, problems);
    let seconds = |key: &str, problems: &mut Problems| match node.get(key) {
        Some(value) => milliseconds(&value, options, problems),
        None => Some(options.interceptor_timeout_ms),
    };
    let (connect_ms, timeout_ms) = (seconds("clusterTimeout", problems), seconds("requestTimeout", problems));
    let includes = match node.get("includes") {
        Some(list) => {
            let items = list.items(problems);
            let texts: Vec<_> = items.into_iter().filter_map(|item| Some((item.text(problems)?, item))).collect();
            includes(texts.into_iter(), problems)
        }
        None => Vec::new(),
    };
    let Some(url) = node.get("serviceURL") else {
        let why = "requests would pass without having been shown to it";
        node.error(problems, "the interceptor has no serviceURL", why, "add serviceURL: https://host:port");
        return None;
    };
    let (endpoint, authority) = service(&url, problems)?;
    Some(InterceptorPlan { endpoint, authority, connect_ms: connect_ms?, timeout_ms: timeout_ms?, includes })
}

/// Where the service at that URL is, and its host header.
pub fn service(url: &Node<'_>, problems: &mut Problems) -> Option<(Endpoint, String)> {
    let text = url.text(problems)?;
    match service_at(text) {
        Ok((service, unused)) => {
            if let Some(path) = unused {
                let what = format!("the path {path} of the URL is not used");
                let why = "interceptors are called at /api/v1/handle-request and /api/v1/handle-response";
                url.warn(problems, what, why, "remove it");
            }
            Some(service)
        }
        Err(what) => {
            let why = "the interceptor could not be called";
            url.error(problems, format!("the URL {what}"), why, "correct it, for example https://host:port");
            None
        }
    }
}

/// Where the service at that URL is, its host header, and a path of the URL that is not used.
///
/// # Errors
/// What is wrong with the URL.
pub fn service_at(url: &str) -> Result<((Endpoint, String), Option<String>), String> {
    let found = address(url)?;
    let authority = authority(&found.endpoint);
    Ok(((found.endpoint, authority), Some(found.base_path).filter(|path| !path.is_empty())))
}

/// What it is told, of names that people wrote.
pub fn includes<'t>(names: impl Iterator<Item = (&'t str, Node<'t>)>, problems: &mut Problems) -> Vec<Include> {
    let mut found = Vec::new();
    for (name, node) in names {
        match Include::ALL.into_iter().find(|include| include.name() == name) {
            Some(include) if found.contains(&include) => {}
            Some(include) => found.push(include),
            None => {
                let known = Include::ALL.map(Include::name);
                let fix = did_you_mean(name, known).map_or_else(
                    || format!("write one of {}", known.join(", ")),
                    |close| format!("did you mean {close}?"),
                );
                let why = "the interceptor would not be told what it expects";
                node.error(problems, format!("{name:?} cannot be included"), why, &fix);
            }
        }
    }
    found
}

fn milliseconds(node: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<u32> {
    let seconds = node.number(problems)?;
    match seconds {
        // As everywhere, zero means that none is set.
        0 => Some(options.interceptor_timeout_ms),
        1..=MAX_SECONDS => u32::try_from(seconds.saturating_mul(1000)).ok(),
        _ => {
            node.error(problems, format!("{seconds} seconds are too long"), "requests wait at most 300", "write less");
            None
        }
    }
}

fn authority(endpoint: &Endpoint) -> String {
    let host = if endpoint.host.contains(':') { format!("[{}]", endpoint.host) } else { endpoint.host.clone() };
    let implied = if endpoint.tls { 443 } else { 80 };
    if endpoint.port == implied { host } else { format!("{host}:{}", endpoint.port) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(value: &Value, errors: &[&str], warnings: usize) -> Option<InterceptorPlan> {
        let document = json!({ REQUEST: value });
        let mut problems = Problems::new();
        let root = Node::root("swagger.yaml", &document);
        let above = InterceptorPlans::default();
        let found = InterceptorPlans::read(&root, &above, &CompileOptions::default(), &mut problems);
        let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert_eq!(text.len(), errors.len(), "{text:?}");
        for (text, part) in text.iter().zip(errors) {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(problems.iter().count(), errors.len() + warnings, "{problems:?}");
        assert_eq!(found.response, None);
        found.request
    }

    #[test]
    fn what_is_written_is_read() {
        let full = check(
            &json!({"serviceURL": "https://service:8443", "clusterTimeout": 5, "requestTimeout": "3",
                    "includes": ["request_body", "invocation_context", "request_body"]}),
            &[],
            0,
        )
        .unwrap();
        assert_eq!((full.endpoint.host.as_str(), full.endpoint.port, full.endpoint.tls), ("service", 8443, true));
        assert_eq!((full.authority.as_str(), full.connect_ms, full.timeout_ms), ("service:8443", 5000, 3000));
        assert_eq!(full.includes, [Include::RequestBody, Include::InvocationContext]);

        let least = check(&json!({"serviceURL": "http://[::1]"}), &[], 0).unwrap();
        assert_eq!((least.authority.as_str(), least.connect_ms, least.timeout_ms), ("[::1]", 20_000, 20_000));
        check(&json!({"serviceURL": "http://service/base", "requestTimeout": 0}), &[], 1).unwrap();
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let with = |key: &str, value: Value| {
            let mut all = json!({"serviceURL": "http://service"});
            all[key] = value;
            all
        };
        for (value, error) in [
            (json!({}), "no serviceURL"),
            (json!("http://service"), "an object"),
            (with("serviceURL", json!("service:80")), "the URL"),
            (with("serviceURL", json!("ws://service")), "scheme"),
            (with("requestTimeout", json!(301)), "too long"),
            (with("clusterTimeout", json!(-1)), "number"),
            (with("includes", json!(["request_bodies"])), "cannot be included"),
            (with("includes", json!("request_body")), "a list"),
        ] {
            check(&value, &[error], 0);
        }
    }

    #[test]
    fn the_most_specific_counts() {
        let document = json!({
            REQUEST: {"serviceURL": "http://general"},
            RESPONSE: {"serviceURL": "http://general"},
            "own": {REQUEST: {"serviceURL": "http://special"}},
        });
        let (options, mut problems) = (CompileOptions::default(), Problems::new());
        let root = Node::root("swagger.yaml", &document);
        let general = InterceptorPlans::read(&root, &InterceptorPlans::default(), &options, &mut problems);
        let special = InterceptorPlans::read(&root.get("own").unwrap(), &general, &options, &mut problems);
        let hosts = [special.request, special.response].map(|plan| plan.unwrap().endpoint.host);
        assert_eq!(hosts, ["special", "general"]);
        assert!(problems.is_empty());
    }
}
