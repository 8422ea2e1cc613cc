//! The operations of api.yaml: which fields of the root types are exposed, and to whom.

use crate::throttling;
use tollgate_model::{GraphQl, GraphQlKind, GraphQlOperation, Interceptors, Operation, Security};

use super::super::document::Node;
use super::super::security::NamedSchemes;
use super::super::unsupported::did_you_mean;
use crate::model::Problems;

/// Most operations of an API.
const MAX_OPERATIONS: usize = 5_000;
const KINDS: [GraphQlKind; 3] = [GraphQlKind::Query, GraphQlKind::Mutation, GraphQlKind::Subscription];
/// Fields that no schema has to define (GraphQL specification of October 2021, §4).
const SCHEMA_FIELDS: [&str; 2] = ["__schema", "__type"];
const TYPENAME: &str = "__typename";

/// An operation as api.yaml lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Plan that limits it.
    pub tier: Option<String>,
    pointer: String,
    field: String,
    kind: GraphQlKind,
    scopes: Vec<String>,
    unsecured: bool,
}

impl Announced {
    /// Whether it asks the schema about itself.
    pub fn is_introspection(&self) -> bool {
        self.kind == GraphQlKind::Query && SCHEMA_FIELDS.contains(&self.field.as_str())
    }
}

/// Reads `operations` among the members of `data`.
pub fn read(data: &Node<'_>, problems: &mut Problems) -> Vec<Announced> {
    let list = data.get("operations").map(|list| list.items(problems)).unwrap_or_default();
    if list.is_empty() || list.len() > MAX_OPERATIONS {
        let what = format!("there are {} operations", list.len());
        data.error(problems, what, "a GraphQL API exposes from 1 to 5000", "list its operations");
        return Vec::new();
    }
    list.iter().filter_map(|node| announced(node, problems)).collect()
}

fn announced(node: &Node<'_>, problems: &mut Problems) -> Option<Announced> {
    let text = |key: &str, problems: &mut Problems| match node.get(key) {
        Some(member) => member.text(problems),
        None => {
            let why = "nobody can tell which field of the schema is meant";
            node.error(problems, format!("the operation has no {key}"), why, "add it");
            None
        }
    };
    let (field, verb) = (text("target", problems), text("verb", problems));
    let kind = verb.and_then(|verb| kind(verb, node, problems));
    let auth_type = node.get("authType").and_then(|node| node.text(problems));
    let scopes = node.get("scopes").map(|list| list.texts(problems)).unwrap_or_default();
    let tier = node.get("throttlingPolicy").and_then(|tier| throttling::name(&tier, problems));
    Some(Announced {
        tier,
        pointer: node.at().1.to_owned(),
        field: field?.to_owned(),
        kind: kind?,
        scopes: scopes.into_iter().map(str::to_owned).collect(),
        unsecured: auth_type.is_some_and(|text| text.eq_ignore_ascii_case("none")),
    })
}

fn kind(verb: &str, node: &Node<'_>, problems: &mut Problems) -> Option<GraphQlKind> {
    let kind = KINDS.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(verb));
    if kind.is_none() {
        let fix = did_you_mean(&verb.to_uppercase(), KINDS.map(GraphQlKind::name)).unwrap_or("QUERY");
        let what = format!("{verb} is no kind of GraphQL operation");
        node.error(problems, what, "there are QUERY, MUTATION and SUBSCRIPTION", &format!("write {fix}"));
    }
    kind
}

/// Puts the operations into the digest. Each must be a field of its root type.
pub fn expose(announced: &[Announced], named: NamedSchemes, graphql: &mut GraphQl, problems: &mut Problems) {
    for one in announced {
        let at = ("api.yaml", one.pointer.as_str());
        let verb = one.kind.name();
        if !exists(one, graphql, at, problems) {
            continue;
        }
        if graphql.operations.iter().any(|other| other.field == one.field && other.kind == one.kind) {
            let why = "the two may differ in security";
            problems.error(at, format!("{verb} {} is listed twice", one.field), why, "keep one of them");
            continue;
        }
        let security = if one.unsecured { Security::Unsecured } else { named.with_scopes(one.scopes.clone()) };
        let operation = Operation {
            method: verb.to_owned(),
            security,
            tier: one.tier.clone(),
            cost: None,
            mock: None,
            interceptors: Interceptors::default(),
            policies: None,
        };
        graphql.operations.push(GraphQlOperation { field: one.field.clone(), kind: one.kind, operation });
    }
}

fn exists(one: &Announced, graphql: &GraphQl, at: (&str, &str), problems: &mut Problems) -> bool {
    const WHY: &str = "nobody could ever ask for it";
    let root = match one.kind {
        GraphQlKind::Query => Some(&graphql.query),
        GraphQlKind::Mutation => graphql.mutation.as_ref(),
        GraphQlKind::Subscription => graphql.subscription.as_ref(),
    };
    let verb = one.kind.name();
    let Some(root) = root.and_then(|root| graphql.types.iter().find(|one| one.name == *root)) else {
        let what = format!("the schema has no {} type", verb.to_lowercase());
        problems.error(at, what, WHY, "define it in the schema, or remove the operation");
        return false;
    };
    if one.field == TYPENAME || root.fields.iter().any(|field| field.name == one.field) {
        return true;
    }
    let close = did_you_mean(&one.field, root.fields.iter().map(|field| field.name.as_str()));
    let fix = close.map_or_else(|| "remove the operation".to_owned(), |close| format!("did you mean {close}?"));
    problems.error(at, format!("{} is no field of the type {}", one.field, root.name), WHY, &fix);
    false
}
