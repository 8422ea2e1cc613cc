//! What templates give, what they refuse, and that both stay within bounds whatever comes in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn data() -> Value {
    json!({"x": "value", "empty": "", "yes": true, "no": false, "n": 7, "f": 2.0, "list": ["a", "b"], "none": null,
        "map": {"b": 2, "a": {"deep": "down"}}})
}

fn through(template: &str) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    template.render(&data()).map_err(|error| error.to_string())
}

#[track_caller]
fn gives(template: &str, expected: &str) {
    assert_eq!(through(template).as_deref(), Ok(expected), "{template:?}");
}

#[track_caller]
fn refuses(template: &str, part: &str) {
    let error = through(template).unwrap_err();
    assert!(error.contains(part), "{template:?}: {error:?} lacks {part:?}");
}

#[test]
fn values_are_printed() {
    for (template, expected) in [
        ("plain } { text", "plain } { text"),
        ("{{ .x }}", "value"),
        ("{{.x}}{{.n}}{{.f}}{{.yes}}", "value72true"),
        ("{{ .map.a.deep }}", "down"),
        ("{{ $.x }}", "value"),
        ("{{ \"a\\\"\\u00e9\\n\" }}{{ `b\\` }}", "a\"é\nb\\"),
        ("{{ -3 }}{{ 4.5 }}{{ true }}", "-34.5true"),
        ("{{ (.x) }}", "value"),
        ("{{ $v := .x }}[{{ $v }}]{{ $v = 1 }}{{ $v }}", "[value]1"),
    ] {
        gives(template, expected);
    }
}

#[test]
fn spaces_are_trimmed_where_markers_ask() {
    for (template, expected) in [
        ("a  {{- .n }} b", "a7 b"),
        ("a {{ .n -}} \n\t b", "a 7b"),
        ("a \n{{- .n -}}\n b", "a7b"),
        ("{{ -3 }}", "-3"),
        ("a {{/* {{ .gone }} */}} b", "a  b"),
        ("a {{- /* note */ -}} b", "ab"),
        ("a {{- if .yes }}\n  b\n{{- end }}", "a\n  b"),
    ] {
        gives(template, expected);
    }
}

#[test]
fn blocks_are_chosen() {
    for (template, expected) in [
        ("{{ if .yes }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .no }}a{{ else }}b{{ end }}", "b"),
        ("{{ if .gone }}a{{ end }}", ""),
        ("{{ if .empty }}a{{ else if .none }}b{{ else if .n }}c{{ else }}d{{ end }}", "c"),
        ("{{ if isParamExists . \"empty\" }}a{{ end }}", "a"),
        ("{{ if isParamExists . \"gone\" }}a{{ end }}", ""),
        ("{{ if (isParamExists . \"x\") }}a{{ end }}", "a"),
        ("{{ if not (isParamExists .map \"x\") }}a{{ end }}", "a"),
        ("{{ with .map.a }}{{ .deep }}{{ $.n }}{{ else }}no{{ end }}", "down7"),
        ("{{ with .gone }}a{{ else with .x }}{{ . }}{{ end }}", "value"),
        ("{{ if $v := .x }}{{ $v }}{{ end }}", "value"),
        ("{{ range .list }}<{{ . }}>{{ end }}", "<a><b>"),
        ("{{ range $i, $v := .list }}{{ $i }}{{ $v }}{{ end }}", "0a1b"),
        ("{{ range $k, $v := .map }}{{ $k }}{{ end }}", "ab"),
        ("{{ range .gone }}a{{ else }}b{{ end }}", "b"),
        ("{{ range .list }}{{ if eq . \"b\" }}{{ $.x }}{{ end }}{{ end }}", "value"),
    ] {
        gives(template, expected);
    }
}

#[test]
fn functions_are_called() {
    for (template, expected) in [
        ("{{ eq .x \"value\" }}", "true"),
        ("{{ eq .x \"a\" \"value\" }}", "true"),
        ("{{ eq .n 7 }}{{ ne .n 7 }}{{ lt .n 8 }}{{ ge .n 8 }}{{ gt 2 1 }}{{ le 1 1 }}", "truefalsetruefalsetruetrue"),
        ("{{ eq .gone nil }}{{ eq .gone \"\" }}", "truefalse"),
        ("{{ and .x .n }}{{ and .empty .n }}", "7"),
        ("{{ or .empty .n }}{{ or .empty .no }}", "7false"),
        ("{{ and .no (index .list 9) }}", "false"),
        ("{{ not .x }}", "false"),
        ("{{ len .list }}{{ len .x }}", "25"),
        ("{{ index .map \"b\" }}{{ index .list 1 }}", "2b"),
        ("{{ printf \"%q-%s-%d-%v-%t-%%\" .x .x .n .f .yes }}", "\"value\"-value-7-2-true-%"),
        ("{{ .x | printf \"%q\" }}", "\"value\""),
        ("{{ print \"a\" 1 2 \"b\" }}", "a1 2b"),
        ("{{ \"a b&\" | urlquery }}{{ html \"<\" }}", "a+b%26&lt;"),
        ("{{ printf \"%q\" \"a\\\"\\\\\\n\" }}", "\"a\\\"\\\\\\n\""),
    ] {
        gives(template, expected);
    }
}

#[test]
fn errors_say_where_and_what() {
    for (template, part) in [
        ("a\n  {{ .gone }}", "line 2, column 3: there is no such value"),
        ("a\n é{{ .x.y }}", "line 2, column 6: .y cannot be taken"),
        ("{{ if .x }}", "line 1, column 1: this if has no end"),
        ("{{ end }}", "belongs to no block"),
        ("{{ else }}", "belongs to no block"),
        ("{{ if .x }}{{ else }}{{ else }}{{ end }}", "nothing but end"),
        ("{{ range .list }}{{ else if .x }}{{ end }}", "else must stand alone"),
        ("{{ .x", "the action has no end"),
        ("{{ }}", "empty"),
        ("{{/* a", "no end"),
        ("{{/* a */ .x }}", "alone"),
        ("{{ \"a }}", "no end"),
        ("{{ `a }}", "no end"),
        ("{{ \"\\z\" }}", "escape"),
        ("{{ 0x1 }}", "decimal"),
        ("{{ .x ! }}", "'!' has no meaning"),
        ("{{ define \"a\" }}{{ end }}", "define is not supported"),
        ("{{ exec .x }}", "there is no function exec"),
        ("{{ .x .n }}", "only a function takes arguments"),
        ("{{ .x | .n }}", "only a function takes arguments"),
        ("{{ (.x }}", "parenthesis"),
        ("{{ .x ) }}", "not expected"),
        ("{{ .x | }}", "value is missing"),
        ("{{ $gone }}", "there is no variable $gone"),
        ("{{ if $v := 1 }}{{ end }}{{ $v }}", "there is no variable $v"),
        ("{{ $a, $b := .x }}", "wrong number"),
        ("{{ .x := 1 }}", "only variables"),
        ("{{ .list }}", "cannot be printed"),
        ("{{ range .x }}{{ end }}", "ranged over"),
        ("{{ lt .x 1 }}", "cannot be compared"),
        ("{{ eq .yes \"true\" }}", "cannot be compared"),
        ("{{ printf \"%5d\" 1 }}", "not supported"),
        ("{{ printf \"%d\" .x }}", "another type"),
        ("{{ index .list 9 }}", "out of range"),
        ("{{ index .list -1 }}", "out of range"),
        ("{{ eq 1 }}", "other arguments"),
    ] {
        refuses(template, part);
    }
    let error = Template::parse("{{ .gone }}").unwrap().render(&data()).unwrap_err();
    assert_eq!(error.missing.as_deref(), Some("gone"));
}

#[test]
fn bounds_hold() {
    refuses(&"{{ if .x }}".repeat(40), "nested deeper");
    refuses(&format!("{{{{ {} }}}}", "(".repeat(40)), "nested deeper");
    refuses(&"{{ if .no }}{{ else if .no }}".repeat(40), "nested deeper");
    refuses(&" ".repeat(MAX_SOURCE + 1), "bytes");
    let nested = (0..18).map(|_| "{{ range $.list }}").collect::<String>() + &"{{ end }}".repeat(18);
    refuses(&nested, "steps");
    let mut growing = "{{ $v := \"0123456789abcdef\" }}".to_owned();
    growing.push_str(&"{{ $v = printf \"%s%s\" $v $v }}".repeat(40));
    refuses(&growing, "more than");
}

proptest! {
    #[test]
    fn any_source_is_a_template_or_an_error(source in "\\PC*") {
        let _ = through(&source);
    }

    /// Made of what templates are made of, so that most of it gets far.
    #[test]
    fn any_mixture_stays_within_bounds(parts in proptest::collection::vec(proptest::sample::select(vec![
        "{{", "}}", "{{-", "-}}", " ", "if", "else", "end", "range", "with", ".x", ".list", "$v", "$", ":=", "=", "(", ")",
        "|", "\"a\"", "`", "printf", "print", "eq", "and", "len", "index", "isParamExists", ",", "1", ".", "/*", "*/", "é",
        "{{ range .list }}", "{{ end }}", "{{ if .yes }}", "{{ else }}", "{{ .x }}",
    ]), 0..60)) {
        if let Ok(text) = through(&parts.concat()) {
            prop_assert!(text.len() <= MAX_OUTPUT);
        }
    }

    #[test]
    fn what_is_quoted_is_one_line(text: String) {
        let quoted = Template::parse("{{ printf \"%q\" . }}").unwrap().render(&Value::String(text)).unwrap();
        prop_assert!(quoted.starts_with('"') && quoted.ends_with('"') && !quoted.contains('\n'));
    }
}
