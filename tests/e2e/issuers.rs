//! Issuers that change their keys, and whose clocks are not ours.

use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings};

use crate::apis::pets;
use crate::subscriptions::{ISSUER as PORTAL, token, token_service};

const ISSUER: &str = "https://rotating.test/token";
const PATH: &str = "/pets/1.0.0/pet/5";

#[tokio::test]
async fn a_token_of_a_new_key_passes_on_the_first_try() {
    let old = KeyPair::shared().unwrap().named("old");
    let new = KeyPair::generate("new").unwrap();
    let jwks = JwksServer::start(&[&old]).await.unwrap();
    let rotating = TokenService {
        name: "Rotating".to_owned(),
        issuer: ISSUER.to_owned(),
        keys: Keys::Url(jwks.url()),
        algorithms: Vec::new(),
    };
    let gateway = Gateway::with(Settings { token_services: vec![rotating], ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let sign = |key: &KeyPair| key.sign(Algorithm::RS256, &Claims::of(ISSUER));
    let status = async |token: &str| gateway.get(PATH, Some(token)).await.unwrap().status.as_u16();

    assert_eq!(status(&sign(&old)).await, 200);

    jwks.rotate(&[&old, &new]);
    assert_eq!(status(&sign(&new)).await, 200, "the first token of the new key");
    assert_eq!(status(&sign(&old)).await, 200, "the old key is still published");

    // A key that nobody has is refused, and a flood of such tokens is no flood of fetches.
    let fetches = jwks.fetches();
    for kid in 0..20 {
        assert_eq!(status(&sign(&new.named(&format!("unknown-{kid}")))).await, 401, "unknown kid {kid}");
    }
    let caused = jwks.fetches() - fetches;
    assert!(caused <= 5, "{caused} fetches for 20 unknown keys");
}

#[tokio::test]
async fn keys_outlive_their_issuer() {
    let key = KeyPair::shared().unwrap();
    let jwks = JwksServer::start(&[key]).await.unwrap();
    let mortal = TokenService {
        name: "Mortal".to_owned(),
        issuer: ISSUER.to_owned(),
        keys: Keys::Url(jwks.url()),
        algorithms: Vec::new(),
    };
    let gateway = Gateway::with(Settings { token_services: vec![mortal], ..Settings::default() }).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    let token = |kid: &str| key.named(kid).sign(Algorithm::RS256, &Claims::of(ISSUER));
    assert_eq!(gateway.get(PATH, Some(&token("shared"))).await.unwrap().status, 200);

    drop(jwks);
    // The question about an unknown key now fails at the issuer; that must not spoil the known one.
    assert_eq!(gateway.get(PATH, Some(&token("unknown"))).await.unwrap().status, 401);
    assert_eq!(gateway.get(PATH, Some(&token("shared"))).await.unwrap().status, 200);
}

/// Five seconds unless the configuration says more.
#[tokio::test]
async fn clocks_may_differ_by_as_much_as_is_configured() {
    let folder = tempfile::TempDir::new().unwrap();
    let from_now = |seconds: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        now.saturating_add_signed(seconds)
    };
    // Claim, seconds from now, status with five seconds of skew, and with 120. Margins are those of a slow machine.
    let table = [
        ("exp", -60, 401, 200),
        ("exp", -600, 401, 401),
        ("nbf", 60, 401, 200),
        ("nbf", 600, 401, 401),
        ("iat", 60, 401, 200),
        ("iat", 600, 401, 401),
    ];
    for (tollgate, configured) in [("", false), ("clockSkewInSeconds = 120", true)] {
        let extra = token_service(&folder, false);
        let gateway =
            Gateway::with(Settings { tollgate: tollgate.to_owned(), extra, ..Settings::default() }).await.unwrap();
        gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
        for (claim, away, usual, lenient) in table {
            let token = token(Claims::of(PORTAL).with(claim, from_now(away)));
            let answer = gateway.get(PATH, Some(&token)).await.unwrap();
            let expected = if configured { lenient } else { usual };
            assert_eq!(answer.status.as_u16(), expected, "{claim} {away} with {tollgate:?}: {}", answer.body);
        }
    }
}
