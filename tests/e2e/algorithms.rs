//! Tokens of every signature algorithm, judged in real Envoy: by its own function where it has one, in the module where not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{
    ECDSAP256KeyPairLike, ECDSAP256PublicKeyLike as _, ECDSAP384KeyPairLike, ECDSAP384PublicKeyLike as _, ES256KeyPair,
    ES384KeyPair, Ed25519KeyPair, EdDSAKeyPairLike,
};
use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings};

use crate::apis::pets;

const ISSUER: &str = "https://every-algorithm.test/token";

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key on a curve, from its uncompressed point.
fn ec_jwk(kid: &str, crv: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "kid": kid, "crv": crv, "x": base64url(x), "y": base64url(y)})
}

fn claims() -> jwt_simple::prelude::JWTClaims<jwt_simple::prelude::NoCustomClaims> {
    let validity = jwt_simple::prelude::Duration::from_mins(10);
    jwt_simple::prelude::Claims::create(validity).with_issuer(ISSUER)
}

/// A token on the curve that the crate of the others lacks.
fn es512(key: &SigningKey, kid: &str) -> String {
    let claims = serde_json::to_string(&claims()).unwrap();
    let signed =
        [json!({"alg": "ES512", "kid": kid}).to_string(), claims].map(|part| base64url(part.as_bytes())).join(".");
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", base64url(&signature.to_bytes()))
}

/// The token with another last signature byte.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    format!("{signed}.{}", base64url(&bytes))
}

#[tokio::test]
async fn every_algorithm_that_the_issuer_lists_is_verified() {
    let rsa = KeyPair::shared().unwrap();
    let p256 = ES256KeyPair::generate().with_key_id("p256");
    let p384 = ES384KeyPair::generate().with_key_id("p384");
    let p521 = SigningKey::from_slice(&[&[0][..], &[7; 65]].concat()).unwrap();
    let ed25519 = Ed25519KeyPair::generate().with_key_id("ed25519");
    let keys = vec![
        rsa.jwk(),
        ec_jwk("p256", "P-256", &p256.public_key().public_key().to_bytes_uncompressed()),
        ec_jwk("p384", "P-384", &p384.public_key().public_key().to_bytes_uncompressed()),
        ec_jwk("p521", "P-521", p521.verifying_key().to_sec1_point(false).as_bytes()),
        json!({"kty": "OKP", "kid": "ed25519", "crv": "Ed25519", "x": base64url(&ed25519.public_key().to_bytes())}),
    ];
    let jwks = JwksServer::serving(keys).await.unwrap();
    let service = |algorithms: Vec<Algorithm>| TokenService {
        name: "Every Algorithm".to_owned(),
        issuer: ISSUER.to_owned(),
        keys: Keys::Url(jwks.url()),
        algorithms,
    };
    let rsa_token = |algorithm| rsa.sign(algorithm, &Claims::of(ISSUER));
    let tokens = [
        (Algorithm::PS256, rsa_token(Algorithm::PS256)),
        (Algorithm::PS384, rsa_token(Algorithm::PS384)),
        (Algorithm::PS512, rsa_token(Algorithm::PS512)),
        (Algorithm::ES256, p256.sign(claims()).unwrap()),
        (Algorithm::ES384, p384.sign(claims()).unwrap()),
        (Algorithm::ES512, es512(&p521, "p521")),
        (Algorithm::EdDSA, ed25519.sign(claims()).unwrap()),
        (Algorithm::RS256, rsa_token(Algorithm::RS256)),
    ];
    for (listed, expected) in [(Algorithm::ALL.to_vec(), 200), (Vec::new(), 401)] {
        let settings = Settings { token_services: vec![service(listed)], ..Settings::default() };
        let gateway = Gateway::with(settings).await.unwrap();
        gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
        for (algorithm, token) in &tokens {
            // Who lists no algorithms accepts the three that Choreo Connect does.
            let expected = if *algorithm == Algorithm::RS256 { 200 } else { expected };
            for (token, expected) in [(token, expected), (&forged(token), 401)] {
                let answer = gateway.get("/pets/1.0.0/pet/5", Some(token)).await.unwrap();
                assert_eq!(answer.status.as_u16(), expected, "{algorithm:?}: {}", answer.body);
            }
        }
    }
}
