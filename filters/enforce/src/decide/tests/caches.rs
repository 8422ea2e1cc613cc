//! Memory of tokens is there to save time, and must never be seen in a decision.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_model::{Api, ApiKeyPlace, Issuer, Requirement, Security};

use super::*;
use crate::CompiledIssuer;
use crate::testing::{operation, resource};

/// A directory that takes the same tokens as access tokens, API keys and internal keys, each by the key `known`.
fn directory() -> TestDirectory {
    let place = ApiKeyPlace::Header { name: "apikey".to_owned() };
    let requirements = vec![Requirement::TOKEN, Requirement::api_key(place)];
    let security = Security::AnyOf { requirements, scopes: Vec::new() };
    let mut directory =
        TestDirectory::new(Api { resources: vec![resource("/x", vec![operation("GET", security)])], ..api() });
    let service = |name: &str| Issuer { keys: JwkSet { keys: vec![jwk("known")] }, ..Issuer::named(name, "") };
    let services = [service(Issuer::API_KEYS), service(Issuer::PUBLISHER)];
    directory.services = services.map(|service| Rc::new(CompiledIssuer::compile(service).0)).into();
    // Questions about keys are limited by time, which is not what is compared here.
    let issuer = Issuer { refreshable: false, ..crate::testing::issuer() };
    directory.issuer = Rc::new(CompiledIssuer::compile(issuer).0);
    directory
}

/// Tokens of every kind, good and bad.
fn tokens() -> Vec<String> {
    let listed = json!([{"context": "/pets/1.0", "version": "1.0"}]);
    let mut tokens = Vec::new();
    for kind in [json!(null), json!("apiKey"), json!("InternalKey")] {
        for extra in [json!({}), json!({"exp": NOW + 3}), json!({"nbf": NOW + 8}), json!({"keytype": "SANDBOX"})] {
            let mut all = claims(json!({"token_type": kind, "subscribedAPIs": listed}));
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            tokens.push(token_of("known", &all));
            tokens.push(token_of("unknown", &all));
            let good = token_of("known", &all);
            tokens.push(format!("{}.{}", good.rsplit_once('.').unwrap().0, URL_SAFE_NO_PAD.encode("forged")));
        }
    }
    tokens
}

proptest! {
    #[test]
    fn caches_never_change_a_verdict(
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, 0..30_u64, any::<bool>()), 1..60),
    ) {
        let (tokens, remembering) = (tokens(), directory());
        let mut now = NOW * 1000;
        for (which, place, seconds, forget) in steps {
            let token = &tokens[which.index(tokens.len())];
            let bearer = format!("Bearer {token}");
            let header = [("authorization", bearer.as_str()), ("apikey", token), ("internal-key", token)][place];
            let request = request("GET /pets/1.0/x", &[header]);
            now += seconds * 300;
            let decided = |directory: &TestDirectory| {
                let (answers, connection) = (Answers::default(), TestConnection::default());
                let cx = Cx { directory, request: &request, answers: &answers, connection: &connection, now: Timestamp(now), callbacks: Callbacks::NONE };
                (describe(decide(&cx)), describe(crate::explain(&cx).0))
            };
            let (fresh, (verdict, explained)) = (decided(&directory()).0, decided(&remembering));
            prop_assert_eq!(&verdict, &fresh);
            prop_assert_eq!(&explained, &fresh, "an explanation changes nothing either");
            if forget {
                remembering.tokens.clear();
            }
        }
    }
}
