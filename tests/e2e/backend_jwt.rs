//! Backends are told who calls by a token of the gateway, and find the key that verifies it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::signature::Verifier as _;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;
use tollgate_tests::{ApiProject, Gateway, Settings, eventually};

const PATH: &str = "/who/1.0.0/me";
const DIALECT: &str = "http://wso2.org/claims/";

async fn gateway(extra: &str) -> Gateway {
    let extra = format!("\n[enforcer.jwtGenerator]\nenabled = true\n{extra}");
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    let api = ApiProject::new("Who", "1.0.0", "/who")
        .production(&gateway.backend.url())
        .secured("GET", "/me")
        .unsecured("GET", "/open");
    gateway.deploy(&api, "/who/1.0.0/open").await.unwrap();
    gateway
}

/// What the backend gets in the header when somebody calls.
async fn told(gateway: &Gateway, path: &str, token: Option<&str>) -> Option<String> {
    gateway.backend.forget();
    let mut request = gateway.request(reqwest::Method::GET, path).header("x-jwt-assertion", "forged");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = tollgate_tests::http::Answer::of(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let seen = gateway.backend.take();
    let values: Vec<_> = seen[0].headers.get_all("x-jwt-assertion").iter().collect();
    assert!(values.len() < 2, "{values:?}");
    values.first().map(|value| value.to_str().unwrap().to_owned())
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

async fn published(gateway: &Gateway) -> Vec<Value> {
    let answer = gateway.get("/.wellknown/jwks", None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["keys"].as_array().unwrap().clone()
}

fn verifies(jwk: &Value, token: &str) -> bool {
    let number =
        |name: &str| rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    let key = VerifyingKey::<Sha256>::new(RsaPublicKey::new(number("n"), number("e")).unwrap());
    let (content, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::try_from(URL_SAFE_NO_PAD.decode(signature).unwrap().as_slice()).unwrap();
    key.verify(content.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn backends_are_told_who_calls_and_can_believe_it() {
    let gateway = gateway("").await;
    let token = gateway.token("read").await.unwrap();
    let made = told(&gateway, PATH, Some(&token)).await.unwrap();
    let (header, claims) = (part(&made, 0), part(&made, 1));
    let keys = published(&gateway).await;
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).expect("the key is not published");
    assert!(verifies(key, &made));
    assert_eq!((&claims["iss"], &claims["scope"]), (&"wso2.org/products/am".into(), &"read".into()));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let own = |name: &str| claims[format!("{DIALECT}{name}")].clone();
    assert_eq!(
        (own("apiname"), own("apicontext"), own("enduser")),
        ("Who".into(), "/who/1.0.0".into(), "admin".into())
    );
    assert_eq!(own("keytype"), "PRODUCTION");

    // Two workers make one each at most.
    let mut seen = std::collections::BTreeSet::from([made]);
    for _ in 0..12 {
        seen.insert(told(&gateway, PATH, Some(&token)).await.unwrap());
    }
    assert!(seen.len() <= 2, "{} tokens for one caller", seen.len());
    assert_eq!(told(&gateway, "/who/1.0.0/open", None).await, None);
}

#[tokio::test]
async fn without_the_adapter_what_is_known_serves_and_the_rest_is_refused() {
    let mut gateway = gateway("").await;
    let known = gateway.token("").await.unwrap();
    let fresh = gateway.token("").await.unwrap();
    // Often enough that both workers have it.
    for _ in 0..24 {
        told(&gateway, PATH, Some(&known)).await.unwrap();
    }
    gateway.adapter.kill().unwrap();
    for _ in 0..4 {
        told(&gateway, PATH, Some(&known)).await.unwrap();
    }
    let answer = gateway.get(PATH, Some(&fresh)).await.unwrap();
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.body.contains(r#""code":"900900""#), "{}", answer.body);
}

fn key_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let pem = RsaPrivateKey::new(&mut OsRng, 2048).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let key = rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (public, private) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&public, certificate.pem()).unwrap();
    std::fs::write(&private, pem.as_bytes()).unwrap();
    (public, private)
}

#[tokio::test]
async fn keys_change_while_everything_runs() {
    let folder = TempDir::new().unwrap();
    let (signing, key) = key_pair(folder.path(), "signing");
    let (further, _) = key_pair(folder.path(), "further");
    let pairs = format!(
        "useKidProperty = false\n\
         [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = '{}'\nprivateKeyPath = '{}'\nuseForSigning = true\n\
         [[enforcer.jwtGenerator.keypair]]\npublicCertificatePath = '{}'\nuseForSigning = false\n",
        signing.display(),
        key.display(),
        further.display(),
    );
    let gateway = gateway(&pairs).await;
    // The two of the configuration, and that of the test keys.
    assert_eq!(published(&gateway).await.len(), 3);
    let token = gateway.token("").await.unwrap();
    let former = told(&gateway, PATH, Some(&token)).await.unwrap();
    let signer = |keys: &[Value], made: &str| keys.iter().find(|key| key["x5t"] == part(made, 0)["x5t"]).cloned();
    assert!(verifies(&signer(&published(&gateway).await, &former).unwrap(), &former));

    let (fresh, fresh_key) = key_pair(folder.path(), "fresh");
    std::fs::copy(fresh_key, key).unwrap();
    std::fs::copy(fresh, signing).unwrap();
    let signed_anew = async || {
        let made = told(&gateway, PATH, Some(&token)).await.context("nothing is told")?;
        ensure!(part(&made, 0)["x5t"] != part(&former, 0)["x5t"], "the former key still signs");
        Ok(made)
    };
    eventually("the new key signs", async || signed_anew().await.map(|_| ())).await.unwrap();
    let made = told(&gateway, PATH, Some(&token)).await.unwrap();
    let keys = published(&gateway).await;
    assert_eq!(keys.len(), 4);
    for made in [&former, &made] {
        assert!(verifies(&signer(&keys, made).expect("a key is not published"), made));
    }
}

#[tokio::test]
async fn the_keys_may_be_asked_for_only_so_often() {
    let gateway = gateway("jwksRatelimitQuota = 3\njwksRatelimitTimeWindowInSeconds = 600\n").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(gateway.get("/.wellknown/jwks", None).await.unwrap().status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    // Nothing else is limited by it.
    assert_eq!(gateway.get("/health", None).await.unwrap().status, 200);
    gateway.all_answer("/who/1.0.0/open", 8, |status| status == 200).await.unwrap();
}
