//! The whole catalogue: for every line of it a request that is refused with it, in JSON and in both versions of SOAP.

use std::collections::BTreeSet;
use std::rc::Rc;

use tollgate_model::{
    Api, ApiKind, Application, BackendJwtHeader, ClientCertificate, Credential, CustomPolicy, DenyCondition,
    GraphQlLimits, Interceptor, Interceptors, Issuer, KeyType, Limit, MutualSsl, NamedEndpoint, OpaPolicy, Operation,
    Policies, QuotaUnit, RequestPolicy, Security, Settings, Subscription, SubscriptionState, Tier, TierKind, TimeUnit,
    Window, keys,
};

use super::*;
use crate::graphql::testing::graphql_api;
use crate::rejection::{CATALOGUE, Entry, Level, Rejection};
use crate::testing::{issuer, operation};
use crate::{CallAnswer, CompiledIssuer, CompiledPolicy, Reply, RequestBody, Stock, Throttle};

const PET: &str = "GET /pets/1.0/pet/5";
/// What an interceptor answers that wants another endpoint.
const ELSEWHERE: &str = r#"{"dynamicEndpoint": {"endpointName": "other"}}"#;
const OPEN: &str = "GET /pets/1.0/public/a";

/// A request that is refused with that line of the catalogue.
struct Case {
    details: &'static str,
    directory: TestDirectory,
    line: &'static str,
    headers: Vec<(&'static str, String)>,
    /// What the world answers, in the order in which it is asked.
    answers: Vec<Answer>,
    callbacks: Callbacks,
}

const ALL: Callbacks = Callbacks::ALL;

fn case(details: &'static str, directory: TestDirectory, line: &'static str) -> Case {
    Case { details, directory, line, headers: Vec::new(), answers: Vec::new(), callbacks: ALL }
}

impl Case {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bearing(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    fn answered(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }
}

fn usual() -> TestDirectory {
    TestDirectory::new(api())
}

fn of(change: impl FnOnce(&mut Api)) -> TestDirectory {
    let mut api = api();
    change(&mut api);
    TestDirectory::new(api)
}

/// The directory with the application of the consumer key `ck`, subscribed in this state, and every plan limited.
fn subscribed(mut directory: TestDirectory, state: SubscriptionState) -> TestDirectory {
    directory.issuer = Rc::new(CompiledIssuer::compile(Issuer { validate_subscription: true, ..issuer() }).0);
    let tables = &mut directory.subscribers;
    let credential = Credential::of("u".to_owned(), KeyType::Production);
    tables.credentials.insert(keys::credential("test", "ck"), credential);
    let application = Application { uuid: "u".to_owned(), id: 7, tier: "P".to_owned(), ..Application::default() };
    tables.applications.insert("u".to_owned(), application);
    let subscription = Subscription { state, tier: "S".to_owned() };
    tables.subscriptions.insert(keys::subscription("u", "pets"), subscription);
    let window = Window { count: 1, unit: TimeUnit::Minute };
    let limits = vec![Limit { amount: 10, unit: QuotaUnit::Requests, window }];
    let graphql = GraphQlLimits { max_depth: Some(2), max_complexity: Some(3) };
    for (kind, name) in [(TierKind::Api, "A"), (TierKind::Subscription, "S"), (TierKind::Application, "P")] {
        let tier = Tier { limits: limits.clone(), graphql, ..Tier::named(name) };
        tables.tiers.insert((kind, name.to_owned()), tier);
    }
    directory
}

/// The level whose key begins like this has nothing left.
fn used_up(details: &'static str, level: &str, in_plan_of_api: bool) -> Case {
    let directory = of(|api| {
        api.tier = in_plan_of_api.then(|| "A".to_owned());
        api.resources[0].operations[0].tier = (!in_plan_of_api).then(|| "A".to_owned());
    });
    let mut directory = subscribed(directory, SubscriptionState::Unblocked);
    if level == "custom" {
        let (name, template) = ("all".to_owned(), "$userId".to_owned());
        let limits = directory.subscribers.tiers[&(TierKind::Api, "A".to_owned())].limits.clone();
        let custom = vec![CompiledPolicy::try_from(CustomPolicy { name, template, limits, shadow: false }).unwrap()];
        directory.throttle = Rc::new(Throttle { deny: Vec::new(), custom });
    }
    for key in [
        "api|/pets/1.0:1.0",
        "resource|/pets/1.0/1.0/pet/{id}:GET",
        "subscription|7:/pets/1.0:1.0",
        "application|7:alice@carbon.super",
        "custom|all|alice@carbon.super",
    ] {
        let until = Timestamp(1_800_000_000_500);
        let stock = if key.starts_with(level) { Stock::Exhausted { until } } else { Stock::Enough };
        directory.quotas.stock.insert(key.to_owned(), stock);
    }
    case(details, directory, PET).bearing(&of_client())
}

fn of_client() -> String {
    token(json!({"azp": "ck", "sub": "alice"}))
}

fn in_state(details: &'static str, state: SubscriptionState) -> Case {
    case(details, subscribed(usual(), state), PET).bearing(&of_client())
}

fn graphql(details: &'static str, query: &str) -> Case {
    let directory = subscribed(TestDirectory::new(graphql_api()), SubscriptionState::Unblocked);
    let bytes = json!({"query": query}).to_string().into_bytes();
    let body = Answer::Body(RequestBody { bytes, ..RequestBody::default() });
    case(details, directory, "POST /pets/1.0").bearing(&of_client()).answered(body)
}

fn mocked(details: &'static str, prefer: &'static str) -> Case {
    let mock = Mock { responses: vec![MockResponse { code: "200".to_owned(), headers: vec![], content: vec![] }] };
    case(details, of(|api| api.resources[2].operations[0].mock = Some(mock)), OPEN).with("prefer", prefer)
}

fn opa(details: &'static str, answer: Answer) -> Case {
    let policy = OpaPolicy {
        cluster: "opa".to_owned(),
        authority: "opa".to_owned(),
        path: "/v1/data/a".to_owned(),
        access_key: None,
        send_access_token: false,
        timeout_ms: 1000,
    };
    let policies = Policies { request: vec![RequestPolicy::Opa(Box::new(policy))], response: Vec::new() };
    case(details, of(|api| api.resources[2].operations[0].policies = Some(policies)), OPEN).answered(answer)
}

fn intercepted() -> TestDirectory {
    let (cluster, authority) = ("before".to_owned(), "service".to_owned());
    let request = Some(Interceptor { cluster, authority, timeout_ms: 1000, includes: Vec::new() });
    let interceptors = Interceptors { request, response: None };
    let open = Operation { interceptors, ..operation("GET", Security::Unsecured) };
    of(|api| api.resources[2].operations[0] = open)
}

fn response(status: u16, body: &str) -> Answer {
    Answer::Response(CallAnswer { status, body: body.as_bytes().to_vec() })
}

fn configured(change: impl FnOnce(&mut Settings)) -> TestDirectory {
    let mut directory = usual();
    if let Some(settings) = &mut directory.settings {
        change(settings);
    }
    directory
}

/// What is wrong with the request or with what is served.
fn of_requests() -> Vec<Case> {
    let websocket = of(|api| api.kind = ApiKind::WebSocket);
    let mut unreadable = usual();
    unreadable.unreadable = true;
    let mut not_ready = usual();
    not_ready.settings = None;
    let mut foreign = intercepted();
    foreign.foreign_routes = true;
    foreign.api.endpoints = vec![NamedEndpoint { name: "other".to_owned(), backend: backend("named", "/n") }];
    let no_callbacks = Case {
        callbacks: Callbacks::NONE,
        ..case("tollgate_102500_callbacks", TestDirectory::new(graphql_api()), "POST /pets/1.0")
    };
    vec![
        case("tollgate_400", usual(), "GET /pets/1.0/public/../admin"),
        case("tollgate_400_no_upgrade", websocket, OPEN),
        case("tollgate_403_upgrade", usual(), OPEN).with("upgrade", "h2c"),
        case("tollgate_404", usual(), "GET /nothing"),
        Case { answers: vec![Answer::BodyTooLarge], ..graphql("tollgate_413", "{open}") },
        case("tollgate_102500_unreadable", unreadable, OPEN),
        no_callbacks,
        case("tollgate_102500_not_ready", not_ready, OPEN),
        case("tollgate_102500_foreign_routes", foreign, OPEN).answered(response(200, ELSEWHERE)),
        case("tollgate_103500", intercepted(), OPEN).answered(Answer::Failed),
        case("tollgate_103501", intercepted(), OPEN).answered(response(200, "no JSON")),
        case("tollgate_700700", of(|api| api.life_cycle = LifeCycle::Blocked), OPEN),
        graphql("tollgate_900422", "{"),
        graphql("tollgate_900820", "{mine {next {name}}}"),
        graphql("tollgate_900821", "{mine {a: name b: name c: name}}"),
        mocked("tollgate_900870", "code=some"),
        mocked("tollgate_900871", "code=404"),
        opa("tollgate_901101", response(200, r#"{"result": false}"#)),
        opa("tollgate_901102", Answer::Failed),
        opa("tollgate_901103", response(200, r#"{"result": "yes"}"#)),
    ]
}

/// What is wrong with who calls.
fn of_callers() -> Vec<Case> {
    let backend_jwt = BackendJwtHeader { header: "x-jwt-assertion".to_owned(), revision: String::new() };
    let known = ClientCertificate { alias: String::new(), subject: String::new(), tier: None, sha256: "00".repeat(32) };
    let mutual_ssl = MutualSsl { mandatory: true, application_security: false, certificates: vec![known] };
    let mut certificates = of(|api| api.mutual_ssl = Some(mutual_ssl));
    certificates.settings.as_mut().into_iter().for_each(|settings| settings.client_certificate.from_header = true);
    let mut denied = subscribed(usual(), SubscriptionState::Unblocked);
    let context = "/pets/1.0".to_owned();
    denied.throttle = Rc::new(Throttle { deny: vec![DenyCondition::Api { context }], custom: Vec::new() });
    let nobody = token(json!({"azp": "nobody"}));
    vec![
        case("tollgate_900900", usual(), PET).bearing(&token_of("new", &claims(json!({})))).answered(Answer::Failed),
        case("tollgate_900900_backend_jwt", configured(|settings| settings.backend_jwt = Some(backend_jwt)), PET)
            .bearing(&token(json!({})))
            .answered(Answer::Failed),
        case("tollgate_900900_certificate", certificates, PET).with("x-wso2-client-certificate", "YWJj"),
        case("tollgate_900901", usual(), PET),
        in_state("tollgate_900907", SubscriptionState::Blocked),
        case("tollgate_900908", subscribed(usual(), SubscriptionState::Unblocked), PET).bearing(&token(json!({}))),
        case("tollgate_900908_subscription", subscribed(usual(), SubscriptionState::Unblocked), PET).bearing(&nobody),
        in_state("tollgate_900909", SubscriptionState::OnHold),
        case("tollgate_900910", usual(), "DELETE /pets/1.0/pet/5").bearing(&token(json!({}))),
        used_up("tollgate_900800", "api", true),
        used_up("tollgate_900802", "resource", false),
        used_up("tollgate_900803", "application", true),
        used_up("tollgate_900804", "subscription", true),
        used_up("tollgate_900806", "custom", true),
        case("tollgate_900805", denied, PET).bearing(&of_client()),
    ]
}

/// The reply to the request with these headers besides.
fn refused(case: &Case, more: &[(&str, &str)]) -> Reply {
    let own: Vec<(&str, &str)> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let request = request(case.line, &[&own[..], more].concat());
    let (mut answers, mut given) = (Answers::default(), case.answers.iter());
    loop {
        let now = Timestamp(NOW * 1000);
        let (connection, callbacks) = (&TestConnection::default(), case.callbacks);
        let cx = Cx { directory: &case.directory, request: &request, answers: &answers, connection, now, callbacks };
        match decide(&cx) {
            Decision::Ask(question) => {
                let answer = given.next().unwrap_or_else(|| panic!("{}: {question:?}", case.details));
                answers.add(question, answer.clone());
            }
            Decision::Reply(reply) => return reply,
            passes => panic!("{} passes: {passes:?}", case.details),
        }
    }
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
}

fn check_headers(reply: &Reply, entry: &Entry, content_type: &str) {
    assert_eq!((reply.status, reply.details), (entry.status, entry.details));
    assert_eq!(header(reply, "content-type"), Some(content_type), "{}", entry.details);
    assert_eq!(header(reply, "www-authenticate").is_some(), entry.challenge, "{}", entry.details);
    let retry = (entry.status == 429).then_some("Fri, 15 Jan 2027 08:00:01 GMT");
    assert_eq!(header(reply, "retry-after"), retry, "{}", entry.details);
}

/// Windows end at whole seconds, and what is known of their ends is a little off.
#[test]
fn trying_again_helps_at_the_end_of_the_window() {
    for (until, date) in [
        (1_800_000_000_000, "08:00:00"),
        (1_799_999_999_101, "08:00:00"),
        (1_800_000_000_003, "08:00:00"),
        (1_800_000_000_101, "08:00:01"),
        (1_800_000_000_999, "08:00:01"),
        (0, "00:00:00"),
        (u64::MAX, "23:59:59"),
    ] {
        let reply = Rejection::Throttled(Level::Api, Timestamp(until)).reply();
        let retry = header(&reply, "retry-after").unwrap();
        assert!(retry.ends_with(&format!(" {date} GMT")), "{until}: {retry}");
    }
}

#[test]
fn every_line_of_the_catalogue_has_its_request() {
    let cases = || of_requests().into_iter().chain(of_callers());
    for case in cases() {
        let entry = CATALOGUE.iter().find(|entry| entry.details == case.details).unwrap();
        let reply = refused(&case, &[]);
        let body = String::from_utf8(reply.body.clone()).unwrap();
        assert_eq!(reply.details, case.details, "{body}");
        check_headers(&reply, entry, "application/json");
        // Members in the order of the original; without a description there is no such member.
        let begins = format!(r#"{{"error_message":"{}","code":"{}""#, entry.message, entry.code);
        assert!(body.starts_with(&begins), "{body}");
        assert_eq!(body.contains("error_description"), !entry.description.is_empty(), "{body}");
    }
    let shown: BTreeSet<&str> = cases().map(|case| case.details).collect();
    let missing: Vec<&str> = CATALOGUE.iter().map(|entry| entry.details).filter(|one| !shown.contains(one)).collect();
    // Headers that cannot be read never become a request, and evidence is missed only by modules of a chain.
    assert_eq!(missing, ["tollgate_400_malformed", "tollgate_102500_evidence"]);
}

/// The original knows them and never sends them; whoever relies on them relies on nothing.
#[test]
fn codes_that_the_original_never_sends_are_never_sent() {
    for code in ["900801", "900807", "900902", "900903", "900904", "900905", "900906", "900911", "900912", "901100"] {
        assert!(CATALOGUE.iter().all(|entry| entry.code != code), "{code}");
    }
}

#[test]
fn every_refusal_is_a_fault_for_those_who_speak_soap() {
    for mut case in of_requests().into_iter().chain(of_callers()) {
        let entry = CATALOGUE.iter().find(|entry| entry.details == case.details).unwrap();
        // GraphQL speaks JSON, and without settings nobody knows what is wanted.
        let Some(settings) = &mut case.directory.settings else { continue };
        if case.directory.api.graphql.is_some() {
            continue;
        }
        settings.soap_faults = true;
        let soap_11 = [("content-type", "text/xml"), ("soapaction", "a")];
        for (headers, content_type) in
            [(&soap_11[..], "text/xml"), (&[("content-type", "application/soap+xml")], "application/soap+xml")]
        {
            let reply = refused(&case, headers);
            let body = String::from_utf8(reply.body.clone()).unwrap();
            check_headers(&reply, entry, content_type);
            let message = entry.message.replace('"', "&quot;");
            assert!(body.contains(&format!(">{message}</")), "{body}");
            assert!(body.contains(&format!("{}:", entry.code)) && body.ends_with("</soapenv:Envelope>"), "{body}");
        }
    }
}
