//! Key managers of third parties: registered, changed, switched off and deleted, and what config.toml says beside them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::apim::{KeyManager, Operation, certificate_of};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};

use super::{OK, PET, PETS, Plant, usual};

const OKTA: &str = "https://okta.test/oauth2";
const SUBSCRIBED: [&str; 2] = ["web", PETS];

fn signed(keys: &KeyPair, claim: &str) -> String {
    keys.sign(Algorithm::RS256, &Claims::of(OKTA).without("azp").with(claim, "okta-key").without("keytype"))
}

#[tokio::test]
async fn a_key_manager_is_added_changed_and_deleted() {
    let mut plant = Plant::start().await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    plant.perform(Operation::subscribe(SUBSCRIBED[0], SUBSCRIBED[1]));
    plant.perform(Operation::keys("web", "okta-key", "Okta"));
    let (first, second) = (KeyPair::generate("first").unwrap(), KeyPair::generate("second").unwrap());
    let jwks = JwksServer::start(&[&first]).await.unwrap();
    let old = signed(&first, "azp");
    let web = super::token("web-key", "web");
    plant.soon("the resident key manager is there", PET, Some(&web), OK).await;
    plant.answers(PET, Some(&old), (401, "")).await.unwrap();

    let by_url =
        json!({"jwks_endpoint": "http://127.0.0.1:1/", "certificate_type": "JWKS", "certificate_value": jwks.url()});
    plant.then(Operation::key_manager("Okta", KeyManager::of(OKTA, &by_url)), PET, Some(&old), OK).await;

    // Another key, as a certificate, and another claim.
    let pem = STANDARD.encode(certificate_of(&second).unwrap());
    let by_pem = json!({"certificate_type": "PEM", "certificate_value": pem, "consumer_key_claim": "client"});
    let new = signed(&second, "client");
    plant.then(Operation::key_manager("Okta", KeyManager::of(OKTA, &by_pem)), PET, Some(&new), OK).await;
    plant.answers(PET, Some(&old), (401, "")).await.unwrap();

    for (enabled, validates, expected) in [(false, true, 401), (true, true, 200), (true, false, 401), (true, true, 200)]
    {
        let mut manager = KeyManager::of(OKTA, &by_pem);
        manager.enabled = enabled;
        manager.configuration["self_validate_jwt"] = validates.into();
        plant.then(Operation::key_manager("Okta", manager), PET, Some(&new), (expected, "")).await;
    }
    plant.then(Operation::DeleteKeyManager { name: "Okta".to_owned() }, PET, Some(&new), (401, "")).await;
    // Nobody else was touched.
    plant.answers(PET, Some(&web), OK).await.unwrap();
    plant.judge();
}

#[tokio::test]
async fn api_manager_goes_before_the_configuration_until_it_takes_its_key_manager_back() {
    let folder = TempDir::new().unwrap();
    let (ours, theirs) = (KeyPair::generate("ours").unwrap(), KeyPair::generate("theirs").unwrap());
    let pem = folder.path().join("ours.pem");
    std::fs::write(&pem, ours.public_pem().unwrap()).unwrap();
    let pem = pem.display();
    let mut plant = Plant::with(&format!(
        "\n[[enforcer.security.tokenService]]\nname = 'Ours'\nissuer = '{OKTA}'\nvalidateSubscription = false\n\
         certificateFilePath = '{pem}'\n"
    ))
    .await;
    plant.apim.all(usual(&plant.backend())).unwrap();
    plant.perform(Operation::subscribe(SUBSCRIBED[0], SUBSCRIBED[1]));
    plant.perform(Operation::keys("web", "okta-key", "Okta"));
    let (by_ours, by_theirs) = (signed(&ours, "azp"), signed(&theirs, "azp"));
    plant.soon("the configured issuer counts", PET, Some(&by_ours), OK).await;

    let value = STANDARD.encode(certificate_of(&theirs).unwrap());
    let keys = json!({"certificate_type": "PEM", "certificate_value": value});
    plant.then(Operation::key_manager("Okta", KeyManager::of(OKTA, &keys)), PET, Some(&by_theirs), OK).await;
    plant.answers(PET, Some(&by_ours), (401, "")).await.unwrap();
    plant.then(Operation::DeleteKeyManager { name: "Okta".to_owned() }, PET, Some(&by_ours), OK).await;
    plant.answers(PET, Some(&by_theirs), (401, "")).await.unwrap();
    plant.judge();
}
