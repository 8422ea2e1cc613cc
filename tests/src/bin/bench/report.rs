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
    /// Median over the rounds of what `figure` makes of a contender's rate and the rate without a filter.
    ///
    /// Figures compare within a round: a machine that changes its speed between rounds then changes nothing.
    fn median(&self, contender: Contender, figure: impl Fn(f64, f64) -> f64) -> f64 {
        let rate = |round: &Round, of| round.get(&of).map(|run| run.requests_per_second);
        let pair = |round| Some((rate(round, contender)?, rate(round, Contender::None)?));
        let mut figures: Vec<f64> =
            self.rounds.iter().filter_map(pair).map(|(ours, none)| figure(ours, none)).collect();
        figures.sort_by(f64::total_cmp);
        let (below, above) = (figures.len().saturating_sub(1) / 2, figures.len() / 2);
        f64::midpoint(figures.get(below).copied().unwrap_or_default(), figures.get(above).copied().unwrap_or_default())
    }

    /// Requests a second.
    fn rate(&self, contender: Contender) -> f64 {
        self.median(contender, |rate, _| rate)
    }

    /// Throughput as a share of that without a filter.
    fn share(&self, contender: Contender) -> f64 {
        self.median(contender, |rate, none| rate / none)
    }

    /// Microseconds of the worker that the filter adds to a request. The worker is busy all the time, so the time of a
    /// request is the inverse of the rate.
    fn added(&self, contender: Contender) -> f64 {
        self.median(contender, |rate, none| 1e6 / rate - 1e6 / none)
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
        let ratio = self.share(Contender::Enforcer) / self.share(Contender::Native);
        writeln!(f, "the enforcer serves {ratio:.2} times what jwt_authn serves")?;
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
    fn figures_compare_within_a_round() {
        let report = report(&[[50_000.0, 40_000.0, 25_000.0], [10.0, 10.0, 10.0], [100_000.0, 80_000.0, 50_000.0]]);
        assert!((report.rate(Contender::None) - 50_000.0).abs() < f64::EPSILON);
        assert!((report.share(Contender::Native) - 0.8).abs() < 1e-9);
        assert!((report.share(Contender::Enforcer) - 0.5).abs() < 1e-9);
        assert!((report.added(Contender::Native) - 2.5).abs() < 1e-9);
        assert!(report.to_string().contains("the enforcer serves 0.62 times what jwt_authn serves"), "{report}");
    }

    #[test]
    fn the_median_of_two_rounds_lies_between_them() {
        let report = report(&[[10.0, 1.0, 1.0], [20.0, 1.0, 1.0]]);
        assert!((report.rate(Contender::None) - 15.0).abs() < f64::EPSILON);
    }
}
