use proptest::prelude::*;
use serde_json::json;
use tollgate_model::{GraphQl, GraphQlLimits};

use super::super::check_limits;
use super::*;
use crate::rejection::Rejection;

/// ```graphql
/// interface Character { id: ID! name: String! friends(first: Int, after: ID): [Character] }
/// type Human implements Character { ...  height: Float starships(limit: Int = 5): [Starship] }
/// type Droid implements Character { ... }
/// type Starship { name: String length(unit: Unit!): Float }
/// union Found = Human | Starship
/// interface Root { hero: Character }
/// type Query implements Root { hero(episode: Int): Character search(text: String!): [Found] human(id: ID!): Human }
/// type Mutation { create(name: String!): Human }
/// ```
fn schema() -> CompiledGraphQl {
    let arguments = |names: &[&str]| {
        let one = |name: &&str| json!({"name": name.trim_end_matches('!'), "required": name.ends_with('!')});
        names.iter().map(one).collect::<Vec<_>>()
    };
    let friends = json!({"name": "friends", "type": "Character", "arguments": arguments(&["first", "after"])});
    let fields = |more: &[serde_json::Value]| {
        let mut fields = vec![json!({"name": "id"}), json!({"name": "name"}), friends.clone()];
        fields.extend_from_slice(more);
        fields
    };
    let operation = |field: &str, kind: &str| json!({"field": field, "kind": kind, "method": kind, "security": {"kind": "unsecured"}});
    let digest: GraphQl = serde_json::from_value(json!({
        "query": "Query", "mutation": "Mutation",
        "types": [
            {"name": "Character", "possible": ["Human", "Droid"], "fields": fields(&[])},
            {"name": "Human", "fields": fields(&[
                json!({"name": "height", "complexity": 7}),
                json!({"name": "starships", "type": "Starship", "complexity": 2, "arguments": arguments(&["limit"])}),
            ])},
            {"name": "Droid", "fields": fields(&[])},
            {"name": "Starship", "fields": [{"name": "name"}, {"name": "length", "arguments": arguments(&["unit!"])}]},
            {"name": "Found", "possible": ["Human", "Starship"]},
            {"name": "Root", "possible": ["Query"], "fields": [{"name": "hero", "type": "Character"}]},
            {"name": "Query", "fields": [
                {"name": "hero", "type": "Character", "arguments": arguments(&["episode"])},
                {"name": "search", "type": "Found", "arguments": arguments(&["text!"])},
                {"name": "human", "type": "Human", "arguments": arguments(&["id!"])},
            ]},
            {"name": "Mutation", "fields": [{"name": "create", "type": "Human", "arguments": arguments(&["name!"])}]},
        ],
        "operations": [operation("hero", "QUERY"), operation("create", "MUTATION")],
    }))
    .unwrap();
    CompiledGraphQl::compile(&digest).unwrap()
}

fn posted(query: &str, operation_name: Option<&str>, variables: &[(&str, Value)]) -> Posted {
    Posted {
        query: query.to_owned(),
        operation_name: operation_name.map(str::to_owned),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

fn analysed(query: &str) -> Result<Analysis, String> {
    analyse(&schema(), &posted(query, None, &[])).map_err(|why| why.to_string())
}

#[track_caller]
fn check(query: &str, fields: &[&str], depth: u32, complexity: u64) {
    let analysis = analysed(query).unwrap_or_else(|why| panic!("{query}: {why}"));
    assert_eq!(analysis.fields, fields, "{query}");
    assert_eq!((analysis.depth, analysis.complexity), (depth, complexity), "{query}");
}

#[test]
fn root_fields_are_found_wherever_they_are_written() {
    check("{hero {name}}", &["hero"], 2, 2);
    check("{a: hero {name} b: hero {id} human(id: 1) {id}}", &["hero", "human"], 2, 6);
    check("fragment F on Query {human(id: 1) {id}} {...F ...F}", &["human"], 2, 4);
    check("{...A} fragment A on Root {hero {id}}", &["hero"], 2, 2);
    check("{... on Query {... @skip(if: true) {hero {id}}}}", &["hero"], 2, 2);
    check(
        "{...A} fragment A on Query {...B hero {id}} fragment B on Query {search(text: \"\") {__typename}}",
        &["hero", "search"],
        2,
        4,
    );
    check("mutation {create(name: \"x\") {friends {id}}}", &["create"], 3, 3);
    check("{__typename}", &["__typename"], 1, 1);
    check("{__schema {types {name}} __type(name: \"x\") {name}}", &["__schema", "__type"], 1, 2);
    check("{hero {friends {name}} } fragment Unused on Query {human(id: 1) {id}}", &["hero"], 3, 3);
}

/// A field weighs its factor times the sum of its own part and its children's.
#[test]
fn weights() {
    check("{hero {friends(first: 10) {name}}}", &["hero"], 3, 1 + 10 * 2);
    check("{human(id: 1) {height}}", &["human"], 2, 8);
    check("{human(id: 1) {starships(limit: 3) {name}}}", &["human"], 3, 1 + 3 * (2 + 1));
    check("{hero {friends(first: 10, after: 1) {name id}}}", &["hero"], 3, 1 + 11 * 3);
    check("{hero {friends(first: -10) {name}}}", &["hero"], 3, 1);
    check("{hero {friends(first: null) {name}}}", &["hero"], 3, 3);
    check("{hero(episode: 9) {... on Human {height} ... on Droid {name}}}", &["hero"], 2, 9);
    let huge = "99999999999999999999999";
    check(&format!("{{hero {{friends(first: {huge}) {{friends(first: 2) {{id}}}}}}}}"), &["hero"], 4, u64::MAX);
}

#[test]
fn variables_count_as_what_they_are() {
    let query = "query Q($n: Int = 4) {hero {friends(first: $n) {name}}}";
    for (variables, complexity) in [
        (&[][..], 1 + 4 * 2),
        (&[("n", Value::Number(9))], 1 + 9 * 2),
        (&[("n", Value::Null)], 3),
        (&[("n", Value::Other)], 3),
        (&[("other", Value::Number(9))], 1 + 4 * 2),
    ] {
        let analysis = analyse(&schema(), &posted(query, None, variables)).unwrap();
        assert_eq!(analysis.complexity, complexity, "{variables:?}");
    }
}

#[test]
fn the_named_operation_counts() {
    let document = "query A {hero {name}} query B {human(id: 1) {friends {id}}} mutation C {create(name: \"\") {id}}";
    for (name, expected) in [
        (Some("A"), Ok((GraphQlKind::Query, "hero", 2))),
        (Some("B"), Ok((GraphQlKind::Query, "human", 3))),
        (Some("C"), Ok((GraphQlKind::Mutation, "create", 2))),
        (Some("D"), Err("no operation named D")),
        (None, Err("several operations")),
    ] {
        let found = analyse(&schema(), &posted(document, name, &[]));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!((found.kind, found.fields[0].as_str(), found.depth), expected),
            (Err(why), Err(part)) => assert!(why.to_string().contains(part), "{why}"),
            (found, _) => panic!("{name:?}: {found:?}"),
        }
    }
    assert!(analyse(&schema(), &posted("{hero {id}}", Some("A"), &[])).is_err());
}

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    for (query, part) in [
        ("{villain {name}}", "no field villain of type Query"),
        ("{hero {height}}", "no field height of type Character"),
        ("{hero}", "Nothing is selected of the field hero"),
        ("{hero {name {x}}}", "has no fields"),
        ("{hero(episode: 1, episode: 2) {id}}", "argument episode is there twice"),
        ("{hero(when: 1) {id}}", "no argument when"),
        ("{human {id}}", "argument id of the field human of type Query is missing"),
        ("{human(id: null) {id}}", "is missing"),
        ("{hero {...F}}", "no fragment named F"),
        ("{hero {...F}} fragment F on Nothing {id}", "no type Nothing"),
        ("{hero {...F}} fragment F on Query {hero {id}}", "never applies"),
        ("{hero {... on Starship {name}}}", "never applies"),
        ("{... on Mutation {create(name: \"\") {id}}}", "never applies"),
        ("{hero {id}} fragment A on Query {...B} fragment B on Query {hero {...A}}", "circle"),
        ("{hero {id}} fragment A on Query {...A}", "circle"),
        ("{hero {id}} fragment A on Query {...B}", "no fragment named B"),
        ("{hero {id}} fragment A on Human {id} fragment A on Droid {id}", "fragment A is there twice"),
        ("query A {hero {id}} query A {hero {id}}", "operation A is there twice"),
        ("{hero {id}} query A {hero {id}}", "without a name"),
        ("subscription {hero {id}}", "no subscription operations"),
        ("query A {hero {id}} mutation B {hero {id}}", "several operations"),
        ("mutation {hero {id}}", "no field hero of type Mutation"),
        ("{__typename {a}}", "__typename"),
        ("{hero {__schema {types {name}}}}", "no field __schema"),
        ("fragment F on Query {hero {id}}", "Operation definition cannot be empty"),
    ] {
        let why = analysed(query).expect_err(query);
        assert!(why.contains(part), "{query}: {why}");
    }
}

#[test]
fn limits_are_checked() {
    let analysis = analysed("{hero {friends(first: 10) {name}}}").unwrap();
    let limits = |max_depth, max_complexity| GraphQlLimits { max_depth, max_complexity };
    for (limits, expected) in [
        (limits(None, None), Ok(())),
        (limits(Some(3), Some(21)), Ok(())),
        (limits(Some(2), Some(1)), Err(Rejection::QueryTooDeep { depth: 3, limit: 2 })),
        (limits(Some(3), Some(20)), Err(Rejection::QueryTooComplex { complexity: 21, limit: 20 })),
    ] {
        assert_eq!(check_limits(limits, &analysis), expected, "{limits:?}");
    }
    assert_eq!(Rejection::QueryTooDeep { depth: 6, limit: 5 }.description(), "[maximum query depth exceeded 6 > 5]");
}

/// Each fragment uses the one before it twice: unrolled, the query has more fields than there are atoms.
#[test]
fn a_bomb_of_fragments_costs_no_more_than_its_text() {
    let mut query = "{hero {...F0}} fragment F500 on Character {id}".to_owned();
    for n in 0..500 {
        query
            .push_str(&format!(" fragment F{n} on Character {{a: friends {{...F{0}}} b: friends {{...F{0}}}}}", n + 1));
    }
    let analysis = analysed(&query).unwrap();
    assert_eq!((analysis.depth, analysis.complexity), (502, u64::MAX));
}

#[test]
fn a_digest_that_is_not_whole_is_not_served() {
    let operation = json!({"field": "a", "kind": "QUERY", "method": "QUERY", "security": {"kind": "unsecured"}});
    let query = json!({"name": "Query", "fields": [{"name": "a"}]});
    for (types, operations, part) in [
        (json!([]), json!([]), "no type Query"),
        (json!([query, query]), json!([]), "twice"),
        (json!([{"name": "Query", "fields": [{"name": "a", "type": "B"}]}]), json!([]), "no type B"),
        (json!([query]), json!([operation, operation]), "twice"),
        (json!([{"name": "Query"}]), json!([operation]), "no field"),
    ] {
        let digest =
            serde_json::from_value(json!({"query": "Query", "types": types, "operations": operations})).unwrap();
        let crate::Invalid(why) = CompiledGraphQl::compile(&digest).unwrap_err();
        assert!(why.contains(part), "{why}");
    }
}

fn selection() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("id".to_owned()), Just("x: name".to_owned()), Just("__typename".to_owned())];
    leaf.prop_recursive(6, 60, 4, |inner| {
        let set = prop::collection::vec(inner, 1..4).prop_map(|list| list.join(" "));
        prop_oneof![
            (set.clone(), 0..9_u8).prop_map(|(set, n)| format!("friends(first: {n}) {{{set}}}")),
            set.clone().prop_map(|set| format!("friends {{{set}}}")),
            set.prop_map(|set| format!("... on Character {{{set}}}")),
        ]
    })
}

proptest! {
    /// Moving a selection into a fragment changes nothing.
    #[test]
    fn fragments_weigh_what_they_hold(set in selection()) {
        let plain = analysed(&format!("{{hero {{{set}}}}}")).unwrap();
        let spread = analysed(&format!("{{...R}} fragment S on Character {{{set}}} fragment R on Root {{hero {{...S}}}}"));
        prop_assert_eq!(spread.unwrap(), plain);
    }

    /// Doubling a selection doubles what it adds and makes it no deeper.
    #[test]
    fn weights_add_up(set in selection()) {
        let once = analysed(&format!("{{hero {{{set}}}}}")).unwrap();
        let twice = analysed(&format!("{{hero {{{set} {set}}}}}")).unwrap();
        prop_assert_eq!(twice.complexity, 2 * once.complexity - 1);
        prop_assert_eq!(twice.depth, once.depth);
    }
}
