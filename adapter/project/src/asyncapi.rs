//! The AsyncAPI 2 definition of a WebSocket API: channels become resources that are opened by GET, and the servers named
//! `production` and `sandbox` become backends. Vendor extensions of the whole API are those of OpenAPI definitions.
//!
//! A connection carries both directions, so a channel's `publish` and `subscribe` are one operation. Where both say
//! something, `publish` wins, as in the original.

use serde_json::Value;
use std::collections::BTreeMap;

use tollgate_model::{Interceptors, Operation, Security};

use super::cors;
use super::definition::{Definition, Frame, base_path, header_name};
use super::document::Node;
use super::endpoints::{from_extension, from_server};
use super::options::CompileOptions;
use super::resources::{MAX_RESOURCES, ResourcePlan};
use super::security::disabled;
use super::template;
use super::throttling;
use super::unsupported::{did_you_mean, ignore, refuse};
use super::upstream::Upstream;
use super::vendor::{self, Level};
use crate::model::Problems;

const CHANNEL: [&str; 8] =
    ["publish", "subscribe", "parameters", "bindings", "description", "servers", "$ref", "deprecated"];

/// Extensions that a tunnel has no place for.
const FOREIGN: [&str; 3] = ["x-wso2-request-interceptor", "x-wso2-response-interceptor", "x-amzn-resource-name"];

/// Reads a definition.
pub fn read(root: &Node<'_>, frame: Frame<'_>, options: &CompileOptions, problems: &mut Problems) -> Definition {
    if !is_version_2(root, problems) {
        return Definition::default();
    }
    vendor::check(root, Level::Api, problems);
    vendor::ignore_foreign(root, &FOREIGN, problems);
    if let Some(node) = root.get("x-wso2-http2-backend-enabled").filter(|node| node.boolean(problems) == Some(true)) {
        let why = "WebSockets are opened by HTTP/1.1 there";
        ignore(&node, "HTTP/2 towards the backends of a WebSocket API", why, problems);
    }
    if frame.mocked {
        refuse(root, "a WebSocket API that examples stand in for", problems);
    }
    let endpoints = |key: &str, problems: &mut Problems| {
        root.get(key).and_then(|node| from_extension(&node, root, options, problems))
    };
    let (servers, sandbox_servers) = servers(root, problems);
    Definition {
        base_path: base_path(root, frame, problems),
        production: endpoints("x-wso2-production-endpoints", problems),
        sandbox: endpoints("x-wso2-sandbox-endpoints", problems),
        servers,
        sandbox_servers,
        authorization_header: header_name(root, problems),
        tier: throttling::of(root, problems),
        http2: false,
        cors: match root.get("x-wso2-cors") {
            Some(node) => cors::read(&node, problems),
            None => options.cors.clone(),
        },
        graphql: None,
        endpoints: Vec::new(),
        resources: channels(root, frame, problems),
    }
}

fn is_version_2(root: &Node<'_>, problems: &mut Problems) -> bool {
    let Some(node) = root.get("asyncapi") else {
        let why = "the member asyncapi is missing";
        root.error(problems, "this is no AsyncAPI definition", why, "add asyncapi: 2.0.0");
        return false;
    };
    let Some(version) = node.text(problems) else { return false };
    let known = version.starts_with("2.");
    if !known {
        node.error(problems, format!("AsyncAPI {version} cannot be read"), "2.x can", "convert the definition");
    }
    known
}

/// The production and the sandbox server.
fn servers(root: &Node<'_>, problems: &mut Problems) -> (Option<Upstream>, Option<Upstream>) {
    let (mut production, mut sandbox) = (None, None);
    for (name, server) in root.get("servers").map(|servers| servers.members(problems)).unwrap_or_default() {
        match name {
            "production" => production = from_server(&server, problems),
            "sandbox" => sandbox = from_server(&server, problems),
            _ => server.warn(
                problems,
                format!("the server {name} is not read"),
                "a gateway knows the servers production and sandbox only",
                "rename it, if it is meant to be used",
            ),
        }
    }
    (production, sandbox)
}

fn channels(root: &Node<'_>, frame: Frame<'_>, problems: &mut Problems) -> Vec<ResourcePlan> {
    let channels = root.get("channels").map(|channels| channels.members(problems)).unwrap_or_default();
    if channels.len() > MAX_RESOURCES {
        let what = format!("there are {} channels", channels.len());
        root.error(problems, what, "an API has at most 5000", "split the API");
        return Vec::new();
    }
    let open = disabled(root, problems).unwrap_or(false);
    let mut plans: Vec<ResourcePlan> = Vec::with_capacity(channels.len());
    let mut taken = template::Taken::default();
    for (name, node) in channels.iter().filter(|(name, _)| !name.starts_with("x-")) {
        let path = if name.starts_with('/') { (*name).to_owned() } else { format!("/{name}") };
        let template = match template::check(&path) {
            Ok(template) => template,
            Err(what) => {
                let why = "no handshake could be matched with it";
                node.error(problems, format!("the channel {what}"), why, "correct its name");
                continue;
            }
        };
        let plan = channel(template, node, frame, open, problems);
        if let Some(other) = taken.take(&plan.template, GET) {
            node.error(
                problems,
                format!("{} matches the same handshakes as {other}", plan.template),
                "only one of them could be served, and they may differ in security",
                "keep one of the two channels",
            );
        }
        plans.push(plan);
    }
    if plans.is_empty() && !problems.has_errors() {
        root.error(problems, "there are no channels", "an API without channels serves nothing", "add channels");
    }
    plans
}

const GET: &str = "GET";

fn channel(template: String, node: &Node<'_>, frame: Frame<'_>, open: bool, problems: &mut Problems) -> ResourcePlan {
    vendor::check(node, Level::Path, problems);
    vendor::ignore_foreign(node, &FOREIGN, problems);
    for key in ["x-wso2-production-endpoints", "x-wso2-sandbox-endpoints"] {
        if let Some(member) = node.get(key) {
            let why = "all channels of an API have the same backend";
            ignore(&member, &format!("{key} of a channel"), why, problems);
        }
    }
    if let Some(reference) = node.get("$ref") {
        refuse(&reference, "a channel that refers to another place", problems);
    }
    for (key, member) in node.members(problems) {
        if !key.starts_with("x-") && !CHANNEL.contains(&key) {
            let fix = did_you_mean(key, CHANNEL).unwrap_or("publish or subscribe");
            member.error(problems, format!("{key} is nothing a channel has"), "", &format!("did you mean {fix}?"));
        }
    }
    let unsecured = disabled(node, problems).unwrap_or(open);
    let operations: Vec<Node<'_>> = ["publish", "subscribe"].into_iter().filter_map(|key| node.get(key)).collect();
    for operation in &operations {
        check_operation(operation, problems);
    }
    let scopes = first(&operations, "x-scopes", problems).map(|node| node.texts(problems)).unwrap_or_default();
    let uri_mapping =
        first(&operations, "x-uri-mapping", problems).and_then(|node| mapping(&node, &template, problems));
    let security = if unsecured {
        Security::Unsecured
    } else {
        frame.security.security(scopes.into_iter().map(str::to_owned).collect())
    };
    let tier = operations.iter().find_map(|operation| throttling::of(operation, problems));
    let cost = operations.iter().find_map(|operation| throttling::cost(operation, problems));
    let operations = vec![Operation {
        method: GET.to_owned(),
        security,
        tier,
        cost,
        mock: None,
        interceptors: Interceptors::default(),
        policies: None,
    }];
    ResourcePlan { template, production: None, sandbox: None, uri_mapping, operations, interceptors: BTreeMap::new() }
}

fn check_operation(node: &Node<'_>, problems: &mut Problems) {
    vendor::check(node, Level::Operation, problems);
    vendor::ignore_foreign(node, &FOREIGN, problems);
    if disabled(node, problems) == Some(true) {
        node.warn(
            problems,
            "security cannot be switched off for one direction",
            "the channel stays secured: a connection carries both",
            "write x-auth-type or x-wso2-disable-security into the channel",
        );
    }
    let Some(security) = node.get("security") else { return };
    let requirements = security.items(problems);
    let schemes: Vec<_> = requirements.iter().flat_map(|one| one.members(problems)).collect();
    let scoped = schemes.iter().any(|(_, scopes)| scopes.value().as_array().is_none_or(|list| !list.is_empty()));
    if scoped {
        refuse(&security, "the security of one direction of a channel (scopes are written as x-scopes)", problems);
    } else {
        let why = "the channel asks for what api.yaml says, or for a token";
        ignore(&security, "the security of one direction of a channel", why, problems);
    }
}

/// The extension of `publish`, or else of `subscribe`. An empty one says nothing.
fn first<'v>(operations: &[Node<'v>], key: &str, problems: &mut Problems) -> Option<Node<'v>> {
    let says = |node: &Node<'_>| node.value() != "" && node.value() != &Value::Array(Vec::new());
    let found: Vec<Node<'v>> =
        operations.iter().filter_map(|operation| operation.get(key)).filter(|node| says(node)).collect();
    if let [_, other] = found.as_slice()
        && found.iter().any(|node| node.value() != other.value())
    {
        let why = "a connection carries both directions, so only what publish says counts";
        other.warn(problems, format!("{key} of subscribe differs from that of publish"), why, "write the same in both");
    }
    found.into_iter().next()
}

fn mapping(node: &Node<'_>, template: &str, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    match tollgate_enforce::UriMapping::compile(text, template) {
        Ok(_) => Some(text.to_owned()),
        Err(tollgate_enforce::Invalid(what)) => {
            let fix = "write a path, with {uri.var.<name>} for parameters of the channel";
            node.error(problems, what, "handshakes could not be sent there", fix);
            None
        }
    }
}

#[cfg(test)]
#[path = "asyncapi_tests.rs"]
mod tests;
