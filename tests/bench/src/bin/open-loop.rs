//! `open-loop <port> <rate> <seconds> <path> <token-file>`: sends requests at a fixed rate, whatever the server does, and
//! prints percentiles of how long they took in microseconds, as JSON.
//!
//! A request's time runs from when it was due, unless it was this program that was late: a server that stalls is charged for
//! every request that waited meanwhile, and a timer that fires late is not the server's fault.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tollgate_bench::{argument, local};

/// One thread each: few enough not to disturb each other, enough that a slow request holds up few others.
const CONNECTIONS: u32 = 32;
/// From the start of this program to the first request.
const LEAD: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let (port, rate, seconds): (u16, u32, u32) = (argument(1, "port")?, argument(2, "rate")?, argument(3, "seconds")?);
    let (path, file): (String, String) = (argument(4, "path")?, argument(5, "token file")?);
    let tokens = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let token = tokens.lines().next().with_context(|| format!("{file} is empty"))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    ensure!(rate > 0 && seconds > 0, "nothing would be sent");
    // Every connection sends its part, at moments between those of the others.
    let step = Duration::from_secs(1).checked_div(rate).context("a rate of 0")?;
    let interval = step.saturating_mul(CONNECTIONS);
    let count = rate.saturating_mul(seconds).div_ceil(CONNECTIONS);
    let start = after(Instant::now(), LEAD);
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (request, first) = (request.clone(), after(start, step.saturating_mul(number)));
            std::thread::spawn(move || pace(port, request.as_bytes(), first, interval, count))
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.append(&mut thread.join().map_err(|_| anyhow!("a connection's thread panicked"))??);
    }
    println!("{}", summary(times, start.elapsed()));
    Ok(())
}

/// Sends `count` requests over one connection, each when it is due, and returns how long they took.
fn pace(port: u16, request: &[u8], first: Instant, interval: Duration, count: u32) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(local(port)).context("connecting")?;
    stream.set_nodelay(true).context("setting TCP_NODELAY")?;
    let mut times = Vec::new();
    let mut buffer = [0; 4096];
    for number in 0..count {
        let due = after(first, interval.saturating_mul(number));
        let wait = due.saturating_duration_since(Instant::now());
        std::thread::sleep(wait);
        // Zero when the answer before came too late for this one to be sent in time.
        let begin = if wait.is_zero() { due } else { Instant::now() };
        stream.write_all(request).context("sending")?;
        let read = stream.read(&mut buffer).context("receiving")?;
        let answer = buffer.get(..read).unwrap_or_default();
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "answered {}", String::from_utf8_lossy(answer));
        // Answers of these listeners fit into one segment.
        ensure!(answer.ends_with(b"ok"), "half an answer: {}", String::from_utf8_lossy(answer));
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn after(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

fn summary(mut times: Vec<Duration>, took: Duration) -> Value {
    times.sort_unstable();
    let percentile = |per_mille: usize| {
        let position = times.len().saturating_mul(per_mille).div_ceil(1000).saturating_sub(1);
        times.get(position).map(|time| time.as_secs_f64() * 1e6)
    };
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let rate = times.len() as f64 / took.as_secs_f64();
    json!({
        "sent": times.len(), "rate": rate,
        "p50": percentile(500), "p90": percentile(900), "p99": percentile(990), "p999": percentile(999),
    })
}
