//! `cost <scenario> <requests>`: makes so many requests of a filter without Envoy, and prints how long each took. Callgrind
//! collects what happens in [`measured`]; see `./just cost`.

use std::time::Instant;

use anyhow::Result;
use tollgate_bench::argument;
use tollgate_bench::bare::Bench;
use tollgate_bench::scenario::Scenario;

fn main() -> Result<()> {
    let (name, count): (String, u32) = (argument(1, "scenario")?, argument(2, "requests")?);
    let bench = Scenario::named(&name)?.prepare()?;
    let start = Instant::now();
    measured(&bench, count)?;
    println!("{name}: {} ns a request", start.elapsed().checked_div(count).unwrap_or_default().as_nanos());
    Ok(())
}

#[inline(never)]
fn measured(bench: &Bench, count: u32) -> Result<()> {
    (0..count).try_for_each(|_| bench.run().map(drop))
}
