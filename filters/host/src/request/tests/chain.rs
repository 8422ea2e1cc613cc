//! Modules of a chain, each a worker of its own in one process: what they leave for each other.

use tollgate_enforce::{Directory as _, Evidence};

use super::*;
use crate::{Authenticate, Authorize, Mediate, Module, Observe, RateLimit, Role};

const CHAIN: [Role; 5] = [Authenticate::ROLE, Authorize::ROLE, RateLimit::ROLE, Observe::ROLE, Mediate::ROLE];

fn begin(envoy: &FakeEnvoy, authorization: &str) {
    let line = [(":method", "GET"), (":path", "/pets/1.0/pet/5"), (":authority", "localhost")];
    envoy.begin_request(&[&line[..], &[("authorization", authorization), ("wasm.tollgate.evidence", "TGE")]].concat());
    envoy.states.borrow_mut().clear();
    envoy.replies.borrow_mut().clear();
}

/// Sends the request at hand through these modules, as far as it goes; says how many let it pass.
fn through(envoy: &Rc<FakeEnvoy>, roles: &[Role]) -> usize {
    let passes = |role: &Role| {
        let worker = Worker::configure(envoy.clone(), *role, br#"{"cluster": "adapter"}"#).unwrap();
        RequestFlow::new(Rc::new(worker)).on_request_headers(true) == Flow::Continue
    };
    roles.iter().take_while(|role| passes(role)).count()
}

#[test]
fn word_is_left_in_filter_state_and_nowhere_else() {
    let (envoy, worker) = worker();
    begin(&envoy, &bearer("k"));
    assert_eq!(through(&envoy, &CHAIN[..4]), 4);
    // Nothing of the request has changed so far, and the word of it holds no credential.
    assert_eq!(envoy.header(":path").as_deref(), Some("/pets/1.0/pet/5"));
    let evidence = envoy.states.borrow()[EVIDENCE_STATE].clone();
    let signature = base64url(b"signature").into_bytes();
    assert!(!evidence.windows(signature.len()).any(|window| window == signature));
    assert_eq!(Evidence::decode(&evidence).unwrap().revision, worker.directory.revision());
    assert_eq!(through(&envoy, &CHAIN[4..]), 1);
    assert_eq!(envoy.header(":path").as_deref(), Some("/v2/pet/5"));
    assert_eq!(envoy.header("authorization"), None);
    assert_eq!(*envoy.replies.borrow(), []);
}

/// Signatures are checked once, by the module that can.
#[test]
fn one_module_checks_signatures() {
    let (envoy, _) = worker();
    begin(&envoy, &bearer("k"));
    envoy.host_calls.borrow_mut().clear();
    assert_eq!(through(&envoy, &CHAIN), 5);
    let checks = envoy.host_calls.borrow().iter().filter(|call| **call == "foreign").count();
    assert_eq!(checks, 1);
}

#[test]
fn without_word_from_the_one_before_nobody_passes() {
    let (envoy, _) = worker();
    // The one that only observes lets everything through, and so leads nobody past the next.
    for (roles, passed) in [(&CHAIN[1..], 0), (&CHAIN[2..], 0), (&CHAIN[3..], 1), (&CHAIN[4..], 0)] {
        begin(&envoy, &bearer("k"));
        assert_eq!(through(&envoy, roles), passed);
        assert_eq!(envoy.replies.borrow()[0].details, "tollgate_102500_evidence");
        assert_eq!(envoy.header(":path").as_deref(), Some("/pets/1.0/pet/5"));
    }
    // Something else is there.
    for left in [&b""[..], b"TGE\x02", b"true"] {
        begin(&envoy, &bearer("k"));
        envoy.states.borrow_mut().insert(EVIDENCE_STATE.to_owned(), left.to_vec());
        assert_eq!(through(&envoy, &CHAIN[1..]), 0, "{left:?}");
    }
}
