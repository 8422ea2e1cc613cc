//! What the original's own tests assert of security, its table of failures and its order of credentials, row by row, on Envoy. The rows
//! are those of docs/parity.md; filters/enforce/src/decide/tests/oracles.rs decides every one of them too.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::http::Answer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, Settings, eventually, locate, project};

use crate::credentials::{certificates, key_services};
use crate::subscriptions::{ISSUER as VALIDATING, token, token_service};

/// An issuer whose subscriptions do not count.
const ISSUER: &str = "https://open.test/token";
const STATES: [&str; 6] = ["UNBLOCKED", "TIER_UPDATE_PENDING", "BLOCKED", "PROD_ONLY_BLOCKED", "ON_HOLD", "REJECTED"];
const APIS: [&str; 10] =
    ["Pets", "Both", "Optional", "Mandatory", "Production", "Sandbox", "Prototype", "Mockup", "Blocked", "Secured"];

/// The answer of a backend.
const PASSED: Outcome = (200, "", "");
const NONE: Outcome = (401, "900901", "Make sure you have provided the correct security credentials");
const BAD_TOKEN: Outcome = (401, "900901", "Invalid Credentials. Make sure");
const BAD_CERTIFICATE: Outcome = (401, "900900", "Invalid client certificate");
const BAD_KEY: Outcome = (401, "900901", "API key authentication failed.");
const BAD_INTERNAL: Outcome = (401, "900901", "Internal key authentication failed.");
const FORBIDDEN: Outcome = (403, "900908", "Resource forbidden ");
const UNVALIDATED: &str = "User is NOT authorized to access the Resource. API Subscription validation failed.";
const INACTIVE: Outcome = (403, "900909", UNVALIDATED);
const UNSUBSCRIBED: Outcome = (403, "900908", UNVALIDATED);
const BLOCKED: Outcome = (401, "900907", "API Subscription is blocked");
const API_BLOCKED: Outcome = (503, "700700", "This API has been blocked temporarily.");

/// Status, code, and how the description begins.
type Outcome = (u16, &'static str, &'static str);

/// A behaviour, a request, and what becomes of it.
struct Row {
    behaviour: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    expected: Outcome,
    /// What a backend saw, or a mock has told.
    body: &'static str,
}

fn row(behaviour: &'static str, path: &str, expected: Outcome) -> Row {
    Row { behaviour, path: path.to_owned(), headers: Vec::new(), expected, body: "" }
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
        let encoded = pem.replace('\r', "").replace('+', "%2B").replace('\n', "%0A").replace(' ', "%20");
        self.with("x-wso2-client-certificate", encoded)
    }

    fn saying(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    async fn check(&self, gateway: &Gateway) {
        let mut request = gateway.request(Method::GET, &self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let answer = Answer::of(request).await.unwrap();
        let (status, code, description) = self.expected;
        let told = format!("{}: {} {}", self.behaviour, answer.status, answer.body);
        assert_eq!(answer.status.as_u16(), status, "{told}");
        assert!(answer.body.contains(self.body), "{told}");
        let challenged = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(
            challenged.ends_with(r#"error="invalid_token", error_description="The provided token is invalid""#),
            status != 200,
            "{told}"
        );
        if status != 200 {
            let json = answer.json();
            assert_eq!(json["code"], code, "{told}");
            assert!(json["error_description"].as_str().unwrap().starts_with(description), "{told}");
            let order =
                ["error_message", "code", "error_description"].map(|name| answer.body.find(&format!("\"{name}\":")));
            assert!(order.is_sorted() && order.iter().all(Option::is_some), "{told}");
        } else if let Some(seen) = answer.json()["headers"].as_object() {
            for credential in ["apikey", "internal-key", "x-wso2-client-certificate", "x-wso2-cluster-header"] {
                assert!(!seen.contains_key(credential), "{told}");
            }
        }
    }
}

/// Whoever signs.
struct Signers {
    api_keys: KeyPair,
    publisher: KeyPair,
}

fn listed() -> Value {
    APIS.map(|name| json!({"name": name, "context": format!("/{}/1.0.0", name.to_lowercase()), "version": "1.0.0"}))
        .to_vec()
        .into()
}

fn key(pair: &KeyPair, kind: &str, extra: &[(&str, Value)]) -> String {
    let claims = Claims::of("https://portal.test").with("token_type", kind).with("subscribedAPIs", listed());
    let claims = extra.iter().fold(claims, |claims, (name, value)| claims.with(name, value.clone()));
    pair.sign(Algorithm::RS256, &claims)
}

impl Signers {
    fn api_key(&self, extra: &[(&str, Value)]) -> String {
        key(&self.api_keys, "apiKey", extra)
    }

    fn internal_key(&self, extra: &[(&str, Value)]) -> String {
        key(&self.publisher, "InternalKey", extra)
    }
}

/// A token of the issuer whose subscriptions do not count.
fn of(claim: &str, value: &str) -> String {
    token(Claims::of(ISSUER).with(claim, value))
}

/// Another signature of the same length.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn of_tokens() -> Vec<Row> {
    let path = "/pets/1.0.0/token";
    let good = of("jti", "good");
    let no_jwt = (401, "900901", "Not a JWT token. Failed to decode the token header. Make sure");
    vec![
        row("no credentials at all", path, NONE),
        row("a bearer token that is no JWT", path, no_jwt).bearing("aaa.bbb.ccc"),
        row("the word Bearer twice", path, NONE).bearing(&format!("Bearer {good}")),
        row("another scheme than Bearer", path, NONE).with("authorization", format!("Something {good}")),
        row("an opaque token", path, NONE).bearing("0123456789abcdef"),
        row("a token with a bad signature", path, BAD_TOKEN).bearing(&forged(&good)),
        row("a token that has expired", path, BAD_TOKEN).bearing(&token(Claims::of(ISSUER).expiring(-60))),
        row("a token of an unknown issuer", path, BAD_TOKEN).bearing(&token(Claims::of("https://elsewhere.test"))),
        row("a bad token once more, from memory", path, BAD_TOKEN).bearing(&forged(&good)),
        row("a revoked token", path, (401, "900901", "Invalid JWT token. Make sure")).bearing(&of("jti", "revoked")),
        row("a good token", path, PASSED).bearing(&good),
    ]
}

fn of_keys(signers: &Signers) -> Vec<Row> {
    let (path, tokens) = ("/pets/1.0.0/key", "/pets/1.0.0/token");
    let with = |claim: &str, value: Value| signers.api_key(&[(claim, value)]);
    let (good, internal) = (signers.api_key(&[]), signers.internal_key(&[]));
    let (near, page) =
        (with("permittedIP", json!("10.0.0.0/8")), with("permittedReferer", json!("https://a.example/*")));
    let both = [("permittedIP", json!("10.0.0.0/8")), ("permittedReferer", json!("https://a.example/*"))];
    let both = signers.api_key(&both);
    let expired = with("exp", json!(1_000_000_000));
    let in_query = |behaviour, path: &str, expected| row(behaviour, &format!("/pets/1.0.0{path}={good}"), expected);
    let (address, other) = (("x-forwarded-for", "10.1.2.3"), ("x-forwarded-for", "192.0.2.1"));
    let unlisted = ("subscribedAPIs", json!([]));
    vec![
        row("an API key in its header", path, PASSED).key(&good),
        in_query("an API key of a header in the query", "/key?apikey", NONE),
        in_query("an API key in the query", "/query?apikey", PASSED).saying(r#""query":null"#),
        row("an API key of the query in a header", "/pets/1.0.0/query", NONE).key(&good),
        in_query("the parameter of an API key in other letters", "/query?APIKey", NONE),
        row("an API key without a subscription", path, FORBIDDEN)
            .key(&signers.api_key(std::slice::from_ref(&unlisted))),
        row("an API key where only tokens are taken", tokens, NONE).key(&good),
        row("a bad API key", path, BAD_KEY).key(&forged(&good)),
        row("an API key that has expired", path, (401, "900901", "Invalid Credentials.")).key(&expired),
        row("a revoked API key", path, BAD_KEY).key(&with("jti", json!("revoked"))),
        row("an API key from an address that it permits", path, PASSED).key(&near).with(address.0, address.1),
        row("an API key from another address", path, FORBIDDEN).key(&near).with(other.0, other.1),
        row("an API key from a page that it permits", path, PASSED).key(&page).with("referer", "https://a.example/x"),
        row("an API key from another page", path, FORBIDDEN).key(&page).with("referer", "https://b.example/x"),
        row("an API key from no page", path, FORBIDDEN).key(&page),
        row("an address that is permitted, whatever the page", path, PASSED).key(&both).with(address.0, address.1),
        row("an internal key in place of an API key", path, BAD_KEY).key(&internal),
        row("an internal key", tokens, PASSED).internal(&internal),
        row("an internal key for another API", tokens, FORBIDDEN).internal(&signers.internal_key(&[unlisted])),
        row("a bad internal key", tokens, BAD_INTERNAL).internal(&forged(&internal)),
        row("an API key in place of an internal key", tokens, BAD_INTERNAL).internal(&good),
        row("a revoked internal key", tokens, BAD_INTERNAL)
            .internal(&signers.internal_key(&[("jti", json!("revoked"))])),
    ]
}

fn of_certificates(signers: &Signers, (client, stranger): (&str, &str)) -> Vec<Row> {
    let (good, key) = (of("jti", "good"), signers.api_key(&[]));
    let both = |behaviour, expected| row(behaviour, "/both/1.0.0/token", expected);
    let optional = |behaviour, expected| row(behaviour, "/optional/1.0.0/token", expected);
    let mandatory = |behaviour, expected| row(behaviour, "/mandatory/1.0.0/token", expected);
    vec![
        both("certificate and token, both mandatory: both", PASSED).certificate(client).bearing(&good),
        both("certificate and token, both mandatory: the certificate", NONE).certificate(client),
        both("certificate and token, both mandatory: the token", NONE).bearing(&good),
        both("certificate and token, both mandatory: the token and another certificate", BAD_CERTIFICATE)
            .certificate(stranger)
            .bearing(&good),
        optional("optional certificate, mandatory key: the key", PASSED).key(&key),
        optional("optional certificate, mandatory key: the key and another certificate", PASSED)
            .certificate(stranger)
            .key(&key),
        optional("optional certificate, mandatory key: both", PASSED).certificate(client).key(&key),
        optional("optional certificate, mandatory key: the certificate", NONE).certificate(client),
        optional("optional certificate, mandatory key: neither", NONE),
        mandatory("mandatory certificate, optional token: the certificate", PASSED).certificate(client),
        mandatory("mandatory certificate, optional token: the certificate and a bad token", PASSED)
            .certificate(client)
            .bearing("aaa.bbb.ccc"),
        mandatory("mandatory certificate, optional token: another certificate", BAD_CERTIFICATE).certificate(stranger),
        mandatory("mandatory certificate, optional token: the token", NONE).bearing(&good),
        mandatory("mandatory certificate, optional token: neither", NONE),
    ]
}

fn of_order(signers: &Signers) -> Vec<Row> {
    let (token, either, both) = ("/pets/1.0.0/token", "/pets/1.0.0/either", "/both/1.0.0/token");
    let (good, key, internal) = (of("scope", "write"), signers.api_key(&[]), signers.internal_key(&[]));
    let bad = forged(&internal);
    vec![
        row("an unsecured operation asks for no certificate", "/both/1.0.0/open", PASSED),
        row("an internal key does not replace a mandatory certificate", both, NONE).internal(&internal),
        row("an internal key goes before a bad token", token, PASSED).internal(&internal).bearing("aaa.bbb.ccc"),
        row("a token goes before an API key", either, (403, "900910", "")).bearing(&of("jti", "good")).key(&key),
        row("a token counts after a bad internal key", token, PASSED).internal(&bad).bearing(&good),
        row("an API key counts after a bad token", either, PASSED).bearing("aaa.bbb.ccc").key(&key),
        row("of several mistakes the first one is told", token, BAD_INTERNAL).internal(&bad).bearing("aaa.bbb.ccc"),
        row("scopes are not asked of an API key", either, PASSED).key(&key),
    ]
}

fn of_backends(signers: &Signers) -> Vec<Row> {
    let (path, open, cluster) = ("/pets/1.0.0/token", "/pets/1.0.0/open", "x-wso2-cluster-header");
    let of = |key_type: &str| of("keytype", key_type);
    let no_production = (401, "900901", "Production key offered to an API with no production endpoint");
    let no_sandbox = (401, "900901", "Sandbox key offered to an API with no sandbox endpoint");
    let (production, sandbox) = (r#""path":"/v2/token""#, r#""path":"/s/token""#);
    vec![
        row("a production key goes to production", path, PASSED).bearing(&of("PRODUCTION")).saying(production),
        row("a sandbox key goes to the sandbox", path, PASSED).bearing(&of("SANDBOX")).saying(sandbox),
        row("a key without a type goes to production", path, PASSED).bearing(&of("")).saying(production),
        row("an unknown key type", path, (401, "900901", "Invalid key type.")).bearing(&of("OTHER")),
        row("a production key without a production backend", "/sandbox/1.0.0/token", no_production)
            .bearing(&of("PRODUCTION")),
        row("a sandbox key without a sandbox backend", "/production/1.0.0/token", no_sandbox).bearing(&of("SANDBOX")),
        row("a key of a mocked API chooses no backend", "/mocked/1.0.0/pet/1", PASSED)
            .bearing(&of("SANDBOX"))
            .saying(r#"{"name":"Rex","age":4}"#),
        row("a client that names a cluster", path, PASSED)
            .with(cluster, "tollgate_adapter")
            .bearing(&of("PRODUCTION"))
            .saying(production),
        row("a client that names the cluster of an unsecured operation", open, PASSED)
            .with(cluster, "tollgate_adapter")
            .saying(r#""path":"/v2/open""#),
        row("an unsecured operation passes Authorization on", open, PASSED)
            .with("authorization", "Basic YTpi")
            .saying(r#""authorization":"Basic YTpi""#),
        row("a prototype asks for nothing and goes to production", "/prototype/1.0.0/scoped", PASSED)
            .saying(r#""path":"/v2/scoped""#),
        row("a prototype's backend gets no credentials of the gateway", "/prototype/1.0.0/scoped", PASSED)
            .with("authorization", "Basic YTpi")
            .saying(r#""authorization":"Basic YTpi""#),
        row("a mocked prototype asks for a token", "/mockup/1.0.0/token", NONE),
        row("a blocked API, for good credentials", "/blocked/1.0.0/token", API_BLOCKED).bearing(&of("PRODUCTION")),
        row("a blocked API, for an internal key", "/blocked/1.0.0/token", API_BLOCKED)
            .internal(&signers.internal_key(&[])),
        row("a blocked API, without credentials", "/blocked/1.0.0/open", API_BLOCKED),
        row("a blocked API, for strangers", "/blocked/1.0.0/token", NONE),
    ]
}

fn of_subscriptions() -> Vec<Row> {
    let (path, scoped) = ("/pets/1.0.0/token", "/pets/1.0.0/scoped");
    let claims = |client: &str| Claims::of(VALIDATING).with("azp", client).without("keytype");
    let of = |client: &str| token(claims(client));
    let sandbox = |client: &str| token(claims(client).with("keytype", "SANDBOX"));
    let listing =
        |version: &str| token(claims("nobody").with("subscribedAPIs", json!([{"name": "Pets", "version": version}])));
    let no_scope = "User is NOT authorized to access the Resource: /scoped. Scope validation failed.";
    let (production, elsewhere) = (r#""path":"/v2/"#, r#""path":"/s/"#);
    vec![
        row("a subscription that is UNBLOCKED", path, PASSED).bearing(&of("UNBLOCKED")).saying(production),
        row("a subscription that is TIER_UPDATE_PENDING", path, PASSED).bearing(&of("TIER_UPDATE_PENDING")),
        row("a subscription that is BLOCKED", path, BLOCKED).bearing(&of("BLOCKED")),
        row("a subscription that is BLOCKED, with a sandbox key", path, BLOCKED).bearing(&sandbox("BLOCKED")),
        row("a subscription that is PROD_ONLY_BLOCKED", path, BLOCKED).bearing(&of("PROD_ONLY_BLOCKED")),
        row("a subscription that is PROD_ONLY_BLOCKED, with a sandbox key", path, PASSED)
            .bearing(&sandbox("PROD_ONLY_BLOCKED"))
            .saying(elsewhere),
        row("a subscription that is ON_HOLD", path, INACTIVE).bearing(&of("ON_HOLD")),
        row("a subscription that is REJECTED", path, INACTIVE).bearing(&of("REJECTED")),
        row("no subscription", path, UNSUBSCRIBED).bearing(&of("nobody")),
        row("a token without a consumer key", path, FORBIDDEN).bearing(&token(claims("x").without("azp"))),
        row("a token that lists the API", path, PASSED).bearing(&listing("1.0.0")),
        row("a token that lists another version", path, FORBIDDEN).bearing(&listing("2.0.0")),
        row("a token without the scope", scoped, (403, "900910", no_scope)).bearing(&of("UNBLOCKED")),
        row("a token with one of the scopes", scoped, PASSED)
            .bearing(&token(claims("UNBLOCKED").with("scope", "read write"))),
        row("an issuer whose subscriptions do not count", path, PASSED).bearing(&self::of("azp", "nobody")),
    ]
}

/// Applications for every state of a subscription, and a token, an API key and an internal key that were taken back.
fn subscribers() -> String {
    let applications = STATES.map(|state| {
        json!({
            "name": state, "keys": [{"keyManager": "Portal", "consumerKey": state}],
            "subscriptions": [{"api": "Pets", "version": "1.0.0", "state": state}],
        })
    });
    let revoked = json!([{"jti": "revoked", "expires": "2100-01-01T00:00:00Z"}]);
    json!({"applications": applications, "revokedTokens": revoked}).to_string()
}

async fn gateway(folder: &TempDir) -> (Gateway, Signers) {
    let file = folder.path().join("subscriptions.json");
    std::fs::write(&file, subscribers()).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let (mut extra, api_keys, publisher) = key_services(folder);
    let validating = token_service(folder, true);
    let open = validating.replace("'Portal'", "'Open'").replace(VALIDATING, ISSUER).replace("= true", "= false");
    extra.push_str(&validating);
    extra.push_str(&open);
    extra.push_str("\n[enforcer.security.mutualSSL]\nenableClientValidation = false\nclientCertificateEncode = true\n");
    let gateway = Gateway::with(Settings { adapter, extra, ..Settings::default() }).await.unwrap();
    (gateway, Signers { api_keys, publisher })
}

/// An API by whose operations the rows go.
fn api(gateway: &Gateway, name: &str) -> ApiProject {
    let context = format!("/{}", name.to_lowercase());
    let (production, sandbox) = (format!("{}/v2", gateway.backend.url()), format!("{}/s", gateway.backend.url()));
    let api = ApiProject::new(name, "1.0.0", &context).secured("GET", "/token").unsecured("GET", "/open");
    let api = api.scoped("GET", "/scoped", &["write", "admin"]);
    match name {
        "Production" => api.production(&production),
        "Sandbox" => api.sandbox(&sandbox),
        _ => api.production(&production).sandbox(&sandbox),
    }
}

async fn deploy(gateway: &Gateway, certificate: &str) {
    let oauth2 = json!({"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://x.test", "scopes": {"write": "", "admin": ""}}}});
    let key = |place: &str| json!({"type": "apiKey", "in": place, "name": "apikey"});
    let schemes = json!({"securitySchemes": {"default": oauth2, "head": key("header"), "query": key("query")}});
    let list =
        json!({"type": "client_certificates", "data": [{"alias": "c", "certificate": "c.crt", "tierName": "Gold"}]});
    let mutual = |name: &str, schemes: &[&str]| {
        api(gateway, name)
            .with("securityScheme", schemes.to_vec())
            .with_file("Client-certificates/client_certificates.yaml", &list.to_string())
            .with_file("Client-certificates/c.crt", certificate)
    };
    let application = "oauth_basic_auth_api_key_mandatory";
    let basic = json!({"enabled": true, "type": "BASIC", "username": "user", "password": "password"});
    let projects = [
        api(gateway, "Pets")
            .with_extension("components", schemes)
            .asking("GET", "/key", &json!([{"head": []}]))
            .asking("GET", "/query", &json!([{"query": []}]))
            .asking("GET", "/either", &json!([{"default": ["write"]}, {"head": []}])),
        mutual("Both", &["mutualssl", "mutualssl_mandatory", "oauth2", application]),
        mutual("Optional", &["mutualssl", "api_key", application]),
        mutual("Mandatory", &["mutualssl", "mutualssl_mandatory", "oauth2"]),
        api(gateway, "Production"),
        api(gateway, "Sandbox"),
        api(gateway, "Prototype")
            .with("lifeCycleStatus", "PROTOTYPED")
            .with("endpointConfig", json!({"endpoint_security": {"production": basic.clone()}})),
        api(gateway, "Secured").with("endpointConfig", json!({"endpoint_security": {"production": basic}})),
        api(gateway, "Mockup").with("lifeCycleStatus", "PROTOTYPED").with("endpointImplementationType", "MOCKED_OAS"),
        api(gateway, "Blocked").with("lifeCycleStatus", "BLOCKED"),
    ];
    for project in &projects {
        gateway.adapter.deploy(project.zip().unwrap()).await.unwrap();
    }
    gateway.adapter.deploy(project::sample("mock", &gateway.backend.url()).unwrap()).await.unwrap();
    eventually("every API is served", async || {
        for name in APIS {
            let path = format!("/{}/1.0.0/open", name.to_lowercase());
            gateway.all_answer(&path, 8, |status| status != 404).await?;
        }
        gateway.all_answer("/mocked/1.0.0/open", 8, |status| status == 200).await
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_the_original_asserts_of_security_holds_on_envoy() {
    let folder = TempDir::new().unwrap();
    let (gateway, signers) = gateway(&folder).await;
    let (client, stranger) = (certificates().client, certificates().client);
    deploy(&gateway, &client).await;
    // The prototype is not just without credentials of the gateway because there are none.
    let secured = gateway.get("/secured/1.0.0/open", None).await.unwrap();
    let basic = format!("Basic {}", STANDARD.encode("user:password"));
    assert_eq!(secured.json()["headers"]["authorization"], basic, "{}", secured.body);
    let rows = [
        of_tokens(),
        of_keys(&signers),
        of_certificates(&signers, (&client, &stranger)),
        of_order(&signers),
        of_backends(&signers),
        of_subscriptions(),
    ];
    let mut shown = Vec::new();
    for row in rows.iter().flatten() {
        row.check(&gateway).await;
        shown.push(row.behaviour);
    }
    assert_eq!(shown, locate::listed_in_parity("Security, row by row").unwrap());
}
