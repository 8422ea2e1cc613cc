//! What the original's own tests assert of security, its table of failures and its order of credentials, row by row. The rows are those
//! of docs/parity.md, and tests/e2e/oracles.rs shows every one of them again on Envoy.

use std::rc::Rc;

use tollgate_model::{
    Api, ApiKeyPlace, Application, CertificateSource, ClientCertificate, Credential, Issuer, KeyType, MutualSsl,
    Requirement, Security, Settings, Subscription, SubscriptionState, Tier, keys,
};

use super::*;
use crate::CompiledIssuer;
use crate::testing::{issuer, operation, resource};

/// `abc` in place of a certificate, its digest, and another one.
pub(super) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE----- YWJj -----END CERTIFICATE-----";
pub(super) const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
pub(super) const STRANGER: &str = "-----BEGIN CERTIFICATE----- eHl6 -----END CERTIFICATE-----";

const NONE: &str = "401 900901: Make sure you have provided the correct security credentials";
const BAD_CERTIFICATE: &str = "401 900900: Invalid client certificate";
const BAD_KEY: &str = "401 900901: API key authentication failed.";
const BAD_INTERNAL: &str = "401 900901: Internal key authentication failed.";
const FORBIDDEN: &str = "403 900908: Resource forbidden ";
const INACTIVE: &str = "403 900909: User is NOT authorized to access the Resource. API Subscription validation failed.";
const UNSUBSCRIBED: &str =
    "403 900908: User is NOT authorized to access the Resource. API Subscription validation failed.";
const BLOCKED: &str = "401 900907: API Subscription is blocked";
const API_BLOCKED: &str = "503 700700: This API has been blocked temporarily.";

/// A behaviour, a request, and how what becomes of it begins.
struct Row {
    behaviour: &'static str,
    directory: TestDirectory,
    path: String,
    headers: Vec<(&'static str, String)>,
    expected: &'static str,
}

fn row(behaviour: &'static str, path: &str, expected: &'static str) -> Row {
    Row { behaviour, directory: directory(|_| ()), path: path.to_owned(), headers: Vec::new(), expected }
}

impl Row {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn bearing(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    fn key(self, key: &str) -> Self {
        self.with("apikey", key)
    }

    fn internal(self, key: &str) -> Self {
        self.with("internal-key", key)
    }

    fn certificate(self, pem: &str) -> Self {
        self.with("x-wso2-client-certificate", pem)
    }

    fn on(mut self, change: impl FnOnce(&mut Api)) -> Self {
        self.directory = directory(change);
        self
    }

    /// On an API that asks for certificates in that way.
    fn mutual(self, mandatory: bool, application_security: bool) -> Self {
        let owner = || ClientCertificate {
            alias: "client".to_owned(),
            subject: "CN=client".to_owned(),
            tier: None,
            sha256: DIGEST.to_owned(),
        };
        self.on(|api| {
            api.mutual_ssl = Some(MutualSsl { mandatory, application_security, certificates: vec![owner()] });
        })
    }

    fn validating(mut self) -> Self {
        let issuer = Issuer { validate_subscription: true, ..issuer() };
        self.directory.issuer = Rc::new(CompiledIssuer::compile(issuer).0);
        self
    }

    fn revoked(mut self, id: &str) -> Self {
        self.directory.subscribers.revoked.push(id.to_owned());
        self
    }

    fn check(self) {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let line = format!("GET /pets/1.0{}", self.path);
        let outcome = outcome(&self.directory, &line, &headers);
        // All that happens on the way to a backend, where the row names it.
        let all = self.expected.contains("+cluster");
        assert!(
            if all { outcome == self.expected } else { outcome.starts_with(self.expected) },
            "{}: {outcome}",
            self.behaviour
        );
    }
}

/// Operations of every kind, both backends, all token services, and an application for every state of a subscription, whose
/// consumer key is the name of the state.
pub(super) fn directory(change: impl FnOnce(&mut Api)) -> TestDirectory {
    let header = || Requirement::api_key(ApiKeyPlace::Header { name: "apikey".to_owned() });
    let query = Requirement::api_key(ApiKeyPlace::Query { name: "apikey".to_owned() });
    let any_of = |requirements, scopes: &[&str]| Security::AnyOf {
        requirements,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let one = |template: &str, security| resource(template, vec![operation("GET", security)]);
    let resources = vec![
        one("/token", token_with(&[])),
        one("/scoped", token_with(&["write"])),
        one("/key", any_of(vec![header()], &[])),
        one("/query", any_of(vec![query], &[])),
        one("/either", any_of(vec![Requirement::TOKEN, header()], &["write"])),
        one("/open", Security::Unsecured),
    ];
    let mut api = Api { resources, sandbox: Some(backend("sand", "/s")), ..api() };
    change(&mut api);
    let mut directory = TestDirectory::new(api);
    let client_certificate = CertificateSource { from_header: true, ..CertificateSource::default() };
    directory.settings = Some(Settings { client_certificate, ..Settings::default() });
    let service = |name: &str, kid: &str, validate_subscription| {
        let keys = JwkSet { keys: vec![jwk(kid)] };
        Rc::new(CompiledIssuer::compile(Issuer { keys, validate_subscription, ..Issuer::named(name, "") }).0)
    };
    directory.services =
        vec![service(Issuer::API_KEYS, "apikey", true), service(Issuer::PUBLISHER, "publisher", false)];
    let tables = &mut directory.subscribers;
    for state in SubscriptionState::ALL {
        let name = state.name();
        let credential = Credential::of(name.to_owned(), KeyType::Production);
        tables.credentials.insert(keys::credential("test", name), credential);
        let application =
            Application { uuid: name.to_owned(), tier: Tier::UNLIMITED.to_owned(), ..Application::default() };
        tables.applications.insert(name.to_owned(), application);
        let subscription = Subscription { state, tier: Tier::UNLIMITED.to_owned() };
        tables.subscriptions.insert(keys::subscription(name, "pets"), subscription);
    }
    directory
}

fn merged(mut claims: serde_json::Value, extra: serde_json::Value) -> serde_json::Value {
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    claims
}

fn listed() -> serde_json::Value {
    json!([{"name": "Pets", "context": "/pets/1.0", "version": "1.0"}])
}

pub(super) fn api_key(extra: serde_json::Value) -> String {
    let claims = json!({"exp": NOW + 60, "token_type": "apiKey", "jti": "key", "subscribedAPIs": listed()});
    token_of("apikey", &merged(claims, extra))
}

pub(super) fn internal_key(extra: serde_json::Value) -> String {
    let claims = json!({"exp": NOW + 60, "token_type": "InternalKey", "jti": "internal", "subscribedAPIs": listed()});
    token_of("publisher", &merged(claims, extra))
}

pub(super) fn forged(token: &str) -> String {
    format!("{}.{}", token.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode("other"))
}

fn of_tokens() -> Vec<Row> {
    let good = token(json!({"jti": "id"}));
    let bad = "401 900901: Invalid Credentials. Make sure";
    vec![
        row("no credentials at all", "/token", NONE),
        row(
            "a bearer token that is no JWT",
            "/token",
            "401 900901: Not a JWT token. Failed to decode the token header. Make sure",
        )
        .bearing("aaa.bbb.ccc"),
        row("the word Bearer twice", "/token", NONE).bearing(&format!("Bearer {good}")),
        row("another scheme than Bearer", "/token", NONE).with("authorization", format!("Something {good}")),
        row("an opaque token", "/token", NONE).bearing("0123456789abcdef"),
        row("a token with a bad signature", "/token", bad).bearing(&forged(&good)),
        row("a token that has expired", "/token", bad).bearing(&token(json!({"exp": NOW - 6}))),
        row("a token of an unknown issuer", "/token", bad).bearing(&token(json!({"iss": "https://elsewhere.example"}))),
        row("a bad token once more, from memory", "/token", bad).bearing(&forged(&good)),
        row("a revoked token", "/token", "401 900901: Invalid JWT token. Make sure").bearing(&good).revoked("id"),
        row("a good token", "/token", "-> ").bearing(&good),
    ]
}

fn of_keys() -> Vec<Row> {
    let (good, near) = (api_key(json!({})), api_key(json!({"permittedIP": "10.0.0.0/8"})));
    let page = api_key(json!({"permittedReferer": "https://a.example/*"}));
    let both = api_key(json!({"permittedIP": "10.0.0.0/8", "permittedReferer": "https://a.example/*"}));
    let in_query = |behaviour, path: &str, expected| {
        let path = format!("{path}={}", api_key(json!({})));
        Row { path, ..row(behaviour, "", expected) }
    };
    let (address, other) = ("10.1.2.3", "192.0.2.1");
    vec![
        row("an API key in its header", "/key", "-> ").key(&good),
        in_query("an API key of a header in the query", "/key?apikey", NONE),
        in_query("an API key in the query", "/query?apikey", "-> "),
        row("an API key of the query in a header", "/query", NONE).key(&good),
        in_query("the parameter of an API key in other letters", "/query?APIKey", NONE),
        row("an API key without a subscription", "/key", FORBIDDEN).key(&api_key(json!({"subscribedAPIs": []}))),
        row("an API key where only tokens are taken", "/token", NONE).key(&good),
        row("a bad API key", "/key", BAD_KEY).key(&forged(&good)),
        row("an API key that has expired", "/key", "401 900901: Invalid Credentials.")
            .key(&api_key(json!({"exp": NOW - 6}))),
        row("a revoked API key", "/key", BAD_KEY).key(&good).revoked("key"),
        row("an API key from an address that it permits", "/key", "-> ").key(&near).with("x-forwarded-for", address),
        row("an API key from another address", "/key", FORBIDDEN).key(&near).with("x-forwarded-for", other),
        row("an API key from a page that it permits", "/key", "-> ").key(&page).with("referer", "https://a.example/x"),
        row("an API key from another page", "/key", FORBIDDEN).key(&page).with("referer", "https://b.example/x"),
        row("an API key from no page", "/key", FORBIDDEN).key(&page),
        row("an address that is permitted, whatever the page", "/key", "-> ")
            .key(&both)
            .with("x-forwarded-for", address),
        row("an internal key in place of an API key", "/key", BAD_KEY).key(&internal_key(json!({}))),
        row("an internal key", "/token", "-> ").internal(&internal_key(json!({}))),
        row("an internal key for another API", "/token", FORBIDDEN)
            .internal(&internal_key(json!({"subscribedAPIs": []}))),
        row("a bad internal key", "/token", BAD_INTERNAL).internal(&forged(&internal_key(json!({})))),
        row("an API key in place of an internal key", "/token", BAD_INTERNAL).internal(&good),
        row("a revoked internal key", "/token", BAD_INTERNAL).internal(&internal_key(json!({}))).revoked("internal"),
    ]
}

fn of_certificates() -> Vec<Row> {
    let (good, key) = (token(json!({})), api_key(json!({})));
    let both = |behaviour, expected| row(behaviour, "/token", expected).mutual(true, true);
    let optional = |behaviour, expected| row(behaviour, "/key", expected).mutual(false, true);
    let mandatory = |behaviour, expected| row(behaviour, "/token", expected).mutual(true, false);
    vec![
        both("certificate and token, both mandatory: both", "-> ").certificate(CERTIFICATE).bearing(&good),
        both("certificate and token, both mandatory: the certificate", NONE).certificate(CERTIFICATE),
        both("certificate and token, both mandatory: the token", NONE).bearing(&good),
        both("certificate and token, both mandatory: the token and another certificate", BAD_CERTIFICATE)
            .certificate(STRANGER)
            .bearing(&good),
        optional("optional certificate, mandatory key: the key", "-> ").key(&key),
        optional("optional certificate, mandatory key: the key and another certificate", "-> ")
            .certificate(STRANGER)
            .key(&key),
        optional("optional certificate, mandatory key: both", "-> ").certificate(CERTIFICATE).key(&key),
        optional("optional certificate, mandatory key: the certificate", NONE).certificate(CERTIFICATE),
        optional("optional certificate, mandatory key: neither", NONE),
        mandatory("mandatory certificate, optional token: the certificate", "-> ").certificate(CERTIFICATE),
        mandatory("mandatory certificate, optional token: the certificate and a bad token", "-> ")
            .certificate(CERTIFICATE)
            .bearing("aaa.bbb.ccc"),
        mandatory("mandatory certificate, optional token: another certificate", BAD_CERTIFICATE).certificate(STRANGER),
        mandatory("mandatory certificate, optional token: the token", NONE).bearing(&good),
        mandatory("mandatory certificate, optional token: neither", NONE),
    ]
}

fn of_order() -> Vec<Row> {
    let (good, key, internal) = (token(json!({"scope": "write"})), api_key(json!({})), internal_key(json!({})));
    let bad = forged(&internal);
    vec![
        row("an unsecured operation asks for no certificate", "/open", "-> ").mutual(true, true),
        row("an internal key does not replace a mandatory certificate", "/token", NONE)
            .mutual(true, true)
            .internal(&internal),
        row("an internal key goes before a bad token", "/token", "-> ").internal(&internal).bearing("aaa.bbb.ccc"),
        row("a token goes before an API key", "/either", "403 900910: ").bearing(&token(json!({}))).key(&key),
        row("a token counts after a bad internal key", "/token", "-> ").internal(&bad).bearing(&good),
        row("an API key counts after a bad token", "/either", "-> ").bearing("aaa.bbb.ccc").key(&key),
        row("of several mistakes the first one is told", "/token", BAD_INTERNAL).internal(&bad).bearing("aaa.bbb.ccc"),
        row("scopes are not asked of an API key", "/either", "-> ").key(&key),
    ]
}

/// An API that answers by itself.
fn mocked(api: &mut Api) {
    (api.production, api.sandbox) = (None, None);
    let content = MockContent {
        content_type: "application/json".to_owned(),
        examples: vec![MockExample { name: "default".to_owned(), body: "fine".to_owned() }],
    };
    let response = MockResponse { code: "200".to_owned(), headers: Vec::new(), content: vec![content] };
    for resource in &mut api.resources {
        resource.operations[0].mock = Some(Mock { responses: vec![response.clone()] });
    }
}

fn of_backends() -> Vec<Row> {
    let of = |key_type: &str| token(json!({"keytype": key_type}));
    let production = |api: &mut Api| api.sandbox = None;
    let sandbox = |api: &mut Api| api.production = None;
    let cluster = "x-wso2-cluster-header";
    vec![
        row("a production key goes to production", "/token", "-> /v2/token -authorization +cluster=prod")
            .bearing(&of("PRODUCTION")),
        row("a sandbox key goes to the sandbox", "/token", "-> /s/token -authorization +cluster=sand")
            .bearing(&of("SANDBOX")),
        row("a key without a type goes to production", "/token", "-> /v2/token -authorization +cluster=prod")
            .bearing(&of("")),
        row("an unknown key type", "/token", "401 900901: Invalid key type.").bearing(&of("OTHER")),
        row(
            "a production key without a production backend",
            "/token",
            "401 900901: Production key offered to an API with no production endpoint",
        )
        .on(sandbox)
        .bearing(&of("PRODUCTION")),
        row(
            "a sandbox key without a sandbox backend",
            "/token",
            "401 900901: Sandbox key offered to an API with no sandbox endpoint",
        )
        .on(production)
        .bearing(&of("SANDBOX")),
        row("a key of a mocked API chooses no backend", "/token", "200").on(mocked).bearing(&of("SANDBOX")),
        row(
            "a client that names a cluster",
            "/token",
            "-> /v2/token -x-wso2-cluster-header -authorization +cluster=prod",
        )
        .with(cluster, "internal")
        .bearing(&of("PRODUCTION")),
        row(
            "a client that names the cluster of an unsecured operation",
            "/open",
            "-> /v2/open -x-wso2-cluster-header +cluster=prod",
        )
        .with(cluster, "internal"),
        row("an unsecured operation passes Authorization on", "/open", "-> /v2/open +cluster=prod")
            .with("authorization", "Basic YTpi"),
    ]
}

fn of_life_cycles() -> Vec<Row> {
    let prototype = |api: &mut Api| api.life_cycle = LifeCycle::Prototyped;
    let blocked = |api: &mut Api| api.life_cycle = LifeCycle::Blocked;
    let good = token(json!({}));
    vec![
        row("a prototype asks for nothing and goes to production", "/scoped", "-> /v2/scoped +cluster=prod")
            .on(prototype),
        row("a prototype's backend gets no credentials of the gateway", "/scoped", "-> /v2/scoped +cluster=prod").on(
            |api| {
                let authorization = Some("Basic YTpi".to_owned().into());
                api.production = Some(Backend { authorization, ..backend("prod", "/v2") });
                prototype(api);
            },
        ),
        row("a mocked prototype asks for a token", "/token", NONE).on(|api| {
            mocked(api);
            prototype(api);
        }),
        row("a blocked API, for good credentials", "/token", API_BLOCKED).on(blocked).bearing(&good),
        row("a blocked API, for an internal key", "/token", API_BLOCKED).on(blocked).internal(&internal_key(json!({}))),
        row("a blocked API, without credentials", "/open", API_BLOCKED).on(blocked),
        row("a blocked API, for strangers", "/token", NONE).on(blocked),
    ]
}

fn of_subscriptions() -> Vec<Row> {
    let of = |client: &str| token(json!({"azp": client}));
    let sandbox = |client: &str| token(json!({"azp": client, "keytype": "SANDBOX"}));
    let listing =
        |version: &str| token(json!({"azp": "nobody", "subscribedAPIs": [{"name": "Pets", "version": version}]}));
    let rows = vec![
        row("a subscription that is UNBLOCKED", "/token", "-> /v2/").bearing(&of("UNBLOCKED")),
        row("a subscription that is TIER_UPDATE_PENDING", "/token", "-> /v2/").bearing(&of("TIER_UPDATE_PENDING")),
        row("a subscription that is BLOCKED", "/token", BLOCKED).bearing(&of("BLOCKED")),
        row("a subscription that is BLOCKED, with a sandbox key", "/token", BLOCKED).bearing(&sandbox("BLOCKED")),
        row("a subscription that is PROD_ONLY_BLOCKED", "/token", BLOCKED).bearing(&of("PROD_ONLY_BLOCKED")),
        row("a subscription that is PROD_ONLY_BLOCKED, with a sandbox key", "/token", "-> /s/")
            .bearing(&sandbox("PROD_ONLY_BLOCKED")),
        row("a subscription that is ON_HOLD", "/token", INACTIVE).bearing(&of("ON_HOLD")),
        row("a subscription that is REJECTED", "/token", INACTIVE).bearing(&of("REJECTED")),
        row("no subscription", "/token", UNSUBSCRIBED).bearing(&of("nobody")),
        row("a token without a consumer key", "/token", FORBIDDEN).bearing(&token(json!({}))),
        row("a token that lists the API", "/token", "-> /v2/").bearing(&listing("1.0")),
        row("a token that lists another version", "/token", FORBIDDEN).bearing(&listing("2.0")),
        row(
            "a token without the scope",
            "/scoped",
            "403 900910: User is NOT authorized to access the Resource: /scoped. Scope validation failed.",
        )
        .bearing(&of("UNBLOCKED")),
        row("a token with one of the scopes", "/scoped", "-> /v2/")
            .bearing(&token(json!({"azp": "UNBLOCKED", "scope": "read write"}))),
    ];
    let mut rows: Vec<Row> = rows.into_iter().map(Row::validating).collect();
    rows.push(row("an issuer whose subscriptions do not count", "/token", "-> /v2/").bearing(&of("nobody")));
    rows
}

#[test]
fn what_the_original_asserts_of_security_holds() {
    let rows =
        [of_tokens(), of_keys(), of_certificates(), of_order(), of_backends(), of_life_cycles(), of_subscriptions()];
    let mut shown = Vec::new();
    for row in rows.into_iter().flatten() {
        shown.push(row.behaviour.to_owned());
        row.check();
    }
    assert_eq!(shown, crate::testing::listed_in_parity("Security, row by row"));
}
