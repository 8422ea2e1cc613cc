//! Examples, from definitions in both dialects.

use serde_json::json;

use super::*;

/// Reads the operation at `/op`. Mocks are shown as `code: media type name=body; … | header=value`.
fn read(definition: &Value, dialect: Dialect) -> (Vec<String>, Vec<String>) {
    let root = Node::root("swagger.yaml", definition);
    let mut problems = Problems::new();
    let mock = Mocks::new(root.clone(), dialect).of(&root.get("op").unwrap(), &mut problems);
    let shown = mock.responses.iter().map(|response| {
        let mut text = format!("{}:", response.code);
        for content in &response.content {
            text.push_str(&format!(" {}", content.content_type));
            content.examples.iter().for_each(|example| text.push_str(&format!(" {}={};", example.name, example.body)));
        }
        response.headers.iter().for_each(|(name, value)| text.push_str(&format!(" | {name}={value}")));
        text
    });
    (shown.collect(), problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check(responses: Value, rest: Value, expected: &[&str], reported: &[&str]) {
    let mut definition = json!({"op": {"responses": responses}});
    for (key, value) in rest.as_object().unwrap() {
        definition[key] = value.clone();
    }
    let (found, report) = read(&definition, Dialect::OpenApi3);
    assert_eq!(report.len(), reported.len(), "{report:?}");
    assert!(report.iter().zip(reported).all(|(text, part)| text.contains(part)), "{report:?}");
    assert_eq!(found, expected);
}

#[test]
fn examples_are_read_in_the_order_of_the_definition() {
    check(
        json!({
            "404": {"description": "no", "content": {"text/plain": {"example": "gone"}}},
            "200": {
                "headers": {"X-Rate": {"example": 5}, "X-Name": {"example": "a"}, "X-None": {"schema": {}}},
                "content": {
                    "application/json": {"examples": {"zebra": {"value": {"b": 1, "a": [true, null]}}, "ant": {"value": "x"}}},
                    "application/hal+json; charset=utf-8": {"example": "y"},
                    "application/xml": {"schema": {"example": "not looked at"}},
                },
            },
            "2XX": {"content": {"text/csv": {"example": [1]}}},
            "default": {"description": "no example"},
        }),
        json!({}),
        &[
            "404: text/plain default=gone;",
            "200: application/json zebra={\"b\":1,\"a\":[true,null]}; ant=\"x\"; application/hal+json; charset=utf-8 default=\"y\"; | X-Rate=5 | X-Name=\"a\"",
            "2XX: text/csv default=[1];",
        ],
        &[],
    );
}

#[test]
fn references_are_followed_within_the_document() {
    let content = json!({"application/json": {"examples": {"one": {"$ref": "#/components/examples/a~1%7Bb%7D"}}}});
    let rest = json!({"components": {
        "responses": {"Again": {"$ref": "#/components/responses/Ok"}, "Ok": {"content": content, "headers": {"X": {"$ref": "#/components/headers/X"}}}},
        "examples": {"a/{b}": {"value": 1}}, "headers": {"X": {"example": 2}},
        "loop": {"$ref": "#/components/loop"}}});
    let to = |reference: &str| json!({"200": {"$ref": reference}});
    check(to("#/components/responses/Again"), rest.clone(), &["200: application/json one=1; | X=2"], &[]);
    let none = "no example";
    for (reference, part) in [
        ("#/components/responses/Missing", "refers to nothing"),
        ("other.yaml#/x", "refers to nothing"),
        ("https://example.com/x", "refers to nothing"),
        ("#/components/loop", "lead nowhere"),
    ] {
        check(to(reference), rest.clone(), &[], &[part, none]);
    }
}

#[test]
fn mistakes_are_reported() {
    let example = |name: &str| json!({"content": {name: {"example": 1}}});
    let none = "no example";
    for (responses, expected, reported) in [
        (json!({}), &[][..], &[none][..]),
        (json!({"200": {"content": {"text/plain": {}}}}), &[], &[none]),
        (json!({"200 OK": example("a/b")}), &[], &["no status", none]),
        (json!({"100": example("a/b")}), &[], &["no status", none]),
        (json!({"2x5": example("a/b")}), &[], &["no status", none]),
        (json!({"x-note": example("a/b")}), &[], &[none]),
        (json!({"200": example("a\r\nb/c")}), &["200: a\r\nb/c default=1;"], &["no media type"]),
        (
            json!({"200": {"content": {"a/b": {"examples": {"far": {"externalValue": "http://x"}}}}}}),
            &[],
            &["no value", none],
        ),
        (json!([]), &[], &["an object", none]),
        (
            json!({"200": {"content": {"a/b": {"example": 1}}, "headers": {
                "Content-Length": {"example": 5}, "a b": {"example": 1}, "Ok": {"example": "\u{85}"}}}}),
            &["200: a/b default=1;"],
            &["not used", "cannot be sent", "cannot be sent"],
        ),
    ] {
        check(responses, json!({}), expected, reported);
    }
}

#[test]
fn references_cannot_blow_examples_up() {
    let reference = json!({"$ref": "#/components/examples/big"});
    let examples: serde_json::Map<String, Value> =
        (0..100).map(|number| (number.to_string(), reference.clone())).collect();
    let definition = json!({
        "op": {"responses": {"200": {"content": {"text/plain": {"examples": examples}}}}},
        "components": {"examples": {"big": {"value": "x".repeat(100 << 10)}}},
    });
    let (found, report) = read(&definition, Dialect::OpenApi3);
    assert_eq!(report.len(), 1, "{report:?}");
    assert!(report[0].contains("too large") && found[0].len() <= MAX_BYTES, "{report:?}");
}

#[test]
fn swagger_2_has_one_example_a_media_type() {
    let definition = json!({
        "op": {"responses": {"200": {"$ref": "#/responses/Ok"}, "404": {"description": "no example"}}},
        "responses": {"Ok": {"description": "ok", "examples": {"application/json": {"a": 1}, "text/plain": "hi"}}},
    });
    let (found, report) = read(&definition, Dialect::Swagger2);
    assert_eq!(report, [""; 0]);
    assert_eq!(found, ["200: application/json default={\"a\":1}; text/plain default=hi;"]);
}
