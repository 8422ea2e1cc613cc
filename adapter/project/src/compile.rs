//! Project files to a [`Blueprint`]: which file says what, and who wins when several do. All problems are reported at
//! once, and any error refuses the whole project.
//!
//! Later wins: api.yaml, then `servers` of the definition, then its vendor extensions. Title, version, id and the
//! authorization header are always those of api.yaml, where it has them.

use std::collections::BTreeSet;

use tollgate_enforce::CompiledApi;
use tollgate_model::{Api, ApiKind, LifeCycle, Security};

use super::asyncapi;
use super::blueprint::Blueprint;
use super::certificates::{self, EndpointCertificates};
use super::client_certificates;
use super::credentials::Credentials;
use super::definition::{self, Definition, Frame};
use super::document::{Node, parse};
use super::environments::{self, Targets};
use super::files::ProjectFiles;
use super::graphql;
use super::metadata::{self, Metadata};
use super::names;
use super::options::CompileOptions;
use super::placement::Placement;
use super::policies;
use super::upstream::Upstream;
use crate::model::{Deployment, Problems};

const METADATA: [&str; 2] = ["api.yaml", "api.json"];
/// Part of the name of a definition in the folder `Definitions`.
const OPENAPI: &str = "swagger.";
const ASYNCAPI: &str = "asyncapi.";
const ENVIRONMENTS: [&str; 2] = ["deployment_environments.yaml", "deployment_environments.json"];

/// A project that may be deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The API.
    pub blueprint: Blueprint,
    /// Where the project asks to be deployed.
    pub targets: Targets,
    /// What is worth knowing about it.
    pub warnings: Problems,
}

impl Compiled {
    /// The API on all its virtual hosts.
    #[must_use]
    pub fn deployments(&self) -> Vec<Deployment> {
        self.targets.iter().map(|(host, environments)| self.blueprint.on(host, environments.clone())).collect()
    }
}

/// Reads and checks a project.
///
/// # Errors
/// All problems of the project, at least one of them an error.
pub fn compile(files: &ProjectFiles, options: &CompileOptions) -> Result<Compiled, Problems> {
    compile_placed(files, options, &Placement::default())
}

/// Reads and checks a project of which somebody else says more than it does itself.
///
/// # Errors
/// All problems of the project, at least one of them an error.
pub fn compile_placed(
    files: &ProjectFiles,
    options: &CompileOptions,
    placement: &Placement,
) -> Result<Compiled, Problems> {
    let mut problems = Problems::new();
    check_files(files, &mut problems);
    let metadata = read_metadata(files, options, &mut problems).map(|metadata| placement.correct(metadata));
    let targets = match &placement.targets {
        Some(targets) => targets.clone(),
        None => read_targets(files, options, &mut problems),
    };
    let trusted = certificates::read(files, &mut problems);
    let blueprint = metadata.map(|metadata| {
        let frame = Frame {
            version: &metadata.version,
            security: metadata.security,
            servers: metadata.life_cycle != LifeCycle::Prototyped,
            mocked: metadata.mocked,
            lambda: metadata.lambda.as_ref(),
            intercepts: metadata.policies.intercepts_requests(),
        };
        if metadata.graphql.is_none() && files.get(graphql::SCHEMA).is_some() {
            let why = "type of api.yaml is not GRAPHQL";
            let fix = "write type: GRAPHQL, or remove the file";
            problems.warn((graphql::SCHEMA, ""), "the GraphQL schema is not read", why, fix);
        }
        let definition = match &metadata.graphql {
            Some(facts) => graphql::read(files, &metadata, facts, options, &mut problems),
            None if metadata.kind == ApiKind::WebSocket => read_channels(files, frame, options, &mut problems),
            None => read_definition(files, frame, options, &mut problems),
        };
        let mutual_ssl = client_certificates::read(files, metadata.security, &mut problems);
        let mut blueprint = merge((metadata, placement), definition, &trusted, options, &mut problems);
        blueprint.api.mutual_ssl = mutual_ssl;
        blueprint
    });
    if let Some(blueprint) = blueprint.as_ref().filter(|_| !problems.has_errors()) {
        check_with_filter(blueprint, &mut problems);
    }
    match blueprint {
        Some(blueprint) if !problems.has_errors() => Ok(Compiled { blueprint, targets, warnings: problems }),
        _ => Err(problems),
    }
}

fn read_metadata(files: &ProjectFiles, options: &CompileOptions, problems: &mut Problems) -> Option<Metadata> {
    let Some((file, bytes)) = files.one_of(&METADATA, problems) else {
        problems.error(
            ("api.yaml", ""),
            "could not find api.yaml or api.json",
            "it describes the API",
            "put it at the top of the project",
        );
        return None;
    };
    let document = parse(file, bytes, problems)?;
    let root = Node::root(file, &document);
    let mut metadata = metadata::read(&root, options, problems)?;
    if let Some(data) = root.get("data").filter(|_| metadata.kind == ApiKind::Http) {
        metadata.policies = policies::read(files, &data, options, problems);
    }
    Some(metadata)
}

fn read_definition(
    files: &ProjectFiles,
    frame: Frame<'_>,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Definition {
    if let Some((file, _)) = definition_file(files, ASYNCAPI, problems) {
        let why = "channels are served by APIs of type WS only";
        problems.error((file, ""), "the API is no WebSocket API", why, "remove the file, or set the type to WS");
    }
    let Some((file, bytes)) = definition_file(files, OPENAPI, problems) else {
        problems.error(
            ("Definitions/swagger.yaml", ""),
            "the project has no OpenAPI definition",
            "it lists the resources of the API",
            "add Definitions/swagger.yaml",
        );
        return Definition::default();
    };
    match parse(file, bytes, problems) {
        Some(document) => definition::read(&Node::root(file, &document), frame, options, problems),
        None => Definition::default(),
    }
}

fn read_channels(
    files: &ProjectFiles,
    frame: Frame<'_>,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Definition {
    if let Some((file, _)) = definition_file(files, OPENAPI, problems) {
        let why = "the channels of a WebSocket API are described by AsyncAPI";
        problems.error((file, ""), "an OpenAPI definition describes no WebSocket API", why, "remove the file");
    }
    let Some((file, bytes)) = definition_file(files, ASYNCAPI, problems) else {
        problems.error(
            ("Definitions/asyncapi.yaml", ""),
            "the project has no AsyncAPI definition",
            "it lists the channels of the API",
            "add Definitions/asyncapi.yaml",
        );
        return Definition::default();
    };
    match parse(file, bytes, problems) {
        Some(document) => asyncapi::read(&Node::root(file, &document), frame, options, problems),
        None => Definition::default(),
    }
}

/// The one definition of that kind: `swagger.yaml`, or any other file whose name contains it, as `pets-swagger.json` does.
fn definition_file<'f>(files: &'f ProjectFiles, part: &str, problems: &mut Problems) -> Option<(&'f str, &'f [u8])> {
    let named = |path: &&str| {
        path.strip_prefix("Definitions/").is_some_and(|name| name.contains(part))
            && [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension))
    };
    let names: Vec<&str> = files.paths().filter(named).collect();
    files.one_of(&names, problems)
}

fn read_targets(files: &ProjectFiles, options: &CompileOptions, problems: &mut Problems) -> Targets {
    let Some((file, bytes)) = files.one_of(&ENVIRONMENTS, problems) else {
        return environments::default(options, problems);
    };
    match parse(file, bytes, problems) {
        Some(document) => environments::read(&Node::root(file, &document), options, problems),
        None => Targets::new(),
    }
}

/// Files whose content would be missed.
fn check_files(files: &ProjectFiles, problems: &mut Problems) {
    for path in files.paths() {
        if path.rsplit('/').next() == Some("env_properties.json") {
            problems.warn(
                (path, ""),
                "properties of environments are not read",
                "only API Manager writes them, to its own gateways",
                "replace endpoints by the variables api_<id>_prod_endpoint_<number>",
            );
        }
    }
}

/// Scopes of API Manager's operations are read from the definition; one that only api.yaml names would be lost.
fn check_scopes(metadata: &Metadata, definition: &Definition, problems: &mut Problems) {
    for (pointer, verb, target) in &metadata.scoped {
        // Directions of a channel are one operation.
        let method = if metadata.kind == ApiKind::WebSocket { "GET" } else { verb };
        let resource = definition.resources.iter().find(|resource| resource.template == *target);
        let operation = resource.and_then(|resource| resource.operations.iter().find(|one| one.method == method));
        // Who calls with an API key is never asked for scopes, so an operation without tokens loses none.
        let lost = operation.map(|operation| &operation.security).is_some_and(|security| {
            let tokens = security.requirements().iter().any(|requirement| requirement.token);
            *security == Security::Unsecured || (tokens && security.scopes().is_empty())
        });
        if lost {
            problems.error(
                ("api.yaml", pointer),
                format!("the scopes of {verb} {target} are missing in the definition"),
                "scopes are read from the definition, so these would not be asked for",
                "add them to the operation's security in the definition",
            );
        }
    }
}

/// Cross-origin rules are read from the definition, as in the original; those of api.yaml must not be taken for them.
fn check_cors(metadata: &Metadata, definition: &Definition, problems: &mut Problems) {
    if metadata.cors.is_some_and(|enabled| enabled != definition.cors.is_some()) {
        problems.warn(
            ("api.yaml", "/data/corsConfiguration"),
            "corsConfiguration is not read, and the definition says otherwise",
            "rules for other origins are those of x-wso2-cors, or else of router.cors",
            "write them into x-wso2-cors of the definition",
        );
    }
}

/// The filter's own code has the last word: what it could not compile it would deny, after the deployment was answered.
fn check_with_filter(blueprint: &Blueprint, problems: &mut Problems) {
    let api = blueprint.on("localhost", BTreeSet::new()).api;
    if let Err(tollgate_enforce::Invalid(what)) = CompiledApi::compile(api) {
        problems.error(("Definitions", "/paths"), what, "the gateway could not serve the API", "correct that path");
    }
}

fn merge(
    (metadata, placement): (Metadata, &Placement),
    mut definition: Definition,
    trusted: &EndpointCertificates,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Blueprint {
    check_scopes(&metadata, &definition, problems);
    check_cors(&metadata, &definition, problems);
    metadata.policies.join(&mut definition.resources, problems);
    trust_interceptors(&mut definition, trusted);
    let (mut production, mut sandbox) = backends(&metadata, &definition);
    if !metadata.mocked && metadata.lambda.is_none() {
        placement.redirect(&mut production, &mut sandbox, problems);
        options.overrides.apply((&metadata.name, &metadata.version), &mut production, &mut sandbox, problems);
    }
    let own = definition.resources.iter_mut().flat_map(|plan| [&mut plan.production, &mut plan.sandbox]);
    let named = definition.endpoints.iter_mut().map(|(_, upstream)| upstream);
    let mut upstreams: Vec<&mut Upstream> = own.chain([&mut production, &mut sandbox]).flatten().chain(named).collect();
    upstreams.iter_mut().for_each(|upstream| upstream.authorize(problems));
    check_discovery(options, upstreams.iter().map(|upstream| &**upstream), problems);
    check_schemes(metadata.kind, upstreams.iter().map(|upstream| &**upstream), problems);
    trusted.apply(upstreams.into_iter(), problems);
    let base_path = exposed_path(definition.base_path.take(), &metadata, problems);
    let prototyped = metadata.life_cycle == LifeCycle::Prototyped;
    if !metadata.mocked && metadata.lambda.is_none() {
        check_backends(production.as_ref(), sandbox.as_ref(), prototyped, problems);
    }
    let default_base_path =
        if metadata.default_version { names::without_version(&base_path, &metadata.version) } else { None };
    let api = Api {
        id: metadata.id,
        name: metadata.name,
        version: metadata.version,
        organization: metadata.organization,
        virtual_host: String::new(),
        base_path,
        default_base_path,
        kind: metadata.kind,
        graphql: definition.graphql,
        life_cycle: metadata.life_cycle,
        authorization_header: metadata.authorization_header.or(definition.authorization_header),
        tier: definition.tier.or(metadata.tier),
        mutual_ssl: None,
        production: None,
        sandbox: None,
        cors: definition.cors,
        endpoints: Vec::new(),
        resources: Vec::new(),
    };
    Blueprint {
        api,
        http2: definition.http2,
        endpoints: definition.endpoints,
        production,
        sandbox: sandbox.filter(|_| !prototyped),
        resources: definition.resources,
        services: metadata.policies.services,
    }
}

/// Where the API is exposed: as the definition says, else below the context of api.yaml.
fn exposed_path(named: Option<String>, metadata: &Metadata, problems: &mut Problems) -> String {
    if let Some(path) = named {
        return path;
    }
    names::base_path(&metadata.base_path).unwrap_or_else(|what| {
        problems.error(
            ("api.yaml", "/data/context"),
            format!("the base path {:?} {what}", metadata.base_path),
            "no request could be matched with it",
            "write a context such as /name",
        );
        String::new()
    })
}

/// Tells interceptors by what they are recognised.
fn trust_interceptors(definition: &mut Definition, trusted: &EndpointCertificates) {
    for plans in definition.resources.iter_mut().flat_map(|plan| plan.interceptors.values_mut()) {
        plans.trust(trusted.of_interceptors());
    }
}

/// Who names the backends. `servers` replace both sides of api.yaml; extensions replace what they name, and one that names
/// the sandbox only drops a production backend that came from `servers`.
fn backends(metadata: &Metadata, definition: &Definition) -> (Option<Upstream>, Option<Upstream>) {
    // Every path has a function of its own.
    if metadata.lambda.is_some() {
        return (None, None);
    }
    let only_sandbox_named = definition.production.is_none() && definition.sandbox.is_some();
    let (mut production, mut sandbox) = match &definition.servers {
        _ if metadata.kind == ApiKind::WebSocket => (
            server(metadata.production.as_ref(), definition.servers.as_ref()),
            server(metadata.sandbox.as_ref(), definition.sandbox_servers.as_ref()),
        ),
        Some(_) if only_sandbox_named => (None, None),
        Some(servers) => (Some(servers.clone()), None),
        None => (metadata.production.clone(), metadata.sandbox.clone()),
    };
    if let Some(named) = &definition.production {
        production = Some(named.clone());
    }
    if let Some(named) = &definition.sandbox {
        sandbox = Some(named.clone());
    }
    (
        tuned(production, metadata.production.as_ref(), metadata.production_credentials.as_ref()),
        tuned(sandbox, metadata.sandbox.as_ref(), metadata.sandbox_credentials.as_ref()),
    )
}

/// A server of an AsyncAPI definition replaces its side of api.yaml, unless it is but one of the endpoints there: API
/// Manager repeats the first one, and the others would be lost.
fn server(listed: Option<&Upstream>, server: Option<&Upstream>) -> Option<Upstream> {
    let repeated = |listed: &&Upstream| {
        server.is_none_or(|server| {
            let known = server.endpoints.iter().all(|one| {
                listed
                    .endpoints
                    .iter()
                    .any(|other| (&other.host, other.port, other.tls) == (&one.host, one.port, one.tls))
            });
            known && listed.base_path == server.base_path
        })
    };
    listed.filter(repeated).or(server).cloned()
}

/// Without Consul, a service of it would be its default for ever.
fn check_discovery<'u>(
    options: &CompileOptions,
    upstreams: impl Iterator<Item = &'u Upstream>,
    problems: &mut Problems,
) {
    if options.consul {
        return;
    }
    for (file, pointer) in upstreams.filter_map(|upstream| upstream.discovered_at.as_ref()) {
        problems.error(
            (file, pointer),
            "the URL names a service of Consul, and Consul is switched off",
            "its instances could not be found",
            "set adapter.consul.enabled and adapter.consul.url in the adapter's configuration, or write a URL",
        );
    }
}

/// Backends of a WebSocket API say `ws` or `wss`, those of others do not.
fn check_schemes<'u>(kind: ApiKind, mut upstreams: impl Iterator<Item = &'u Upstream>, problems: &mut Problems) {
    let expected = kind == ApiKind::WebSocket;
    if upstreams.any(|upstream| upstream.web_socket != expected) {
        let schemes = if expected { "ws or wss" } else { "http or https" };
        problems.error(
            ("api.yaml", "/data/type"),
            format!("an endpoint of this API of type {} has another scheme than {schemes}", kind.name()),
            "it could not be used",
            "correct the URL, or the type",
        );
    }
}

/// Fills in what api.yaml says of that side and the one who named the backend leaves open.
fn tuned(
    upstream: Option<Upstream>,
    metadata: Option<&Upstream>,
    credentials: Option<&Credentials>,
) -> Option<Upstream> {
    let rest = metadata.map(|upstream| upstream.tuning.clone()).unwrap_or_default();
    let upstream = upstream?;
    let credentials = upstream.credentials.clone().or_else(|| credentials.cloned());
    Some(Upstream { tuning: upstream.tuning.clone().or(&rest), credentials, ..upstream })
}

fn check_backends(
    production: Option<&Upstream>,
    sandbox: Option<&Upstream>,
    prototyped: bool,
    problems: &mut Problems,
) {
    let fix = "name one in endpointConfig of api.yaml or in x-wso2-production-endpoints";
    if production.is_none() && prototyped {
        let why = "a prototype is served without tokens, to production only";
        problems.error(("api.yaml", "/data/endpointConfig"), "there is no production endpoint", why, fix);
    } else if production.is_none() && sandbox.is_none() && !problems.has_errors() {
        let why = "requests could not be sent anywhere";
        problems.error(
            ("api.yaml", "/data/endpointConfig"),
            "there is neither a production nor a sandbox endpoint",
            why,
            fix,
        );
    }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
