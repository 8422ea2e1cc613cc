//! `api.yaml`: what the API is called, where it stands in its life cycle, and what it says of backends and security.

use tollgate_model::{ApiKind, LifeCycle};

use super::credentials::{self, Credentials};
use super::document::Node;
use super::endpoints::from_metadata;
use super::graphql;
use super::lambda::{self, LambdaAccess};
use super::names;
use super::options::CompileOptions;
use super::policies::Planned;
use super::security::NamedSchemes;
use super::throttling;
use super::unsupported::{did_you_mean, ignore, warn_unknown};
use super::upstream::Upstream;
use crate::model::Problems;

/// What `api.yaml` says. Fields that could not be read hold placeholders, and an error was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// `data.id`, or computed.
    pub id: String,
    /// `data.name`.
    pub name: String,
    /// `data.version`.
    pub version: String,
    /// Owner.
    pub organization: String,
    /// `context/version`.
    pub base_path: String,
    /// Its kind.
    pub kind: ApiKind,
    /// What only GraphQL APIs say here.
    pub graphql: Option<graphql::Facts>,
    /// State in the life cycle; prototyped endpoints count as that.
    pub life_cycle: LifeCycle,
    /// Header of the access token, in lower case.
    pub authorization_header: Option<String>,
    /// Plan of the API as a whole.
    pub tier: Option<String>,
    /// Whether the version may be left out of the path.
    pub default_version: bool,
    /// What `securityScheme` lists.
    pub security: NamedSchemes,
    /// Whether `corsConfiguration` is there and enabled; gateways read the definition instead.
    pub cors: Option<bool>,
    /// Operations that ask for scopes: JSON pointer, method, path template.
    pub scoped: Vec<(String, String, String)>,
    /// Policies of operations. Filled in by the caller, who has the files.
    pub policies: Planned,
    /// Whether examples of the definition stand in for backends.
    pub mocked: bool,
    /// How functions of AWS Lambda are called, when they are the backends.
    pub lambda: Option<LambdaAccess>,
    /// Production backend.
    pub production: Option<Upstream>,
    /// Sandbox backend.
    pub sandbox: Option<Upstream>,
    /// What the production backend wants to be told, wherever that backend is named.
    pub production_credentials: Option<Credentials>,
    /// The same for the sandbox.
    pub sandbox_credentials: Option<Credentials>,
}

/// Reads the document. `None` when there is no `data` at all.
pub fn read(root: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Option<Metadata> {
    check_document(root, problems);
    let Some(data) = root.get("data").filter(|data| data.value().is_object()) else {
        root.error(problems, "there is no data object", "it describes the API", "use an API project made by apictl");
        return None;
    };
    let kind = kind(&data, problems);
    let mocked = is_mocked(&data, problems);
    check_policies(&data, kind, problems);
    let name = required(&data, "name", names::name, problems);
    let version = required(&data, "version", names::version, problems);
    if !names::can_be_undeployed(name, version) {
        data.warn(
            problems,
            "apictl cannot undeploy the API by this name and version",
            "it takes names of 3 to 255 characters of ASCII without spaces, and versions of at most 15 characters",
            "choose others",
        );
    }
    let context = required(&data, "context", |text| Ok(text.trim_end_matches('/')), problems);
    let config = data.get("endpointConfig");
    let life_cycle = life_cycle(&data, config.as_ref(), problems);
    // Backends of a mocked API are never reached, and API Manager writes placeholders there.
    let config = config.filter(|_| !mocked);
    if let Some(config) = &config {
        check_endpoint_config(config, kind, problems);
    }
    let side = |side: &str, problems: &mut Problems| {
        config.as_ref().and_then(|config| from_metadata(config, side, options, problems))
    };
    let id = optional(&data, "id", names::token, problems).or_else(|| optional(&data, "Id", names::token, problems));
    Some(Metadata {
        id: id.map_or_else(|| names::api_id(name, version), str::to_owned),
        name: name.to_owned(),
        version: version.to_owned(),
        organization: optional(&data, "organizationId", names::token, problems)
            .map_or_else(|| options.organization.clone(), str::to_owned),
        base_path: format!("{context}/{version}"),
        kind,
        graphql: (kind == ApiKind::GraphQl).then(|| graphql::Facts::read(&data, problems)),
        life_cycle,
        authorization_header: optional(&data, "authorizationHeader", names::header, problems),
        tier: data.get("apiThrottlingPolicy").and_then(|tier| throttling::name(&tier, problems)),
        default_version: data.get("isDefaultVersion").and_then(|node| node.boolean(problems)) == Some(true),
        security: NamedSchemes::read(&data, problems),
        cors: data
            .get("corsConfiguration")
            .and_then(|cors| cors.get("corsConfigurationEnabled"))
            .and_then(|enabled| enabled.boolean(problems)),
        scoped: scoped(&data, problems),
        policies: Planned::default(),
        mocked,
        lambda: config.as_ref().and_then(|config| LambdaAccess::read(config, options, problems)),
        production: side("production", problems),
        sandbox: side("sandbox", problems),
        production_credentials: credentials_of(config.as_ref(), "production", problems),
        sandbox_credentials: credentials_of(config.as_ref(), "sandbox", problems),
    })
}

fn check_document(root: &Node<'_>, problems: &mut Problems) {
    if let Some(kind) = root.get("type") {
        let text = kind.text(problems);
        if text.is_some_and(|text| text != "api") {
            kind.error(
                problems,
                "the document does not describe an API",
                "its type is not api",
                "use an API project made by apictl",
            );
        }
    }
}

fn required<'v>(
    data: &Node<'v>,
    key: &str,
    check: impl Fn(&'v str) -> Result<&'v str, &'static str>,
    problems: &mut Problems,
) -> &'v str {
    if data.get(key).is_none_or(|node| node.value() == "") {
        data.error(problems, format!("there is no {key}"), "every API needs one", &format!("add data.{key}"));
    }
    optional(data, key, check, problems).unwrap_or_default()
}

fn optional<'v, T>(
    data: &Node<'v>,
    key: &str,
    check: impl Fn(&'v str) -> Result<T, &'static str>,
    problems: &mut Problems,
) -> Option<T> {
    let node = data.get(key)?;
    // API Manager writes an empty text where nothing was entered.
    let text = node.text(problems).filter(|text| !text.is_empty())?;
    match check(text) {
        Ok(value) => Some(value),
        Err(what) => {
            node.error(
                problems,
                format!("{key} {what}"),
                "it becomes a part of paths, headers and look-up keys",
                "choose another one",
            );
            None
        }
    }
}

fn kind(data: &Node<'_>, problems: &mut Problems) -> ApiKind {
    let Some(node) = data.get("type") else { return ApiKind::Http };
    match node.text(problems).map(str::to_ascii_uppercase).as_deref() {
        None | Some("HTTP" | "") => {}
        Some("SOAP") => return ApiKind::Soap,
        Some("WS") => return ApiKind::WebSocket,
        Some("GRAPHQL") => return ApiKind::GraphQl,
        Some(kind) => node.error(
            problems,
            format!("{kind} is no type of API that a gateway serves"),
            "only HTTP, GRAPHQL, SOAP and WS APIs can be deployed",
            "deploy an API of one of these types",
        ),
    }
    ApiKind::Http
}

/// Whether examples stand in for backends.
fn is_mocked(data: &Node<'_>, problems: &mut Problems) -> bool {
    let Some(node) = data.get("endpointImplementationType") else { return false };
    match node.text(problems).map(str::to_ascii_uppercase).as_deref() {
        None | Some("ENDPOINT" | "TEMPLATE" | "") => {}
        Some("MOCKED_OAS") => return true,
        Some("INLINE") => node.error(
            problems,
            "inline scripts are never run by a gateway",
            "the API would have no backend",
            "set endpointImplementationType to ENDPOINT and name a backend",
        ),
        Some(other) => node.warn(
            problems,
            format!("{other} is no known implementation type"),
            "requests go to the backends that the API names",
            "write ENDPOINT, or MOCKED_OAS",
        ),
    }
    false
}

/// Policies on operations or on the whole API that no gateway of this kind ever applied.
fn check_policies(data: &Node<'_>, kind: ApiKind, problems: &mut Problems) {
    let mut lists = vec![];
    lists.extend(data.get("apiPolicies"));
    for operation in data.get("operations").map(|list| list.items(problems)).unwrap_or_default() {
        // Those of HTTP APIs are read with the files that belong to them.
        lists.extend(operation.get("operationPolicies").filter(|_| kind != ApiKind::Http));
    }
    for policies in lists {
        for (flow, list) in policies.members(problems) {
            if list.value().as_array().is_some_and(|list| !list.is_empty()) {
                let why = "it is applied by other kinds of gateways only, as with Choreo Connect";
                ignore(&list, &format!("a policy of the {flow} flow"), why, problems);
            }
        }
    }
}

fn scoped(data: &Node<'_>, problems: &mut Problems) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for operation in data.get("operations").map(|list| list.items(problems)).unwrap_or_default() {
        let Some(scopes) = operation.get("scopes") else { continue };
        if scopes.items(problems).is_empty() {
            continue;
        }
        let text = |key: &str, problems: &mut Problems| {
            operation.get(key).and_then(|node| node.text(problems)).map(str::to_owned)
        };
        if let (Some(verb), Some(target)) = (text("verb", problems), text("target", problems)) {
            found.push((scopes.at().1.to_owned(), verb.to_ascii_uppercase(), target));
        }
    }
    found
}

fn check_endpoint_config(config: &Node<'_>, kind: ApiKind, problems: &mut Problems) {
    if let Some(node) = config.get("endpoint_type") {
        match node.text(problems).map(str::to_ascii_lowercase).as_deref() {
            None | Some("http" | "address" | "load_balance" | "failover" | "") => {}
            Some("ws") if kind == ApiKind::WebSocket => {}
            Some("awslambda") if kind != ApiKind::WebSocket => lambda::warn_of_others(config, problems),
            Some(other) => {
                let why = "its URLs are used like those of type http";
                ignore(&node, &format!("the endpoint type {other}"), why, problems);
            }
        }
    }
    if let Some(security) = config.get("endpoint_security") {
        warn_unknown(&security, &["production", "sandbox"], problems);
    }
}

/// Credentials for one side of the backends.
fn credentials_of(config: Option<&Node<'_>>, side: &str, problems: &mut Problems) -> Option<Credentials> {
    let security = config?.get("endpoint_security")?.get(side)?;
    credentials::read(&security, false, problems)
}

fn life_cycle(data: &Node<'_>, config: Option<&Node<'_>>, problems: &mut Problems) -> LifeCycle {
    const KNOWN: [&str; 6] = ["CREATED", "PROTOTYPED", "PUBLISHED", "BLOCKED", "DEPRECATED", "RETIRED"];
    let prototyped = config
        .and_then(|config| config.get("implementation_status"))
        .is_some_and(|status| status.value().as_str().is_some_and(|text| text.eq_ignore_ascii_case("prototyped")));
    let Some(node) = data.get("lifeCycleStatus") else {
        return if prototyped { LifeCycle::Prototyped } else { LifeCycle::Published };
    };
    match node.text(problems).map(str::to_ascii_uppercase).as_deref() {
        // A blocked API stays blocked, whatever its endpoints are.
        Some("BLOCKED") => LifeCycle::Blocked,
        Some("PROTOTYPED") => LifeCycle::Prototyped,
        None | Some("CREATED" | "PUBLISHED" | "DEPRECATED" | "") if prototyped => LifeCycle::Prototyped,
        None | Some("CREATED" | "PUBLISHED" | "DEPRECATED" | "") => LifeCycle::Published,
        Some("RETIRED") => {
            let why = "it is served all the same, because it is deployed";
            node.warn(problems, "the API is retired", why, "undeploy it, or publish it again");
            LifeCycle::Published
        }
        Some(other) => match did_you_mean(other, KNOWN) {
            Some(close) => {
                let fix = format!("did you mean {close}?");
                node.error(problems, format!("{other} is no state of the life cycle"), "it may mean BLOCKED", &fix);
                LifeCycle::Blocked
            }
            // Life cycles may be extended in API Manager.
            None => {
                let what = format!("{other} is no state of the usual life cycle");
                node.warn(problems, what, "the API is served as a published one", "write PUBLISHED");
                LifeCycle::Published
            }
        },
    }
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
