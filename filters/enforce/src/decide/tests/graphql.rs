//! GraphQL requests: the body decides who may call.

use std::rc::Rc;

use tollgate_model::{
    Api, Application, Credential, GraphQlLimits, Issuer, KeyType, Subscription, SubscriptionState, Tier, TierKind, keys,
};

use super::*;
use crate::RequestBody;
use crate::graphql::testing::graphql_api;

const LINE: &str = "POST /pets/1.0";
const NOT_FOUND: &str = "404 404: The requested resource is not available.";
const NO_CREDENTIALS: &str = "401 900901: Make sure you have provided the correct security credentials";

/// Decides on a gateway that shows bodies.
fn decide_here(directory: &TestDirectory, request: &HeaderMap, answers: &Answers) -> Decision {
    let callbacks = Callbacks { request_body: true, ..Callbacks::NONE };
    let connection = &TestConnection::default();
    decide_both(&Cx { directory, request, answers, connection, now: Timestamp(NOW * 1000), callbacks })
}

/// What becomes of a request with that body, which is asked for first.
fn posted(directory: &TestDirectory, line: &str, headers: &[(&str, &str)], body: &str) -> String {
    let request = request(line, headers);
    let mut answers = Answers::default();
    match decide_here(directory, &request, &answers) {
        Decision::Ask(question @ Question::Body { .. }) => {
            let body = RequestBody { bytes: body.as_bytes().to_vec(), ..RequestBody::default() };
            answers.add(question, Answer::Body(body));
            describe(decide_here(directory, &request, &answers))
        }
        other => format!("at once {}", describe(other)),
    }
}

#[track_caller]
fn check(token: Option<&str>, query: &str, expected: &str) {
    let directory = TestDirectory::new(graphql_api());
    let bearer = token.map(|scope| format!("Bearer {}", super::token(json!({"scope": scope}))));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let body = json!({"query": query}).to_string();
    assert_eq!(posted(&directory, LINE, &headers, &body), expected, "{token:?} {query}");
}

fn no_scope(field: &str) -> String {
    format!("403 900910: User is NOT authorized to access the Resource: {field}. Scope validation failed.")
}

#[test]
fn every_operation_must_be_allowed() {
    let (open, passes) = ("-> /graphql +cluster=prod", "-> /graphql -authorization +cluster=prod");
    check(None, "{open}", open);
    check(None, "{open x: open}", open);
    check(None, "{mine {name}}", NO_CREDENTIALS);
    check(None, "{open mine {name}}", NO_CREDENTIALS);
    check(Some(""), "{open mine {name}}", passes);
    check(Some(""), "{mine {name} hers {name}}", &no_scope("hers"));
    check(Some("read"), "{mine {name} hers {name}}", passes);
    check(Some("read"), "mutation {change {name}}", &no_scope("change"));
    check(Some("admin"), "mutation {change {name}}", passes);
    check(Some("admin"), "{hidden}", NOT_FOUND);
    check(None, "{open hidden}", NOT_FOUND);
    check(None, "{__typename open}", NOT_FOUND);
}

#[test]
fn what_cannot_be_decided_about_is_refused() {
    let directory = TestDirectory::new(graphql_api());
    let json = ("content-type", "application/json");
    for (line, headers, body, expected) in [
        (LINE, &[json][..], "{}", "400 900422: Query cannot be empty"),
        (LINE, &[json], "{open}", "400 900422: Invalid GraphQL query body structure. "),
        (LINE, &[], r#"{"query":"{"}"#, "400 900422: Invalid syntax. "),
        (LINE, &[], r#"{"query":"{shut}"}"#, "400 900422: Payload is invalid. There is no field shut of type Query"),
        (LINE, &[("content-type", "text/plain")], "", "at once 400 900422: Invalid content type. "),
        (LINE, &[("content-encoding", "br")], "", "at once 400 900422: The body must not be encoded. "),
        ("POST /pets/1.0?query={hidden}", &[], "", "at once 400 900422: The URL must not hold a query "),
        ("GET /pets/1.0", &[], "", "at once 404"),
        ("POST /pets/1.0/open", &[], "", "at once 404"),
        ("OPTIONS /pets/1.0", &[], "", "at once 204"),
    ] {
        let outcome = posted(&directory, line, headers, body);
        assert!(outcome.starts_with(expected), "{line} {body}: {outcome}");
    }
}

#[test]
fn the_whole_api_is_at_the_path_of_its_backend() {
    let mut api = graphql_api();
    let body = r#"{"query":"{open}"}"#;
    for (base_path, line, path) in [
        ("/graphql", "POST /pets/1.0", "/graphql"),
        ("/graphql", "POST /pets/1.0/", "/graphql"),
        ("/graphql", "POST /pets/1.0?a=b", "/graphql?a=b"),
        ("", "POST /pets/1.0/", "/"),
        ("", "POST /pets?a=b", "/?a=b"),
    ] {
        api.production = Some(backend("prod", base_path));
        let directory = TestDirectory::new(api.clone());
        assert_eq!(posted(&directory, line, &[], body), format!("-> {path} +cluster=prod"), "{line}");
    }
}

#[test]
fn a_body_that_is_too_large_or_lost_is_refused() {
    let directory = TestDirectory::new(graphql_api());
    let request = request(LINE, &[]);
    for (answer, status) in [(Answer::BodyTooLarge, "413"), (Answer::Failed, "500")] {
        let mut answers = Answers::default();
        let Decision::Ask(question) = decide_here(&directory, &request, &answers) else { panic!("a question") };
        answers.add(question, answer);
        let outcome = describe(decide_here(&directory, &request, &answers));
        assert!(outcome.starts_with(status), "{outcome}");
    }
}

#[test]
fn a_gateway_that_shows_no_bodies_serves_nothing() {
    let outcome = outcome(&TestDirectory::new(graphql_api()), LINE, &[]);
    assert!(outcome.starts_with("500"), "{outcome}");
}

#[test]
fn the_life_cycle_counts() {
    let with = |life_cycle| TestDirectory::new(Api { life_cycle, ..graphql_api() });
    let body = r#"{"query":"{mine {name}}"}"#;
    let bearer = format!("Bearer {}", token(json!({})));
    let headers = [("authorization", bearer.as_str())];
    assert!(posted(&with(LifeCycle::Blocked), LINE, &headers, body).starts_with("503 700700"));
    assert_eq!(posted(&with(LifeCycle::Prototyped), LINE, &[], body), "-> /graphql +cluster=prod");
}

#[test]
fn an_api_without_its_schema_is_not_served() {
    assert!(crate::CompiledApi::compile(Api { graphql: None, ..graphql_api() }).is_err());
    assert!(crate::CompiledApi::compile(Api { kind: tollgate_model::ApiKind::Http, ..graphql_api() }).is_err());
}

/// The limits of the plan that the caller's application has subscribed with.
#[test]
fn a_subscription_limits_depth_and_complexity() {
    let mut directory = TestDirectory::new(graphql_api());
    directory.issuer =
        Rc::new(crate::CompiledIssuer::compile(Issuer { validate_subscription: true, ..crate::testing::issuer() }).0);
    let tables = &mut directory.subscribers;
    let credential = Credential::of("app".to_owned(), KeyType::Production);
    tables.credentials.insert(keys::credential("test", "ck"), credential);
    let application = Application { uuid: "app".to_owned(), tier: "Unlimited".to_owned(), ..Application::default() };
    tables.applications.insert("app".to_owned(), application);
    let subscription = Subscription { state: SubscriptionState::Unblocked, tier: "Gold".to_owned() };
    tables.subscriptions.insert(keys::subscription("app", "pets"), subscription);
    let graphql = GraphQlLimits { max_depth: Some(3), max_complexity: Some(4) };
    tables.tiers.insert((TierKind::Subscription, "Gold".to_owned()), Tier { graphql, ..Tier::named("Gold") });
    let bearer = format!("Bearer {}", token(json!({"azp": "ck"})));
    for (query, expected) in [
        ("{mine {next {name}}}", "-> /graphql -authorization +cluster=prod"),
        ("{mine {next {next {name}}}}", "400 900820: [maximum query depth exceeded 4 > 3]"),
        ("{mine {a: name b: name c: name d: name}}", "400 900821: [maximum query complexity exceeded 5 > 4]"),
        // Nobody is told of limits who may not ask at all.
        ("{hers {next {next {name}}}}", no_scope("hers").as_str()),
        // Anyone may ask for what is open, so nobody's limits count.
        ("{a: open b: open c: open d: open e: open}", "-> /graphql +cluster=prod"),
    ] {
        let body = json!({"query": query}).to_string();
        assert_eq!(posted(&directory, LINE, &[("authorization", &bearer)], &body), expected, "{query}");
    }
}
