//! Whoever asks for more lets nobody in who was kept out: properties over whole requests, and that they are not empty.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tollgate_model::{Api, ApiKeyPlace, ClientCertificate, MutualSsl, Requirement, Security};

use super::oracles::{CERTIFICATE, DIGEST, STRANGER, api_key, directory, forged, internal_key};
use super::*;

/// How an API is guarded, and what a request shows: for each kind nothing, something good, or something bad.
#[derive(Debug, Clone)]
struct Case {
    certificates: Option<(bool, bool)>,
    requirements: Vec<Requirement>,
    unsecured: bool,
    shown: [u8; 4],
}

/// What is asked for besides.
#[derive(Debug, Clone, Copy)]
enum More {
    Certificate,
    CertificateBeside,
    Token(usize),
    Key(usize),
    NoOpenDoor,
}

fn place() -> ApiKeyPlace {
    ApiKeyPlace::Header { name: "apikey".to_owned() }
}

fn case() -> impl Strategy<Value = Case> {
    let requirement = prop_oneof![
        Just(Requirement::TOKEN),
        Just(Requirement::api_key(place())),
        Just(Requirement { token: true, ..Requirement::api_key(place()) }),
    ];
    let requirements = prop::collection::vec(requirement, 1..3);
    let certificates = prop::option::of((any::<bool>(), any::<bool>()));
    (certificates, requirements, prop::bool::weighted(0.1), prop::array::uniform4(0_u8..3)).prop_map(
        |(certificates, requirements, unsecured, shown)| Case { certificates, requirements, unsecured, shown },
    )
}

fn more() -> impl Strategy<Value = More> {
    prop_oneof![
        Just(More::Certificate),
        Just(More::CertificateBeside),
        (0_usize..2).prop_map(More::Token),
        (0_usize..2).prop_map(More::Key),
        Just(More::NoOpenDoor),
    ]
}

impl Case {
    fn and(mut self, more: More) -> Self {
        match more {
            // One that is mandatory and enough would stand in for a token.
            More::Certificate => {
                let mandatory = self.certificates.filter(|(mandatory, _)| *mandatory);
                self.certificates = mandatory.or(Some((true, true)));
            }
            More::CertificateBeside => self.certificates = Some((true, true)),
            More::Token(which) => {
                if let Some(one) = self.requirements.get_mut(which) {
                    one.token = true;
                }
            }
            More::Key(which) => {
                if let Some(one) = self.requirements.get_mut(which) {
                    one.api_keys.push(place());
                }
            }
            More::NoOpenDoor => self.unsecured = false,
        }
        self
    }

    fn passes(&self) -> bool {
        let (requirements, scopes) = (self.requirements.clone(), Vec::new());
        let security = if self.unsecured { Security::Unsecured } else { Security::AnyOf { requirements, scopes } };
        let directory = directory(|api: &mut Api| {
            api.resources[0].operations[0].security = security;
            let (alias, subject, tier) = (String::new(), String::new(), None);
            let owner = ClientCertificate { alias, subject, tier, sha256: DIGEST.to_owned() };
            api.mutual_ssl = self.certificates.map(|(mandatory, application_security)| MutualSsl {
                mandatory,
                application_security,
                certificates: vec![owner],
            });
        });
        let (good, key, internal) = (token(json!({})), api_key(json!({})), internal_key(json!({})));
        let bearer = [format!("Bearer {good}"), format!("Bearer {}", forged(&good))];
        let keys = [key.clone(), forged(&key)];
        let internals = [internal.clone(), forged(&internal)];
        let certificates = [CERTIFICATE.to_owned(), STRANGER.to_owned()];
        let all: [(&str, &[String; 2]); 4] = [
            ("x-wso2-client-certificate", &certificates),
            ("internal-key", &internals),
            ("authorization", &bearer),
            ("apikey", &keys),
        ];
        let shown = all.iter().zip(self.shown).filter_map(|((name, values), which)| {
            Some((*name, values.get(usize::from(which.checked_sub(1)?))?.as_str()))
        });
        let outcome = outcome(&directory, "GET /pets/1.0/token", &shown.collect::<Vec<_>>());
        assert!(outcome.starts_with("-> ") || outcome.starts_with("401 "), "{outcome}");
        outcome.starts_with("-> ")
    }
}

proptest! {
    #[test]
    fn a_further_mandatory_credential_never_opens_an_api(case in case(), more in more()) {
        prop_assert!(case.passes() || !case.clone().and(more).passes(), "{:?} {:?}", case, more);
    }
}

/// Otherwise the property would prove nothing: of its cases some stay open, some are closed by what is asked besides, and some were
/// never open.
#[test]
fn the_cases_are_of_every_sort() {
    let mut runner = TestRunner::deterministic();
    let (mut stay, mut closed, mut never) = (0, 0, 0);
    for _ in 0..300 {
        let (case, more) = (case(), more()).new_tree(&mut runner).unwrap().current();
        match (case.passes(), case.and(more).passes()) {
            (true, true) => stay += 1,
            (true, false) => closed += 1,
            (false, _) => never += 1,
        }
    }
    assert!(stay > 20 && closed > 20 && never > 20, "{stay} {closed} {never}");
}
