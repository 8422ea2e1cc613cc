//! From raw runs to ratios, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::calls::Calls;
use crate::config::Contender;
use crate::load::Measured;

/// One run of every contender.
pub type Round = BTreeMap<Contender, Measured>;

/// Everything that was measured.
pub struct Report {
    /// In the order in which they were run, without the warm-up.
    pub rounds: Vec<Round>,
    /// How long each run took.
    pub seconds: u32,
    /// Calls between Envoy and the module for one request.
    pub calls: Calls,
}

impl Report {
    /// Requests a second, median of the rounds.
    fn rate(&self, contender: Contender) -> f64 {
        let mut rates: Vec<f64> =
            self.rounds.iter().filter_map(|round| round.get(&contender)).map(|run| run.requests_per_second).collect();
        rates.sort_by(f64::total_cmp);
        let (below, above) = (rates.len().saturating_sub(1) / 2, rates.len() / 2);
        f64::midpoint(rates.get(below).copied().unwrap_or_default(), rates.get(above).copied().unwrap_or_default())
    }

    /// Throughput as a share of that without a filter.
    fn share(&self, contender: Contender) -> f64 {
        self.rate(contender) / self.rate(Contender::None)
    }

    /// Microseconds of the worker that the filter adds to a request. The worker is busy all the time, so the time of a
    /// request is the inverse of the rate.
    fn added(&self, contender: Contender) -> f64 {
        1e6 / self.rate(contender) - 1e6 / self.rate(Contender::None)
    }

    /// Writes the raw numbers and the figures into a new file of that folder.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("asking for the time")?.as_secs();
        let file = folder.join(format!("{now}.json"));
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        std::fs::write(&file, format!("{:#}\n", self.json())).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    fn json(&self) -> Value {
        let figures: BTreeMap<&str, Value> = Contender::ALL
            .into_iter()
            .map(|contender| {
                let figures = json!({
                    "requestsPerSecond": self.rate(contender),
                    "shareOfNoFilter": self.share(contender),
                    "addedMicroseconds": self.added(contender),
                });
                (contender.name(), figures)
            })
            .collect();
        let rounds: Vec<BTreeMap<&str, &Measured>> = self
            .rounds
            .iter()
            .map(|round| round.iter().map(|(contender, run)| (contender.name(), run)).collect())
            .collect();
        json!({ "secondsPerRun": self.seconds, "median": figures, "callsPerRequest": self.calls, "rounds": rounds })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "one worker, median of {} rounds of {} s", self.rounds.len(), self.seconds)?;
        writeln!(f, "{:<12}{:>14}{:>20}{:>18}", "", "requests/s", "of no filter", "adds")?;
        for contender in Contender::ALL {
            let (rate, share, added) = (self.rate(contender), self.share(contender) * 100.0, self.added(contender));
            writeln!(f, "{:<12}{rate:>14.0}{share:>18.1} %{added:>15.2} us", contender.name())?;
        }
        let ratio = self.added(Contender::Enforcer) / self.added(Contender::Native);
        writeln!(f, "the enforcer adds {ratio:.2} times what jwt_authn adds")?;
        let sum = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
        writeln!(
            f,
            "a request takes {} callbacks and {} host calls:",
            sum(&self.calls.callbacks),
            sum(&self.calls.host_calls)
        )?;
        for (name, count) in self.calls.callbacks.iter().chain(&self.calls.host_calls) {
            writeln!(f, "  {count} {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rates: &[[f64; 3]]) -> Report {
        let run = |requests_per_second| Measured { requests_per_second, output: String::new() };
        let rounds = rates.iter().map(|rates| Contender::ALL.into_iter().zip(rates.map(run)).collect()).collect();
        Report { rounds, seconds: 1, calls: Calls::default() }
    }

    #[test]
    fn medians_shares_and_added_time() {
        let report = report(&[[50_000.0, 40_000.0, 25_000.0], [10.0, 10.0, 10.0], [60_000.0, 50_000.0, 26_000.0]]);
        assert!((report.rate(Contender::None) - 50_000.0).abs() < f64::EPSILON);
        assert!((report.share(Contender::Enforcer) - 0.5).abs() < 1e-9);
        assert!((report.added(Contender::Native) - 5.0).abs() < 1e-9);
        assert!((report.added(Contender::Enforcer) - 20.0).abs() < 1e-9);
        assert!(report.to_string().contains("adds 4.00 times what jwt_authn adds"));
    }

    #[test]
    fn the_median_of_two_rounds_lies_between_them() {
        let report = report(&[[10.0, 1.0, 1.0], [20.0, 1.0, 1.0]]);
        assert!((report.rate(Contender::None) - 15.0).abs() < f64::EPSILON);
    }
}
