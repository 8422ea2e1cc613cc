//! The text of a query, parsed into the little tree that the rest of this folder works on.
//!
//! Nothing else may name the parser's crate. Must never let a document through that has a syntax error, since a backend
//! might repair it in another way. Text, nesting and tokens are bounded, so time and memory are.

use apollo_parser::cst::{self, CstNode};
use apollo_parser::{Parser, SyntaxKind, SyntaxNode};
use tollgate_model::GraphQlKind;

use super::InvalidQuery;

/// Most tokens, white space and comments among them: graphql-java's limit of 15 000, with white space between any two.
const MAX_TOKENS: usize = 30_000;
/// Deepest nesting of selections and of values.
const MAX_NESTING: usize = 100;
/// Most bytes of the parser's message that are repeated to the client.
const MAX_MESSAGE: usize = 200;

/// What a document is made of, in its order.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) operations: Vec<OperationDefinition>,
    pub(super) fragments: Vec<FragmentDefinition>,
}

/// `query Name($variable: Type = default) { ... }`
#[derive(Debug)]
pub(super) struct OperationDefinition {
    pub(super) kind: GraphQlKind,
    pub(super) name: Option<String>,
    /// With their default values.
    pub(super) variables: Vec<(String, Option<Value>)>,
    pub(super) selections: Vec<Selection>,
}

/// `fragment Name on Type { ... }`
#[derive(Debug)]
pub(super) struct FragmentDefinition {
    pub(super) name: String,
    pub(super) on: String,
    pub(super) selections: Vec<Selection>,
}

/// One line of a selection set.
#[derive(Debug)]
pub(super) enum Selection {
    /// `alias: name(argument: value) { ... }`; `None` when there is no selection set. Aliases do not matter here.
    Field { name: String, arguments: Vec<(String, Value)>, selections: Option<Vec<Selection>> },
    /// `...Name`
    Spread(String),
    /// `... on Type { ... }`
    Inline { on: Option<String>, selections: Vec<Selection> },
}

/// Of a value, what the weight of a query depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A whole number; one below zero counts as zero, one that is too great as the greatest.
    Number(u64),
    Null,
    Variable(String),
    Other,
}

/// Parses a document.
pub(super) fn parse(text: &str) -> Result<Document, InvalidQuery> {
    let tree = Parser::new(text).recursion_limit(MAX_NESTING).token_limit(MAX_TOKENS).parse();
    if let Some(error) = tree.errors().next() {
        return Err(syntax_error(text, error.message(), error.index()));
    }
    let mut document = Document::default();
    for definition in tree.document().definitions() {
        match definition {
            cst::Definition::OperationDefinition(node) => document.operations.push(operation(&node)?),
            cst::Definition::FragmentDefinition(node) => document.fragments.push(fragment(&node)?),
            _ => return Err(InvalidQuery::syntax("a query must not define types")),
        }
    }
    Ok(document)
}

fn syntax_error(text: &str, message: &str, index: usize) -> InvalidQuery {
    let before = text.get(..index).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    InvalidQuery::syntax(&format!("{message} (line {line}, column {column})"))
}

/// The parser promises less than its grammar, so what must be there is asked for.
fn missing() -> InvalidQuery {
    InvalidQuery::syntax("the document is incomplete")
}

fn operation(node: &cst::OperationDefinition) -> Result<OperationDefinition, InvalidQuery> {
    let kind = match node.operation_type() {
        None => GraphQlKind::Query,
        Some(kind) if kind.query_token().is_some() => GraphQlKind::Query,
        Some(kind) if kind.mutation_token().is_some() => GraphQlKind::Mutation,
        Some(kind) if kind.subscription_token().is_some() => GraphQlKind::Subscription,
        Some(_) => return Err(missing()),
    };
    let definitions = node.variable_definitions().into_iter().flat_map(|list| list.variable_definitions());
    let variables = definitions.map(|definition| {
        let default = definition.default_value().map(|default| value(default.value())).transpose()?;
        Ok((variable_name(definition.variable())?, default))
    });
    Ok(OperationDefinition {
        kind,
        name: node.name().map(|name| identifier(name.syntax())).transpose()?,
        variables: variables.collect::<Result<_, _>>()?,
        selections: selections(node.selection_set())?,
    })
}

fn fragment(node: &cst::FragmentDefinition) -> Result<FragmentDefinition, InvalidQuery> {
    Ok(FragmentDefinition {
        name: name(node.fragment_name().and_then(|name| name.name()))?,
        on: type_condition(node.type_condition())?,
        selections: selections(node.selection_set())?,
    })
}

/// As deep as the parser's own recursion, which is bounded.
fn selections(node: Option<cst::SelectionSet>) -> Result<Vec<Selection>, InvalidQuery> {
    let list: Vec<Selection> =
        node.ok_or_else(missing)?.selections().map(|one| selection(&one)).collect::<Result<_, _>>()?;
    if list.is_empty() { Err(missing()) } else { Ok(list) }
}

fn selection(node: &cst::Selection) -> Result<Selection, InvalidQuery> {
    Ok(match node {
        cst::Selection::Field(field) => {
            let arguments = field.arguments().into_iter().flat_map(|list| list.arguments());
            let arguments = arguments.map(|argument| Ok((name(argument.name())?, value(argument.value())?)));
            Selection::Field {
                name: name(field.name())?,
                arguments: arguments.collect::<Result<_, _>>()?,
                selections: field.selection_set().map(|set| selections(Some(set))).transpose()?,
            }
        }
        cst::Selection::FragmentSpread(spread) => {
            Selection::Spread(name(spread.fragment_name().and_then(|name| name.name()))?)
        }
        cst::Selection::InlineFragment(inline) => Selection::Inline {
            on: inline.type_condition().map(|condition| type_condition(Some(condition))).transpose()?,
            selections: selections(inline.selection_set())?,
        },
    })
}

fn value(node: Option<cst::Value>) -> Result<Value, InvalidQuery> {
    Ok(match node.ok_or_else(missing)? {
        cst::Value::Variable(variable) => Value::Variable(variable_name(Some(variable))?),
        cst::Value::NullValue(_) => Value::Null,
        cst::Value::IntValue(number) => {
            let digits = token(number.syntax(), SyntaxKind::INT).ok_or_else(missing)?;
            Value::Number(if digits.starts_with('-') { 0 } else { digits.parse().unwrap_or(u64::MAX) })
        }
        _ => Value::Other,
    })
}

fn variable_name(node: Option<cst::Variable>) -> Result<String, InvalidQuery> {
    name(node.and_then(|variable| variable.name()))
}

fn type_condition(node: Option<cst::TypeCondition>) -> Result<String, InvalidQuery> {
    name(node.and_then(|condition| condition.named_type()).and_then(|named| named.name()))
}

fn name(node: Option<cst::Name>) -> Result<String, InvalidQuery> {
    identifier(node.ok_or_else(missing)?.syntax())
}

fn identifier(node: &SyntaxNode) -> Result<String, InvalidQuery> {
    token(node, SyntaxKind::IDENT).ok_or_else(missing)
}

/// Text of the node's token of that kind. (The crate's own `text()` panics on nodes without one.)
fn token(node: &SyntaxNode, kind: SyntaxKind) -> Option<String> {
    let mut tokens = node.children_with_tokens().filter_map(apollo_parser::SyntaxElement::into_token);
    tokens.find(|token| token.kind() == kind).map(|token| token.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_wherever_its_parts_stand() {
        let document = parse(
            "fragment F on A { x } query Q($n: Int = 3, $m: [Int!]) { a: b(first: $n, k: -2, o: {p: [1]}) { ...F }
             # comment\r c, ... on B @skip(if: true) { d } ... { e } } mutation { f(limit: null) }",
        )
        .unwrap();
        assert_eq!((document.operations.len(), document.fragments.len()), (2, 1));
        assert_eq!((document.fragments[0].name.as_str(), document.fragments[0].on.as_str()), ("F", "A"));
        let query = &document.operations[0];
        assert_eq!((query.kind, query.name.as_deref()), (GraphQlKind::Query, Some("Q")));
        assert_eq!(query.variables, [("n".to_owned(), Some(Value::Number(3))), ("m".to_owned(), None)]);
        let Selection::Field { name, arguments, .. } = &query.selections[0] else { panic!("a field") };
        assert_eq!(name, "b");
        let values: Vec<&Value> = arguments.iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&Value::Variable("n".to_owned()), &Value::Number(0), &Value::Other]);
        assert!(matches!(&query.selections[1], Selection::Field { name, .. } if name == "c"), "a comment ends at \\r");
        assert!(matches!(&query.selections[2], Selection::Inline { on: Some(on), .. } if on == "B"));
        assert!(matches!(&query.selections[3], Selection::Inline { on: None, .. }));
        assert_eq!(document.operations[1].kind, GraphQlKind::Mutation);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let deep = format!("{}a{}", "{a".repeat(101), "}".repeat(101));
        let list = format!("{{a(b: {}1{})}}", "[".repeat(101), "]".repeat(101));
        let long = format!("{{{}}}", "a ".repeat(15_001));
        for text in [
            "",
            "{",
            "{}",
            "{a",
            "{a}}",
            "query {",
            "{a(b)}",
            "{a{}}",
            "type Query {a: Int}",
            "{a} type B {c: Int}",
            "{ ..a }",
            "fragment on on A {a}",
            "query ($a) {a}",
            "{a(b: 01)}",
            "{\"a\"}",
            "\u{0}",
            &deep,
            &list,
            &long,
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with("Invalid syntax. ") && error.len() < 400, "{error}");
        }
        let fine = format!("{}a{}", "{a".repeat(99), "}".repeat(99));
        assert!(parse(&fine).is_ok());
        assert!(parse("{a\n  ?b}").unwrap_err().to_string().contains("line 2, column 3"));
    }
}
