//! The token that tells backends who calls: asked for once, remembered while it is good, and never a client's.

use std::rc::Rc;

use tollgate_model::contract::{BackendJwt, BackendJwtRequest, CredentialUse};
use tollgate_model::{BackendJwtHeader, Secret, Settings};

use super::*;

const PATH: &str = "GET /pets/1.0/pet/5";
const GOOD: &str = "-> /v2/pet/5 -authorization +cluster=prod +x-jwt-assertion=made";
const FAILED: &str = "401 900900: Unclassified Authentication Failure";

fn directory() -> TestDirectory {
    let mut directory = TestDirectory::new(api());
    revise(&mut directory, "1");
    directory
}

fn revise(directory: &mut TestDirectory, revision: &str) {
    let told = BackendJwtHeader { header: "x-jwt-assertion".to_owned(), revision: revision.to_owned() };
    directory.settings = Some(Settings { backend_jwt: Some(told), ..Settings::default() });
}

fn made(expires_at: u64) -> Answer {
    let expires_at = i64::try_from(expires_at).unwrap();
    Answer::BackendJwt(Rc::new(BackendJwt { token: Secret::from("made".to_owned()), expires_at }))
}

/// What is asked, and what becomes of the request with that answer.
fn asked(directory: &TestDirectory, request: &HeaderMap, answer: Answer) -> (Option<BackendJwtRequest>, String) {
    let mut answers = Answers::default();
    match decide_with(directory, request, &answers) {
        Decision::Ask(question) => {
            let Question::BackendJwt(wanted) = &question else { panic!("{question:?}") };
            let wanted = BackendJwtRequest::clone(wanted);
            answers.add(question, answer);
            (Some(wanted), describe(decide_with(directory, request, &answers)))
        }
        other => (None, describe(other)),
    }
}

#[test]
fn it_is_asked_for_once_and_replaces_what_the_client_sent() {
    let directory = directory();
    let token = token(json!({"jti": "1"}));
    let bearer = format!("Bearer {token}");
    let request = request(PATH, &[("authorization", &bearer), ("x-jwt-assertion", "forged")]);
    let (wanted, outcome) = asked(&directory, &request, made(NOW + 60));
    let expected = BackendJwtRequest {
        virtual_host: "localhost".to_owned(),
        api: "pets".to_owned(),
        usage: CredentialUse::AccessToken,
        credential: Secret::from(token),
        certificate: None,
    };
    assert_eq!((wanted, outcome.as_str()), (Some(expected), GOOD));
    assert_eq!(asked(&directory, &request, Answer::Failed), (None, GOOD.to_owned()));
}

#[test]
fn memory_ends_with_the_token_the_revision_and_the_caller() {
    let call = |directory: &TestDirectory, id: &str, expires: u64| {
        let bearer = format!("Bearer {}", token(json!({"jti": id})));
        asked(directory, &request(PATH, &[("authorization", &bearer)]), made(expires)).0.is_some()
    };
    let mut directory = directory();
    assert!(call(&directory, "1", NOW + 60));
    assert!(!call(&directory, "1", NOW + 60));
    assert!(call(&directory, "2", NOW + 60));
    revise(&mut directory, "2");
    assert!(call(&directory, "1", NOW + 60));
    assert!(!call(&directory, "1", NOW + 60));
    // What ends within the skew is as good as over.
    assert!(call(&directory, "3", NOW + 5));
    assert!(call(&directory, "3", NOW + 6));
    assert!(!call(&directory, "3", NOW + 6));
    directory.tokens.clear();
    assert!(call(&directory, "1", NOW + 60));
}

#[test]
fn the_name_of_the_api_is_part_of_what_is_remembered() {
    let bearer = format!("Bearer {}", token(json!({"jti": "1"})));
    let mut directory = directory();
    let request = request(PATH, &[("authorization", &bearer)]);
    assert!(asked(&directory, &request, made(NOW + 60)).0.is_some());
    let tokens = std::mem::take(&mut directory.tokens);
    let mut renamed = TestDirectory::new(tollgate_model::Api { name: "Other".to_owned(), ..api() });
    revise(&mut renamed, "1");
    renamed.tokens = tokens;
    assert!(asked(&renamed, &request, made(NOW + 60)).0.is_some());
}

#[test]
fn without_it_a_backend_is_not_called() {
    let bearer = format!("Bearer {}", token(json!({})));
    for answer in [Answer::Failed, Answer::BodyTooLarge] {
        let request = request(PATH, &[("authorization", &bearer)]);
        assert_eq!(asked(&directory(), &request, answer).1, FAILED);
    }
}

#[test]
fn strangers_get_none_and_cannot_bring_one() {
    let line = "GET /pets/1.0/public/a";
    let headers = [("x-jwt-assertion", "forged")];
    assert_eq!(outcome(&directory(), line, &headers), "-> /v2/public/a -x-jwt-assertion +cluster=prod");
    assert_eq!(outcome(&directory(), line, &[]), "-> /v2/public/a +cluster=prod");
    // Where the gateway tells backends nothing, the header is like any other.
    assert_eq!(outcome(&TestDirectory::new(api()), line, &headers), "-> /v2/public/a +cluster=prod");
}

#[test]
fn opaque_keys_are_told_of_too() {
    use sha2::{Digest, Sha256};
    use tollgate_model::{
        ApiKeyPlace, Application, Credential, KeyType, Requirement, Security, Subscription, SubscriptionState, keys,
    };
    let place = ApiKeyPlace::Header { name: "apikey".to_owned() };
    let mut own = api();
    let requirement = Requirement::api_key(place);
    own.resources[0].operations[0].security = Security::AnyOf { requirements: vec![requirement], scopes: Vec::new() };
    let mut directory = TestDirectory::new(own);
    revise(&mut directory, "1");
    let digest: [u8; 32] = Sha256::digest("secret").into();
    let tables = &mut directory.subscribers;
    tables.credentials.insert(keys::opaque_key(&digest), Credential::of("app".to_owned(), KeyType::Production));
    let application = Application { uuid: "app".to_owned(), tier: "Unlimited".to_owned(), ..Application::default() };
    tables.applications.insert("app".to_owned(), application);
    let subscription = Subscription { state: SubscriptionState::Unblocked, tier: "Unlimited".to_owned() };
    tables.subscriptions.insert(keys::subscription("app", "pets"), subscription);
    let request = request(PATH, &[("apikey", "secret")]);
    let (wanted, outcome) = asked(&directory, &request, made(NOW + 60));
    let wanted = wanted.unwrap();
    assert_eq!((wanted.usage, wanted.credential.expose()), (CredentialUse::ApiKey, "secret"));
    assert_eq!(outcome, "-> /v2/pet/5 -apikey +cluster=prod +x-jwt-assertion=made");
    // The adapter recognises it as the filter did.
    let shown = crate::Shown { usage: CredentialUse::ApiKey, credential: "secret", certificate: None };
    let now = Timestamp(NOW * 1000);
    let caller = crate::identify(&directory, &Answers::default(), now, &directory.api, shown).unwrap();
    assert_eq!((caller.application.uuid.as_str(), caller.claims.len(), caller.subject), ("app", 0, None));
    let shown = crate::Shown { credential: "other", ..shown };
    let unknown = crate::identify(&directory, &Answers::default(), now, &directory.api, shown);
    assert_eq!(unknown, Err(crate::Unknown::Refused("900901")));
}
