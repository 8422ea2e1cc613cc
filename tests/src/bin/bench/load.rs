//! One run of a load generator, and what it measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_bench::world::SOCKET_PATH;

use crate::arena::program;

/// Enough to keep every worker busy all the time.
const CONNECTIONS: &str = "32";

/// What requests look like. The token file has a token a line, or a path and a token.
#[derive(Debug, Clone)]
pub enum Requests {
    /// The same over and over, with these headers.
    Same {
        /// `Name: value`.
        headers: Vec<String>,
        /// What each is answered with.
        status: u16,
    },
    /// The same with a body of so many bytes.
    Posted(String, usize),
    /// Another token each time, from a file, beginning with a random one.
    Rotating(PathBuf),
    /// Over HTTP/2.
    Http2(String),
    /// A frame of a WebSocket and its echo, over WebSockets opened with the first token of a file.
    Frames(PathBuf),
}

/// How to put load on a listener.
#[derive(Debug, Clone)]
pub struct Load {
    /// wrk.
    pub wrk: PathBuf,
    /// h2load.
    pub h2load: PathBuf,
    /// How long a run takes.
    pub seconds: u32,
    /// The script for wrk.
    pub script: PathBuf,
}

/// What a run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Requests answered per second.
    pub requests_per_second: f64,
    /// Requests answered, where the program tells how many.
    pub requests: usize,
    /// Microseconds of processor time that Envoy took for one of them. Steadier than rates where other programs run beside.
    pub cpu_microseconds: f64,
    /// Everything the program said.
    pub output: String,
}

/// Percentiles of an open loop, in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// How many requests were sent.
    pub sent: u64,
    /// How many a second.
    pub rate: f64,
    /// Half of the requests took less.
    pub p50: f64,
    /// 90 % of them.
    pub p90: f64,
    /// 99 % of them.
    pub p99: f64,
    /// 99.9 % of them.
    pub p999: f64,
    /// What 99 % of the requests of a tenth of a second took less than, in half of the tenths.
    #[serde(rename = "p99OfTenths")]
    pub p99_of_tenths: f64,
    /// Share of the tenths in which that is more than a millisecond.
    #[serde(rename = "disturbedTenths")]
    pub disturbed_tenths: f64,
}

impl Load {
    /// Sends requests to `url`, `path` behind it, as fast as they are answered.
    ///
    /// # Errors
    /// When a program is missing, or an answer was not the expected one.
    pub fn run(&self, port: u16, path: &str, requests: &Requests, position: usize) -> Result<Measured> {
        let url = format!("http://127.0.0.1:{port}{path}");
        match requests {
            Requests::Same { headers, status } => {
                let mut command = self.wrk(&url);
                for header in headers {
                    command.args(["--header", header]);
                }
                read_wrk(said(&mut command)?, *status)
            }
            Requests::Posted(header, bytes) => {
                let mut command = self.wrk(&url);
                command.args(["--header", header]).arg("--script").arg(&self.script);
                command.args(["--", "body", &bytes.to_string()]);
                read_wrk(said(&mut command)?, 200)
            }
            Requests::Rotating(file) => {
                let mut command = self.wrk(&url);
                command.arg("--script").arg(&self.script).args(["--", "rotate"]).arg(file).arg(position.to_string());
                read_wrk(said(&mut command)?, 200)
            }
            Requests::Http2(header) => {
                let mut command = Command::new(&self.h2load);
                command.args(["--threads=1", "--clients=8", "--max-concurrent-streams=4"]);
                command.arg(format!("--duration={}", self.seconds)).arg(format!("--connect-to=127.0.0.1:{port}"));
                command.args(["--header", header]).arg(format!("http://localhost:{port}{path}"));
                read_h2load(said(&mut command)?)
            }
            Requests::Frames(file) => {
                let mut command = Command::new(program("frames")?);
                command.args([port.to_string(), self.seconds.to_string(), SOCKET_PATH.to_owned()]).arg(file);
                read_frames(said(&mut command)?)
            }
        }
    }

    fn wrk(&self, url: &str) -> Command {
        let mut command = Command::new(&self.wrk);
        command.args(["--threads", "1", "--connections", CONNECTIONS, "--latency", "--duration"]);
        // The virtual host of the API; wrk itself is given an address, so that it resolves nothing.
        command.arg(format!("{}s", self.seconds)).args(["--header", "Host: localhost"]).arg(url);
        command
    }
}

/// Sends requests at a fixed rate.
pub fn open_loop(port: u16, rate: u32, seconds: u32, path: &str, tokens: &Path) -> Result<Latency> {
    let mut command = Command::new(program("open-loop")?);
    command.args([port.to_string(), rate.to_string(), seconds.to_string(), path.to_owned()]).arg(tokens);
    let text = said(&mut command)?;
    serde_json::from_str(&text).with_context(|| format!("open-loop said {text}"))
}

fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("starting {name}; run `./just bench`, which installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{name} failed: {text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

fn read_wrk(output: String, status: u16) -> Result<Measured> {
    ensure!(!output.contains("Socket errors"), "connections failed, so the run counts for nothing:\n{output}");
    let number = |name: &str| output.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let refused: u64 = number("Non-2xx or 3xx responses:").map_or(Ok(0), str::parse).context("counting refusals")?;
    let all: u64 = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
        .with_context(|| format!("wrk did not say how many requests there were:\n{output}"))?;
    let expected = if (200..400).contains(&status) { 0 } else { all };
    ensure!(refused == expected, "{refused} of {all} requests were refused, and not {expected}:\n{output}");
    let requests_per_second = number("Requests/sec:")
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("wrk did not say how many requests a second:\n{output}"))?;
    let requests = usize::try_from(all)?;
    Ok(Measured { requests_per_second, requests, cpu_microseconds: 0.0, output })
}

fn read_h2load(output: String) -> Result<Measured> {
    let line = |name: &str| output.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
    let codes = line("status codes:");
    ensure!(
        codes.contains(" 0 3xx, 0 4xx, 0 5xx"),
        "not every request passed, so the run counts for nothing:\n{output}"
    );
    let rate = line("finished in").split(',').nth(1).and_then(|part| part.trim().strip_suffix(" req/s"));
    let requests_per_second = rate
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("h2load did not say how many requests a second:\n{output}"))?;
    Ok(Measured { requests_per_second, requests: 0, cpu_microseconds: 0.0, output })
}

fn read_frames(output: String) -> Result<Measured> {
    let said: Value = serde_json::from_str(&output).with_context(|| format!("frames said {output}"))?;
    let rate = said.get("rate").and_then(Value::as_f64);
    let requests_per_second =
        rate.with_context(|| format!("frames did not say how many echoes a second:\n{output}"))?;
    Ok(Measured { requests_per_second, requests: 0, cpu_microseconds: 0.0, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_rate_and_refuses_runs_with_failures() {
        let good = "Running 1s test\n  12 requests in 1.00s, 1kB read\nRequests/sec:  40123.45\nTransfer/sec: 1MB\n";
        assert!((read_wrk(good.to_owned(), 200).unwrap().requests_per_second - 40_123.45).abs() < 0.001);
        assert!(read_wrk(good.to_owned(), 401).is_err(), "nothing was refused");
        for bad in ["  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"] {
            assert!(read_wrk(format!("{good}{bad}"), 200).is_err());
            assert!(read_wrk(format!("{good}{bad}"), 401).is_err());
        }
        assert!(read_wrk(format!("{good}  Non-2xx or 3xx responses: 12\n"), 401).is_ok());
        assert!(read_wrk("nothing".to_owned(), 200).is_err());
    }

    #[test]
    fn reads_the_rate_of_frames() {
        let good = r#"{"exchanges":40000,"rate":20000.5}"#;
        assert!((read_frames(good.to_owned()).unwrap().requests_per_second - 20_000.5).abs() < 0.001);
        assert!(read_frames("{}".to_owned()).is_err() && read_frames(String::new()).is_err());
    }

    #[test]
    fn reads_h2load() {
        let good = "finished in 2.00s, 23456.50 req/s, 1.20MB/s\nrequests: 4 total\nstatus codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert!((read_h2load(good.to_owned()).unwrap().requests_per_second - 23_456.5).abs() < 0.001);
        assert!(read_h2load(good.replace("0 4xx", "1 4xx")).is_err());
        assert!(read_h2load("status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx".to_owned()).is_err());
    }
}
