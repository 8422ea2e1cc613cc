//! The schema definition: read and checked by the rules of the specification, then cut down to what filters ask of it.

use std::collections::BTreeSet;

use apollo_compiler::Schema;
use apollo_compiler::ast::FieldDefinition;
use apollo_compiler::parser::Parser;
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::DiagnosticList;
use tollgate_model::{GraphQl, GraphQlArgument, GraphQlField, GraphQlType};

use crate::model::Problems;

/// Most bytes of a schema.
const MAX_BYTES: usize = 2 << 20;
/// Most tokens of a schema.
const MAX_TOKENS: usize = 600_000;
/// Deepest nesting of values and types.
const MAX_NESTING: usize = 64;
/// Most mistakes that are told at once.
const MAX_MISTAKES: usize = 50;
/// Most bytes of a mistake's description.
const MAX_MESSAGE: usize = 500;

/// Reads the definition. With `introspection`, the schema's description of itself can be asked for as well. `None` after a
/// problem was reported.
pub fn read(file: &str, bytes: &[u8], introspection: bool, problems: &mut Problems) -> Option<GraphQl> {
    if bytes.len() > MAX_BYTES {
        let what = format!("the schema has {} bytes", bytes.len());
        problems.error((file, ""), what, "filters hold it in memory, so it has at most 2 MiB", "split the API");
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let what = format!("the schema is not UTF-8 ({error})");
            problems.error((file, ""), what, "it cannot be read", "save it as UTF-8");
            return None;
        }
    };
    let mut parser = Parser::new().recursion_limit(MAX_NESTING).token_limit(MAX_TOKENS);
    let schema = parser.parse_schema(text, file).and_then(Schema::validate);
    match schema {
        Ok(schema) => digest(&schema, file, introspection, problems),
        Err(refused) => {
            report(&refused.errors, file, problems);
            None
        }
    }
}

fn report(mistakes: &DiagnosticList, file: &str, problems: &mut Problems) {
    for mistake in mistakes.iter().take(MAX_MISTAKES) {
        let place = mistake
            .line_column_range()
            .map_or_else(String::new, |range| format!("line {}, column {}: ", range.start.line, range.start.column));
        let message: String = mistake.error.to_string().chars().take(MAX_MESSAGE).collect();
        problems.error(
            (file, ""),
            format!("{place}{message}"),
            "requests can be checked only against a schema that is valid",
            "correct it at that place",
        );
    }
    if mistakes.len() > MAX_MISTAKES {
        let what = format!("there are {} mistakes, of which {MAX_MISTAKES} are shown", mistakes.len());
        problems.error((file, ""), what, "", "correct those first");
    }
}

fn digest(schema: &Schema, file: &str, introspection: bool, problems: &mut Problems) -> Option<GraphQl> {
    let root = |name: &Option<apollo_compiler::schema::ComponentName>| name.as_ref().map(|name| name.to_string());
    let definition = &schema.schema_definition;
    let Some(query) = root(&definition.query) else {
        let fix = "define type Query, or name another type in schema { query: ... }";
        problems.error((file, ""), "the schema has no query type", "every GraphQL API needs one", fix);
        return None;
    };
    let implementers = schema.implementers_map();
    let exposed = schema.types.values().filter(|one| introspection || !one.is_built_in());
    let mut types: Vec<GraphQlType> = exposed
        .filter_map(|one| match one {
            ExtendedType::Object(object) => Some(GraphQlType {
                name: object.name.to_string(),
                possible: None,
                fields: object.fields.values().map(|one| field(one, schema)).collect(),
            }),
            ExtendedType::Interface(interface) => Some(GraphQlType {
                name: interface.name.to_string(),
                possible: Some(objects(implementers.get(&interface.name))),
                fields: interface.fields.values().map(|one| field(one, schema)).collect(),
            }),
            ExtendedType::Union(union) => Some(GraphQlType {
                name: union.name.to_string(),
                possible: Some(union.members.iter().map(ToString::to_string).collect()),
                fields: Vec::new(),
            }),
            ExtendedType::Scalar(_) | ExtendedType::Enum(_) | ExtendedType::InputObject(_) => None,
        })
        .collect();
    if introspection && let Some(query) = types.iter_mut().find(|one| one.name == query) {
        query.fields.extend(entrances());
    }
    Some(GraphQl {
        query,
        mutation: root(&definition.mutation),
        subscription: root(&definition.subscription),
        types,
        operations: Vec::new(),
    })
}

fn objects(implementers: Option<&Implementers>) -> Vec<String> {
    let objects: BTreeSet<String> =
        implementers.into_iter().flat_map(|all| all.objects.iter().map(ToString::to_string)).collect();
    objects.into_iter().collect()
}

fn field(definition: &FieldDefinition, schema: &Schema) -> GraphQlField {
    let named = definition.ty.inner_named_type();
    let composite = schema.types.get(named).is_some_and(|one| one.is_object() || one.is_interface() || one.is_union());
    let arguments = definition
        .arguments
        .iter()
        .map(|argument| GraphQlArgument { name: argument.name.to_string(), required: argument.is_required() });
    GraphQlField {
        name: definition.name.to_string(),
        composite: composite.then(|| named.to_string()),
        arguments: arguments.collect(),
        complexity: None,
    }
}

/// Fields of the query type by which a schema is asked about itself (GraphQL specification of October 2021, §4.2).
fn entrances() -> [GraphQlField; 2] {
    let entrance = |name: &str, composite: &str, arguments| GraphQlField {
        name: name.to_owned(),
        composite: Some(composite.to_owned()),
        arguments,
        complexity: None,
    };
    let name = GraphQlArgument { name: "name".to_owned(), required: true };
    [entrance("__schema", "__Schema", Vec::new()), entrance("__type", "__Type", vec![name])]
}
