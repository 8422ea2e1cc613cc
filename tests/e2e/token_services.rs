//! What the configuration says of an issuer and of the header of its tokens counts on Envoy.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, Identity, Method};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::http::{Answer, client_with};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings};

use crate::apis::pets;
use crate::credentials::certificates;
use crate::subscriptions::PATH;

const ADMIN: &str = "/pets/1.0.0/admin";
const MAPPED: &str = "https://mapped.test";
const SEVERAL: &str = "https://several.test";
const BOUND: &str = "https://bound.test";

const SUBSCRIBERS: &str = "
applications:
  - {name: web, keys: [{keyManager: Mapped, consumerKey: c1}], subscriptions: [{api: Pets, version: 1.0.0}]}
denyConditions: [{user: mallory@carbon.super}]
";

/// One key set in the configuration with two keys of which tokens name one by `x5t`, one at several URLs, and one in a file whose
/// tokens are bound to certificates.
fn services(folder: &TempDir, other: &KeyPair, jwks: &JwksServer) -> String {
    let key = KeyPair::shared().unwrap();
    let (mut first, mut second) = (other.jwk(), key.jwk());
    first["x5t"] = "Zmlyc3Q".into();
    second["x5t"] = "c2Vjb25k".into();
    let inline = json!({"keys": [first, second]});
    let pem = folder.path().join("bound.pem");
    std::fs::write(&pem, key.public_pem().unwrap()).unwrap();
    format!(
        "\n[[enforcer.security.tokenService]]\nname = 'Mapped'\nissuer = '{MAPPED}'\njwks = '{inline}'\nvalidateSubscription = true\n\
         consumerKeyClaim = 'client'\nscopesClaim = 'roles'\naudience = ['pets', 'cats']\n\
         [[enforcer.security.tokenService.claimMapping]]\nremoteClaim = 'mail'\nlocalClaim = 'sub'\n\
         [[enforcer.security.tokenService]]\nname = 'Several'\nissuer = '{SEVERAL}'\n\
         jwksURLs = ['http://127.0.0.1:9/jwks', '{}']\n\
         [[enforcer.security.tokenService]]\nname = 'Bound'\nissuer = '{BOUND}'\ncertificateFilePath = '{}'\n\
         certificateBoundTokens = true\n",
        jwks.url(),
        pem.display()
    )
}

fn mapped(change: impl FnOnce(Claims) -> Claims) -> String {
    let claims = Claims::of(MAPPED).without("azp").with("client", "c1").with("aud", "pets").with("mail", "alice");
    KeyPair::shared().unwrap().sign(Algorithm::RS256, &change(claims))
}

fn by_thumbprint(x5t: &str) -> String {
    let claims = Claims::of(MAPPED).with("client", "c1").with("aud", "pets");
    KeyPair::shared().unwrap().sign_with_header(&json!({"alg": "RS256", "x5t": x5t}), Algorithm::RS256, &claims)
}

async fn answer(gateway: &Gateway, path: &str, (header, value): (&str, &str)) -> Answer {
    Answer::of(gateway.request(Method::GET, path).header(header, value)).await.unwrap()
}

#[tokio::test]
async fn an_issuer_is_what_its_token_service_says() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, SUBSCRIBERS).unwrap();
    let other = KeyPair::generate("other").unwrap();
    let jwks = JwksServer::start(&[KeyPair::shared().unwrap()]).await.unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let extra = services(&folder, &other, &jwks);
    let gateway = Gateway::with(Settings { adapter, extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let several = KeyPair::shared().unwrap().sign(Algorithm::RS256, &Claims::of(SEVERAL));
    let foreign = other.named("shared").sign(Algorithm::RS256, &Claims::of(SEVERAL));
    let roles = |roles: Value| mapped(|claims| claims.with("roles", roles));
    for (what, path, token, expected) in [
        ("audience", PATH, mapped(|claims| claims), "200 "),
        ("one of several audiences", PATH, mapped(|claims| claims.with("aud", json!(["dogs", "cats"]))), "200 "),
        ("another audience", PATH, mapped(|claims| claims.with("aud", "dogs")), "401 900901"),
        ("no audience", PATH, mapped(|claims| claims.without("aud")), "401 900901"),
        ("another consumer key", PATH, mapped(|claims| claims.with("client", "c2")), "403 900908"),
        ("the usual claim of consumer keys", PATH, mapped(|c| c.without("client").with("azp", "c1")), "403 900908"),
        ("roles as a text", ADMIN, roles(json!("other admin:read")), "200 "),
        ("roles as a list", ADMIN, roles(json!(["admin:write"])), "200 "),
        ("the usual claim of scopes", ADMIN, mapped(|claims| claims.with("scope", "admin:read")), "403 900910"),
        ("a user by a mapped claim", PATH, mapped(|claims| claims.with("mail", "mallory")), "403 900805"),
        ("a key by its thumbprint", PATH, by_thumbprint("c2Vjb25k"), "200 "),
        ("the thumbprint of another key", PATH, by_thumbprint("Zmlyc3Q"), "401 900901"),
        ("an unknown thumbprint", PATH, by_thumbprint("dGhpcmQ"), "401 900901"),
        ("several URLs, one of which nobody serves", PATH, several, "200 "),
        ("several URLs, and a key of none of them", PATH, foreign, "401 900901"),
    ] {
        let answer = answer(&gateway, path, ("authorization", &format!("Bearer {token}"))).await;
        let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!(format!("{} {code}", answer.status.as_u16()), expected, "{what}: {}", answer.body);
    }
}

/// RFC 8705: whoever steals the token lacks the certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_bound_to_the_certificate_of_its_connection() {
    let (folder, certificates) = (TempDir::new().unwrap(), certificates());
    let trusted = folder.path().join("clients.pem");
    std::fs::write(&trusted, &certificates.authority).unwrap();
    let (other, jwks) = (KeyPair::generate("other").unwrap(), JwksServer::start(&[]).await.unwrap());
    let tls = format!("[router.downstream.tls]\nmTLSAPIsEnabled = true\ntrustedCertPath = '{}'\n", trusted.display());
    let extra = format!("{tls}{}", services(&folder, &other, &jwks));
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let base64: String = certificates.client.lines().filter(|line| !line.starts_with("-----")).collect();
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(STANDARD.decode(base64).unwrap()));
    let key = KeyPair::shared().unwrap();
    let free = key.sign(Algorithm::RS256, &Claims::of(BOUND));
    let bound = key.sign(Algorithm::RS256, &Claims::of(BOUND).with("cnf", json!({"x5t#S256": thumbprint})));
    let with = |identity: Identity| client_with(|builder| builder.identity(identity)).unwrap();
    let clients: [Client; 3] =
        [client_with(|builder| builder).unwrap(), with(certificates.stranger), with(certificates.identity)];
    for (token, expected) in [(&free, [200, 200, 200]), (&bound, [401, 401, 200])] {
        // Twice, since what is remembered of a token must not be remembered of its connection.
        for _ in 0..2 {
            for (client, status) in clients.iter().zip(expected) {
                let answer = Answer::of(client.get(gateway.secure_url(PATH)).bearer_auth(token)).await.unwrap();
                assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
            }
        }
    }
}

#[tokio::test]
async fn the_header_of_tokens_is_what_the_gateway_and_the_api_say() {
    let header = "\n[enforcer.security.authHeader]\nauthorizationHeader = 'X-Token'\nenableOutboundAuthHeader = ";
    for outbound in [false, true] {
        let extra = format!("{header}{outbound}\ntestConsoleHeaderName = 'X-Console'\n");
        let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
        let own = tollgate_tests::ApiProject::new("Own", "1.0.0", "/own")
            .production(&gateway.backend.url())
            .with("authorizationHeader", "X-Own")
            .secured("GET", "/x")
            .unsecured("GET", "/up");
        gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
        gateway.deploy(&own, "/own/1.0.0/up").await.unwrap();
        let bearer = format!("Bearer {}", gateway.token("").await.unwrap());
        for (path, header, status) in [
            (PATH, "x-token", 200),
            (PATH, "authorization", 401),
            (PATH, "x-own", 401),
            ("/own/1.0.0/x", "x-own", 200),
            ("/own/1.0.0/x", "x-token", 401),
            ("/own/1.0.0/x", "authorization", 401),
        ] {
            let answer = answer(&gateway, path, (header, &bearer)).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {header}: {}", answer.body);
            let seen = answer.json()["headers"].get(header).cloned();
            assert_eq!(seen, (outbound && status == 200).then(|| bearer.clone().into()), "{path} {header}");
        }
    }
}
