//! `open-loop <port> <rate> <seconds> <path> <token-file>`: sends requests at a fixed rate, whatever the server does, and
//! prints percentiles of how long they took in microseconds, as JSON.
//!
//! A request's time runs from when it was due, unless it was this program that was late: a server that stalls is charged for
//! every request that waited meanwhile, and whoever kept this program from running is not the server's fault. One thread looks after all
//! connections and never sleeps: sleeping threads wake up milliseconds late where there are few processors, and that is
//! what would be measured.
//!
//! Machines stall: whoever runs them takes a processor away for milliseconds, which hits everything alike. So the percentile is
//! also told of each tenth of a second for itself: in most of them nothing stalls.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tollgate_bench::{argument, local};

/// Enough that a slow request holds up few others.
const CONNECTIONS: u32 = 32;
/// From the start of this program to the first request.
const LEAD: Duration = Duration::from_millis(100);
/// What is looked at for itself.
const TENTH: u128 = 100;
/// A tenth of a second whose 99th percentile is longer was disturbed.
const DISTURBED: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let (port, rate, seconds): (u16, u32, u32) = (argument(1, "port")?, argument(2, "rate")?, argument(3, "seconds")?);
    let (path, file): (String, String) = (argument(4, "path")?, argument(5, "token file")?);
    let tokens = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let token = tokens.lines().next().with_context(|| format!("{file} is empty"))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    ensure!(rate > 0 && seconds > 0, "nothing would be sent");
    // Every connection sends its part, at moments between those of the others.
    let step = Duration::from_secs(1).checked_div(rate).context("a rate of 0")?;
    let left = rate.saturating_mul(seconds).div_ceil(CONNECTIONS);
    let start = after(Instant::now(), LEAD);
    let mut lanes = (0..CONNECTIONS)
        .map(|number| Lane::open(port, after(start, step.saturating_mul(number)), left))
        .collect::<Result<Vec<_>>>()?;
    let interval = step.saturating_mul(CONNECTIONS);
    let mut times = Vec::new();
    while lanes.iter().any(|lane| lane.left > 0) {
        for lane in lanes.iter_mut().filter(|lane| lane.left > 0) {
            times.extend(lane.turn(request.as_bytes(), interval)?);
        }
    }
    println!("{}", summary(&times, start));
    Ok(())
}

/// One connection.
struct Lane {
    stream: TcpStream,
    /// When the next request is due, or was.
    due: Instant,
    /// Since when an answer is waited for.
    begun: Option<Instant>,
    /// Whether the answer before came too late for the next request to be sent in time.
    late: bool,
    /// Requests that are not answered yet.
    left: u32,
}

impl Lane {
    fn open(port: u16, due: Instant, left: u32) -> Result<Self> {
        let stream = TcpStream::connect(local(port)).context("connecting")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        stream.set_nonblocking(true).context("making a connection not block")?;
        Ok(Self { stream, due, begun: None, late: false, left })
    }

    /// Does what there is to do now, and says of a request that was answered when it began and what it took.
    fn turn(&mut self, request: &[u8], interval: Duration) -> Result<Option<(Instant, Duration)>> {
        let Some(begun) = self.begun else {
            let now = Instant::now();
            if now >= self.due {
                self.begun = Some(if self.late { self.due } else { now });
                self.due = after(self.due, interval);
                // It fits into the buffer of the connection, which is empty.
                self.stream.write_all(request).context("sending")?;
            }
            return Ok(None);
        };
        let mut buffer = [0; 4096];
        let read = match self.stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            read => read.context("receiving")?,
        };
        let took = begun.elapsed();
        let answer = buffer.get(..read).unwrap_or_default();
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "answered {}", String::from_utf8_lossy(answer));
        // Answers of these listeners fit into one segment.
        ensure!(answer.ends_with(b"ok"), "half an answer: {}", String::from_utf8_lossy(answer));
        (self.begun, self.late, self.left) = (None, Instant::now() >= self.due, self.left.saturating_sub(1));
        Ok(Some((begun, took)))
    }
}

fn after(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

fn summary(times: &[(Instant, Duration)], start: Instant) -> Value {
    let mut tenths: BTreeMap<u128, Vec<Duration>> = BTreeMap::new();
    for (begun, took) in times {
        tenths.entry(begun.saturating_duration_since(start).as_millis() / TENTH).or_default().push(*took);
    }
    let tails = sorted(tenths.into_values().filter_map(|tenth| percentile(&sorted(tenth), 990)).collect());
    let disturbed = tails.iter().filter(|tail| **tail > DISTURBED).count();
    let all = sorted(times.iter().map(|(_, took)| *took).collect());
    let micros = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e6);
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let (rate, disturbed) =
        (all.len() as f64 / start.elapsed().as_secs_f64(), disturbed as f64 / tails.len().max(1) as f64);
    json!({
        "sent": all.len(), "rate": rate,
        "p50": micros(percentile(&all, 500)), "p90": micros(percentile(&all, 900)),
        "p99": micros(percentile(&all, 990)), "p999": micros(percentile(&all, 999)),
        "p99OfTenths": micros(percentile(&tails, 500)), "disturbedTenths": disturbed,
    })
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn percentile(sorted: &[Duration], per_mille: usize) -> Option<Duration> {
    sorted.get(sorted.len().saturating_mul(per_mille).div_ceil(1000).saturating_sub(1)).copied()
}
