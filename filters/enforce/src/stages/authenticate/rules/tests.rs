//! The whole matrix of certificates, tokens and keys, and what must hold for any rules.

use proptest::prelude::*;

use super::*;
use crate::rejection::{BadCredentials, Flaw};

/// What a request brings, by one letter each: `-` absent, `g` good, `b` bad.
#[derive(Debug, Clone, Copy)]
struct Brought {
    certificate: char,
    internal: char,
    token: char,
    header: char,
    query: char,
    workload: char,
}

const NOTHING: Brought =
    Brought { certificate: '-', internal: '-', token: '-', header: '-', query: '-', workload: '-' };

fn attempt<T>(letter: char, value: T, why: BadCredentials) -> Attempt<T> {
    match letter {
        'g' => Attempt::Good(value),
        'b' => Attempt::Bad(Rejection::InvalidCredentials(why)),
        _ => Attempt::Absent,
    }
}

impl Credentials for Brought {
    fn certificate(&self) -> Attempt<Rc<ClientCertificate>> {
        let owner =
            ClientCertificate { alias: String::new(), subject: String::new(), tier: None, sha256: String::new() };
        match attempt(self.certificate, Rc::new(owner), BadCredentials::Token(Flaw::Form)) {
            Attempt::Bad(_) => Attempt::Bad(Rejection::BadCertificate),
            other => other,
        }
    }

    fn internal_key(&self) -> Result<Attempt<Identity>, Halt> {
        let token = Identity::InternalKey(crate::testing::verified("a.b.c"));
        Ok(attempt(self.internal, token, BadCredentials::InternalKey(Flaw::Form)))
    }

    fn token(&self) -> Result<Attempt<Identity>, Halt> {
        Ok(attempt(self.token, Identity::Bearer(crate::testing::verified("a.b.c")), BadCredentials::Token(Flaw::Form)))
    }

    fn api_key(&self, place: &ApiKeyPlace) -> Result<Attempt<Identity>, Halt> {
        let letter = match place {
            ApiKeyPlace::Header { .. } => self.header,
            ApiKeyPlace::Query { .. } => self.query,
        };
        let token = crate::testing::verified("a.b.c");
        let key = crate::stages::authenticate::ApiKey {
            opaque: None,
            subscribed: token.issuer.anonymous.clone(),
            token: Some(token),
        };
        Ok(attempt(letter, Identity::ApiKey(key), BadCredentials::ApiKey(Flaw::Form)))
    }

    fn workload(&self) -> Attempt<Identity> {
        let workload = crate::stages::authenticate::Workload {
            id: "spiffe://td/a".into(),
            credential: Rc::new(tollgate_model::Credential::of("app".to_owned(), tollgate_model::KeyType::Production)),
            subscribed: crate::testing::verified("a.b.c").issuer.anonymous.clone(),
        };
        attempt(self.workload, Identity::Workload(Rc::new(workload)), BadCredentials::Workload)
    }
}

/// Who calls, or why not, in a word.
fn outcome(rules: &Rules, brought: Brought) -> &'static str {
    match judge(rules, &brought) {
        Ok(Identity::Anonymous) => "anonymous",
        Ok(Identity::Bearer(_)) => "token",
        Ok(Identity::ApiKey(_)) => "key",
        Ok(Identity::InternalKey(_)) => "internal",
        Ok(Identity::Certificate(_)) => "certificate",
        Ok(Identity::Workload(_)) => "workload",
        Err(Halt::Refuse(why)) => match why {
            Rejection::NoCredentials => "nothing",
            Rejection::BadCertificate => "bad certificate",
            Rejection::InvalidCredentials(BadCredentials::Token(_)) => "bad token",
            Rejection::InvalidCredentials(BadCredentials::ApiKey(_)) => "bad key",
            Rejection::InvalidCredentials(BadCredentials::InternalKey(_)) => "bad internal",
            Rejection::InvalidCredentials(BadCredentials::Workload) => "bad workload",
            other => panic!("{other:?}"),
        },
        Err(Halt::Reply(reply)) => panic!("{reply:?}"),
        Err(Halt::Ask(question)) => panic!("{question:?}"),
    }
}

fn token() -> Vec<Requirement> {
    vec![Requirement::TOKEN]
}

fn header() -> ApiKeyPlace {
    ApiKeyPlace::Header { name: "apikey".to_owned() }
}

fn query() -> ApiKeyPlace {
    ApiKeyPlace::Query { name: "apikey".to_owned() }
}

/// Certificates: ignored, optional, mandatory; application security: asked for or not; what certificate and token are.
#[test]
fn certificates_and_tokens() {
    use Certificates::{Ignored, Mandatory, Optional};
    // For each certificate (none, bad, good) the outcomes with no token, a bad one and a good one.
    let token_only = [["nothing", "bad token", "token"]; 3];
    let optional = [
        ["nothing", "bad token", "token"],
        ["bad certificate", "bad certificate", "token"],
        ["nothing", "bad token", "token"],
    ];
    let mandatory = |good| [["nothing"; 3], ["bad certificate"; 3], good];
    for (certificates, application_security, expected) in [
        (Ignored, false, token_only),
        (Ignored, true, token_only),
        (Optional, false, optional),
        (Optional, true, optional),
        (Mandatory, false, mandatory(["certificate", "certificate", "token"])),
        (Mandatory, true, mandatory(["nothing", "bad token", "token"])),
    ] {
        let requirements = token();
        let rules = Rules { certificates, application_security, requirements: &requirements };
        for (row, certificate) in expected.iter().zip(['-', 'b', 'g']) {
            for (expected, token) in row.iter().zip(['-', 'b', 'g']) {
                let brought = Brought { certificate, token, ..NOTHING };
                assert_eq!(outcome(&rules, brought), *expected, "{certificates:?} {application_security} {brought:?}");
            }
        }
    }
}

#[track_caller]
fn check(requirements: &[Requirement], brought: Brought, expected: &str) {
    let rules = Rules { certificates: Certificates::Ignored, application_security: false, requirements };
    assert_eq!(outcome(&rules, brought), expected, "{requirements:?} {brought:?}");
}

#[test]
fn tokens_and_keys() {
    let either = [Requirement::TOKEN, Requirement::api_key(header()), Requirement::api_key(query())];
    let key = [Requirement::api_key(header())];
    let both = [Requirement { token: true, ..Requirement::api_key(header()) }];
    let two_keys = [Requirement { token: false, api_keys: vec![header(), query()], workload: false }];
    for (requirements, letters, expected) in [
        // Token, header, query.
        (&either[..], "---", "nothing"),
        (&either, "g--", "token"),
        (&either, "-g-", "key"),
        (&either, "--g", "key"),
        (&either, "bg-", "key"),
        (&either, "-bg", "key"),
        (&either, "gb-", "token"),
        (&either, "bb-", "bad token"),
        (&either, "-b-", "bad key"),
        (&key, "g--", "nothing"),
        (&key, "--g", "nothing"),
        (&key, "gb-", "bad key"),
        (&key, "-g-", "key"),
        (&both, "g--", "nothing"),
        (&both, "-g-", "nothing"),
        (&both, "gg-", "token"),
        (&both, "gb-", "bad key"),
        (&both, "bg-", "bad token"),
        (&two_keys, "-g-", "nothing"),
        (&two_keys, "-gb", "bad key"),
        (&two_keys, "-gg", "key"),
        (&[], "ggg", "nothing"),
    ] {
        let letters: Vec<char> = letters.chars().collect();
        let brought = Brought { token: letters[0], header: letters[1], query: letters[2], ..NOTHING };
        check(requirements, brought, expected);
    }
}

#[test]
fn workloads() {
    let either = [Requirement::TOKEN, Requirement::api_key(header()), Requirement::WORKLOAD];
    let only = [Requirement::WORKLOAD];
    let with_token = [Requirement { workload: true, ..Requirement::TOKEN }];
    let with_key = [Requirement { workload: true, ..Requirement::api_key(header()) }];
    for (requirements, letters, expected) in [
        // Token, header, workload.
        (&either[..], "---", "nothing"),
        (&either, "--g", "workload"),
        (&either, "--b", "bad workload"),
        (&either, "g-g", "token"),
        (&either, "-gg", "key"),
        (&either, "g-b", "token"),
        (&either, "b-g", "workload"),
        (&either, "b-b", "bad token"),
        (&only, "gg-", "nothing"),
        (&only, "ggg", "workload"),
        (&with_token, "g--", "nothing"),
        (&with_token, "--g", "nothing"),
        (&with_token, "g-g", "token"),
        (&with_token, "g-b", "bad workload"),
        (&with_key, "-g-", "nothing"),
        (&with_key, "-gg", "key"),
        (&with_key, "--g", "nothing"),
        (&token(), "--g", "nothing"),
    ] {
        let letters: Vec<char> = letters.chars().collect();
        let brought = Brought { token: letters[0], header: letters[1], workload: letters[2], ..NOTHING };
        check(requirements, brought, expected);
    }
}

#[test]
fn internal_keys_stand_in_for_everything_but_a_mandatory_certificate() {
    let key = [Requirement::api_key(header())];
    check(&key, Brought { internal: 'g', ..NOTHING }, "internal");
    check(&key, Brought { internal: 'b', ..NOTHING }, "bad internal");
    check(&key, Brought { internal: 'b', header: 'g', ..NOTHING }, "key");
    check(&token(), Brought { internal: 'b', token: 'b', ..NOTHING }, "bad internal");
    let requirements = token();
    let rules =
        Rules { certificates: Certificates::Mandatory, application_security: true, requirements: &requirements };
    assert_eq!(outcome(&rules, Brought { internal: 'g', ..NOTHING }), "nothing");
    assert_eq!(outcome(&rules, Brought { internal: 'g', certificate: 'g', ..NOTHING }), "internal");
}

fn letter() -> impl Strategy<Value = char> {
    prop_oneof![Just('-'), Just('g'), Just('b')]
}

fn brought() -> impl Strategy<Value = Brought> {
    (letter(), letter(), letter(), letter(), letter(), letter()).prop_map(
        |(certificate, internal, token, header, query, workload)| Brought {
            certificate,
            internal,
            token,
            header,
            query,
            workload,
        },
    )
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let places = prop_oneof![Just(vec![]), Just(vec![header()]), Just(vec![query()]), Just(vec![header(), query()])];
    // One that asks for nothing is never made.
    (any::<bool>(), any::<bool>(), places).prop_map(|(token, workload, api_keys)| Requirement {
        token: token || (api_keys.is_empty() && !workload),
        api_keys,
        workload,
    })
}

fn gets_in(certificates: Certificates, application_security: bool, requirements: &[Requirement], who: Brought) -> bool {
    judge(&Rules { certificates, application_security, requirements }, &who).is_ok()
}

proptest! {
    /// Whoever gets in after something more was made mandatory got in before.
    #[test]
    fn a_further_mandatory_credential_never_opens(
        requirements in prop::collection::vec(requirement(), 0..4),
        position in 0_usize..4,
        application_security: bool,
        who in brought(),
    ) {
        use Certificates::{Ignored, Mandatory, Optional};
        let in_with = |certificates, security| gets_in(certificates, security, &requirements, who);
        prop_assert!(!in_with(Mandatory, true) || in_with(Mandatory, false));
        prop_assert!(!in_with(Mandatory, true) || in_with(Optional, application_security));
        prop_assert_eq!(in_with(Optional, application_security), in_with(Ignored, application_security));
        if position < requirements.len() {
            let mut stricter = requirements.clone();
            stricter[position].token = true;
            prop_assert!(!gets_in(Ignored, false, &stricter, who) || in_with(Ignored, false));
            let mut stricter = requirements.clone();
            stricter[position].api_keys.push(query());
            prop_assert!(!gets_in(Ignored, false, &stricter, who) || in_with(Ignored, false));
            let mut stricter = requirements.clone();
            stricter[position].workload = true;
            prop_assert!(!gets_in(Ignored, false, &stricter, who) || in_with(Ignored, false));
        }
    }

    /// Without a single good credential nobody gets in, whatever the rules are.
    #[test]
    fn nothing_good_is_nobody(requirements in prop::collection::vec(requirement(), 0..4), security: bool, who in brought()) {
        let bad = |letter| if letter == 'g' { 'b' } else { letter };
        let who = Brought {
            certificate: bad(who.certificate), internal: bad(who.internal), token: bad(who.token),
            header: bad(who.header), query: bad(who.query), workload: bad(who.workload),
        };
        for certificates in [Certificates::Ignored, Certificates::Optional, Certificates::Mandatory] {
            prop_assert!(!gets_in(certificates, security, &requirements, who));
        }
    }

    /// A credential that is better than before never locks anybody out.
    #[test]
    fn a_better_credential_never_locks_out(requirements in prop::collection::vec(requirement(), 0..4), security: bool, who in brought()) {
        let better = Brought { token: 'g', certificate: 'g', ..who };
        for certificates in [Certificates::Ignored, Certificates::Optional, Certificates::Mandatory] {
            prop_assert!(!gets_in(certificates, security, &requirements, who) || gets_in(certificates, security, &requirements, better));
        }
    }
}
