//! Kinds of credentials beside the access token, over real connections.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa};
use reqwest::{Client, Identity, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::http::{Answer, client_with};
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{ApiProject, Gateway, Settings};

use crate::apis::INVALID_CREDENTIALS;

const FORBIDDEN: &str =
    r#"{"error_message":"Resource forbidden ","code":"900908","error_description":"Resource forbidden "}"#;

const BAD_CERTIFICATE: &str = r#"{"error_message":"Unclassified Authentication Failure","code":"900900","error_description":"Invalid client certificate"}"#;

/// Token services whose keys sign API keys and keys of the test console.
pub fn key_services(folder: &TempDir) -> (String, KeyPair, KeyPair) {
    let (api_keys, publisher) = (KeyPair::generate("apikey").unwrap(), KeyPair::generate("publisher").unwrap());
    let mut extra = String::new();
    for (name, pair, file) in
        [("APIM APIkey", &api_keys, "apikey.pem"), ("APIM Publisher", &publisher, "publisher.pem")]
    {
        let path = folder.path().join(file);
        std::fs::write(&path, pair.public_pem().unwrap()).unwrap();
        let validate = name == "APIM APIkey";
        extra.push_str(&format!(
            "\n[[enforcer.security.tokenService]]\nname = \"{name}\"\nvalidateSubscription = {validate}\ncertificateFilePath = '{}'\n",
            path.display()
        ));
    }
    (extra, api_keys, publisher)
}

fn key(pair: &KeyPair, kind: &str, extra: &[(&str, Value)]) -> String {
    let listed = json!([{"name": "Keys", "context": "/keys/1.0.0", "version": "1.0.0"}]);
    let claims = Claims::of("https://portal.test").with("token_type", kind).with("subscribedAPIs", listed);
    let claims = extra.iter().fold(claims, |claims, (name, value)| claims.with(name, value.clone()));
    pair.sign(Algorithm::RS256, &claims)
}

/// `/either` takes tokens and keys anywhere, the others what their names say, and `/open` nothing.
pub fn keys_api(gateway: &Gateway) -> ApiProject {
    let schemes = json!({"securitySchemes": {
        "default": {"type": "oauth2", "flows": {"implicit": {"authorizationUrl": "https://x.test", "scopes": {}}}},
        "head": {"type": "apiKey", "in": "header", "name": "ApiKey"},
        "query": {"type": "apiKey", "in": "query", "name": "apikey"},
    }});
    ApiProject::new("Keys", "1.0.0", "/keys")
        .production(&gateway.backend.url())
        .with_extension("components", schemes)
        .asking("GET", "/either", &json!([{"default": []}, {"head": []}, {"query": []}]))
        .asking("GET", "/head", &json!([{"head": []}]))
        .asking("GET", "/query", &json!([{"query": []}]))
        .asking("GET", "/both", &json!([{"default": [], "head": []}]))
        .secured("GET", "/token")
        .unsecured("GET", "/open")
}

/// Path, headers, and the status that they must give.
pub type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], u16);

/// How often rows are sent: what a worker remembers of them must not be seen.
const ROUNDS: usize = 4;

/// Sends the rows, and looks at what the backend gets of those that pass: no credentials, and the query as it was sent.
pub async fn check(gateway: &Gateway, rows: &[Row<'_>]) {
    gateway.backend.forget();
    for (path, headers, status) in std::iter::repeat_n(rows, ROUNDS).flatten() {
        let mut request = gateway.request(Method::GET, &format!("/keys/1.0.0{path}"));
        for (name, value) in *headers {
            request = request.header(*name, *value);
        }
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status.as_u16(), *status, "{path} {headers:?}: {}", answer.body);
        assert!(*status != 403 || answer.body == FORBIDDEN, "{}", answer.body);
    }
    let seen = gateway.backend.take();
    assert_eq!(seen.len(), ROUNDS * rows.iter().filter(|(_, _, status)| *status == 200).count());
    for request in seen {
        for header in ["apikey", "internal-key", "authorization"] {
            assert!(!request.headers.contains_key(header), "{request:?}");
        }
        assert!(request.query.as_deref().is_none_or(|query| query == "a=%2F&b=+"), "{request:?}");
    }
}

#[tokio::test]
async fn keys_count_where_they_are_expected() {
    let folder = TempDir::new().unwrap();
    let (extra, api_keys, publisher) = key_services(&folder);
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&keys_api(&gateway), "/keys/1.0.0/open").await.unwrap();
    let token = gateway.token("").await.unwrap();
    let (good, internal) = (key(&api_keys, "apiKey", &[]), key(&publisher, "InternalKey", &[]));
    let elsewhere = ("subscribedAPIs", json!([{"context": "/x", "version": "1.0.0"}]));
    let misplaced = key(&publisher, "InternalKey", &[elsewhere]);
    let in_query = |path: &str, name: &str| format!("{path}?a=%2F&{name}={good}&b=+");
    let (bearer, swapped) = (format!("Bearer {token}"), format!("Bearer {good}"));
    let bearer = ("authorization", bearer.as_str());
    let header = ("apikey", good.as_str());
    check(
        &gateway,
        &[
            ("/head", &[header], 200),
            ("/head", &[("APIKEY", &good)], 200),
            ("/either", &[header], 200),
            ("/either", &[bearer], 200),
            (&in_query("/either", "apikey"), &[], 200),
            (&in_query("/query", "apikey"), &[], 200),
            (&in_query("/head", "apikey"), &[], 401),
            (&in_query("/query", "APIKEY"), &[], 401),
            ("/query", &[header], 401),
            ("/token", &[header], 401),
            ("/token", &[("authorization", &swapped)], 401),
            ("/head", &[("apikey", &token)], 401),
            ("/head", &[("apikey", &internal)], 401),
            ("/head", &[], 401),
            ("/both", &[header], 401),
            ("/both", &[bearer], 401),
            ("/both", &[bearer, header], 200),
            ("/token", &[("internal-key", &internal)], 200),
            ("/head", &[("internal-key", &internal)], 200),
            ("/token", &[("internal-key", &misplaced)], 403),
            ("/token", &[("internal-key", &good)], 401),
            ("/token", &[("internal-key", &good), bearer], 200),
        ],
    )
    .await;
}

/// Addresses, pages and APIs that a key is for.
#[tokio::test]
async fn keys_are_for_certain_places() {
    let folder = TempDir::new().unwrap();
    let (extra, api_keys, _) = key_services(&folder);
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&keys_api(&gateway), "/keys/1.0.0/open").await.unwrap();
    let with = |claim: &str, value: Value| key(&api_keys, "apiKey", &[(claim, value)]);
    let near = with("permittedIP", json!("127.0.0.0/8, ::1"));
    let far = with("permittedIP", json!("10.1.2.3"));
    let page = with("permittedReferer", json!("https://a.example/*"));
    let other = with("subscribedAPIs", json!([]));
    check(
        &gateway,
        &[
            ("/head", &[("apikey", &near)], 200),
            ("/head", &[("apikey", &far)], 403),
            ("/head", &[("apikey", &far), ("x-forwarded-for", "10.1.2.3")], 200),
            ("/head", &[("apikey", &near), ("x-forwarded-for", "10.1.2.3")], 403),
            ("/head", &[("apikey", &page)], 403),
            ("/head", &[("apikey", &page), ("referer", "https://a.example/x")], 200),
            ("/head", &[("apikey", &other)], 403),
        ],
    )
    .await;
}

/// What api.yaml names replaces the definition; security is switched off for the API, a path and an operation.
#[tokio::test]
async fn api_yaml_decides_and_security_is_switched_off_at_every_level() {
    let folder = TempDir::new().unwrap();
    let (extra, api_keys, _) = key_services(&folder);
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let project = |name: &str, context: &str| {
        ApiProject::new(name, "1.0.0", context)
            .production(&gateway.backend.url())
            .secured("GET", "/x")
            .unsecured("GET", "/up")
    };
    let keys_only = project("Keys", "/only").with("securityScheme", vec!["api_key"]);
    let either = project("Keys2", "/either").with("securityScheme", vec!["api_key", "oauth2"]);
    let open = project("Open", "/open").with_extension("x-wso2-disable-security", true);
    let asking = |more: Value| {
        let mut operation = json!({"security": [{"default": []}], "responses": {"200": {"description": "ok"}}});
        operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        operation
    };
    let paths = json!({
        "/path": {"x-wso2-disable-security": true, "get": asking(json!({}))},
        "/operation": {"get": asking(json!({"x-wso2-disable-security": true}))},
        "/none": {"get": asking(json!({"x-auth-type": "None"}))},
        "/secured": {"get": asking(json!({}))},
    });
    let url = gateway.backend.url();
    let levels = ApiProject::new("Levels", "1.0.0", "/levels").production(&url).with_extension("paths", paths);
    for (project, path) in [
        (&keys_only, "/only/1.0.0/up"),
        (&either, "/either/1.0.0/up"),
        (&open, "/open/1.0.0/up"),
        (&levels, "/levels/1.0.0/path"),
    ] {
        gateway.deploy(project, path).await.unwrap();
    }
    let token = gateway.token("").await.unwrap();
    let key = key(&api_keys, "apiKey", &[]);
    let bearer = format!("Bearer {token}");
    for (path, header, status) in [
        ("/only/1.0.0/x", ("apikey", key.as_str()), 200),
        ("/only/1.0.0/x", ("authorization", bearer.as_str()), 401),
        ("/either/1.0.0/x", ("authorization", bearer.as_str()), 200),
        ("/either/1.0.0/x", ("x", "y"), 401),
        ("/open/1.0.0/x", ("x", "y"), 200),
        ("/only/1.0.0/up", ("x", "y"), 200),
        ("/levels/1.0.0/path", ("x", "y"), 200),
        ("/levels/1.0.0/operation", ("x", "y"), 200),
        ("/levels/1.0.0/none", ("x", "y"), 200),
        ("/levels/1.0.0/secured", ("x", "y"), 401),
    ] {
        let answer = Answer::of(gateway.request(Method::GET, path).header(header.0, header.1)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{path} {header:?}: {}", answer.body);
    }
}

/// An authority, a certificate of a client, and another client's.
pub struct Certificates {
    pub authority: String,
    pub client: String,
    pub identity: Identity,
    pub stranger: Identity,
}

pub fn certificates() -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let client = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &authority).unwrap().pem();
        let identity = Identity::from_pem(format!("{pem}{}", key.serialize_pem()).as_bytes()).unwrap();
        (pem, identity)
    };
    let ((client, identity), (_, stranger)) = (client(), client());
    Certificates { authority: authority.pem(), client, identity, stranger }
}

fn mutual(gateway: &Gateway, name: &str, schemes: &[&str], pem: &str) -> ApiProject {
    let list =
        json!({"type": "client_certificates", "data": [{"alias": "c", "certificate": "c.crt", "tierName": "Gold"}]});
    ApiProject::new(name, "1.0.0", &format!("/{}", name.to_lowercase()))
        .production(&gateway.backend.url())
        .secured("GET", "/x")
        .unsecured("GET", "/up")
        .with("securityScheme", schemes.to_vec())
        .with_file("Client-certificates/client_certificates.yaml", &list.to_string())
        .with_file("Client-certificates/c.crt", pem)
}

const OPTIONAL: [&str; 2] = ["mutualssl", "oauth2"];
const MANDATORY: [&str; 3] = ["mutualssl", "mutualssl_mandatory", "oauth2"];
const BOTH: [&str; 4] = ["mutualssl", "mutualssl_mandatory", "oauth2", "oauth_basic_auth_api_key_mandatory"];

async fn deploy_mutual(gateway: &Gateway, pem: &str) {
    for (name, schemes) in [("Optional", &OPTIONAL[..]), ("Mandatory", &MANDATORY), ("Both", &BOTH)] {
        let project = mutual(gateway, name, schemes, pem);
        gateway.deploy(&project, &format!("/{}/1.0.0/up", name.to_lowercase())).await.unwrap();
    }
}

/// By API: statuses without a certificate, with another one and with the right one; each without a token, with a bad one
/// and with a good one.
const MATRIX: [(&str, [[u16; 3]; 3]); 3] = [
    ("optional", [[401, 401, 200]; 3]),
    ("mandatory", [[401; 3], [401; 3], [200; 3]]),
    ("both", [[401; 3], [401; 3], [401, 401, 200]]),
];

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_handshake() {
    let certificates = certificates();
    let folder = TempDir::new().unwrap();
    let trusted = folder.path().join("clients.pem");
    std::fs::write(&trusted, &certificates.authority).unwrap();
    let extra = format!("[router.downstream.tls]\nmTLSAPIsEnabled = true\ntrustedCertPath = '{}'\n", trusted.display());
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    deploy_mutual(&gateway, &certificates.client).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let with = |identity: Identity| client_with(|builder| builder.identity(identity)).unwrap();
    let clients: [Client; 3] =
        [client_with(|builder| builder).unwrap(), with(certificates.stranger), with(certificates.identity)];
    for (api, expected) in MATRIX {
        for (row, client) in expected.iter().zip(&clients) {
            for (status, token) in row.iter().zip(["", "Bearer a.b.c", &token]) {
                let request = client.get(gateway.secure_url(&format!("/{api}/1.0.0/x")));
                // A header is not believed where certificates come with the handshake.
                let request = request.header("x-wso2-client-certificate", certificates.client.replace('\n', " "));
                let answer = Answer::of(request.header("authorization", token)).await.unwrap();
                assert_eq!(answer.status.as_u16(), *status, "{api} {row:?} {token}: {}", answer.body);
                let challenged = answer.header("www-authenticate").unwrap_or_default();
                assert_eq!(challenged.starts_with(r#"Mutual SSL realm="Choreo Connect" Bearer realm"#), *status == 401);
            }
        }
    }
    let seen = gateway.backend.take();
    assert!(!seen.is_empty() && seen.iter().all(|one| !one.headers.contains_key("x-wso2-client-certificate")));
}

#[tokio::test]
async fn certificates_told_by_a_trusted_proxy() {
    let (certificates, other) = (certificates(), certificates());
    let extra = "[enforcer.security.mutualSSL]\nenableClientValidation = false\nclientCertificateEncode = true\ncertificateHeader = 'X-Cert'\n";
    let gateway = Gateway::with(Settings { extra: extra.to_owned(), ..Settings::default() }).await.unwrap();
    deploy_mutual(&gateway, &certificates.client).await;
    let token = format!("Bearer {}", gateway.token("").await.unwrap());
    let encoded = |pem: &str| pem.replace('+', "%2B").replace('\n', "%0A").replace(' ', "%20").replace('\r', "");
    let (other, known) = (encoded(&other.client), encoded(&certificates.client));
    for (api, expected) in MATRIX {
        for (row, certificate) in expected.iter().zip([None, Some(&other), Some(&known)]) {
            for (status, token) in row.iter().zip(["", "Bearer a.b.c", &token]) {
                let mut request = gateway.request(Method::GET, &format!("/{api}/1.0.0/x"));
                if let Some(certificate) = certificate {
                    request = request.header("x-cert", certificate);
                }
                let answer = Answer::of(request.header("authorization", token)).await.unwrap();
                assert_eq!(answer.status.as_u16(), *status, "{api} {row:?} {token}: {}", answer.body);
                if api == "mandatory" && *status == 401 {
                    assert_eq!(answer.body, if certificate.is_none() { INVALID_CREDENTIALS } else { BAD_CERTIFICATE });
                }
            }
        }
    }
    let seen = gateway.backend.take();
    assert!(!seen.is_empty() && seen.iter().all(|one| !one.headers.contains_key("x-cert")));
}
