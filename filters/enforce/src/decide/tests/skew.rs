//! Clocks differ: how far they may is a setting, and it counts for every time of every kind of token.

use std::rc::Rc;

use proptest::prelude::*;
use tollgate_model::{Issuer, Settings};

use super::*;
use crate::CompiledIssuer;

/// Whether a token passes whose `claim` lies so many seconds from now.
fn passes(skew: u32, claim: &str, away: i64) -> bool {
    let mut directory = TestDirectory::new(api());
    directory.settings = Some(Settings { clock_skew_seconds: skew, ..Settings::default() });
    let time = i64::try_from(NOW).unwrap() + away;
    let bearer = format!("Bearer {}", token(json!({"exp": NOW + 10_000, claim: time})));
    let outcome = outcome(&directory, "GET /pets/1.0/pet/5", &[("authorization", &bearer)]);
    assert!(outcome.starts_with("->") || outcome == INVALID, "{outcome}");
    outcome.starts_with("->")
}

#[test]
fn times_of_tokens_may_be_off_by_the_skew_and_no_more() {
    for skew in [0, 5, 60, 600] {
        let skew_seconds = i64::from(skew);
        for (claim, off, more) in [
            ("exp", -skew_seconds, -skew_seconds - 1),
            ("nbf", skew_seconds, skew_seconds + 1),
            ("iat", skew_seconds, skew_seconds + 1),
        ] {
            assert!(passes(skew, claim, off), "{claim} with {skew}");
            assert!(!passes(skew, claim, more), "{claim} with {skew}");
        }
    }
}

#[test]
fn keys_of_the_test_console_may_be_off_by_the_same() {
    let listed = json!([{"context": "/pets/1.0", "version": "1.0"}]);
    for (skew, age, passes) in [(0, 1, false), (60, 60, true), (60, 61, false)] {
        let mut directory = TestDirectory::new(api());
        directory.settings = Some(Settings { clock_skew_seconds: skew, ..Settings::default() });
        let publisher = Issuer { keys: JwkSet { keys: vec![jwk("known")] }, ..Issuer::named(Issuer::PUBLISHER, "") };
        directory.services = vec![Rc::new(CompiledIssuer::compile(publisher).0)];
        let claims = json!({"exp": NOW - age, "token_type": "InternalKey", "subscribedAPIs": listed});
        let key = token_of("known", &claims);
        let outcome = outcome(&directory, "GET /pets/1.0/pet/5", &[("internal-key", &key)]);
        assert_eq!(outcome.starts_with("->"), passes, "{skew} {age}: {outcome}");
    }
}

proptest! {
    /// What a strict clock lets in, a lenient one lets in as well; and nobody gets in whom no clock would let in.
    #[test]
    fn a_greater_skew_keeps_nobody_out(claim in 0_usize..3, away in -700_i64..700, skew in 0_u32..600, more in 0_u32..100) {
        let claim = ["exp", "nbf", "iat"][claim];
        prop_assert!(!passes(skew, claim, away) || passes(skew + more, claim, away));
        let late = if claim == "exp" { -away } else { away };
        prop_assert_eq!(passes(skew, claim, away), late <= i64::from(skew));
    }
}
