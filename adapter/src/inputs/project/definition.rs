//! The OpenAPI 3 definition: resources, and what `servers` and the vendor extensions say of the whole API.

use tollgate_model::{Cors, Operation};

use super::cors;
use super::document::Node;
use super::endpoints::{Servers, from_extension, from_servers};
use super::names;
use super::options::CompileOptions;
use super::security::{Schemes, disabled};
use super::template;
use super::unsupported::{did_you_mean, refuse};
use super::upstream::Upstream;
use super::vendor::{self, Level};
use crate::model::Problems;

/// Most resources of an API.
const MAX_RESOURCES: usize = 5_000;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const PATH_ITEM: [&str; 5] = ["summary", "description", "parameters", "servers", "$ref"];

/// What a definition says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// Base path: of the extension, or else of `servers`.
    pub base_path: Option<String>,
    /// Production backend of the extension.
    pub production: Option<Upstream>,
    /// Sandbox backend of the extension.
    pub sandbox: Option<Upstream>,
    /// Production backend of `servers`.
    pub servers: Option<Upstream>,
    /// Header of the access token, in lower case.
    pub authorization_header: Option<String>,
    /// Whether backends speak HTTP/2.
    pub http2: bool,
    /// Cross-origin rules: of the extension, or else the gateway's own.
    pub cors: Option<Cors>,
    /// Resources, at least one unless an error was reported.
    pub resources: Vec<ResourcePlan>,
}

/// A resource with backends that are not clusters yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePlan {
    /// Path template below the base path.
    pub template: String,
    /// Its own production backend.
    pub production: Option<Upstream>,
    /// Its own sandbox backend.
    pub sandbox: Option<Upstream>,
    /// One entry a method.
    pub operations: Vec<Operation>,
}

/// What api.yaml decides about the definition.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'m> {
    /// Version of the API, for `{version}` in base paths.
    pub version: &'m str,
    /// Whether api.yaml names `oauth2`, which replaces the definition's schemes.
    pub oauth2: bool,
    /// Whether `servers` count; they do not for prototypes.
    pub servers: bool,
}

/// Reads a definition.
pub fn read(root: &Node<'_>, frame: Frame<'_>, options: &CompileOptions, problems: &mut Problems) -> Definition {
    if !is_openapi_3(root, problems) {
        return Definition::default();
    }
    vendor::check(root, Level::Api, problems);
    let servers = match root.get("servers").filter(|_| frame.servers) {
        Some(servers) => from_servers(&servers, problems),
        None => Servers::default(),
    };
    let endpoints = |node: &Node<'_>, key: &str, problems: &mut Problems| {
        node.get(key).and_then(|node| from_extension(&node, root, options, problems))
    };
    let resources = Resources { schemes: Schemes::new(root.clone(), frame.oauth2), frame, definition: root, options };
    let extended = root.get("x-wso2-basePath").and_then(|node| {
        let path = node.text(problems)?.replace("{version}", frame.version);
        checked_base_path(&node, &path, problems)
    });
    Definition {
        base_path: extended.or_else(|| {
            let path = servers.base_path?;
            checked_base_path(&root.get("servers")?, &path, problems)
        }),
        production: endpoints(root, "x-wso2-production-endpoints", problems),
        sandbox: endpoints(root, "x-wso2-sandbox-endpoints", problems),
        servers: servers.upstream,
        authorization_header: root.get("x-wso2-auth-header").and_then(|node| {
            let name = node.text(problems)?;
            let named = names::header(name);
            if let Err(what) = named {
                node.error(
                    problems,
                    format!("the header name {what}"),
                    "no request could carry it",
                    "write a header name",
                );
            }
            named.ok()
        }),
        http2: root.get("x-wso2-http2-backend-enabled").and_then(|node| node.boolean(problems)) == Some(true),
        cors: match root.get("x-wso2-cors") {
            Some(node) => cors::read(&node, problems),
            None => options.cors.clone(),
        },
        resources: resources.read(problems),
    }
}

fn checked_base_path(node: &Node<'_>, path: &str, problems: &mut Problems) -> Option<String> {
    match names::base_path(path) {
        Ok(path) => Some(path),
        Err(what) => {
            node.error(
                problems,
                format!("the base path {path:?} {what}"),
                "no request could be matched with it",
                "write a path such as /name/1.0.0",
            );
            None
        }
    }
}

fn is_openapi_3(root: &Node<'_>, problems: &mut Problems) -> bool {
    if let Some(old) = root.get("swagger") {
        refuse(&old, "a Swagger 2 definition (convert it to OpenAPI 3, or it)", problems);
        return false;
    }
    let Some(node) = root.get("openapi") else {
        root.error(problems, "this is no OpenAPI definition", "the member openapi is missing", "add openapi: 3.0.3");
        return false;
    };
    let Some(version) = node.text(problems) else { return false };
    let known = ["3.0", "3.1"].iter().any(|known| version == *known || version.starts_with(&format!("{known}.")));
    if !known {
        node.error(problems, format!("OpenAPI {version} cannot be read"), "3.0 and 3.1 can", "convert the definition");
    }
    known
}

struct Resources<'d, 'v> {
    schemes: Schemes<'v>,
    frame: Frame<'d>,
    definition: &'d Node<'v>,
    options: &'d CompileOptions,
}

impl<'v> Resources<'_, 'v> {
    fn read(&self, problems: &mut Problems) -> Vec<ResourcePlan> {
        let paths = self.definition.get("paths").map(|paths| paths.members(problems)).unwrap_or_default();
        if paths.len() > MAX_RESOURCES {
            self.definition.error(
                problems,
                format!("there are {} paths", paths.len()),
                "an API has at most 5000",
                "split the API",
            );
            return Vec::new();
        }
        let open = disabled(self.definition, problems).unwrap_or(false);
        let mut plans: Vec<ResourcePlan> = Vec::with_capacity(paths.len());
        let mut taken = template::Taken::default();
        for (path, node) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let template = match template::check(path) {
                Ok(template) => template,
                Err(what) => {
                    node.error(
                        problems,
                        format!("the path {what}"),
                        "no request could be matched with it",
                        "correct the path",
                    );
                    continue;
                }
            };
            let plan = self.resource(template, node, open, problems);
            for operation in &plan.operations {
                if let Some(other) = taken.take(&plan.template, &operation.method) {
                    node.error(
                        problems,
                        format!("{} {} matches the same requests as {other}", operation.method, plan.template),
                        "only one of them could be served, and they may differ in security",
                        "keep one of the two paths",
                    );
                }
            }
            plans.push(plan);
        }
        if plans.is_empty() && !problems.has_errors() {
            self.definition.error(
                problems,
                "there are no paths",
                "an API without resources serves nothing",
                "add paths",
            );
        }
        plans
    }

    fn resource(&self, template: String, node: &Node<'v>, open: bool, problems: &mut Problems) -> ResourcePlan {
        vendor::check(node, Level::Path, problems);
        if let Some(reference) = node.get("$ref") {
            refuse(&reference, "a path that refers to another one", problems);
        }
        let open = disabled(node, problems).unwrap_or(open);
        let mut operations = Vec::new();
        for (key, member) in node.members(problems) {
            if METHODS.contains(&key) {
                vendor::check(&member, Level::Operation, problems);
                let security = self.schemes.of(&member, open, problems);
                operations.push(Operation { method: key.to_ascii_uppercase(), security, mock: None });
            } else if !key.starts_with("x-") && !PATH_ITEM.contains(&key) {
                let fix = did_you_mean(key, METHODS.into_iter().chain(PATH_ITEM)).unwrap_or("a method in lower case");
                member.error(
                    problems,
                    format!("{key} is no method"),
                    "it would not be served",
                    &format!("did you mean {fix}?"),
                );
            }
        }
        let endpoints = |key: &str, problems: &mut Problems| {
            node.get(key).and_then(|node| from_extension(&node, self.definition, self.options, problems))
        };
        let servers = node
            .get("servers")
            .filter(|_| self.frame.servers)
            .and_then(|servers| from_servers(&servers, problems).upstream);
        ResourcePlan {
            template,
            production: endpoints("x-wso2-production-endpoints", problems).or(servers),
            sandbox: endpoints("x-wso2-sandbox-endpoints", problems),
            operations,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tollgate_model::Security;

    use super::*;

    const FRAME: Frame<'_> = Frame { version: "1.0.0", oauth2: false, servers: true };

    #[track_caller]
    fn check(definition: &Value, frame: Frame<'_>, errors: &[&str]) -> Definition {
        let mut problems = Problems::new();
        let found = read(&Node::root("swagger.yaml", definition), frame, &CompileOptions::default(), &mut problems);
        let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert_eq!(text.len(), errors.len(), "{text:?}");
        for (text, part) in text.iter().zip(errors) {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        found
    }

    fn with(change: &Value) -> Value {
        let mut definition = json!({"openapi": "3.0.1", "paths": {"/pet": {"get": {}}}});
        for (key, value) in change.as_object().unwrap() {
            definition[key] = value.clone();
        }
        definition
    }

    #[test]
    fn a_definition_is_read() {
        let found = check(
            &with(&json!({
                "servers": [{"url": "https://host.io/v2"}],
                "x-wso2-basePath": "/pets/{version}",
                "x-wso2-production-endpoints": {"urls": ["http://aa/x"]},
                "x-wso2-auth-header": "X-Token",
                "x-wso2-http2-backend-enabled": true,
                "paths": {"/pet/{id}": {
                    "parameters": [],
                    "x-wso2-sandbox-endpoints": {"urls": ["http://sandbox"]},
                    "get": {"x-auth-type": "None"},
                    "delete": {},
                }},
            })),
            FRAME,
            &[],
        );
        assert_eq!(found.base_path.as_deref(), Some("/pets/1.0.0"));
        assert_eq!(found.authorization_header.as_deref(), Some("x-token"));
        assert!(found.http2);
        assert_eq!(found.servers.unwrap().endpoints[0].host, "host.io");
        assert_eq!(found.production.unwrap().endpoints[0].host, "aa");
        let resource = &found.resources[0];
        assert_eq!(resource.sandbox.as_ref().unwrap().endpoints[0].host, "sandbox");
        let mut methods: Vec<_> =
            resource.operations.iter().map(|o| (o.method.as_str(), o.security == Security::Unsecured)).collect();
        methods.sort_unstable();
        assert_eq!(methods, [("DELETE", false), ("GET", true)]);
    }

    #[test]
    fn servers_name_the_base_path_unless_the_api_is_a_prototype() {
        let definition = with(&json!({"servers": [{"url": "https://host.io/v2"}]}));
        assert_eq!(check(&definition, FRAME, &[]).base_path.as_deref(), Some("/v2"));
        let prototype = check(&definition, Frame { servers: false, ..FRAME }, &[]);
        assert_eq!((prototype.base_path, prototype.servers), (None, None));
    }

    #[test]
    fn mistakes_are_reported() {
        for (definition, errors) in [
            (json!({"swagger": "2.0"}), &["Swagger 2"][..]),
            (json!({}), &["no OpenAPI"]),
            (json!({"openapi": "4.0"}), &["cannot be read"]),
            (json!({"openapi": 3.0}), &["in quotes"]),
            (with(&json!({"paths": {}})), &["no paths"]),
            (with(&json!({"paths": {"pet": {"get": {}}}})), &["begin with /"]),
            (with(&json!({"paths": {"/pet": {"gett": {}}}})), &["did you mean get?"]),
            (with(&json!({"paths": {"/pet": {"$ref": "x"}}})), &["refers to another"]),
            (
                with(&json!({"paths": {"/pet/{a}": {"get": {}}, "/pet/{b}/": {"get": {}, "put": {}}}})),
                &["matches the same requests"],
            ),
            (with(&json!({"paths": {"/pet/{a}": {"get": {}}, "/pet/{b}": {"put": {}}}})), &[]),
            (with(&json!({"x-wso2-basePath": "pets"})), &["does not begin with /"]),
            (with(&json!({"x-wso2-disable-security": "yes"})), &["true or false"]),
            (with(&json!({"x-wso2-request-interceptor": {}})), &["cannot be used"]),
            (with(&json!({"paths": {"/pet": {"get": {"x-amzn-resource-name": "arn"}}}})), &["cannot be used"]),
        ] {
            check(&definition, FRAME, errors);
        }
    }

    #[test]
    fn security_is_disabled_from_the_top_down_and_enabled_again_below() {
        let definition = with(&json!({"x-wso2-disable-security": true, "paths": {
            "/a": {"get": {}}, "/b": {"x-wso2-disable-security": false, "get": {}, "put": {"x-auth-type": "None"}}}}));
        let open: Vec<Vec<bool>> = check(&definition, FRAME, &[])
            .resources
            .iter()
            .map(|resource| resource.operations.iter().map(|o| o.security == Security::Unsecured).collect())
            .collect();
        assert_eq!(open, [vec![true], vec![false, true]]);
    }
}
