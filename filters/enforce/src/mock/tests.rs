//! What a mocked operation answers to a client's preferences.

use tollgate_model::MockExample;

use tollgate_model::Callbacks;

use super::*;
use crate::testing::{TestConnection, TestDirectory, api};
use crate::{Answers, HeaderMap, Timestamp};

fn mock() -> Mock {
    let content = |content_type: &str, examples: &[(&str, &str)]| MockContent {
        content_type: content_type.to_owned(),
        examples: examples
            .iter()
            .map(|(name, body)| MockExample { name: (*name).to_owned(), body: (*body).to_owned() })
            .collect(),
    };
    let response = |code: &str, content| MockResponse { code: code.to_owned(), headers: Vec::new(), content };
    Mock {
        responses: vec![
            MockResponse {
                headers: vec![
                    ("X-Total".to_owned(), "\"7\"".to_owned()),
                    ("content-length".to_owned(), "9".to_owned()),
                    ("x-split".to_owned(), "a\r\nb".to_owned()),
                ],
                ..response(
                    "200",
                    vec![
                        content("application/xml", &[("first", "<a/>")]),
                        content("application/json", &[("first", "{}"), ("Second", "[]")]),
                        content("text/plain; charset=utf-8", &[("first", "text")]),
                    ],
                )
            },
            response("404", vec![content("application/json", &[("missing", "null")])]),
            response("50x", vec![content("application/json", &[("broken", "0")])]),
            response("4XX", vec![content("application/json", &[("client", "1")])]),
        ],
    }
}

/// `<status> <content type> <body>`, or `<status> <description>` of a refusal.
fn outcome(mock: &Mock, headers: &[(&str, &str)]) -> String {
    let request = HeaderMap::parse(HeaderMap::encode(headers)).unwrap();
    let (directory, answers) = (TestDirectory::new(api()), Answers::default());
    match answer(
        &Cx {
            directory: &directory,
            request: &request,
            answers: &answers,
            connection: &TestConnection::default(),
            now: Timestamp(0),
            callbacks: Callbacks::NONE,
        },
        mock,
    ) {
        Ok(reply) => format!("{} {} {}", reply.status, reply.headers[0].1, String::from_utf8(reply.body).unwrap()),
        Err(rejection) => format!("{} {}", rejection.entry().status, rejection.description()),
    }
}

#[track_caller]
fn check(headers: &[(&str, &str)], expected: &str) {
    assert_eq!(outcome(&mock(), headers), expected, "{headers:?}");
}

#[test]
fn preferred_codes() {
    check(&[], "200 application/json {}");
    check(&[("prefer", "code=404")], "404 application/json null");
    check(&[("prefer", "Code = 504")], "504 application/json 0");
    check(&[("prefer", "code=418")], "418 application/json 1");
    check(&[("prefer", "code=300")], "501 Preferred code 300 is not supported for this resource.");
    for code in ["20", "2000", "abc", "20x", "", "999", "100"] {
        check(&[("prefer", &format!("code={code}"))], "400 Invalid format for code preference");
    }
    check(&[("prefer", "code=1=2, respond-async")], "200 application/json {}");
}

#[test]
fn preferred_examples() {
    check(&[("prefer", "example=Second")], "200 application/json []");
    check(&[("prefer", "code=404,example=missing")], "404 application/json null");
    check(&[("prefer", "example=second")], "501 Example preference second is not supported for this resource");
}

#[test]
fn accepted_types() {
    check(&[("accept", "application/xml")], "200 application/xml <a/>");
    check(&[("accept", "text/*")], "200 text/plain; charset=utf-8 text");
    check(&[("accept", "*/*")], "200 application/xml <a/>");
    check(&[("accept", "image/png, application/json;q=0.5, text/plain;q=0.9")], "200 text/plain; charset=utf-8 text");
    check(&[("accept", "application/xml, application/json")], "200 application/xml <a/>");
    check(
        &[("accept", "application/json;q=0")],
        "501 Accept type [application/json] is not supported for this resource",
    );
    check(&[("accept", "image/png, a/b;q=1")], "501 Accept type [image/png, a/b] is not supported for this resource");
}

#[test]
fn the_default_response_goes_first() {
    let mut mock = mock();
    mock.responses[1].code = "default".to_owned();
    assert_eq!(outcome(&mock, &[]), "200 application/json null");
    mock.responses.retain(|response| response.code == "50x");
    assert_eq!(outcome(&mock, &[]), "500 application/json 0");
    mock.responses.clear();
    assert_eq!(outcome(&mock, &[]), "501 ");
}

#[test]
fn only_headers_that_can_be_sent_are() {
    let request = HeaderMap::parse(Vec::new()).unwrap();
    let (directory, answers) = (TestDirectory::new(api()), Answers::default());
    let cx = Cx {
        directory: &directory,
        request: &request,
        answers: &answers,
        connection: &TestConnection::default(),
        now: Timestamp(0),
        callbacks: Callbacks::NONE,
    };
    let reply = answer(&cx, &mock()).unwrap();
    let names: Vec<&str> = reply.headers.iter().map(|(name, _)| name.as_ref()).collect();
    assert_eq!(names, ["content-type", "x-total", "x-amz-function-error"]);
}
