//! Actions of definitions to policies of the model: which there are, what they take, and what is refused.

use tollgate_model::{HeaderPolicy, Include, RequestPolicy, Secret};

use super::definition::Rendered;
use super::opa::{self, PolicyService};
use super::parameters::Parameters;
use crate::document::Node;
use crate::interceptors::{self, InterceptorPlan};
use crate::model::Problems;
use crate::names;
use crate::unsupported::did_you_mean;

/// Actions that the original knows.
const ACTIONS: [&str; 9] = [
    "SET_HEADER",
    "REMOVE_HEADER",
    "RENAME_HEADER",
    "ADD_QUERY",
    "REMOVE_QUERY",
    "REWRITE_RESOURCE_PATH",
    "REWRITE_RESOURCE_METHOD",
    "CALL_INTERCEPTOR_SERVICE",
    "OPA",
];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// Headers that say where a message ends or how it travels: whoever changes them breaks the connection, or worse.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const VARIABLE: &str = "{uri.var.";

/// One policy, ready for the model.
pub(super) enum Action {
    Request(RequestPolicy),
    Response(HeaderPolicy),
    /// Calls an interceptor of this flow.
    Intercept(Box<InterceptorPlan>),
}

/// Where an action stands.
pub(super) struct Context<'c, 'v> {
    pub(super) flow: &'c str,
    /// The entry of the flow.
    pub(super) item: &'c Node<'v>,
    /// The operation of api.yaml.
    pub(super) operation: &'c Node<'v>,
    pub(super) services: &'c mut Vec<PolicyService>,
    /// Longest wait for an interceptor.
    pub(super) interceptor_timeout_ms: u32,
}

impl Action {
    /// Whether a request waits for a service.
    pub(super) const fn asks(&self) -> bool {
        matches!(self, Self::Request(RequestPolicy::Opa(_)))
    }

    /// Whether only the first of its kind counts.
    pub(super) const fn is_single(&self) -> bool {
        match self {
            Self::Request(RequestPolicy::RewritePath { .. } | RequestPolicy::RewriteMethod { .. })
            | Self::Intercept(_) => true,
            Self::Request(_) | Self::Response(_) => false,
        }
    }

    /// Equal for actions that do the same.
    pub(super) fn kind(&self) -> (bool, Option<std::mem::Discriminant<RequestPolicy>>) {
        match self {
            Self::Request(policy) => (true, Some(std::mem::discriminant(policy))),
            Self::Response(_) => (false, None),
            Self::Intercept(_) => (true, None),
        }
    }
}

/// Makes the policy of a rendered definition.
pub(super) fn read(rendered: Rendered, context: Context<'_, '_>, problems: &mut Problems) -> Option<Action> {
    let Context { flow, item, operation, services, interceptor_timeout_ms } = context;
    let action = rendered.action.clone();
    let known: &[&str] = match action.as_str() {
        "SET_HEADER" => &["headerName", "headerValue"],
        "REMOVE_HEADER" => &["headerName"],
        "RENAME_HEADER" => &["currentHeaderName", "updatedHeaderName"],
        "ADD_QUERY" => &["queryParamName", "queryParamValue"],
        "REMOVE_QUERY" => &["queryParamName"],
        "REWRITE_RESOURCE_PATH" => &["resourcePath", "includeQueryParams"],
        "REWRITE_RESOURCE_METHOD" => &["updatedMethod", "currentMethod"],
        "OPA" => &opa::PARAMETERS,
        "CALL_INTERCEPTOR_SERVICE" => &["interceptorServiceURL", "includes"],
        other => {
            let fix = did_you_mean(other, ACTIONS)
                .map_or_else(|| format!("use one of {}", ACTIONS.join(", ")), |close| format!("did you mean {close}?"));
            item.error(problems, format!("{other} is no action"), "nobody knows what it does", &fix);
            return None;
        }
    };
    if flow == "response" && !matches!(action.as_str(), "SET_HEADER" | "REMOVE_HEADER" | "CALL_INTERCEPTOR_SERVICE") {
        let what = format!("{action} cannot be used in the response flow");
        item.error(problems, what, "it changes requests", "move it to the request flow");
        return None;
    }
    let mut parameters = Parameters::new(rendered, known, item, problems);
    let from_request = flow == "request";
    match action.as_str() {
        "SET_HEADER" | "REMOVE_HEADER" => {
            let policy = header(&action, &mut parameters, from_request)?;
            Some(if from_request { Action::Request(RequestPolicy::Header(policy)) } else { Action::Response(policy) })
        }
        "CALL_INTERCEPTOR_SERVICE" => intercept(&mut parameters, interceptor_timeout_ms).map(Action::Intercept),
        "OPA" => opa::read(&mut parameters, services).map(|policy| Action::Request(RequestPolicy::Opa(policy))),
        "REWRITE_RESOURCE_METHOD" => rewrite_method(&mut parameters, operation).map(Action::Request),
        _ => request(&action, &mut parameters).map(Action::Request),
    }
}

fn intercept(parameters: &mut Parameters<'_, '_>, timeout_ms: u32) -> Option<Box<InterceptorPlan>> {
    let (url, list) = (parameters.required("interceptorServiceURL"), parameters.required("includes"));
    let (endpoint, authority) = match interceptors::service_at(&url?) {
        Ok((service, _)) => service,
        Err(what) => return parameters.wrong("interceptorServiceURL", &what, "write a URL such as https://host:port"),
    };
    let mut includes = Vec::new();
    for name in list?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let Some(include) = Include::ALL.into_iter().find(|include| include.name() == name) else {
            let fix = format!("write some of {}, with commas between them", Include::ALL.map(Include::name).join(", "));
            return parameters.wrong("includes", "names something that cannot be included", &fix);
        };
        if !includes.contains(&include) {
            includes.push(include);
        }
    }
    Some(Box::new(InterceptorPlan { endpoint, authority, connect_ms: timeout_ms, timeout_ms, includes }))
}

fn header(action: &str, parameters: &mut Parameters<'_, '_>, request: bool) -> Option<HeaderPolicy> {
    let name = header_name(parameters, "headerName", request);
    if action == "REMOVE_HEADER" {
        return Some(HeaderPolicy::Remove { name: name? });
    }
    let value = parameters.required("headerValue")?;
    if value.trim() != value || value.chars().any(|c| c.is_control() && c != '\t') {
        let fix = "write one line without spaces at its ends";
        return parameters.wrong("headerValue", "holds a line break or another character that no header can hold", fix);
    }
    Some(HeaderPolicy::Set { name: name?, value: Secret::from(value) })
}

/// A header that a policy may change.
fn header_name(parameters: &mut Parameters<'_, '_>, parameter: &str, request: bool) -> Option<String> {
    let name = parameters.required(parameter)?;
    let name = match names::header(&name) {
        Ok(name) => name,
        Err(what) => return parameters.wrong(parameter, what, "write the name of a header"),
    };
    // The gateway steers Envoy with these.
    let steers = request && (name.starts_with("x-envoy-") || name == "x-wso2-cluster-header");
    if steers || FRAMING.contains(&name.as_str()) {
        let what = format!("is {name}, which is not for policies to change");
        return parameters.wrong(parameter, &what, "name another header");
    }
    Some(name)
}

fn request(action: &str, parameters: &mut Parameters<'_, '_>) -> Option<RequestPolicy> {
    match action {
        "RENAME_HEADER" => {
            let from = header_name(parameters, "currentHeaderName", true);
            let to = header_name(parameters, "updatedHeaderName", true);
            Some(RequestPolicy::RenameHeader { from: from?, to: to? })
        }
        "ADD_QUERY" => {
            let (name, value) = (parameters.required("queryParamName"), parameters.required("queryParamValue"));
            Some(RequestPolicy::SetQuery { name: name?, value: value? })
        }
        "REMOVE_QUERY" => Some(RequestPolicy::RemoveQuery { name: parameters.required("queryParamName")? }),
        _ => {
            let (path, query) = (parameters.required("resourcePath"), parameters.required("includeQueryParams"));
            let keep_query = query.and_then(|query| parameters.boolean("includeQueryParams", &query));
            Some(RequestPolicy::RewritePath { path: rewritten_path(parameters, &path?)?, keep_query: keep_query? })
        }
    }
}

/// The path with one slash in front and none behind.
fn rewritten_path(parameters: &mut Parameters<'_, '_>, path: &str) -> Option<String> {
    let path = format!("/{}", path.trim_matches('/'));
    let (mut literal, mut rest) = (String::new(), path.as_str());
    while let Some((before, after)) = rest.split_once(VARIABLE) {
        let Some((name, behind)) = after.split_once('}') else { break };
        if name.is_empty() || name.contains(['{', '/']) {
            break;
        }
        literal.push_str(before);
        // Stands for any value, so that a segment of nothing else is not empty.
        literal.push('x');
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"~/_.-".contains(&byte)) {
        let fix = "write parameters as {uri.var.name}, and nothing but A-Z a-z 0-9 ~ / _ . - besides";
        return parameters.wrong("resourcePath", "holds a character or a parameter that cannot be used", fix);
    }
    let segments = literal.strip_prefix('/').unwrap_or(&literal);
    if !segments.is_empty() && segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return parameters.wrong("resourcePath", "has an empty or a dot segment", "write a plain path");
    }
    Some(path)
}

/// Names of the parameters that a rewritten path takes from the request's.
pub(super) fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split(VARIABLE).skip(1).filter_map(|after| after.split_once('}')).map(|(name, _)| name)
}

fn rewrite_method(parameters: &mut Parameters<'_, '_>, operation: &Node<'_>) -> Option<RequestPolicy> {
    let method = parameters.required("updatedMethod")?;
    if !METHODS.contains(&method.as_str()) {
        let upper = method.to_ascii_uppercase();
        let fix = did_you_mean(&upper, METHODS)
            .map_or_else(|| format!("write one of {}", METHODS.join(", ")), |close| format!("did you mean {close}?"));
        return parameters.wrong("updatedMethod", "is no method", &fix);
    }
    let verb = operation.get("verb").and_then(|verb| verb.value().as_str()).unwrap_or_default().to_ascii_uppercase();
    let current = parameters.optional("currentMethod").map(str::to_ascii_uppercase);
    if current.is_some_and(|current| current != verb) {
        let what = format!("is not {verb}, the method of the operation, so that the policy would never apply");
        return parameters.wrong("currentMethod", &what, &format!("write {verb}, or move the policy"));
    }
    if method == "HEAD" && verb != "HEAD" {
        let what = "is HEAD: the answer has no body, and the client would wait for one";
        return parameters.wrong("updatedMethod", what, "rewrite to another method");
    }
    Some(RequestPolicy::RewriteMethod { method })
}
