//! A GraphQL API for unit tests.

use tollgate_model::{Api, ApiKind, GraphQl, GraphQlField, GraphQlKind, GraphQlOperation, GraphQlType, Security};

use crate::testing::{api, backend, operation, resource, token_with};

/// `Query { open: Int, mine: Pet, hers: Pet, hidden: Int }`, `Mutation { change: Pet }` and `Pet { name: String, next: Pet }`.
pub(crate) fn graphql_digest() -> GraphQl {
    let field = |name: &str| GraphQlField {
        name: name.to_owned(),
        composite: ["mine", "hers", "change", "next"].contains(&name).then(|| "Pet".to_owned()),
        arguments: Vec::new(),
        complexity: None,
    };
    let kind = |name: &str, fields: &[&str]| GraphQlType {
        name: name.to_owned(),
        possible: None,
        fields: fields.iter().map(|name| field(name)).collect(),
    };
    let exposed = |name: &str, kind: GraphQlKind, security| GraphQlOperation {
        field: name.to_owned(),
        kind,
        operation: operation(kind.name(), security),
    };
    GraphQl {
        query: "Query".to_owned(),
        mutation: Some("Mutation".to_owned()),
        subscription: None,
        types: vec![
            kind("Query", &["open", "mine", "hers", "hidden"]),
            kind("Mutation", &["change"]),
            kind("Pet", &["name", "next"]),
        ],
        operations: vec![
            exposed("open", GraphQlKind::Query, Security::Unsecured),
            exposed("mine", GraphQlKind::Query, token_with(&[])),
            exposed("hers", GraphQlKind::Query, token_with(&["read"])),
            exposed("change", GraphQlKind::Mutation, token_with(&["write", "admin"])),
        ],
    }
}

/// A GraphQL API at `/pets/1.0`.
pub(crate) fn graphql_api() -> Api {
    Api {
        kind: ApiKind::GraphQl,
        graphql: Some(graphql_digest()),
        production: Some(backend("prod", "/graphql")),
        resources: vec![resource("/", vec![operation("POST", token_with(&[]))])],
        ..api()
    }
}
