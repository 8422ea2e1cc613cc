//! What must hold for every project, whatever is in it.

pub mod certificates;

use std::collections::BTreeSet;

use tollgate_project::{CompileOptions, LambdaOptions, ProjectFiles, compile};

/// api.yaml of an API with backends of its own.
pub const HTTP: &str = "type: api\nversion: v4.2.0\ndata:\n  name: Pets\n  version: 1.0.0\n  context: /pets\n  type: HTTP\n  endpointConfig:\n    production_endpoints:\n      url: https://backend/v2\n";
/// api.yaml of an API that examples stand in for.
pub const MOCKED: &str =
    "type: api\ndata:\n  name: Pets\n  version: 1.0.0\n  context: /pets\n  endpointImplementationType: MOCKED_OAS\n";
/// api.yaml of a WebSocket API.
pub const WEBSOCKET: &str = "type: api\ndata:\n  name: Chat\n  version: 1.0.0\n  context: /chat\n  type: WS\n  endpointConfig:\n    production_endpoints:\n      url: ws://backend/v2\n";
/// api.yaml of a GraphQL API.
pub const GRAPHQL: &str = "type: api\ndata:\n  name: Books\n  version: 1.0.0\n  context: /books\n  type: GRAPHQL\n  operations:\n    - target: book\n      verb: QUERY\n  endpointConfig:\n    production_endpoints:\n      url: http://backend/graphql\n";
/// A definition of two operations.
pub const OPENAPI: &str = "openapi: 3.0.3\ninfo: {title: Pets, version: 1.0.0}\npaths:\n  /pet/{id}:\n    get: {responses: {}}\n    put: {responses: {}}\n";
/// A definition of one channel.
pub const ASYNCAPI: &str = "asyncapi: 2.0.0\ninfo: {title: Chat, version: 1.0.0}\nchannels:\n  /room/{name}:\n    subscribe: {}\n    publish: {}\n";
/// A schema of one query.
pub const SCHEMA: &str = "type Query {\n  book(id: ID!): String\n}\n";

/// Checks a project of these files.
pub fn check_all(contents: &[(&str, &[u8])]) {
    let mut files = ProjectFiles::default();
    if contents.iter().all(|(path, bytes)| files.insert(path, bytes.to_vec()).is_ok()) {
        check(&files);
    }
}

/// A project is refused for a reason, or it is one that can be served; and the same project has the same outcome.
pub fn check(files: &ProjectFiles) {
    let lambda = LambdaOptions { payload_passthrough: true, synchronous: true, endpoint: None };
    let options = CompileOptions { lambda: Some(lambda), consul: true, ..CompileOptions::default() };
    let outcome = compile(files, &options);
    assert_eq!(outcome, compile(files, &options), "the same again");
    let compiled = match outcome {
        Ok(compiled) => compiled,
        Err(problems) => {
            assert!(problems.has_errors(), "a refusal says why");
            return;
        }
    };
    assert!(!compiled.warnings.has_errors());
    assert!(!compiled.targets.is_empty(), "it is deployed somewhere");
    let deployment = compiled.blueprint.on("localhost", BTreeSet::new());
    let names: BTreeSet<&str> = deployment.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names.len(), deployment.clusters.len(), "every cluster has a name of its own");
    let api = &deployment.api;
    let own = api.resources.iter().flat_map(|resource| [&resource.production, &resource.sandbox]);
    for backend in own.chain([&api.production, &api.sandbox]).flatten() {
        assert!(names.contains(backend.cluster.as_str()), "a backend without a cluster");
    }
}
