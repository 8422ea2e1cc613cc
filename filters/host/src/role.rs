//! What modules there are: the same host side, each with its part of the way, and nothing of the other parts linked into it.

use std::rc::Rc;

use tollgate_enforce::explain::{Trace, explain};
use tollgate_enforce::parts::{self, Decided};
use tollgate_enforce::token::{Jws, SignatureVerifier, Verdict, VerificationKey};
use tollgate_enforce::{Cx, Decision, Directory, HeaderMap, Repeat, Timestamp, again};
use tollgate_model::Algorithm;

use crate::Abi;
use crate::metrics::Metrics;
use crate::signature::HostVerifier;

/// Decides, and says why.
pub(crate) type Explain = fn(&Cx) -> (Decision, Trace);

/// What becomes of a request that goes the way of an earlier one.
type Again = fn(&dyn Directory, &HeaderMap, Timestamp) -> Option<Rc<Repeat>>;

/// Makes what signatures are checked with.
type MakeVerifier = fn(&Rc<dyn Abi>, &Rc<Metrics>) -> Box<dyn SignatureVerifier>;

/// A part of the way.
#[derive(Clone, Copy)]
pub struct Role {
    /// Name of the module, one of [`MODULES`](tollgate_model::contract::MODULES): the root id of its plugins.
    pub(crate) name: &'static str,
    /// Decides, given what the module before it has left.
    pub(crate) decide: fn(&Cx, Option<&[u8]>) -> Decided,
    /// Tells whether a request goes the way of an earlier one, where ways are remembered.
    pub(crate) again: Option<Again>,
    /// Says why it decides so, where somebody is allowed to ask; only the whole way can be explained.
    pub(crate) explain: Option<Explain>,
    /// Makes what signatures are checked with.
    pub(crate) verifier: MakeVerifier,
    /// Whether another module comes before it.
    pub(crate) follows: bool,
}

/// A module. Each is a type of its own, so that only what it uses is linked into it.
pub trait Module {
    /// What it does.
    const ROLE: Role;
}

/// `enforcer.wasm`: all of it.
#[derive(Debug)]
pub enum Enforcer {}

/// `authenticate.wasm`: which operation it is, and who calls.
#[derive(Debug)]
pub enum Authenticate {}

/// `authorize.wasm`: whether the caller may.
#[derive(Debug)]
pub enum Authorize {}

/// `ratelimit.wasm`: whether there is quota left.
#[derive(Debug)]
pub enum RateLimit {}

/// `mediate.wasm`: what the backend gets.
#[derive(Debug)]
pub enum Mediate {}

/// `observe.wasm`: what access logs are told.
#[derive(Debug)]
pub enum Observe {}

impl Module for Enforcer {
    const ROLE: Role = Role {
        name: "enforcer",
        decide: parts::whole,
        again: Some(again),
        explain: Some(explain),
        verifier: by_host,
        follows: false,
    };
}

impl Module for Authenticate {
    const ROLE: Role = Role {
        name: "authenticate",
        decide: parts::authenticate,
        again: None,
        explain: None,
        verifier: by_host,
        follows: false,
    };
}

impl Module for Authorize {
    const ROLE: Role = Role {
        name: "authorize",
        decide: parts::authorize,
        again: None,
        explain: None,
        verifier: by_nobody,
        follows: true,
    };
}

impl Module for RateLimit {
    const ROLE: Role = Role {
        name: "ratelimit",
        decide: parts::limit,
        again: None,
        explain: None,
        verifier: by_nobody,
        follows: true,
    };
}

impl Module for Mediate {
    const ROLE: Role = Role {
        name: "mediate",
        decide: parts::mediate,
        again: None,
        explain: None,
        verifier: by_nobody,
        follows: true,
    };
}

impl Module for Observe {
    const ROLE: Role = Role {
        name: "observe",
        decide: parts::observe,
        again: None,
        explain: None,
        verifier: by_nobody,
        follows: true,
    };
}

fn by_host(abi: &Rc<dyn Abi>, metrics: &Rc<Metrics>) -> Box<dyn SignatureVerifier> {
    Box::new(HostVerifier::new(Rc::clone(abi), Rc::clone(metrics)))
}

fn by_nobody(_: &Rc<dyn Abi>, _: &Rc<Metrics>) -> Box<dyn SignatureVerifier> {
    Box::new(Nobody)
}

/// Modules that take another's word for signatures can check none.
struct Nobody;

impl SignatureVerifier for Nobody {
    fn verify(&self, _: &VerificationKey, _: Algorithm, _: &Jws) -> Verdict {
        Verdict::Invalid
    }
}
