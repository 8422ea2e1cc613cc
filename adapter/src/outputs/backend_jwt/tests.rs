use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{NoCustomClaims, RS256PublicKey, RSAPublicKeyLike};
use serde_json::Value;
use tollgate_model::contract::CredentialUse;
use tollgate_model::{ApiKind, BackendJwtHeader, LifeCycle, Settings};

use super::*;
use crate::admin::Status;
use crate::certs::DevelopmentCertificates;
use crate::model::{Deployment, RevokedBy};
use crate::outputs::issuers::{IssuerSettings, KeyTrust};
use crate::outputs::settings::SigningPair;
use crate::signing::{KeyType, TestToken, TokenSigner};

const ISSUER: &str = "https://localhost:9095/testkey";

pub(super) fn api() -> Api {
    Api {
        id: "pets".to_owned(),
        name: "Pets".to_owned(),
        version: "1.0".to_owned(),
        organization: "carbon.super".to_owned(),
        virtual_host: "localhost".to_owned(),
        base_path: "/pets/1.0".to_owned(),
        default_base_path: None,
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: None,
        mutual_ssl: None,
        graphql: None,
        production: None,
        sandbox: None,
        cors: None,
        endpoints: Vec::new(),
        tier: None,
        resources: Vec::new(),
    }
}

fn world() -> WorldWriter {
    let deployment = Arc::new(Deployment {
        variant: String::new(),
        api: api(),
        api_type: "HTTP".to_owned(),
        context: "/pets/1.0".to_owned(),
        environments: BTreeSet::from(["Default".to_owned()]),
        clusters: Vec::new(),
    });
    let told = BackendJwtHeader { header: "x-jwt-assertion".to_owned(), revision: String::new() };
    WorldWriter::new(World {
        deployments: [(deployment.key(), deployment)].into(),
        settings: Settings { backend_jwt: Some(told), ..Settings::default() },
        ..World::default()
    })
}

/// The test keys, and a copy of them that signs the tokens for backends.
struct Bench {
    folder: tempfile::TempDir,
    signer: TokenSigner,
    world: WorldWriter,
    settings: BackendJwtSettings,
    minter: Arc<Minter>,
}

fn pair(folder: &Path) -> DevelopmentCertificates {
    crate::certs::ensure(folder).unwrap()
}

fn bench(change: impl FnOnce(&mut BackendJwtSettings)) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let (tests, own) =
        (pair(&folder.path().join("tests")).token_signing, pair(&folder.path().join("own")).token_signing);
    let signer = TokenSigner::load(&tests.key, &tests.certificate).unwrap();
    let world = world();
    let issuer_settings = IssuerSettings {
        services: &[],
        test_keys: Some((ISSUER, signer.jwk())),
        key_trust: &KeyTrust::default(),
        key_cache: folder.path(),
    };
    let issuers = Issuers::new(&issuer_settings, world.clone(), Status::new()).unwrap();
    let mut settings = BackendJwtSettings {
        dialect: "http://wso2.org/claims/".to_owned(),
        signed: true,
        use_kid: true,
        validity: Duration::from_secs(3600),
        signing: SigningPair { key: own.key, certificate: own.certificate },
        published: Vec::new(),
    };
    change(&mut settings);
    let minter = Minter::start(settings.clone(), world.clone(), issuers).unwrap();
    Bench { folder, signer, world, settings, minter }
}

impl Bench {
    fn token(&self) -> String {
        let key_type = KeyType::Production;
        let asked = TestToken { issuer: ISSUER, subject: "bob", scope: "read", key_type, validity_seconds: 60 };
        self.signer.sign(&asked).unwrap()
    }

    async fn make(&self, environment: &str, api: &str, credential: &str) -> Result<BackendJwt, NoToken> {
        let request = BackendJwtRequest {
            virtual_host: "localhost".to_owned(),
            api: api.to_owned(),
            usage: CredentialUse::AccessToken,
            credential: Secret::from(credential.to_owned()),
            certificate: None,
        };
        self.minter.make(environment, request).await
    }

    fn revision(&self) -> String {
        self.world.current().settings.backend_jwt.clone().unwrap().revision
    }
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

fn verifies(jwk: &Jwk, token: &str) -> bool {
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref().unwrap()).unwrap();
    let key = RS256PublicKey::from_components(&bytes(&jwk.n), &bytes(&jwk.e)).unwrap();
    key.verify_token::<NoCustomClaims>(token, None).is_ok()
}

#[tokio::test]
async fn a_token_says_who_calls_what() {
    let bench = bench(|_| ());
    let made = bench.make("Default", "pets", &bench.token()).await.unwrap();
    let (header, claims) = (part(made.token.expose(), 0), part(made.token.expose(), 1));
    let [published] = bench.minter.published().try_into().unwrap();
    assert_eq!(header["typ"], "JWT");
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"].as_str(), published.kid.as_deref());
    assert!(verifies(&published, made.token.expose()));
    assert_eq!(claims["iss"], "wso2.org/products/am");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(claims["exp"], made.expires_at);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 36);
    for (name, value) in [
        ("subscriber", "unknown"),
        ("applicationname", "anon:MGW"),
        ("applicationtier", "Unlimited"),
        ("apiname", "Pets"),
        ("apicontext", "/pets/1.0"),
        ("version", "1.0"),
        ("tier", "Unlimited"),
        ("keytype", "PRODUCTION"),
        ("usertype", "Application_User"),
        ("enduser", "bob"),
        ("enduserTenantId", "0"),
    ] {
        assert_eq!(claims[format!("http://wso2.org/claims/{name}")], value, "{name}");
    }
    assert_eq!((&claims["sub"], &claims["scope"]), (&"bob".into(), &"read".into()));
    assert_eq!(claims["http://wso2.org/claims/applicationid"], claims["http://wso2.org/claims/applicationUUId"]);
}

#[tokio::test]
async fn nobody_is_spoken_for_whom_a_filter_would_refuse() {
    let bench = bench(|_| ());
    let token = bench.token();
    let forged = format!("{}AAAA", token.get(..token.len() - 4).unwrap());
    for (environment, api, credential, expected) in [
        ("Default", "pets", "no token", NoToken::Refused("900901")),
        ("Default", "pets", forged.as_str(), NoToken::Refused("900901")),
        ("Default", "other", &token, NoToken::NoApi),
        ("Other", "pets", &token, NoToken::NoApi),
    ] {
        assert_eq!(bench.make(environment, api, credential).await, Err(expected), "{environment} {api}");
    }
    let expires = u32::MAX;
    bench
        .world
        .update(|world| world.subscribers.revoke(RevokedBy::File, part(&token, 1)["jti"].as_str().unwrap(), expires));
    assert_eq!(bench.make("Default", "pets", &token).await, Err(NoToken::Refused("900901")));
}

#[tokio::test]
async fn headers_are_as_configured() {
    let bench = bench(|settings| settings.use_kid = false);
    let made = bench.make("Default", "pets", &bench.token()).await.unwrap();
    let [published] = bench.minter.published().try_into().unwrap();
    let header = part(made.token.expose(), 0);
    assert_eq!((header["x5t"].as_str(), header.get("kid")), (published.x5t.as_deref(), None));
    assert!(verifies(&published, made.token.expose()));

    let bench = self::bench(|settings| settings.signed = false);
    let made = bench.make("Default", "pets", &bench.token()).await.unwrap();
    assert_eq!(part(made.token.expose(), 0), serde_json::json!({"typ": "JWT", "alg": "none"}));
    assert_eq!(part(made.token.expose(), 1)["sub"], "bob");
    assert!(made.token.expose().ends_with('.'));
}

#[tokio::test]
async fn replaced_keys_sign_and_the_former_stay_published() {
    let bench = bench(|_| ());
    let (token, revision) = (bench.token(), bench.revision());
    let former = bench.make("Default", "pets", &token).await.unwrap();
    let fresh = pair(&bench.folder.path().join("fresh")).token_signing;
    let SigningPair { key, certificate } = &bench.settings.signing;

    // Half of a pair is no pair.
    std::fs::copy(&fresh.key, key).unwrap();
    bench.minter.reload().await;
    assert_eq!((bench.revision(), bench.minter.published().len()), (revision.clone(), 1));

    std::fs::copy(&fresh.certificate, certificate).unwrap();
    bench.minter.reload().await;
    let made = bench.make("Default", "pets", &token).await.unwrap();
    let [first, second] = bench.minter.published().try_into().unwrap();
    assert!(verifies(&first, made.token.expose()) && verifies(&second, former.token.expose()));
    assert_ne!(bench.revision(), revision);
    let late = SystemTime::now() + Duration::from_secs(3700);
    assert_eq!(bench.minter.keys().published(late).count(), 1);
}
