//! From raw runs to ratios: `summary.json` for programs, and a page of Markdown for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::case::Case;
use crate::contender::Contender;
use crate::inside::Inside;
use crate::load::{Latency, Measured};

/// One run of every contender.
pub type Round = BTreeMap<Contender, Measured>;

/// What came of a case: its rounds in the order in which they were run.
#[derive(Debug)]
pub struct Outcome {
    /// What was compared.
    pub case: Case,
    /// Without the warm-up.
    pub rounds: Vec<Round>,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    /// Case by case.
    pub outcomes: Vec<Outcome>,
    /// Latency at half load, round by round.
    pub latency: BTreeMap<Contender, Vec<Latency>>,
    /// What is inside.
    pub inside: Option<Inside>,
    /// How long each run took.
    pub seconds: u32,
    /// What it ran on.
    pub machine: Value,
}

/// A ratio that has a name, and what it is made of.
const RATIOS: [(&str, &str, Contender, Contender); 8] = [
    ("full_vs_native_chain", "warm_token", Contender::Full, Contender::NativeChain),
    ("full_vs_ext_authz", "warm_token", Contender::Full, Contender::ExtAuthz),
    ("full_vs_no_filter", "warm_token", Contender::Full, Contender::None),
    ("authn_vs_jwt_authn_cached", "warm_token", Contender::Authn, Contender::JwtCached),
    ("authn_cold_vs_jwt_authn_uncached", "new_tokens_rs256", Contender::Authn, Contender::JwtUncached),
    ("frames_limited_vs_no_filter", "websocket_frames", Contender::Frames, Contender::None),
    ("full_6000_apis_vs_1_api", "warm_token", Contender::FullApis, Contender::Full),
    ("full_100k_subscriptions_vs_10", "warm_token", Contender::FullSubscriptions, Contender::Full),
];

/// Median and quartiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A quarter lies below.
    pub low: f64,
    /// Half lies below.
    pub median: f64,
    /// A quarter lies above.
    pub high: f64,
}

impl Spread {
    /// Of these figures; `None` when there are none.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let position = figures.len().checked_sub(1)?.saturating_mul(quarters);
            let (below, part) = (position / 4, position % 4);
            let (low, high) = (figures.get(below)?, figures.get(below.saturating_add(1)).or(figures.last())?);
            #[expect(clippy::cast_precision_loss, reason = "at most three")]
            let weight = part as f64 / 4.0;
            Some(low + (high - low) * weight)
        };
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "lowerQuartile": self.low, "upperQuartile": self.high })
    }
}

impl Outcome {
    /// Over the rounds, what `figure` makes of the rates of two contenders. Figures compare within a round: a machine that
    /// changes its speed between rounds then changes nothing.
    fn compared(&self, one: Contender, other: Contender, figure: impl Fn(f64, f64) -> f64) -> Option<Spread> {
        let rate = |round: &Round, of| round.get(&of).map(|run| run.requests_per_second);
        let pair = |round| Some(figure(rate(round, one)?, rate(round, other)?));
        Spread::of(self.rounds.iter().filter_map(pair).collect())
    }

    /// Requests a second.
    pub fn rate(&self, contender: Contender) -> Option<Spread> {
        self.compared(contender, contender, |rate, _| rate)
    }

    /// Microseconds that the filter adds to a request. A worker is busy all the time, so the time of a request is the inverse
    /// of the rate.
    fn added(&self, contender: Contender) -> Option<Spread> {
        self.compared(contender, Contender::None, |rate, none| 1e6 / rate - 1e6 / none)
    }

    /// Microseconds of processor time for a request.
    fn cpu(&self, contender: Contender) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(|round| Some(round.get(&contender)?.cpu_microseconds)).collect())
    }

    fn json(&self) -> Value {
        let figures = self.case.contenders.iter().filter_map(|contender| {
            let cpu = self.cpu(*contender).map(Spread::json);
            let mut figures = json!({ "requestsPerSecond": self.rate(*contender)?.json(), "cpuMicroseconds": cpu });
            if let (Some(figures), Some(added)) = (figures.as_object_mut(), self.added(*contender)) {
                figures.insert("addedMicroseconds".to_owned(), added.json());
            }
            Some((contender.name().to_owned(), figures))
        });
        let rounds: Vec<BTreeMap<&str, &Measured>> =
            self.rounds.iter().map(|round| round.iter().map(|(of, run)| (of.name(), run)).collect()).collect();
        let medians: serde_json::Map<String, Value> = figures.collect();
        json!({ "workers": self.case.workers, "figures": medians, "rounds": rounds })
    }
}

impl Report {
    fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.case.name == name)
    }

    /// By their names, those whose cases were run.
    pub fn ratios(&self) -> Vec<(&'static str, Spread)> {
        let ratio = |(name, case, one, other)| Some((name, self.outcome(case)?.compared(one, other, |a, b| a / b)?));
        RATIOS.into_iter().filter_map(ratio).collect()
    }

    /// Writes `summary.json` and `report.md`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        for (name, text) in [("summary.json", format!("{:#}\n", self.json())), ("report.md", self.markdown())] {
            let file = folder.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let ratios: BTreeMap<&str, f64> =
            self.ratios().into_iter().map(|(name, spread)| (name, spread.median)).collect();
        let spreads: BTreeMap<&str, Value> =
            self.ratios().into_iter().map(|(name, spread)| (name, spread.json())).collect();
        let cases: BTreeMap<&str, Value> =
            self.outcomes.iter().map(|outcome| (outcome.case.name, outcome.json())).collect();
        let latency: BTreeMap<&str, &Vec<Latency>> =
            self.latency.iter().map(|(contender, rounds)| (contender.name(), rounds)).collect();
        json!({
            "ratios": ratios, "ratioSpreads": spreads, "machine": self.machine, "secondsPerRun": self.seconds,
            "cases": cases, "latencyAtHalfLoadMicroseconds": latency, "inside": self.inside,
        })
    }

    /// A page for docs/performance.md.
    pub fn markdown(&self) -> String {
        let mut out = format!("Machine: {}. Runs of {} s, median (quartiles).\n", machine(&self.machine), self.seconds);
        let ratios = self.ratios();
        if !ratios.is_empty() {
            out.push_str("\n| ratio of requests a second | median | quartiles |\n|---|---|---|\n");
            for (name, Spread { low, median, high }) in ratios {
                line(&mut out, format_args!("| `{name}` | {median:.3} | {low:.3} to {high:.3} |"));
            }
        }
        for outcome in &self.outcomes {
            table(&mut out, outcome);
        }
        self.latency_table(&mut out);
        if let Some(inside) = &self.inside {
            inside_table(&mut out, inside);
        }
        out
    }

    fn latency_table(&self, out: &mut String) {
        if self.latency.is_empty() {
            return;
        }
        out.push_str("\nLatency at half load, open loop, µs:\n\n| | requests/s | p50 | p90 | p99 | p99.9 | p99 of a tenth of a second | tenths disturbed |\n|---|---|---|---|---|---|---|---|\n");
        for (contender, rounds) in &self.latency {
            let median =
                |of: fn(&Latency) -> f64| Spread::of(rounds.iter().map(of).collect()).map_or(0.0, |it| it.median);
            let (rate, p50, p90) = (median(|it| it.rate), median(|it| it.p50), median(|it| it.p90));
            let (p99, p999) = (median(|it| it.p99), median(|it| it.p999));
            let (of_tenths, disturbed) = (median(|it| it.p99_of_tenths), median(|it| it.disturbed_tenths * 100.0));
            line(
                out,
                format_args!(
                    "| `{}` | {rate:.0} | {p50:.0} | {p90:.0} | {p99:.0} | {p999:.0} | {of_tenths:.0} | {disturbed:.0} % |",
                    contender.name()
                ),
            );
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn machine(machine: &Value) -> String {
    let text = |name: &str| machine.get(name).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    format!("{}, {} cores, Linux {}, {}", text("processor"), text("cores"), text("kernel"), text("envoy"))
}

fn table(out: &mut String, outcome: &Outcome) {
    let (case, rounds) = (&outcome.case, outcome.rounds.len());
    let workers = if case.workers == 1 { "one worker".to_owned() } else { format!("{} workers", case.workers) };
    line(out, format_args!("\n`{}` ({workers}, {rounds} rounds):\n", case.name));
    out.push_str("| | requests/s | of no filter | adds | processor time |\n|---|---|---|---|---|\n");
    for contender in &case.contenders {
        let Some(Spread { low, median, high }) = outcome.rate(*contender) else { continue };
        let share = outcome.compared(*contender, Contender::None, |rate, none| 100.0 * rate / none);
        let share = share.map_or("–".to_owned(), |share| format!("{:.1} %", share.median));
        let added = outcome.added(*contender).map_or("–".to_owned(), |added| format!("{:.2} µs", added.median));
        let cpu = outcome.cpu(*contender).map_or(0.0, |cpu| cpu.median);
        let rate = format!("{median:.0} ({low:.0} to {high:.0})");
        line(out, format_args!("| `{}` | {rate} | {share} | {added} | {cpu:.1} µs |", contender.name()));
    }
}

fn inside_table(out: &mut String, inside: &Inside) {
    let sum = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
    let median = |figures: &[f64]| Spread::of(figures.to_vec()).map_or(0.0, |spread| spread.median);
    out.push_str("\n| inside | |\n|---|---|\n");
    for (name, calls) in [("authn", &inside.authn_calls), ("full", &inside.full_calls)] {
        let list: Vec<String> = calls.host_calls.iter().map(|(call, count)| format!("{count} `{call}`")).collect();
        let (callbacks, host_calls) = (sum(&calls.callbacks), sum(&calls.host_calls));
        line(
            out,
            format_args!(
                "| `{name}`, calls of a request | {callbacks} callbacks, {host_calls} host calls: {} |",
                list.join(", ")
            ),
        );
    }
    line(out, format_args!("| module | {} kB |", inside.module_bytes / 1024));
    line(out, format_args!("| VM start | {:.0} ms |", median(&inside.vm_start_ms)));
    line(out, format_args!("| memory of one more worker | {} kB |", inside.worker_bytes / 1024));
    line(out, format_args!("| change until it is enforced | {:.0} ms |", median(&inside.propagation_ms)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Requests;

    fn outcome(name: &'static str, contenders: &[Contender], rates: &[&[f64]]) -> Outcome {
        let run = |requests_per_second| Measured {
            requests_per_second,
            requests: 0,
            cpu_microseconds: 0.0,
            output: String::new(),
        };
        let round = |rates: &&[f64]| contenders.iter().copied().zip(rates.iter().map(|rate| run(*rate))).collect();
        let requests = Requests::Same { headers: Vec::new(), status: 200 };
        let (workers, proxied, contenders) = (1, false, contenders.to_vec());
        Outcome {
            case: Case { name, workers, proxied, contenders, requests, rounds: 100 },
            rounds: rates.iter().map(round).collect(),
        }
    }

    #[test]
    fn figures_compare_within_a_round() {
        let rates: [&[f64]; 3] =
            [&[50_000.0, 40_000.0, 25_000.0], &[10.0, 10.0, 10.0], &[100_000.0, 80_000.0, 50_000.0]];
        let outcome = outcome("warm_token", &[Contender::None, Contender::NativeChain, Contender::Full], &rates);
        assert!((outcome.rate(Contender::None).unwrap().median - 50_000.0).abs() < f64::EPSILON);
        assert!((outcome.added(Contender::NativeChain).unwrap().median - 2.5).abs() < 1e-9);
        let report = Report { outcomes: vec![outcome], ..Report::default() };
        let ratios: BTreeMap<_, _> = report.ratios().into_iter().collect();
        assert!((ratios["full_vs_native_chain"].median - 0.625).abs() < 1e-9);
        assert!((ratios["full_vs_no_filter"].median - 0.5).abs() < 1e-9);
        assert!(!ratios.contains_key("full_vs_ext_authz"), "what was not measured has no ratio");
        assert!(report.json()["ratios"]["full_vs_no_filter"].is_number());
        assert!(report.markdown().contains("| `full_vs_native_chain` | 0.625 |"), "{}", report.markdown());
    }

    #[test]
    fn quartiles_lie_between_figures() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(spread, Spread { low: 1.75, median: 2.5, high: 3.25 });
        assert_eq!(Spread::of(vec![7.0]).unwrap(), Spread { low: 7.0, median: 7.0, high: 7.0 });
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
