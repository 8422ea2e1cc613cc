//! Requests and responses with interceptors: what the services are told, and what becomes of it all.

use proptest::prelude::*;
use serde_json::Value;
use tollgate_model::{Api, Include, Interceptor, Interceptors, NamedEndpoint, Operation, Security};

use super::*;
use crate::testing::{operation, resource};
use crate::{CallAnswer, HeaderEdit, Held, Interception, Outcome, RequestBody};

fn service(cluster: &str, includes: &[Include]) -> Option<Interceptor> {
    let (cluster, authority) = (cluster.to_owned(), "service:8080".to_owned());
    Some(Interceptor { cluster, authority, timeout_ms: 1000, includes: includes.to_vec() })
}

fn intercepted(interceptors: Interceptors) -> TestDirectory {
    let open = Operation { interceptors, ..operation("POST", Security::Unsecured) };
    let closed = Operation { interceptors: open.interceptors.clone(), ..operation("GET", token_with(&[])) };
    let endpoints = vec![NamedEndpoint { name: "other".to_owned(), backend: backend("named", "/n") }];
    TestDirectory::new(Api { resources: vec![resource("/x/{id}", vec![open, closed])], endpoints, ..api() })
}

fn answer(status: u16, body: &str) -> Answer {
    Answer::Response(CallAnswer { status, body: body.as_bytes().to_vec() })
}

/// Decides, giving each question the next of the answers. Returns what was asked as well.
fn walk(directory: &TestDirectory, request: &HeaderMap, given: Vec<Answer>) -> (Decision, Vec<Question>) {
    let callbacks = Callbacks::ALL;
    let connection = &TestConnection { peer: Some("10.0.0.9:4711".to_owned()), ..TestConnection::default() };
    let (mut answers, mut asked, mut given) = (Answers::default(), Vec::new(), given.into_iter());
    loop {
        let now = Timestamp(NOW * 1000);
        match decide_both(&Cx { directory, request, answers: &answers, connection, now, callbacks }) {
            Decision::Ask(question) => {
                let Some(answer) = given.next() else { return (Decision::Ask(question), asked) };
                asked.push(question.clone());
                answers.add(question, answer);
            }
            decided => return (decided, asked),
        }
    }
}

const LINE: &str = "POST /pets/1.0/x/5?a=b";

/// What becomes of a request whose body is `sent`, after the interceptor has answered.
fn becomes(includes: &[Include], sent: Option<&str>, service_answer: Answer) -> Decision {
    let directory = intercepted(Interceptors { request: service("before", includes), response: None });
    let told = includes.contains(&Include::RequestBody);
    let body = sent.map(|text| RequestBody { bytes: text.into(), trailers: None, replaceable: true });
    let body = told.then(|| Answer::Body(body.unwrap_or_default()));
    let request = request(LINE, &[("x-one", "1"), ("cookie", "a=1"), ("cookie", "b=2")]);
    walk(&directory, &request, body.into_iter().chain([service_answer]).collect()).0
}

#[track_caller]
fn check(wanted: &Value, expected: &str) {
    let decision = becomes(&[Include::RequestBody], Some("sent"), answer(200, &wanted.to_string()));
    let body = match &decision {
        Decision::Forward(edits) => edits.body.clone(),
        _ => None,
    };
    let added = match &decision {
        Decision::Forward(edits) => edits.add.iter().map(|(name, _)| format!(" &{name}")).collect(),
        _ => String::new(),
    };
    let body = body.map_or(String::new(), |body| format!(" [{}]", String::from_utf8(body).unwrap()));
    assert_eq!(format!("{}{added}{body}", describe(decision)), expected, "{wanted}");
}

const REFUSED: &str = "500 103501: Internal Server Error";

#[test]
fn answers_change_the_request() {
    for (wanted, expected) in [
        (json!({}), "-> /v2/x/5?a=b +cluster=prod"),
        (json!({"headersToAdd": null, "unknown": 5, "trailersToAdd": {}}), "-> /v2/x/5?a=b +cluster=prod"),
        (json!({"body": "aGk="}), "-> /v2/x/5?a=b +cluster=prod [hi]"),
        (json!({"body": ""}), "-> /v2/x/5?a=b +cluster=prod []"),
        (
            json!({"headersToRemove": ["X-One"], "headersToReplace": {"A": "1"}, "headersToAdd": {"B": "2"}}),
            "-> /v2/x/5?a=b -x-one +cluster=prod +a=1 &b",
        ),
        (
            json!({"headersToRemove": ["x-wso2-cluster-header", ":path"],
                   "headersToReplace": {"X-WSO2-Cluster-Header": "stolen", "x-envoy-max-retries": "9", ":scheme": "x",
                                        "Content-Length": "0", "Transfer-Encoding": "chunked", "host": "h"},
                   "headersToAdd": {"x-wso2-other": "1", "connection": "close"}}),
            "-> /v2/x/5?a=b +cluster=prod",
        ),
        (json!({"dynamicEndpoint": {"endpointName": "other"}}), "-> /n/x/5?a=b +cluster=named"),
        (json!({"headersToReplace": {":path": "/pets/1.0/y?c"}}), "-> /v2/y?c +cluster=prod"),
        (json!({"headersToReplace": {":path": "/pets/1.0x/y"}}), "-> /v2/1.0x/y +cluster=prod"),
        (json!({"headersToReplace": {":path": "/elsewhere"}}), "-> /elsewhere +cluster=prod"),
        (json!({"headersToReplace": {":method": "PUT"}}), "-> /v2/x/5?a=b +cluster=prod +:method=PUT"),
        (json!({"directRespond": true}), "204"),
        (json!({"directRespond": true, "body": "aGk="}), "200"),
        (json!({"directRespond": true, "responseCode": 403}), "403"),
    ] {
        check(&wanted, expected);
    }
}

/// Where routes belong to somebody else, the request would not get to the endpoint that was chosen.
#[test]
fn endpoints_are_not_chosen_where_routes_belong_to_somebody_else() {
    let mut directory = intercepted(Interceptors { request: service("before", &[]), response: None });
    directory.foreign_routes = true;
    let decided = |wanted: Value| {
        let given = vec![answer(200, &wanted.to_string())];
        describe(walk(&directory, &request(LINE, &[]), given).0)
    };
    assert_eq!(decided(json!({})), "-> /v2/x/5?a=b");
    let refused = decided(json!({"dynamicEndpoint": {"endpointName": "other"}}));
    assert_eq!(refused, "500 102500: Error during validating the request");
}

#[test]
fn answers_that_cannot_be_carried_out_are_refused() {
    for wanted in [
        json!([]),
        json!("text"),
        json!({"body": 5}),
        json!({"body": "%"}),
        json!({"directRespond": "true"}),
        json!({"responseCode": "200"}),
        json!({"responseCode": 199}),
        json!({"responseCode": 600}),
        json!({"headersToAdd": {"a": 5}}),
        json!({"headersToAdd": {"a b": "c"}}),
        json!({"headersToAdd": {"": "c"}}),
        json!({"headersToAdd": {"a": "b\r\nc: d"}}),
        json!({"headersToRemove": ["a\n"]}),
        json!({"headersToRemove": vec!["a"; 257]}),
        json!({"headersToReplace": {":path": "x"}}),
        json!({"headersToReplace": {":path": "/a b"}}),
        json!({"headersToReplace": {":method": "CONNECT"}}),
        json!({"headersToReplace": {":method": ""}}),
        json!({"trailersToAdd": {"a": "b"}}),
        json!({"trailersToRemove": ["a"]}),
        json!({"dynamicEndpoint": {"endpointName": "unknown"}}),
        json!({"interceptorContext": {"a": 1}}),
        json!({"dynamicEndpoint": ["other"]}),
        json!({"dynamicEndpoint": {"endpointName": 5}}),
    ] {
        check(&wanted, REFUSED);
    }
}

#[test]
fn what_is_no_answer_is_a_failure() {
    const FAILED: &str = "500 103500: Internal Server Error";
    for (given, expected) in [
        (answer(204, "ignored"), "-> /v2/x/5?a=b +cluster=prod"),
        (answer(200, ""), REFUSED),
        (answer(201, "{}"), FAILED),
        (answer(404, "{}"), FAILED),
        (answer(503, ""), FAILED),
        (Answer::Failed, FAILED),
    ] {
        assert_eq!(describe(becomes(&[Include::RequestHeaders], None, given)), expected);
    }
}

#[test]
fn a_body_that_was_not_told_cannot_be_replaced() {
    let wanted = answer(200, &json!({"body": "aGk="}).to_string());
    assert_eq!(describe(becomes(&[Include::RequestHeaders], Some("sent"), wanted.clone())), REFUSED);
    // Nor one that is not there.
    assert_eq!(describe(becomes(&[Include::RequestBody], None, wanted)), REFUSED);
}

#[test]
fn the_service_is_told_what_it_asked_for() {
    let directory = intercepted(Interceptors { request: service("before", &Include::ALL), response: None });
    let bearer = format!("Bearer {}", token(json!({})));
    let headers = [("authorization", bearer.as_str()), ("cookie", "a=1"), ("cookie", "b=2"), ("x-request-id", "id")];
    let request = request("GET /pets/1.0/x/5?a=b", &headers);
    let body = RequestBody { bytes: b"hi".to_vec(), trailers: None, replaceable: true };
    let (_, asked) = walk(&directory, &request, vec![Answer::Body(body), answer(204, "")]);
    let Some(Question::Call(call)) = asked.last() else { panic!("{asked:?}") };
    assert_eq!((call.cluster.as_str(), call.method, call.path.as_str()), ("before", "POST", "/api/v1/handle-request"));
    assert_eq!((call.authority.as_str(), call.timeout_ms), ("service:8080", 1000));
    let told: Value = serde_json::from_slice(&call.body).unwrap();
    let expected = json!({
        "requestHeaders": {":method": "GET", ":path": "/pets/1.0/x/5?a=b", ":authority": "localhost:9090",
                           "cookie": "a=1; b=2", "x-request-id": "id"},
        "requestBody": "aGk=",
        "requestTrailers": {},
        "invocationContext": {
            "requestId": "id", "protocol": "HTTP/1.1", "scheme": "", "method": "GET", "path": "/pets/1.0/x/5?a=b",
            "source": "10.0.0.9:4711", "basePath": "/pets/1.0", "apiName": "Pets", "apiVersion": "1.0",
            "vhost": "localhost", "pathTemplate": "/x/{id}", "supportedMethods": "POST GET",
            "prodClusterName": "prod", "sandClusterName": "",
            "authenticationContext": {"tokenType": "JWT", "token": bearer.strip_prefix("Bearer "), "keyType": "PRODUCTION"},
        },
    });
    assert_eq!(told, expected);
}

#[test]
fn nobody_is_asked_about_a_request_that_is_refused() {
    let directory = intercepted(Interceptors { request: service("before", &Include::ALL), response: None });
    let (decision, asked) = walk(&directory, &request("GET /pets/1.0/x/5", &[]), vec![]);
    assert_eq!((describe(decision).as_str(), asked.len()), (NO_CREDENTIALS, 0));
}

/// The interception of a request that has passed.
fn after(includes: &[Include], before: Option<Answer>) -> Box<Interception> {
    let asked_before = before.as_ref().and_then(|_| service("before", &[]));
    let directory = intercepted(Interceptors { request: asked_before, response: service("after", includes) });
    match walk(&directory, &request(LINE, &[]), before.into_iter().collect()) {
        (Decision::Forward(edits), _) => edits.intercept.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn response() -> HeaderMap {
    let headers = [(":status", "200"), ("content-type", "text/plain"), ("x-secret", "s"), ("content-length", "4")];
    HeaderMap::parse(HeaderMap::encode(&headers)).unwrap()
}

fn told_after(interception: &Interception, held: Held<'_>) -> Value {
    let call = interception.call(&response(), held, None);
    assert_eq!((call.cluster.as_str(), call.path.as_str()), ("after", "/api/v1/handle-response"));
    serde_json::from_slice(&call.body).unwrap()
}

#[test]
fn the_context_travels_from_one_interceptor_to_the_other() {
    let context = answer(200, &json!({"interceptorContext": {"a": "b"}}).to_string());
    let least = told_after(&after(&[], Some(context)), Held::Unseen);
    assert_eq!(least, json!({"responseCode": 200, "interceptorContext": {"a": "b"}}));
    // And one is asked even if the other wants nothing changed, or is not there.
    for before in [Some(answer(204, "")), None] {
        let told = told_after(&after(&[Include::RequestHeaders, Include::ResponseBody], before), Held::Whole(b"body"));
        assert_eq!((&told["responseBody"], &told["requestHeaders"][":method"]), (&json!("Ym9keQ=="), &json!("POST")));
        assert_eq!(told["interceptorContext"], json!({}));
    }
}

/// One line for what becomes of the response.
fn outcome(includes: &[Include], given: Option<(u16, Value)>, held: Held<'_>) -> String {
    let given = given.map(|(status, body)| CallAnswer { status, body: body.to_string().into_bytes() });
    match after(includes, None).outcome(given.as_ref(), &response(), held) {
        Outcome::Edit(edits, body) => {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let edits = edits.iter().map(|edit| match edit {
                HeaderEdit::Set(name, value) => format!(" {name}={}", text(value)),
                HeaderEdit::Add(name, value) => format!(" {name}&={}", text(value)),
                HeaderEdit::Remove(name) => format!(" -{name}"),
            });
            format!(
                "edit{}{}",
                edits.collect::<String>(),
                body.map_or(String::new(), |body| format!(" [{}]", text(&body)))
            )
        }
        Outcome::Replace(reply) => {
            let kept = reply.headers.iter().any(|(name, _)| name == "x-secret");
            let framed = reply.headers.iter().any(|(name, _)| name == "content-length");
            assert!(!framed, "whoever sends it counts its bytes");
            format!("replace {} {} {kept}", reply.status, reply.details)
        }
    }
}

#[test]
fn responses_are_changed_or_replaced() {
    let body = json!({"body": "aGk="});
    let whole = Held::Whole(b"body");
    let told = &[Include::ResponseBody][..];
    for (includes, given, held, expected) in [
        (told, Some((204, json!(null))), whole, "edit"),
        (told, Some((200, json!({}))), whole, "edit"),
        (told, Some((200, body.clone())), whole, "edit :status=200 [hi]"),
        (told, Some((200, json!({"body": "aGk=", "responseCode": 201}))), whole, "edit :status=201 [hi]"),
        (told, Some((200, json!({"body": ""}))), whole, "replace 204 tollgate_intercepted true"),
        (told, Some((200, json!({"responseCode": 503}))), whole, "edit :status=503"),
        (told, Some((200, json!({"headersToReplace": {":status": "404"}}))), whole, "edit :status=404"),
        (&[], Some((200, json!({"headersToRemove": ["x-secret"]}))), Held::Unseen, "edit -x-secret"),
        (&[], Some((200, json!({"responseCode": 304}))), Held::Unseen, "replace 304 tollgate_intercepted true"),
        (&[], Some((200, json!({"responseCode": 204}))), Held::Nothing, "edit :status=204 -content-length"),
        // A response without a body cannot get one, so another is made.
        (told, Some((200, body.clone())), Held::Nothing, "replace 200 tollgate_intercepted true"),
        (told, Some((200, body.clone())), Held::Whole(b""), "replace 200 tollgate_intercepted true"),
        // What was not told must not be replaced.
        (&[], Some((200, body.clone())), Held::Unseen, "replace 500 tollgate_103501 false"),
        (&[Include::ResponseTrailers], Some((200, body)), whole, "replace 500 tollgate_103501 false"),
        (
            told,
            Some((200, json!({"headersToReplace": {":status": "abc"}}))),
            whole,
            "replace 500 tollgate_103501 false",
        ),
        (told, Some((200, json!([]))), whole, "replace 500 tollgate_103501 false"),
        (told, Some((500, json!({}))), whole, "replace 500 tollgate_103500 false"),
        (told, None, whole, "replace 500 tollgate_103500 false"),
    ] {
        assert_eq!(outcome(includes, given.clone(), held), expected, "{includes:?} {given:?} {held:?}");
    }
}

proptest! {
    /// No service, whatever it answers, makes the filter panic, steers the router or frames a message.
    #[test]
    fn any_answer_is_carried_out_or_refused(
        status in prop_oneof![Just(200_u16), any::<u16>()],
        name in "[ -~]{0,12}|x-wso2-.|x-envoy-.|content-length",
        value in "[ -~\r\n]{0,8}",
        junk in any::<Vec<u8>>(),
        structured in any::<bool>(),
    ) {
        let body = if structured {
            json!({"headersToAdd": {name.clone(): value}, "headersToRemove": [name]}).to_string().into_bytes()
        } else {
            junk
        };
        match becomes(&[Include::RequestHeaders], None, Answer::Response(CallAnswer { status, body })) {
            Decision::Forward(edits) => {
                let names: Vec<&str> = edits.add.iter().map(|(name, _)| name.as_ref())
                    .chain(edits.remove.iter().map(AsRef::as_ref)).collect();
                prop_assert!(names.iter().all(|name| !name.starts_with("x-wso2") && !name.starts_with("x-envoy")));
                prop_assert!(!names.contains(&"content-length"));
                prop_assert!(edits.add.iter().all(|(_, value)| !value.contains(&b'\n') && !value.contains(&b'\r')));
            }
            Decision::Reply(reply) => prop_assert!(reply.status == 500),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
