//! Schemas, weights and operations, and whole GraphQL projects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_model::{Api, ApiKeyPlace, ApiKind, GraphQlKind, Requirement, Security};

use super::*;
use crate::{Compiled, compile, directory};

const TYPES: &str =
    "type Query { pets(first: Int): [Pet!]! count: Int } type Mutation { add(name: String!, age: Int! = 1): Pet }
    interface Animal { name: String } type Pet implements Animal { name: String friends: [Animal] kind: Kind }
    type Fish implements Animal { name: String } union Any = Pet | Fish enum Kind { CAT } input Filter { kind: Kind }";

fn project(data: &Value, schema: &str, complexity: Option<Value>) -> ProjectFiles {
    let mut api = json!({
        "name": "Pets", "version": "1.0.0", "context": "/pets", "type": "GRAPHQL",
        "endpointConfig": {"production_endpoints": {"url": "http://backend/graphql"}},
        "operations": [{"target": "pets", "verb": "QUERY"}],
    });
    for (key, value) in data.as_object().unwrap() {
        api[key] = value.clone();
    }
    let mut files = ProjectFiles::default();
    files.insert("api.json", json!({"type": "api", "data": api}).to_string().into_bytes()).unwrap();
    if !schema.is_empty() {
        files.insert(SCHEMA, schema.as_bytes().to_vec()).unwrap();
    }
    if let Some(complexity) = complexity {
        files.insert("Definitions/graphql-complexity.json", complexity.to_string().into_bytes()).unwrap();
    }
    files
}

fn compiled(files: &ProjectFiles) -> Compiled {
    compile(files, &CompileOptions::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn api(compiled: &Compiled) -> Api {
    compiled.blueprint.on("localhost", BTreeSet::from(["Default".to_owned()])).api
}

#[track_caller]
fn refused(files: &ProjectFiles, expected: &[&str]) {
    let problems = compile(files, &CompileOptions::default()).unwrap_err();
    let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
    assert_eq!(text.len(), expected.len(), "{text:#?}");
    for (text, part) in text.iter().zip(expected) {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn the_sample_project_compiles_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/projects/graphql");
    let compiled = compiled(&directory::read(folder.as_ref(), folder.as_ref()).unwrap());
    assert_eq!(compiled.warnings, Problems::new());
    let api = api(&compiled);
    assert_eq!((api.kind, api.base_path.as_str(), api.needs()), (ApiKind::GraphQl, "/library/1.0.0", 2));
    assert_eq!(api.production.unwrap().base_path, "/graphql");
    assert_eq!(api.cors.unwrap().allow_origins, ["https://*.example"]);
    let [resource] = &api.resources[..] else { panic!("one resource") };
    assert_eq!((resource.template.as_str(), resource.operations[0].method.as_str()), ("/", "POST"));
    assert_eq!(resource.operations[0].security, Security::OAuth2 { scopes: vec![] });
    let graphql = api.graphql.unwrap();
    let token = |scopes: &[&str]| Security::OAuth2 { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() };
    let exposed: Vec<_> =
        graphql.operations.iter().map(|one| (one.field.as_str(), one.kind, one.operation.security.clone())).collect();
    assert_eq!(
        exposed,
        [
            ("books", GraphQlKind::Query, Security::Unsecured),
            ("author", GraphQlKind::Query, token(&[])),
            ("loans", GraphQlKind::Query, token(&["loans:read"])),
            ("lend", GraphQlKind::Mutation, token(&["loans:write", "library:admin"])),
            ("giveBack", GraphQlKind::Mutation, token(&[])),
        ]
    );
    assert!(!graphql.types.iter().any(|one| one.name.starts_with("__")), "introspection is not exposed");
}

#[test]
fn a_schema_is_cut_down_to_what_filters_ask_of_it() {
    let graphql = api(&compiled(&project(&json!({}), TYPES, None))).graphql.unwrap();
    let seen: Vec<(&str, Option<Vec<&str>>, String)> = graphql
        .types
        .iter()
        .map(|one| {
            let fields = one.fields.iter().map(|field| {
                let arguments =
                    field.arguments.iter().map(|one| format!("{}{}", one.name, if one.required { "!" } else { "" }));
                let arguments = arguments.collect::<Vec<_>>().join(",");
                format!("{}({arguments}):{}", field.name, field.composite.as_deref().unwrap_or_default())
            });
            let possible = one.possible.as_ref().map(|list| list.iter().map(String::as_str).collect());
            (one.name.as_str(), possible, fields.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        ("Query", None, "pets(first):Pet count():"),
        ("Mutation", None, "add(name!,age):Pet"),
        ("Animal", Some(vec!["Fish", "Pet"]), "name():"),
        ("Pet", None, "name(): friends():Animal kind():"),
        ("Fish", None, "name():"),
        ("Any", Some(vec!["Pet", "Fish"]), ""),
    ];
    assert_eq!(seen, expected.map(|(name, possible, fields)| (name, possible, fields.to_owned())));
    assert_eq!(
        (graphql.query.as_str(), graphql.mutation.as_deref(), graphql.subscription),
        ("Query", Some("Mutation"), None)
    );
}

#[test]
fn introspection_is_exposed_by_name() {
    let operations =
        json!({"operations": [{"target": "__schema", "verb": "QUERY"}, {"target": "__typename", "verb": "QUERY"}]});
    let graphql = api(&compiled(&project(&operations, TYPES, None))).graphql.unwrap();
    let query = graphql.types.iter().find(|one| one.name == "Query").unwrap();
    let schema = query.fields.iter().find(|field| field.name == "__schema").unwrap();
    assert_eq!(schema.composite.as_deref(), Some("__Schema"));
    assert!(graphql.types.iter().any(|one| one.name == "__Type"));
}

#[test]
fn mistakes_in_a_schema_are_told_with_their_place() {
    let deep = format!("type Query {{ a(b: {}Int{}): Int }}", "[".repeat(100), "]".repeat(100));
    for (schema, expected) in [
        ("", &["no GraphQL schema"][..]),
        ("type Query { pets: Int", &["line 1, column 23"]),
        ("type Query {\n  pets: Pet\n}", &["line 2, column 9"]),
        ("type Query { pets: Int }\ntype Query { pets: Int }", &["line 2"]),
        ("type Pet { pets: Int }", &["query"]),
        ("query { pets }", &["line 1, column 1: ", "an operation definition"]),
        ("type Query { pets: Int }\ninterface I { x: Int }\ntype T implements I { y: Int }", &["line 3"]),
        (&deep, &["limit"]),
    ] {
        let problems = compile(&project(&json!({}), schema, None), &CompileOptions::default()).unwrap_err();
        let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
        assert!(text.iter().all(|text| text.starts_with("Definitions/schema.graphql")), "{schema}: {text:#?}");
        for part in expected {
            assert!(text.iter().any(|text| text.contains(part)), "{schema}: {text:#?} lacks {part}");
        }
    }
    let many = format!("type Query {{ {} }}", (0..80).map(|n| format!("f{n}: Missing{n}\n")).collect::<String>());
    let problems = compile(&project(&json!({}), &many, None), &CompileOptions::default()).unwrap_err();
    assert_eq!(problems.errors().count(), 51);
    let mut large = project(&json!({}), "", None);
    large.insert(SCHEMA, vec![b' '; (2 << 20) + 1]).unwrap();
    refused(&large, &["at most 2 MiB"]);
    let mut garbage = project(&json!({}), "", None);
    garbage.insert(SCHEMA, b"type \xff".to_vec()).unwrap();
    refused(&garbage, &["UTF-8"]);
}

#[test]
fn operations_must_be_fields_of_the_root_types() {
    for (operations, expected) in [
        (
            json!([{"target": "pet", "verb": "QUERY"}]),
            &[
                "/data/operations/0: pet is no field of the type Query; nobody could ever ask for it (fix: did you mean pets?)",
            ][..],
        ),
        (json!([{"target": "pets", "verb": "MUTATION"}]), &["no field of the type Mutation"]),
        (json!([{"target": "pets", "verb": "SUBSCRIPTION"}]), &["no subscription type"]),
        (json!([{"target": "pets", "verb": "GET"}]), &["GET is no kind"]),
        (json!([{"target": "pets", "verb": "QUERI"}]), &["write QUERY"]),
        (json!([{"target": "pets"}]), &["no verb"]),
        (json!([{"verb": "QUERY"}]), &["no target"]),
        (json!([{"target": "pets", "verb": "QUERY"}, {"target": "pets", "verb": "query"}]), &["listed twice"]),
        (json!([{"target": "pets", "verb": "QUERY", "scopes": "a"}]), &["a list"]),
        (json!([]), &["there are 0 operations"]),
    ] {
        let problems =
            compile(&project(&json!({"operations": operations}), TYPES, None), &CompileOptions::default()).unwrap_err();
        let text: Vec<String> = problems.errors().map(ToString::to_string).collect();
        for part in expected {
            assert!(text.iter().any(|text| text.contains(part)), "{text:#?} lacks {part}");
        }
    }
}

#[test]
fn api_keys_and_tokens_are_accepted() {
    let data =
        json!({"securityScheme": ["api_key"], "operations": [{"target": "pets", "verb": "QUERY", "scopes": ["read"]}]});
    let graphql = api(&compiled(&project(&data, TYPES, None))).graphql.unwrap();
    let Security::AnyOf { requirements, scopes } = &graphql.operations[0].operation.security else { panic!("several") };
    assert_eq!(scopes, &["read"]);
    let header = ApiKeyPlace::Header { name: "apikey".to_owned() };
    assert_eq!(requirements[..2], [Requirement::TOKEN, Requirement::api_key(header)]);
}

#[test]
fn weights_are_read() {
    let list = |list: Value| Some(json!({"type": "graphql-complexity", "data": {"list": list}}));
    let weight =
        |kind: &str, field: &str, value: Value| json!({"type": kind, "field": field, "complexityValue": value});
    let files =
        project(&json!({}), TYPES, list(json!([weight("Query", "pets", json!(7)), weight("Pet", "name", json!(0))])));
    let compiled_project = compiled(&files);
    assert_eq!(compiled_project.warnings, Problems::new());
    let graphql = api(&compiled_project).graphql.unwrap();
    let of = |kind: &str, field: &str| {
        let found = graphql.types.iter().find(|one| one.name == kind).unwrap();
        found.fields.iter().find(|one| one.name == field).unwrap().complexity
    };
    assert_eq!((of("Query", "pets"), of("Pet", "name"), of("Query", "count")), (Some(7), Some(0), None));
    for (document, part) in [
        (list(json!([weight("Query", "pet", json!(7))])), "did you mean pets?"),
        (list(json!([weight("Kind", "CAT", json!(7))])), "no type Kind with fields"),
        (list(json!([weight("Pet", "name", json!(1)), weight("Pet", "name", json!(2))])), "listed twice"),
        (Some(json!({"type": "graphql-complexity"})), "no data.list"),
    ] {
        let warnings = compiled(&project(&json!({}), TYPES, document)).warnings;
        let text: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].contains(part), "{text:?}");
    }
    for (document, part) in [
        (list(json!([weight("Pet", "name", json!(-1))])), "not negative"),
        (list(json!([weight("Pet", "name", json!(5_000_000_000_u64))])), "too great"),
        (list(json!([{"type": "Pet", "field": "name"}])), "no complexityValue"),
        (list(json!([{"field": "name", "complexityValue": 1}])), "no type"),
        (Some(json!({"type": "api", "data": {"list": []}})), "does not hold complexities"),
    ] {
        refused(&project(&json!({}), TYPES, document), &[part]);
    }
}

#[test]
fn the_rest_of_api_yaml_counts_as_well() {
    let rules = |rules: Value| api(&compiled(&project(&json!({"corsConfiguration": rules}), TYPES, None))).cors;
    let origins = json!({"corsConfigurationEnabled": true, "accessControlAllowOrigins": ["https://a.example"]});
    assert_eq!(rules(origins).unwrap().allow_origins, ["https://a.example"]);
    assert_eq!(rules(json!({"corsConfigurationEnabled": false, "accessControlAllowOrigins": ["*"]})), None);
    assert_eq!(rules(json!({"accessControlAllowOrigins": ["*"]})), None);
    let default = api(&compiled(&project(&json!({}), TYPES, None))).cors;
    assert_eq!(default, CompileOptions::default().cors);
    refused(&project(&json!({"endpointImplementationType": "MOCKED_OAS"}), TYPES, None), &["cannot be mocked"]);
    let mut stray = project(&json!({}), TYPES, None);
    stray.insert("Definitions/swagger.yaml", b"not looked at".to_vec()).unwrap();
    assert_eq!(compiled(&stray).warnings, Problems::new());
}
