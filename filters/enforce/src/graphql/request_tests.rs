use super::*;

#[test]
fn media_types() {
    for (content_type, expected) in [
        ("application/json", Some(Form::Json)),
        ("Application/JSON; charset=utf-8", Some(Form::Json)),
        ("application/json;charset=\"UTF-8\"; boundary=x", Some(Form::Json)),
        ("application/graphql", Some(Form::Raw)),
        ("application/json; charset=utf-16", None),
        ("application/graphql; charset=iso-8859-1", None),
        ("application/graphql+json", None),
        ("multipart/form-data", None),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(form(content_type.as_bytes()), expected, "{content_type}");
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    HeaderMap::parse(HeaderMap::encode(pairs)).unwrap()
}

#[test]
fn headers_announce_the_form() {
    assert_eq!(check_headers(&headers(&[])), Ok(Form::Json));
    let check = |pairs: &[(&str, &str)]| check_headers(&headers(pairs)).map_err(|why| why.to_string());
    assert_eq!(check(&[("content-encoding", "Identity"), ("content-type", "application/graphql")]), Ok(Form::Raw));
    assert!(check(&[("content-encoding", "gzip")]).unwrap_err().contains("content-encoding"));
    let json = ("content-type", "application/json");
    assert_eq!(check(&[json, json]).unwrap_err(), CONTENT_TYPE);
}

#[test]
fn the_url_must_not_hold_a_query() {
    for (query, fine) in [
        ("", true),
        ("?", true),
        ("?apikey=1&trace&q=query", true),
        ("?query={a}", false),
        ("?a=1&Query", false),
        ("?a=1;operationName=x", false),
        ("?%71uery=x", false),
        ("?+query=x", false),
        ("?query[]=x", false),
        ("?query%5B0%5D=x", false),
        ("?variables=", false),
        ("?documentId=1", false),
        ("?%zz&%7", true),
    ] {
        assert_eq!(check_url(query.as_bytes()).is_ok(), fine, "{query}");
    }
}

#[test]
fn bodies_are_read() {
    let posted = read(
        Form::Json,
        br#"{"query":"{a}","operationName":"Q","extensions":{"x":[1]},
            "variables":{"n":3,"f":2.1,"m":-1,"z":null,"s":"9","l":[[1]],"o":{"n":1},"b":true,"e":1e300}}"#,
    )
    .unwrap();
    assert_eq!((posted.query.as_str(), posted.operation_name.as_deref()), ("{a}", Some("Q")));
    for (name, value) in [
        ("n", Value::Number(3)),
        ("f", Value::Number(3)),
        ("m", Value::Number(0)),
        ("z", Value::Null),
        ("s", Value::Other),
        ("l", Value::Other),
        ("o", Value::Other),
        ("b", Value::Other),
        ("e", Value::Number(u64::MAX)),
    ] {
        assert_eq!(posted.variables.get(name), Some(&value), "{name}");
    }
    let plain = Posted { query: "{a}".to_owned(), ..Posted::default() };
    assert_eq!(read(Form::Json, br#"{"query":"\u007ba}","operationName":"","variables":null}"#), Ok(plain));
    assert_eq!(read(Form::Raw, b"{a}").unwrap().query, "{a}");
}

#[test]
fn what_is_no_single_query_is_refused() {
    let long = format!(r#"{{"query":"{}"}}"#, "a".repeat(MAX_QUERY + 1));
    let many: Vec<String> = (0..=MAX_VARIABLES).map(|n| format!(r#""v{n}":1"#)).collect();
    let many = format!(r#"{{"query":"{{a}}","variables":{{{}}}}}"#, many.join(","));
    let nested = format!(r#"{{"query":"{{a}}","variables":{{"v":{}}}}}"#, "[".repeat(10_000));
    for (body, part) in [
        ("", "body structure"),
        ("{a}", "body structure"),
        ("[]", "body structure"),
        (r#"["{a}"]"#, "body structure"),
        (r#"[{"query":"{a}"}]"#, "body structure"),
        (r#"{"query":"{a}","query":"{b}"}"#, "duplicate field"),
        (r#"{"query":"{a}","id":"1"}"#, "unknown field"),
        (r#"{"query":["{a}"]}"#, "body structure"),
        (r#"{"query":"{a}"} {}"#, "trailing"),
        (r#"{"query":"{a}","variables":[1]}"#, "body structure"),
        (r#"{"query":"{a}","variables":{"a":1,"a":2}}"#, "twice"),
        (r#"{"query":"{a}","operationName":1}"#, "body structure"),
        (r#"{"query":"\ud800"}"#, "body structure"),
        (r#"{"query":" \n"}"#, "cannot be empty"),
        (r#"{"query":null}"#, "cannot be empty"),
        ("{}", "cannot be empty"),
        (&long, "more than"),
        (&many, "too many"),
        (&nested, "body structure"),
    ] {
        let why = read(Form::Json, body.as_bytes()).unwrap_err().to_string();
        assert!(why.contains(part) && why.len() < 400, "{why}");
    }
    assert_eq!(read(Form::Raw, b"\xff").unwrap_err().to_string(), "The query is not UTF-8");
    assert_eq!(read(Form::Raw, b"").unwrap_err().to_string(), "Query cannot be empty");
    assert!(read(Form::Json, b"{\"query\":\"\xff\"}").is_err());
}
