//! Issuers that change their keys.

use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings};

use crate::apis::pets;

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
