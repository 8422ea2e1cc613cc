//! Nanoseconds of a request in the filter, without Envoy: `cargo bench --package tollgate-bench`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "the macros make what is public, and a benchmark reports by panicking"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_bench::scenario::Scenario;

fn requests(criterion: &mut Criterion) {
    // Tokens do not stay new for as long as this measures.
    for scenario in Scenario::ALL.into_iter().filter(|scenario| *scenario != Scenario::AuthnNew) {
        let bench = scenario.prepare().unwrap();
        criterion.bench_function(scenario.name(), |bencher| bencher.iter(|| bench.run().unwrap()));
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
