//! A message of the topic on which a Traffic Manager says who is throttled.
#![no_main]

use tollgate_adapter::inputs::decisions::{About, read};
use tollgate_enforce::CompiledDecisions;
use tollgate_model::{DecidedGroup, Decisions, TrafficManager};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let everything = TrafficManager { headers: true, query: true, claims: true };
    for manager in [everything, TrafficManager::default()] {
        let Ok(Some((decision, _))) = read(body, manager) else { continue };
        assert!(!decision.key.is_empty());
        let until = decision.until.unwrap_or_default();
        let group = |number, conditions| DecidedGroup { number, until, conditions };
        let decisions = match decision.about {
            About::All => Decisions { until: decision.until, ..Decisions::default() },
            About::Group(number, conditions) => {
                Decisions { groups: vec![group(number, conditions)], ..Decisions::default() }
            }
            About::Rest(conditions) => Decisions { rest: Some(group(0, conditions)), ..Decisions::default() },
        };
        assert!(CompiledDecisions::try_from(decisions).is_ok(), "filters can read what the adapter takes");
    }
});
