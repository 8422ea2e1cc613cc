//! One run of wrk, and what it measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// Enough to keep the one worker busy all the time; the other core is wrk's.
const CONNECTIONS: &str = "32";

/// How to put load on a listener.
pub struct Load {
    /// wrk.
    pub program: PathBuf,
    /// How long a run takes.
    pub seconds: u32,
    /// Sent with every request.
    pub token: String,
}

/// What a run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Requests answered per second.
    pub requests_per_second: f64,
    /// Everything wrk said.
    pub output: String,
}

impl Load {
    /// Sends requests to `url` all the time.
    ///
    /// # Errors
    /// When wrk is missing, or an answer was not a success.
    pub fn run(&self, url: &str) -> Result<Measured> {
        let output = Command::new(&self.program)
            .args(["--threads", "1", "--connections", CONNECTIONS, "--latency", "--duration"])
            .arg(format!("{}s", self.seconds))
            // The virtual host of the API; wrk itself is given an address, so that it resolves nothing.
            .args(["--header", "Host: localhost", "--header"])
            .arg(format!("Authorization: Bearer {}", self.token))
            .arg(url)
            .output()
            .with_context(|| format!("starting {}; run `./just bench`, which installs it", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        read(text)
    }
}

fn read(output: String) -> Result<Measured> {
    for bad in ["Non-2xx", "Socket errors"] {
        ensure!(!output.contains(bad), "not every request passed, so the run counts for nothing:\n{output}");
    }
    let requests_per_second = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("wrk did not say how many requests a second:\n{output}"))?;
    Ok(Measured { requests_per_second, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_rate_and_refuses_runs_with_failures() {
        let good = "Running 1s test\n  12 requests in 1.00s, 1kB read\nRequests/sec:  40123.45\nTransfer/sec: 1MB\n";
        assert!((read(good.to_owned()).unwrap().requests_per_second - 40_123.45).abs() < 0.001);
        for bad in ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"] {
            assert!(read(format!("{good}{bad}")).is_err());
        }
        assert!(read("nothing".to_owned()).is_err());
    }
}
