//! What becomes of one request: who passes, what the backend sees, and what the refused are told.

use reqwest::{ClientBuilder, Method, StatusCode, Version};
use serde_json::json;
use tollgate_model::Algorithm;
use tollgate_model::contract::CLUSTER_HEADER;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::http::{Answer, client_with};
use tollgate_tests::token::{Claims, KeyPair, unsigned};
use tollgate_tests::{Gateway, Settings};

use crate::apis::{INVALID_CREDENTIALS, NOT_FOUND, PETS, pets};

const ISSUER: &str = "https://issuer.test/token";

async fn with_pets() -> Gateway {
    let gateway = Gateway::start().await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway
}

#[tokio::test]
async fn a_token_opens_the_way_to_the_backend() {
    let gateway = with_pets().await;
    let token = gateway.token("").await.unwrap();
    gateway.backend.forget();

    let answer = gateway.get("/pets/1.0.0/pet/5?status=sold&x=%20", Some(&token)).await.unwrap();

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("www-authenticate"), None);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-envoy")), "{:?}", answer.headers);
    let [seen] = &gateway.backend.take()[..] else { panic!("the backend saw another number of requests than one") };
    assert_eq!((seen.path.as_str(), seen.query.as_deref()), ("/v2/pet/5", Some("status=sold&x=%20")));
    assert_eq!(seen.headers.get("authorization"), None, "the token must not reach the backend");
    assert_eq!(seen.headers.get(CLUSTER_HEADER), None);
    let host = gateway.backend.url();
    assert_eq!(seen.headers["host"].to_str().unwrap(), host.strip_prefix("http://").unwrap());
}

#[tokio::test]
async fn bodies_and_methods_arrive_as_sent() {
    let gateway = with_pets().await;
    let token = gateway.token("").await.unwrap();
    gateway.backend.forget();
    let body = "x".repeat(300_000);

    let request = gateway.request(Method::POST, "/pets/1.0.0/pet").bearer_auth(&token).body(body.clone());
    let answer = Answer::of(request).await.unwrap();

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let seen = gateway.backend.take().pop().unwrap();
    assert_eq!((seen.method, seen.path.as_str()), (Method::POST, "/v2/pet"));
    assert!(seen.body == body, "{} bytes arrived", seen.body.len());
}

/// Status, and part of the body, for requests that differ in path, method and scopes.
#[tokio::test]
async fn resources_have_their_own_rules() {
    let gateway = with_pets().await;
    let any = gateway.token("").await.unwrap();
    let admin = gateway.token("other admin:read").await.unwrap();
    let none = None;
    let (any, admin) = (Some(any.as_str()), Some(admin.as_str()));

    let table = [
        ("GET", "/pet/5", any, 200, "/v2/pet/5"),
        ("GET", "/pet/5/", any, 200, "/v2/pet/5"),
        ("GET", "/pet/5/more", any, 404, "The requested resource is not available."),
        ("GET", "/pet/", any, 404, "The requested resource is not available."),
        ("GET", "/files/a/b/c", any, 200, "/v2/files/a/b/c"),
        ("GET", "/files", any, 200, "/v2/files"),
        ("GET", "/filesystem", any, 404, "The requested resource is not available."),
        ("DELETE", "/pet/5", any, 404, "The requested resource is not available."),
        ("GET", "/health", none, 200, "/v2/health"),
        ("GET", "/pet/5", none, 401, "900901"),
        ("GET", "/unknown", none, 404, "The requested resource is not available."),
        ("GET", "/admin", none, 401, "900901"),
        ("GET", "/admin", any, 403, "900910"),
        ("GET", "/admin", any, 403, "User is NOT authorized to access the Resource: /admin. Scope validation failed."),
        ("GET", "/admin", admin, 200, "/v2/admin"),
    ];
    for (method, path, token, status, text) in table {
        let request = gateway.request(method.parse().unwrap(), &format!("{PETS}{path}"));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.body);
        assert!(answer.body.contains(text), "{method} {path}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_refused_are_told_why_in_the_original_words() {
    let gateway = with_pets().await;
    gateway.backend.forget();

    let refused = gateway.get("/pets/1.0.0/pet/5", None).await.unwrap();
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.body, INVALID_CREDENTIALS);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(
        refused.header("www-authenticate"),
        Some(
            r#"Bearer realm="Choreo Connect", error="invalid_token", error_description="The provided token is invalid""#
        )
    );

    for path in ["/nowhere/1.0.0/x", "/", "/pets", "/pets/2.0.0/pet/5", "/pets/1.0.0"] {
        let missing = gateway.get(path, None).await.unwrap();
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(missing.body, NOT_FOUND, "{path}");
        assert_eq!(missing.header("www-authenticate"), None, "{path}");
    }
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn options_are_answered_by_the_gateway() {
    let gateway = with_pets().await;
    gateway.backend.forget();
    let answer = Answer::of(gateway.request(Method::OPTIONS, "/pets/1.0.0/pet/5")).await.unwrap();
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let allow = answer.header("allow").expect("an allow header");
    assert!(allow.split(',').any(|method| method.trim() == "GET"), "{allow}");
    assert_eq!(gateway.backend.count(), 0);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let gateway = Gateway::start().await.unwrap();
    let api = pets(&gateway.backend).unsecured("HEAD", "/health");
    gateway.deploy(&api, "/pets/1.0.0/health").await.unwrap();
    gateway.backend.forget();
    for (path, status) in [("/pets/1.0.0/health", 200), ("/pets/1.0.0/pet/5", 404)] {
        let answer = Answer::of(gateway.request(Method::HEAD, path)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, ""), "{path}");
    }
    assert_eq!(gateway.backend.take().first().map(|seen| seen.method.clone()), Some(Method::HEAD));
}

/// Prototypes ask for nothing, go to production only, and leave the caller's header alone; so do unsecured operations.
#[tokio::test]
async fn a_prototype_is_open_and_passes_credentials_on() {
    let gateway = Gateway::start().await.unwrap();
    let url = gateway.backend.url();
    let prototype = |name: &str| {
        tollgate_tests::ApiProject::new(name, "1.0.0", &format!("/{}", name.to_lowercase()))
            .production(&url)
            .sandbox("http://127.0.0.1:9")
            .secured("GET", "/x")
    };
    let status = prototype("Status").with("lifeCycleStatus", "PROTOTYPED");
    let endpoint = prototype("Endpoint").with("endpointConfig", json!({"implementation_status": "prototyped"}));
    let open = tollgate_tests::ApiProject::new("Open", "1.0.0", "/open").production(&url).unsecured("GET", "/x");
    for project in [status, endpoint, open] {
        let path = format!("/{}/1.0.0/x", project.name().to_lowercase());
        gateway.deploy(&project, &path).await.unwrap();
        gateway.backend.forget();
        let answer = gateway.get(&path, Some("whatever")).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(gateway.backend.take()[0].headers["authorization"], "Bearer whatever", "{path}");
    }
}

#[tokio::test]
async fn a_client_cannot_choose_the_cluster() {
    let gateway = with_pets().await;
    let token = gateway.token("").await.unwrap();
    gateway.backend.forget();
    for (path, token, status) in
        [("/pets/1.0.0/pet/5", Some(&token), 200), ("/pets/1.0.0/pet/5", None, 401), ("/nowhere", None, 404)]
    {
        for cluster in ["tollgate_adapter", "xds_cluster", "tollgate_public", "nonsense"] {
            let request = gateway.request(Method::GET, path).header(CLUSTER_HEADER, cluster);
            let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
            let answer = Answer::of(request).await.unwrap();
            assert_eq!(answer.status.as_u16(), status, "{path} with {cluster}: {}", answer.body);
        }
    }
    let seen = gateway.backend.take();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|request| !request.headers.contains_key(CLUSTER_HEADER)), "{seen:?}");
}

#[tokio::test]
async fn every_listener_and_protocol_enforces() {
    let gateway = with_pets().await;
    let token = gateway.token("").await.unwrap();
    let http1 = client_with(ClientBuilder::http1_only).unwrap();
    let http2 = client_with(ClientBuilder::http2_prior_knowledge).unwrap();
    let path = "/pets/1.0.0/pet/5";
    let table = [
        (gateway.client(), gateway.url(path), Version::HTTP_11),
        (gateway.client(), gateway.secure_url(path), Version::HTTP_2),
        (&http1, gateway.secure_url(path), Version::HTTP_11),
        (&http2, gateway.url(path), Version::HTTP_2),
    ];
    for (client, url, version) in table {
        for (token, status) in [(Some(&token), 200), (None, 401)] {
            let request = client.get(&url);
            let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
            let answer = Answer::of(request).await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.version), (status, version), "{url}: {}", answer.body);
        }
    }
}

/// A gateway that also accepts the shared key pair as an issuer.
async fn with_issuer() -> Gateway {
    let folder = tempfile::TempDir::with_prefix("tollgate-").unwrap();
    let key = folder.path().join("issuer.pem");
    std::fs::write(&key, KeyPair::shared().unwrap().public_pem().unwrap()).unwrap();
    let issuer = TokenService {
        name: "Test Issuer".to_owned(),
        issuer: ISSUER.to_owned(),
        keys: Keys::File(key),
        algorithms: Vec::new(),
    };
    let settings = Settings { token_services: vec![issuer], ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    gateway
}

#[tokio::test]
async fn tokens_are_judged_by_signature_issuer_and_time() {
    let gateway = with_issuer().await;
    let ours = KeyPair::shared().unwrap();
    let theirs = KeyPair::generate("shared").unwrap();
    let claims = || Claims::of(ISSUER);
    let rs256 = Algorithm::RS256;
    let without_kid = json!({ "alg": "RS256" });
    let lying = json!({ "alg": "HS256", "kid": "shared" });
    let table = [
        ("RS256", ours.sign(rs256, &claims()), 200),
        ("RS384", ours.sign(Algorithm::RS384, &claims()), 200),
        ("RS512", ours.sign(Algorithm::RS512, &claims()), 200),
        ("without kid", ours.sign_with_header(&without_kid, rs256, &claims()), 200),
        ("large", ours.sign(rs256, &claims().with("padding", "p".repeat(30_000))), 200),
        ("scope as a list", ours.sign(rs256, &claims().with("scope", json!(["a", "b"]))), 200),
        ("somebody else's key", theirs.sign(rs256, &claims()), 401),
        ("unknown issuer", ours.sign(rs256, &Claims::of("https://elsewhere.test")), 401),
        ("no issuer", ours.sign(rs256, &claims().without("iss")), 401),
        ("expired", ours.sign(rs256, &claims().expiring(-60)), 401),
        ("no expiry", ours.sign(rs256, &claims().without("exp")), 401),
        ("not yet", ours.sign(rs256, &claims().with("nbf", 32_503_680_000_u64)), 401),
        ("expiry of another type", ours.sign(rs256, &claims().with("exp", "tomorrow")), 401),
        ("unsigned", unsigned(&claims()), 401),
        ("header of another algorithm", ours.sign_with_header(&lying, rs256, &claims()), 401),
        ("opaque", "0123456789abcdef".to_owned(), 401),
    ];
    for (name, token, status) in table {
        // Twice: the second answer may come from the cache and must be the same.
        for _ in 0..2 {
            let answer = gateway.get("/pets/1.0.0/pet/5", Some(&token)).await.unwrap();
            assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn key_types_choose_the_backend() {
    let gateway = with_issuer().await;
    let sandbox = tollgate_tests::Backend::start().await.unwrap();
    let both = tollgate_tests::ApiProject::new("Both", "1.0.0", "/both")
        .production(&gateway.backend.url())
        .sandbox(&format!("{}/sand", sandbox.url()))
        .secured("GET", "/x");
    let only_sandbox =
        tollgate_tests::ApiProject::new("Sand", "1.0.0", "/sand").sandbox(&sandbox.url()).secured("GET", "/x");
    gateway.deploy(&both, "/both/1.0.0/x").await.unwrap();
    gateway.deploy(&only_sandbox, "/sand/1.0.0/x").await.unwrap();
    let key = KeyPair::shared().unwrap();
    let token = |keytype: &str| key.sign(Algorithm::RS256, &Claims::of(ISSUER).with("keytype", keytype));
    let (production, test) = (token("PRODUCTION"), token("SANDBOX"));
    let table = [
        ("/both/1.0.0/x", &production, 200, r#""path":"/x""#),
        ("/both/1.0.0/x", &test, 200, r#""path":"/sand/x""#),
        ("/sand/1.0.0/x", &test, 200, r#""path":"/x""#),
        ("/sand/1.0.0/x", &production, 401, "Production key offered to an API with no production endpoint"),
        ("/pets/1.0.0/pet/1", &test, 401, "Sandbox key offered to an API with no sandbox endpoint"),
    ];
    for (path, token, status, text) in table {
        let answer = gateway.get(path, Some(token)).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
        assert!(answer.body.contains(text), "{path}: {}", answer.body);
    }
    assert_eq!(sandbox.count(), 2);
}
