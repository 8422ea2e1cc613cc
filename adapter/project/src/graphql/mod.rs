//! GraphQL APIs: `Definitions/schema.graphql`, `Definitions/graphql-complexity.yaml` and the operations of api.yaml.
//!
//! An operation of api.yaml is a field of a root type; what api.yaml does not list is not exposed. Nothing is read from an
//! OpenAPI definition, which API Manager writes into such projects as well.

mod complexity;
mod operations;
mod schema;

use std::collections::BTreeMap;

use tollgate_model::{Cors, GraphQl, Interceptors, Operation};

use super::cors;
use super::definition::Definition;
use super::document::{Node, parse};
use super::files::ProjectFiles;
use super::metadata::Metadata;
use super::options::CompileOptions;
use super::resources::ResourcePlan;
use crate::model::Problems;
use operations::Announced;

/// The schema definition.
pub const SCHEMA: &str = "Definitions/schema.graphql";
const COMPLEXITY: [&str; 3] = [
    "Definitions/graphql-complexity.yaml",
    "Definitions/graphql-complexity.yml",
    "Definitions/graphql-complexity.json",
];

/// What api.yaml says that matters to GraphQL APIs only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    operations: Vec<Announced>,
    /// `corsConfiguration`, when it is there; the inner one is `None` when it is switched off.
    cors: Option<Option<Cors>>,
}

impl Facts {
    /// Reads `data` of api.yaml.
    pub fn read(data: &Node<'_>, problems: &mut Problems) -> Self {
        let cors = data.get("corsConfiguration").map(|node| {
            let rules = cors::read(&node, problems);
            // Switched off unless it says otherwise, unlike the extension of a definition.
            rules.filter(|_| node.value().get("corsConfigurationEnabled").is_some())
        });
        Self { operations: operations::read(data, problems), cors }
    }
}

/// What the project says, in the form of a definition with a single resource.
pub fn read(
    files: &ProjectFiles,
    metadata: &Metadata,
    facts: &Facts,
    options: &CompileOptions,
    problems: &mut Problems,
) -> Definition {
    if metadata.mocked {
        problems.error(
            ("api.yaml", "/data/endpointImplementationType"),
            "a GraphQL API cannot be mocked",
            "there are no examples to answer with",
            "set endpointImplementationType to ENDPOINT and name a backend",
        );
    }
    let post = Operation {
        method: "POST".to_owned(),
        security: metadata.security.with_scopes(Vec::new()),
        tier: None,
        cost: None,
        mock: None,
        interceptors: Interceptors::default(),
        policies: None,
    };
    Definition {
        cors: facts.cors.clone().unwrap_or_else(|| options.cors.clone()),
        resources: vec![ResourcePlan {
            template: "/".to_owned(),
            production: None,
            sandbox: None,
            uri_mapping: None,
            operations: vec![post],
            interceptors: BTreeMap::new(),
        }],
        graphql: digest(files, metadata, facts, problems),
        ..Definition::default()
    }
}

fn digest(files: &ProjectFiles, metadata: &Metadata, facts: &Facts, problems: &mut Problems) -> Option<GraphQl> {
    let Some(text) = files.get(SCHEMA) else {
        problems.error(
            (SCHEMA, ""),
            "the project has no GraphQL schema",
            "requests are checked against it",
            "add Definitions/schema.graphql",
        );
        return None;
    };
    let introspection = facts.operations.iter().any(Announced::is_introspection);
    let mut graphql = schema::read(SCHEMA, text, introspection, problems)?;
    if let Some((file, bytes)) = files.one_of(&COMPLEXITY, problems)
        && let Some(document) = parse(file, bytes, problems)
    {
        complexity::apply(&Node::root(file, &document), &mut graphql, problems);
    }
    operations::expose(&facts.operations, metadata.security, &mut graphql, problems);
    Some(graphql)
}

#[cfg(test)]
mod tests;
