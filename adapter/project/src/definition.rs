//! The OpenAPI 3 or Swagger 2 definition: resources, and what `servers` and the vendor extensions say of the whole API.

use tollgate_model::{Cors, GraphQl};

use super::cors;
use super::dialect::Dialect;
use super::document::Node;
use super::endpoints::{Servers, from_host, from_servers, named};
use super::lambda::LambdaAccess;
use super::names;
use super::options::CompileOptions;
use super::resources::{ResourcePlan, Resources};
use super::security::NamedSchemes;
use super::throttling;
use super::upstream::Upstream;
use super::vendor::{self, Level};
use crate::model::Problems;

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
    /// Sandbox backend of `servers`, which only AsyncAPI has.
    pub sandbox_servers: Option<Upstream>,
    /// Header of the access token, in lower case.
    pub authorization_header: Option<String>,
    /// Plan of the API as a whole.
    pub tier: Option<String>,
    /// Whether backends speak HTTP/2.
    pub http2: bool,
    /// Cross-origin rules: of the extension, or else the gateway's own.
    pub cors: Option<Cors>,
    /// The digest of a GraphQL schema, for APIs of that kind.
    pub graphql: Option<GraphQl>,
    /// Backends to which interceptors may send requests; read when there are such interceptors.
    pub endpoints: Vec<(String, Upstream)>,
    /// Resources, at least one unless an error was reported.
    pub resources: Vec<ResourcePlan>,
}

/// What api.yaml decides about the definition.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'m> {
    /// Version of the API, for `{version}` in base paths.
    pub version: &'m str,
    /// What api.yaml names, which replaces the definition's schemes.
    pub security: NamedSchemes,
    /// Whether `servers` count; they do not for prototypes.
    pub servers: bool,
    /// Whether examples stand in for backends, which are not read then.
    pub mocked: bool,
    /// How functions of AWS Lambda are called, when they are the backends.
    pub lambda: Option<&'m LambdaAccess>,
    /// Whether policies show requests to interceptors.
    pub intercepts: bool,
}

/// Reads a definition.
pub fn read(root: &Node<'_>, frame: Frame<'_>, options: &CompileOptions, problems: &mut Problems) -> Definition {
    let Some(dialect) = Dialect::of(root, problems) else { return Definition::default() };
    vendor::check(root, Level::Api, problems);
    let servers = servers(root, dialect, frame, problems);
    let resources = Resources::new(root, dialect, frame, options);
    let plans = resources.read(problems);
    let intercepted = frame.intercepts
        || plans.iter().flat_map(|plan| plan.interceptors.values()).any(|plans| plans.request.is_some());
    Definition {
        base_path: base_path(root, frame, problems).or_else(|| {
            let path = servers.base_path?;
            let named = root.get("servers").or_else(|| root.get("basePath"));
            checked_base_path(&named.unwrap_or_else(|| root.clone()), &path, problems)
        }),
        production: resources.endpoints(root, "x-wso2-production-endpoints", problems),
        sandbox: resources.endpoints(root, "x-wso2-sandbox-endpoints", problems),
        servers: servers.upstream.filter(|_| !frame.mocked),
        sandbox_servers: None,
        authorization_header: header_name(root, problems),
        tier: throttling::of(root, problems),
        http2: root.get("x-wso2-http2-backend-enabled").and_then(|node| node.boolean(problems)) == Some(true),
        cors: match root.get("x-wso2-cors") {
            Some(node) => cors::read(&node, problems),
            None => options.cors.clone(),
        },
        graphql: None,
        endpoints: if intercepted { named(root, options, problems) } else { Vec::new() },
        resources: plans,
    }
}

/// What `x-wso2-basePath` says.
pub fn base_path(root: &Node<'_>, frame: Frame<'_>, problems: &mut Problems) -> Option<String> {
    let node = root.get("x-wso2-basePath")?;
    let path = node.text(problems)?.replace("{version}", frame.version);
    checked_base_path(&node, &path, problems)
}

/// What `x-wso2-auth-header` says, in lower case.
pub fn header_name(root: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let node = root.get("x-wso2-auth-header")?;
    let named = names::header(node.text(problems)?);
    if let Err(what) = named {
        node.error(problems, format!("the header name {what}"), "no request could carry it", "write a header name");
    }
    named.ok()
}

fn servers(root: &Node<'_>, dialect: Dialect, frame: Frame<'_>, problems: &mut Problems) -> Servers {
    if !frame.servers {
        return Servers::default();
    }
    match dialect {
        Dialect::OpenApi3 => root.get("servers").map(|servers| from_servers(&servers, problems)).unwrap_or_default(),
        Dialect::Swagger2 => from_host(root, problems),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tollgate_model::Security;

    use super::*;

    const FRAME: Frame<'_> = Frame {
        version: "1.0.0",
        security: NamedSchemes::NONE,
        servers: true,
        mocked: false,
        lambda: None,
        intercepts: false,
    };

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
        let methods: Vec<_> =
            resource.operations.iter().map(|o| (o.method.as_str(), o.security == Security::Unsecured)).collect();
        assert_eq!(methods, [("GET", true), ("DELETE", false)]);
    }

    #[test]
    fn servers_name_the_base_path_unless_the_api_is_a_prototype() {
        let definition = with(&json!({"servers": [{"url": "https://host.io/v2"}]}));
        assert_eq!(check(&definition, FRAME, &[]).base_path.as_deref(), Some("/v2"));
        let prototype = check(&definition, Frame { servers: false, ..FRAME }, &[]);
        assert_eq!((prototype.base_path, prototype.servers), (None, None));
    }

    #[test]
    fn swagger_2_is_read_alike() {
        let definition = json!({
            "swagger": "2.0", "host": "host.io", "basePath": "/v2", "schemes": ["http", "https"],
            "securityDefinitions": {"default": {"type": "oauth2"}, "plain": {"type": "basic"}},
            "security": [{"default": []}, {"plain": []}],
            "x-wso2-sandbox-endpoints": {"urls": ["http://sandbox"]},
            "paths": {"/pet": {
                "get": {"security": [{"default": ["read"]}]}, "options": {"x-auth-type": "None"}}},
        });
        let found = check(&definition, FRAME, &[]);
        assert_eq!(found.base_path.as_deref(), Some("/v2"));
        let endpoint = found.servers.unwrap().endpoints.remove(0);
        assert_eq!((endpoint.host.as_str(), endpoint.port, endpoint.tls), ("host.io", 443, true));
        assert_eq!(found.sandbox.unwrap().endpoints[0].host, "sandbox");
        let operations: Vec<_> =
            found.resources[0].operations.iter().map(|o| (o.method.as_str(), o.security.clone())).collect();
        let scopes = vec!["read".to_owned()];
        assert_eq!(operations, [("GET", Security::OAuth2 { scopes }), ("OPTIONS", Security::Unsecured)]);
        let undefined = json!({"swagger": "2.0", "paths": {"/a": {"get": {"security": [{"gone": []}]}}}});
        let undefined = check(&undefined, FRAME, &[]);
        assert_eq!(undefined.resources[0].operations[0].security, Security::OAuth2 { scopes: Vec::new() });
    }

    #[test]
    fn a_mocked_api_has_examples_and_no_backends() {
        let definition = with(&json!({
            "servers": [{"url": "https://host.io/v2"}],
            "x-wso2-production-endpoints": {"urls": ["not looked at"]},
            "paths": {"/pet": {"get": {"responses": {"200": {"content": {"text/plain": {"example": "hi"}}}}}, "put": {}}},
        }));
        let found = check(&definition, Frame { mocked: true, ..FRAME }, &[]);
        assert_eq!((found.base_path.as_deref(), found.servers, found.production), (Some("/v2"), None, None));
        let responses: Vec<Option<usize>> = found.resources[0]
            .operations
            .iter()
            .map(|operation| operation.mock.as_ref().map(|mock| mock.responses.len()))
            .collect();
        assert_eq!(responses, [Some(1), Some(0)]);
        let plain = with(&json!({"paths": {"/pet": {"get": {"responses": {"200": {"$ref": "not looked at"}}}}}}));
        assert_eq!(check(&plain, FRAME, &[]).resources[0].operations[0].mock, None);
    }

    #[test]
    fn paths_that_are_served_alike_are_served_once() {
        for (paths, kept) in [
            (json!({"/pet": {"get": {}}, "/pet/": {"get": {}, "put": {}}}), &["/pet GET", "/pet/ PUT"][..]),
            (json!({"/pet/": {"get": {}}, "/pet": {"get": {}}}), &["/pet GET"]),
            (json!({"/{a}": {"get": {}}, "/{b}": {"get": {}}, "/{c}": {"get": {}}}), &["/{a} GET"]),
        ] {
            let found = check(&with(&json!({ "paths": paths })), FRAME, &[]);
            let served: Vec<String> = found
                .resources
                .iter()
                .flat_map(|one| one.operations.iter().map(|operation| format!("{} {}", one.template, operation.method)))
                .collect();
            assert_eq!(served, kept, "{paths}");
        }
    }

    #[test]
    fn a_path_may_refer_to_another_part_of_the_document() {
        let found = check(
            &with(&json!({
                "paths": {"/pet": {"$ref": "#/components/pathItems/a%20pet"}, "/dog": {"$ref": "#/x-more/~1dog"}},
                "components": {"pathItems": {"a pet": {"get": {"x-auth-type": "None"}}}},
                "x-more": {"/dog": {"put": {}, "connect": {}}},
            })),
            FRAME,
            &[],
        );
        let served: Vec<_> = found
            .resources
            .iter()
            .map(|one| (one.template.as_str(), one.operations[0].method.as_str(), one.operations.len()))
            .collect();
        assert_eq!(served, [("/pet", "GET", 1), ("/dog", "PUT", 1)]);
    }

    #[test]
    fn mistakes_are_reported() {
        for (definition, errors) in [
            (json!({"swagger": "1.2"}), &["Swagger 1.2 cannot be read"][..]),
            (json!({"swagger": "2.0", "openapi": "3.0.0"}), &["both Swagger and OpenAPI"]),
            (json!({}), &["no OpenAPI"]),
            (json!({"openapi": "4.0"}), &["cannot be read"]),
            (json!({"openapi": 3.0}), &["in quotes"]),
            (with(&json!({"paths": {}})), &["no paths"]),
            (with(&json!({"paths": {"pet": {"get": {}}}})), &["begin with /"]),
            (with(&json!({"paths": {"/pet": {"gett": {}}}})), &["did you mean get?"]),
            (with(&json!({"paths": {"/pet": {"$ref": "x"}}})), &["refers to another"]),
            (with(&json!({"paths": {"/pet": {"$ref": "#/paths/~1pet"}}})), &["refers to another"]),
            (
                with(
                    &json!({"paths": {"/pet/{a}": {"get": {}}, "/pet/{b}/": {"get": {"x-auth-type": "None"}, "put": {}}}}),
                ),
                &["matches the same requests"],
            ),
            (with(&json!({"paths": {"/pet/{a}": {"get": {}}, "/pet/{b}": {"put": {}}}})), &[]),
            (with(&json!({"x-wso2-basePath": "pets"})), &["does not begin with /"]),
            (with(&json!({"x-wso2-disable-security": "yes"})), &["true or false"]),
            (with(&json!({"x-wso2-request-interceptor": {}})), &["no serviceURL"]),
            (
                with(&json!({"x-wso2-request-interceptor": {"serviceURL": "http://service"},
                             "x-wso2-endpoints": [{"one": {"urls": ["http://one"]}, "a b": {"urls": ["http://two"]}},
                                                  {"one": {"urls": ["http://one"]}}]})),
                &["holds a character", "named twice"],
            ),
            (with(&json!({"paths": {"/pet": {"get": {"x-amzn-resource-name": "arn"}}}})), &[]),
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
