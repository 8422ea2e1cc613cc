//! Parts of the way: without what the part before has left, nobody gets through. That they come to the same as the whole is
//! checked for every case of the other tests, by `decide_both`.

use super::*;
use crate::Evidence;
use crate::parts::Decided;

type Part = fn(&Cx, Option<&[u8]>) -> Decided;

const CHAIN: [(&str, Part); 5] = [
    ("authenticate", parts::authenticate),
    ("authorize", parts::authorize),
    ("ratelimit", parts::limit),
    ("mediate", parts::mediate),
    ("observe", parts::observe),
];
const OBSERVE: usize = 4;
const NO_EVIDENCE: &str = "500 102500: Error during validating the request";

fn run(part: Part, directory: &TestDirectory, request: &HeaderMap, evidence: Option<&[u8]>) -> Decided {
    let (answers, connection) = (Answers::default(), TestConnection::default());
    let now = Timestamp(NOW * 1000);
    part(
        &Cx { directory, request, answers: &answers, connection: &connection, now, callbacks: Callbacks::NONE },
        evidence,
    )
}

/// What these modules, in this order, make of a request.
fn through(chain: &[usize], directory: &TestDirectory, request: &HeaderMap) -> String {
    let mut evidence: Option<Vec<u8>> = None;
    let mut last = String::new();
    for at in chain {
        let decided = run(CHAIN[*at].1, directory, request, evidence.as_deref());
        let passed = matches!(decided.decision, Decision::Forward(_));
        last = describe(decided.decision);
        if !passed {
            return last;
        }
        evidence = decided.evidence.or(evidence);
    }
    last
}

fn good() -> HeaderMap {
    let bearer = format!("Bearer {}", token(json!({"scope": "write"})));
    request("DELETE /pets/1.0/pet/5", &[("authorization", &bearer)])
}

/// Every order of up to five modules: only the one that is meant lets the request through, as far as it goes; the one that
/// observes changes nothing wherever it is.
#[test]
fn only_the_order_that_is_meant_passes() {
    let directory = TestDirectory::new(api());
    let request = good();
    let mut chains: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..5 {
        let longer: Vec<Vec<usize>> =
            chains.iter().flat_map(|chain| (0..CHAIN.len()).map(move |next| [&chain[..], &[next]].concat())).collect();
        for chain in &longer {
            // The first part needs nothing, and overwrites whatever was there: a chain may begin anew.
            let mut next = 0;
            let legal = chain.iter().filter(|at| **at != OBSERVE).all(|at| {
                let fits = *at == 0 || *at == next;
                next = at + 1;
                fits
            });
            let outcome = through(chain, &directory, &request);
            let expected = match (legal, chain.last()) {
                (false, _) => NO_EVIDENCE,
                (true, Some(3)) => "-> /v2/pet/5 -authorization +cluster=prod",
                (true, _) => "-> as it is",
            };
            assert_eq!(outcome, expected, "{chain:?}");
        }
        chains = longer.into_iter().filter(|chain| through(chain, &directory, &request) != NO_EVIDENCE).collect();
    }
}

/// What the first three modules leave for the last.
fn evidence(directory: &TestDirectory, request: &HeaderMap) -> Vec<u8> {
    let mut evidence: Option<Vec<u8>> = None;
    for (_, part) in &CHAIN[..3] {
        evidence = run(*part, directory, request, evidence.as_deref()).evidence;
    }
    evidence.unwrap()
}

#[test]
fn evidence_is_about_one_request() {
    let directory = TestDirectory::new(api());
    let left = evidence(&directory, &good());
    let mediate =
        |request: &HeaderMap, bytes: &[u8]| describe(run(parts::mediate, &directory, request, Some(bytes)).decision);
    assert!(mediate(&good(), &left).starts_with("->"));
    let bearer = format!("Bearer {}", token(json!({"scope": "write"})));
    for (line, authority) in [
        ("DELETE /pets/1.0/pet/6", "localhost:9090"),
        ("GET /pets/1.0/pet/5", "localhost:9090"),
        ("DELETE /pets/1.0/pet/5?a", "localhost:9090"),
        ("DELETE /pets/1.0/pet/5", "localhost"),
    ] {
        let other = request(line, &[("authorization", &bearer), (":authority", authority)]);
        assert_eq!(mediate(&other, &left), NO_EVIDENCE, "{line} {authority}");
    }
    // Another token than the one whose signature was good.
    let forged = format!("Bearer {}", token_of("forged", &claims(json!({"scope": "write"}))));
    let other = request("DELETE /pets/1.0/pet/5", &[("authorization", &forged)]);
    assert_eq!(mediate(&other, &left), INVALID);
    // Nothing that a client could write there is evidence.
    for bytes in [&b""[..], b"TGE", b"true", &left[..left.len() - 1], &[&left[..], b"\0"].concat()] {
        assert_eq!(mediate(&good(), bytes), NO_EVIDENCE, "{bytes:?}");
    }
}

/// Between two modules the snapshot may change: each decides with its own, so what was taken back counts at once.
#[test]
fn everything_but_signatures_is_decided_anew() {
    let directory = TestDirectory::new(api());
    let left = evidence(&directory, &good());
    let mut revoked = TestDirectory::new(api());
    let id = Evidence::decode(&left).unwrap();
    assert_eq!(id.credentials.len(), 1);
    let cutoff = tollgate_model::Cutoff { before: i64::MAX };
    let key = (tollgate_model::CutoffKind::Issuer, "https://issuer.example".to_owned());
    revoked.subscribers.cutoffs.insert(key, cutoff);
    let decided = describe(run(parts::mediate, &revoked, &good(), Some(&left)).decision);
    assert!(decided.starts_with("401 900901: Invalid JWT token"), "{decided}");
    let blocked = TestDirectory::new(tollgate_model::Api { life_cycle: LifeCycle::Blocked, ..api() });
    let decided = describe(run(parts::mediate, &blocked, &good(), Some(&left)).decision);
    assert!(decided.starts_with("503 700700"), "{decided}");
}
