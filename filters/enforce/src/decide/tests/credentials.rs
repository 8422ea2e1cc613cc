//! Kinds of credentials beside the access token: where they are looked for, what they are good for, and what backends see.

use std::rc::Rc;

use tollgate_model::{
    Api, ApiKeyPlace, CertificateSource, ClientCertificate, Issuer, MutualSsl, Requirement, Security, Settings,
};

use super::*;
use crate::CompiledIssuer;
use crate::testing::{operation, resource};

const FORBIDDEN: &str = "403 900908: Resource forbidden ";
const BAD_KEY: &str =
    "401 900901: API key authentication failed.. Make sure you have provided the correct security credentials";
const BAD_INTERNAL: &str =
    "401 900901: Internal key authentication failed.. Make sure you have provided the correct security credentials";
const BAD_CERTIFICATE: &str = "401 900900: Invalid client certificate";

fn service(name: &str, kid: &str) -> Issuer {
    Issuer { keys: JwkSet { keys: vec![jwk(kid)] }, ..Issuer::named(name, "") }
}

fn any_of(requirements: Vec<Requirement>) -> Security {
    Security::AnyOf { requirements, scopes: vec!["write".to_owned()] }
}

/// `/any` takes tokens with a scope and keys in header and query, `/key` and `/query` one place only, `/both` both at once.
fn with_keys() -> Api {
    let header = || ApiKeyPlace::Header { name: "apikey".to_owned() };
    let query = || ApiKeyPlace::Query { name: "apikey".to_owned() };
    let one = |template: &str, security| resource(template, vec![operation("GET", security)]);
    let all = vec![Requirement::TOKEN, Requirement::api_key(header()), Requirement::api_key(query())];
    let resources = vec![
        one("/any", any_of(all)),
        one("/key", any_of(vec![Requirement::api_key(header())])),
        one("/query", any_of(vec![Requirement::api_key(query())])),
        one("/both", any_of(vec![Requirement { token: true, ..Requirement::api_key(header()) }])),
        one("/token", token_with(&[])),
        one("/open", Security::Unsecured),
    ];
    Api { resources, ..api() }
}

fn directory(validate_subscription: bool) -> TestDirectory {
    let mut directory = TestDirectory::new(with_keys());
    let keys = Issuer { validate_subscription, ..service(Issuer::API_KEYS, "apikey") };
    let services = [keys, service(Issuer::PUBLISHER, "publisher")];
    directory.services = services.map(|service| Rc::new(CompiledIssuer::compile(service).0)).into();
    directory
}

fn key(extra: serde_json::Value) -> String {
    let mut claims = json!({"exp": NOW + 60, "token_type": "apiKey", "iss": "anything"});
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    token_of("apikey", &claims)
}

fn internal(extra: serde_json::Value) -> String {
    let listed = json!([{"name": "Pets", "context": "/pets/1.0", "version": "1.0"}]);
    let mut claims = json!({"exp": NOW + 60, "token_type": "InternalKey", "subscribedAPIs": listed});
    claims.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    token_of("publisher", &claims)
}

#[track_caller]
fn check(directory: &TestDirectory, line: &str, headers: &[(&str, &str)], expected: &str) {
    assert_eq!(outcome(directory, line, headers), expected, "{line} {headers:?}");
}

#[test]
fn api_keys_count_where_they_are_expected_and_go_no_further() {
    let directory = directory(false);
    let key = key(json!({}));
    let header = [("apikey", key.as_str())];
    let query = |path: &str, before: &str, after: &str| format!("GET /pets/1.0{path}?{before}apikey={key}{after}");
    check(&directory, "GET /pets/1.0/key", &header, "-> /v2/key -apikey +cluster=prod");
    check(&directory, "GET /pets/1.0/any", &header, "-> /v2/any -apikey +cluster=prod");
    check(&directory, &query("/query", "", ""), &[], "-> /v2/query +cluster=prod");
    check(&directory, &query("/any", "b=%2F&", "&a=+"), &[], "-> /v2/any?b=%2F&a=+ +cluster=prod");
    // Not where they are expected.
    check(&directory, &query("/key", "", ""), &[], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/query", &header, NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/token", &header, NO_CREDENTIALS);
    check(&directory, &query("/query", "", "").replace("apikey=", "APIKEY="), &[], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/key", &[("authorization", &format!("Bearer {key}"))], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/key", &[header[0], header[0]], NO_CREDENTIALS);
    check(&directory, &query("/query", &format!("apikey={key}&"), ""), &[], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/key", &[("apikey", "opaque")], BAD_KEY);
    check(&directory, "GET /pets/1.0/key", &[("apikey", " ")], NO_CREDENTIALS);
    // A key at a second place goes no further either; one that nobody asked for is none of the gateway's business.
    check(&directory, &query("/any", "", ""), &header, "-> /v2/any -apikey +cluster=prod");
    check(&directory, "GET /pets/1.0/open", &header, "-> /v2/open +cluster=prod");
}

#[test]
fn tokens_and_keys_together() {
    let directory = directory(false);
    let (key, write) = (key(json!({})), format!("Bearer {}", token(json!({"scope": "write"}))));
    let (key, write) = (("apikey", key.as_str()), ("authorization", write.as_str()));
    let bad = ("authorization", "Bearer aaa.bbb.ccc");
    check(&directory, "GET /pets/1.0/both", &[key, write], "-> /v2/both -authorization -apikey +cluster=prod");
    check(&directory, "GET /pets/1.0/both", &[key], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/both", &[write], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/any", &[bad, key], "-> /v2/any -authorization -apikey +cluster=prod");
    let read = format!("Bearer {}", token(json!({"scope": "read"})));
    let refused = "403 900910: User is NOT authorized to access the Resource: /any. Scope validation failed.";
    check(&directory, "GET /pets/1.0/any", &[("authorization", &read)], refused);
}

#[test]
fn api_keys_that_are_not_good() {
    for (what, claims, kid, expected) in [
        ("no type", json!({"token_type": null}), "apikey", "-> "),
        ("sandbox", json!({"keytype": "SANDBOX"}), "apikey", "401 900901: Sandbox key"),
        ("expired", json!({"exp": NOW - 6}), "apikey", INVALID),
        ("without end", json!({"exp": null}), "apikey", BAD_KEY),
        ("internal key", json!({"token_type": "InternalKey"}), "apikey", BAD_KEY),
        ("another type", json!({"token_type": "Bearer"}), "apikey", BAD_KEY),
        ("access token", json!({"token_type": null, "iss": "https://issuer.example"}), "apikey", BAD_KEY),
        ("key of an issuer", json!({}), "known", BAD_KEY),
        ("key of the publisher", json!({}), "publisher", BAD_KEY),
    ] {
        let mut all = json!({"exp": NOW + 60, "token_type": "apiKey"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let key = token_of(kid, &all);
        let outcome = outcome(&directory(false), "GET /pets/1.0/key", &[("apikey", &key)]);
        assert!(outcome.starts_with(expected), "{what}: {outcome}");
    }
    check(&directory(false), "GET /pets/1.0/key", &[("apikey", "aaa.bbb.ccc")], BAD_KEY);
    // Without a service of their own, keys are those of the publisher; without that one, there are none.
    let mut directory = directory(false);
    directory.services.remove(0);
    let publishers = token_of("publisher", &json!({"exp": NOW + 60, "token_type": "apiKey"}));
    check(&directory, "GET /pets/1.0/key", &[("apikey", &publishers)], "-> /v2/key -apikey +cluster=prod");
    directory.services.clear();
    directory.tokens.clear();
    check(&directory, "GET /pets/1.0/key", &[("apikey", &publishers)], BAD_KEY);
}

#[test]
fn api_keys_may_be_bound_to_places() {
    let addresses = json!({"permittedIP": "10.0.0.1, 192.168.0.0/16"});
    let pages = json!({"permittedReferer": "www.example.com/*"});
    let both = json!({"permittedIP": "10.0.0.1", "permittedReferer": "www.example.com/*"});
    let (near, far) = (("x-forwarded-for", "10.0.0.1, 8.8.8.8"), ("x-forwarded-for", "8.8.8.8, 10.0.0.1"));
    let page = ("referer", "www.example.com/a");
    for (claims, headers, passes) in [
        (&addresses, &[near][..], true),
        (&addresses, &[far], false),
        (&addresses, &[], false),
        (&pages, &[page], true),
        (&pages, &[("referer", "www.example.org/a")], false),
        (&pages, &[], false),
        (&pages, &[page, page], false),
        (&both, &[near], true),
        (&both, &[far, page], false),
        (&json!({"permittedIP": "", "permittedReferer": " "}), &[], true),
    ] {
        let key = key(claims.clone());
        let outcome = outcome(&directory(false), "GET /pets/1.0/key", &[&[("apikey", key.as_str())], headers].concat());
        assert_eq!(outcome == FORBIDDEN, !passes, "{claims} {headers:?}: {outcome}");
    }
}

#[test]
fn api_keys_may_be_for_certain_apis_only() {
    let listed =
        |name: &str, version: &str| json!({"subscribedAPIs": [{"name": "x"}, {"name": name, "version": version}]});
    for (claims, passes) in [
        (listed("Pets", "1.0"), true),
        (listed("Pets", "2.0"), false),
        (listed("pets", "1.0"), false),
        (json!({}), false),
        (json!({"subscribedAPIs": []}), false),
        (json!({"subscribedAPIs": [7, null]}), false),
    ] {
        let key = key(claims.clone());
        let outcome = |validate| outcome(&directory(validate), "GET /pets/1.0/key", &[("apikey", &key)]);
        assert_eq!(outcome(true) == FORBIDDEN, !passes, "{claims}: {}", outcome(true));
        assert!(outcome(false).starts_with("->"), "{claims}");
    }
}

#[test]
fn keys_of_the_test_console() {
    const PASSED: &str = "-> /v2/token -internal-key +cluster=prod";
    let listed = |context: &str, version: &str| json!({"subscribedAPIs": [{"context": context, "version": version}]});
    for (claims, expected) in [
        (json!({}), PASSED),
        (listed("/pets/1.0", "1.0"), PASSED),
        (listed("/pets", "1.0"), FORBIDDEN),
        (listed("/pets/1.0", "2.0"), FORBIDDEN),
        (json!({"subscribedAPIs": null}), FORBIDDEN),
        (json!({"token_type": "apiKey"}), BAD_INTERNAL),
        (json!({"token_type": null}), BAD_INTERNAL),
        (json!({"exp": NOW - 6}), INVALID),
    ] {
        let key = internal(claims.clone());
        check(&directory(false), "GET /pets/1.0/token", &[("internal-key", &key)], expected);
    }
    let (good, bad) = (internal(json!({})), internal(json!({"token_type": "x"})));
    let bearer = format!("Bearer {}", token(json!({})));
    let passed = "-> /v2/token -authorization -internal-key +cluster=prod";
    check(&directory(false), "GET /pets/1.0/token", &[("internal-key", &bad), ("authorization", &bearer)], passed);
    check(&directory(false), "GET /pets/1.0/key", &[("internal-key", &good)], "-> /v2/key -internal-key +cluster=prod");
    check(&directory(false), "GET /pets/1.0/open", &[("internal-key", &good)], "-> /v2/open +cluster=prod");
    check(&directory(false), "GET /pets/1.0/token", &[("authorization", &format!("Bearer {good}"))], INVALID);
    let mut directory = directory(false);
    directory.settings = Some(Settings { internal_key_header: "x-test".to_owned(), ..Settings::default() });
    check(&directory, "GET /pets/1.0/token", &[("internal-key", &good)], NO_CREDENTIALS);
    check(&directory, "GET /pets/1.0/token", &[("x-test", &good)], "-> /v2/token -x-test +cluster=prod");
    let mut blocked = super::credentials::directory(false);
    blocked.api.life_cycle = LifeCycle::Blocked;
    let blocked = outcome(&blocked, "GET /pets/1.0/token", &[("internal-key", &good)]);
    assert!(blocked.starts_with("503 700700"), "{blocked}");
}

/// `abc` in place of a certificate, and its digest.
const PEM: &str = "-----BEGIN CERTIFICATE----- YWJj -----END CERTIFICATE-----";
const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn with_certificates(mandatory: bool, application_security: bool, source: CertificateSource) -> TestDirectory {
    let known = ClientCertificate {
        alias: "client".to_owned(),
        subject: "CN=client".to_owned(),
        tier: None,
        sha256: DIGEST.to_owned(),
    };
    let mutual_ssl = Some(MutualSsl { mandatory, application_security, certificates: vec![known] });
    let mut directory = TestDirectory::new(Api { mutual_ssl, ..api() });
    directory.settings = Some(Settings { client_certificate: source, ..Settings::default() });
    directory
}

/// By the handshake and by the header: the matrix is the one of `rules`.
#[test]
fn certificates_come_with_the_handshake_or_in_a_header_but_never_in_both() {
    let header = "x-wso2-client-certificate";
    let bearer = format!("Bearer {}", token(json!({})));
    let bearer = ("authorization", bearer.as_str());
    let handshake = CertificateSource::default();
    let trusted = CertificateSource { from_header: true, ..CertificateSource::default() };
    let forward = CertificateSource { forward: true, ..trusted.clone() };
    let passed = "-> /v2/pet/5 +cluster=prod";
    let removed = "-> /v2/pet/5 -x-wso2-client-certificate +cluster=prod";
    let both = "-> /v2/pet/5 -authorization -x-wso2-client-certificate +cluster=prod";
    for (source, application_security, shown, headers, expected) in [
        (&handshake, false, Some(DIGEST), &[][..], passed),
        (&handshake, false, Some("00"), &[], BAD_CERTIFICATE),
        (&handshake, false, None, &[], NO_CREDENTIALS),
        (&handshake, false, None, &[(header, PEM)], NO_CREDENTIALS),
        (&handshake, false, Some(DIGEST), &[(header, PEM)], removed),
        (&handshake, true, Some(DIGEST), &[], NO_CREDENTIALS),
        (&handshake, true, Some(DIGEST), &[bearer], "-> /v2/pet/5 -authorization +cluster=prod"),
        (&handshake, true, None, &[bearer], NO_CREDENTIALS),
        (&trusted, false, None, &[(header, PEM)], removed),
        (&trusted, false, Some(DIGEST), &[], NO_CREDENTIALS),
        (&trusted, false, None, &[(header, "eHl6")], BAD_CERTIFICATE),
        (&trusted, false, None, &[(header, "")], BAD_CERTIFICATE),
        (&trusted, false, None, &[(header, PEM), (header, PEM)], BAD_CERTIFICATE),
        (&trusted, true, None, &[(header, PEM), bearer], both),
        (&forward, false, None, &[(header, PEM)], passed),
    ] {
        let directory = with_certificates(true, application_security, source.clone());
        let connection = TestConnection { certificate: shown.map(str::to_owned), ..TestConnection::default() };
        let request = request("GET /pets/1.0/pet/5", headers);
        let found = describe(decide_on(&connection, &directory, &request, &Answers::default()));
        assert_eq!(found, expected, "{source:?} {shown:?} {headers:?}");
    }
    // Nobody vouches for the header where certificates do not matter.
    super::check(
        "GET /pets/1.0/public/a",
        &[(header, PEM)],
        "-> /v2/public/a -x-wso2-client-certificate +cluster=prod",
    );
}

#[test]
fn who_is_refused_learns_what_would_have_been_accepted() {
    let challenge = |directory: &TestDirectory| match decide_with(
        directory,
        &request("GET /pets/1.0/pet/5", &[]),
        &Answers::default(),
    ) {
        Decision::Reply(reply) => {
            reply.headers.into_iter().find(|(name, _)| name == "www-authenticate").map(|(_, value)| value).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let token =
        r#"Bearer realm="Choreo Connect", error="invalid_token", error_description="The provided token is invalid""#;
    assert_eq!(challenge(&TestDirectory::new(api())), token);
    let certificates = challenge(&with_certificates(false, false, CertificateSource::default()));
    assert_eq!(certificates, format!(r#"Mutual SSL realm="Choreo Connect" {token}"#));
}

#[test]
fn a_token_may_be_bound_to_a_connection() {
    let thumbprint = |byte: u8| json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode([byte; 32])}});
    for (bound, claims, shown, passes) in [
        (true, thumbprint(0xab), Some("ab".repeat(32)), true),
        (true, thumbprint(0xab), Some("AB".repeat(32)), true),
        (true, thumbprint(0xab), Some("ac".repeat(32)), false),
        (true, thumbprint(0xab), None, false),
        (true, json!({}), None, true),
        (false, thumbprint(0xab), None, true),
    ] {
        let mut directory = TestDirectory::new(api());
        let issuer = Issuer { certificate_bound_tokens: bound, ..crate::testing::issuer() };
        directory.issuer = Rc::new(CompiledIssuer::compile(issuer).0);
        let bearer = format!("Bearer {}", token(claims.clone()));
        let request = request("GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
        let decided = |certificate: Option<String>| {
            let connection = TestConnection { certificate, ..TestConnection::default() };
            describe(decide_on(&connection, &directory, &request, &Answers::default()))
        };
        assert_eq!(decided(shown.clone()) != INVALID, passes, "{claims} {shown:?}");
        // What is remembered of the token is remembered of the token only.
        decided(Some("ab".repeat(32)));
        assert_eq!(decided(shown.clone()) != INVALID, passes, "{claims} {shown:?} again");
    }
}
