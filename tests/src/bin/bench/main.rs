//! `bench [quick|full] [rounds] [seconds] [case…]`: what the enforcer costs, next to Envoy's own filters for the same work, to an
//! authorization service, and to no filter at all.
//!
//! One Envoy has a listener for every contender. They take turns, in one order and then in the other, so that whatever else
//! the machine does hits them alike. Figures compare within a round and are medians over rounds; ratios travel between
//! machines, requests a second do not.

mod arena;
mod calls;
mod case;
mod contender;
mod feed;
mod filters;
mod floor;
mod inside;
mod load;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tollgate_tests::locate;

use arena::{Arena, Tokens};
use case::Case;
use contender::Contender;
use load::Load;
use report::{Outcome, Report, Round};
use tollgate_bench::world::PATH;

/// Tokens of each algorithm: more than any cache of the contenders holds, so that taking turns they are always new.
const TOKENS: usize = 30_000;
/// Requests that may be under way when a run ends: their tokens were seen too.
const UNDER_WAY: usize = 100;
/// Rounds of the open loop.
const LATENCY_ROUNDS: usize = 5;
/// Seconds of each of its runs.
const LATENCY_SECONDS: u32 = 4;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for.
struct Plan {
    full: bool,
    rounds: usize,
    load: Load,
    /// Names of cases; none for all.
    only: Vec<String>,
}

async fn run() -> Result<()> {
    let folder = locate::root().join("target/bench");
    let plan = Plan::read(&folder)?;
    let tokens = arena::tokens(&folder.join("tokens"), TOKENS)?;
    let mut report = Report { seconds: plan.load.seconds, machine: machine()?, ..Report::default() };
    let mut cases = case::quick(&tokens)?;
    if plan.full {
        cases.extend(case::further(&tokens)?);
    }
    plan.choose(&mut cases)?;
    for workers in [1, 2] {
        let cases: Vec<Case> = cases.iter().filter(|case| case.workers == workers).cloned().collect();
        let contenders: Vec<Contender> =
            Contender::ALL.into_iter().filter(|one| cases.iter().any(|case| case.contenders.contains(one))).collect();
        if cases.is_empty() {
            continue;
        }
        eprintln!("starting {} contenders, {workers} worker(s)", contenders.len());
        let arena = Arena::set(&contenders, &tokens, workers).await?;
        for case in cases {
            report.outcomes.push(compare(&arena, &plan, case)?);
            report.write(&folder)?;
        }
        if workers == 1 && plan.only.is_empty() {
            latency(&arena, &tokens, &mut report)?;
            report.inside = Some(inside::measure(&arena, &tokens).await?);
        }
    }
    report.write(&folder)?;
    println!("{}\nraw numbers: {}", report.markdown(), folder.join("summary.json").display());
    Ok(())
}

impl Plan {
    fn read(folder: &Path) -> Result<Self> {
        let full = std::env::args().nth(1).is_some_and(|word| word == "full");
        let words = std::env::args().skip(1).filter(|word| !matches!(word.as_str(), "quick" | "full"));
        let (numbers, only): (Vec<String>, Vec<String>) = words.partition(|word| word.parse::<u32>().is_ok());
        ensure!(numbers.len() <= 2, "usage: bench [quick|full] [rounds] [seconds] [case…]");
        let number = |at: usize, usual| numbers.get(at).map_or(Ok(usual), |text| text.parse());
        let (rounds, seconds): (u32, u32) = (number(0, 15)?, number(1, 2)?);
        ensure!(rounds > 0 && seconds > 0, "there is nothing to measure in {rounds} rounds of {seconds} s");
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let script = folder.join("requests.lua");
        std::fs::write(&script, include_str!("requests.lua")).context("writing the script for wrk")?;
        let tool = |variable, name: &str| std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from);
        let (wrk, h2load) = (tool("TOLLGATE_WRK", "wrk"), tool("TOLLGATE_H2LOAD", "h2load"));
        Ok(Self { full, rounds: usize::try_from(rounds)?, load: Load { wrk, h2load, seconds, script }, only })
    }

    /// Leaves the cases that were asked for.
    fn choose(&self, cases: &mut Vec<Case>) -> Result<()> {
        let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
        if let Some(unknown) = self.only.iter().find(|name| !names.contains(&name.as_str())) {
            bail!("'{unknown}' is no case; there are {}", names.join(", "));
        }
        cases.retain(|case| self.only.is_empty() || self.only.iter().any(|name| name == case.name));
        Ok(())
    }
}

/// Runs a case: a short round to warm up, and then the rounds that count.
fn compare(arena: &Arena, plan: &Plan, case: Case) -> Result<Outcome> {
    let rounds = plan.rounds.saturating_mul(case.rounds).div_ceil(100).max(3);
    eprintln!("{}: {rounds} rounds of {} s for {} contenders", case.name, plan.load.seconds, case.contenders.len());
    // Where each goes on, so that what a contender remembers of its last run is of no use in the next one.
    let mut positions = BTreeMap::<Contender, usize>::new();
    let mut round = |load: &Load, order: &[Contender]| -> Result<Round> {
        let mut measured = Round::new();
        for contender in order {
            let position = positions.entry(*contender).or_default();
            let before = arena.processor_time()?;
            let run = load.run(arena.port(*contender, case.proxied), PATH, &case.requests, *position);
            let mut run = run.with_context(|| format!("{}, {}", case.name, contender.name()))?;
            *position = position.saturating_add(run.requests).saturating_add(UNDER_WAY);
            let took = arena.processor_time()?.saturating_sub(before).as_secs_f64();
            run.cpu_microseconds = took * 1e6 / (run.requests_per_second * f64::from(load.seconds));
            measured.insert(*contender, run);
        }
        Ok(measured)
    };
    round(&Load { seconds: 1, ..plan.load.clone() }, &case.contenders)?;
    let backwards: Vec<Contender> = case.contenders.iter().rev().copied().collect();
    let orders = [case.contenders.as_slice(), &backwards];
    let rounds =
        orders.into_iter().cycle().take(rounds).map(|order| round(&plan.load, order)).collect::<Result<_>>()?;
    Ok(Outcome { rounds, case })
}

/// Latency at half of the load that the slower of the two could take at most.
fn latency(arena: &Arena, tokens: &Tokens, report: &mut Report) -> Result<()> {
    let most = report.outcomes.first().and_then(|outcome| outcome.rate(Contender::Full)).context("nothing was run")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some tens of thousands")]
    let rate = (most.median / 2.0) as u32;
    eprintln!("latency at {rate} requests/s");
    for _ in 0..LATENCY_ROUNDS {
        for contender in [Contender::None, Contender::NativeChain, Contender::Full] {
            let port = arena.port(contender, false);
            let file = tokens.folder.join("rs256.txt");
            let measured = load::open_loop(port, rate, LATENCY_SECONDS, PATH, &file)?;
            report.latency.entry(contender).or_default().push(measured);
        }
    }
    Ok(())
}

/// What the run is made on.
fn machine() -> Result<Value> {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let envoy = Command::new(locate::envoy()?).arg("--version").output().context("asking Envoy for its version")?;
    let envoy = String::from_utf8_lossy(&envoy.stdout);
    // `<revision>/<version>/<state>/<build>/<TLS library>` stands at the end.
    let version = envoy.trim().rsplit('/').nth(3).unwrap_or("unknown");
    Ok(json!({
        "processor": processor.map_or("unknown", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(0, Into::into).to_string(),
        "kernel": kernel.trim(), "envoy": format!("Envoy {version}"),
    }))
}
