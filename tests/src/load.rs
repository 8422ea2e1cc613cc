//! As many requests as a gateway can take: the same request over and over on several connections, each answer read and counted.
//!
//! Cheap by design, so that a test can send a hundred thousand of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::ports::local;

/// Requests in a loop.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    lanes: JoinSet<Result<Duration>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    passed: AtomicUsize,
    refused: AtomicUsize,
}

/// What became of them.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    /// Answered 200.
    pub passed: usize,
    /// Answered 429.
    pub refused: usize,
    /// The longest wait for an answer.
    pub slowest: Duration,
}

impl Load {
    /// Starts so many connections to a port of 127.0.0.1, each of which asks for `path` as soon as it has an answer.
    #[must_use]
    pub fn start(port: u16, connections: usize, path: &str) -> Self {
        let shared = Arc::<Shared>::default();
        let mut lanes = JoinSet::new();
        let request: Arc<[u8]> = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes().into();
        for _ in 0..connections {
            lanes.spawn(lane(port, Arc::clone(&request), Arc::clone(&shared)));
        }
        Self { shared, lanes }
    }

    /// Answers 200 so far.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Answers 429 so far.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Stops after the requests under way.
    ///
    /// # Errors
    /// When there was any other answer, or none.
    pub async fn stop(mut self) -> Result<Totals> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        while let Some(lane) = self.lanes.join_next().await {
            slowest = slowest.max(lane.context("a lane panicked")??);
        }
        Ok(Totals { passed: self.passed(), refused: self.refused(), slowest })
    }
}

async fn lane(port: u16, request: Arc<[u8]>, shared: Arc<Shared>) -> Result<Duration> {
    let mut stream = TcpStream::connect(local(port)).await.context("connecting")?;
    stream.set_nodelay(true)?;
    let (mut received, mut slowest) = (Vec::with_capacity(8 * 1024), Duration::ZERO);
    while !shared.stopping.load(Ordering::Relaxed) {
        let asked = Instant::now();
        stream.write_all(&request).await.context("asking")?;
        let status = answer(&mut stream, &mut received).await?;
        slowest = slowest.max(asked.elapsed());
        match status {
            200 => shared.passed.fetch_add(1, Ordering::Relaxed),
            429 => shared.refused.fetch_add(1, Ordering::Relaxed),
            other => bail!("{other}: {}", String::from_utf8_lossy(&received)),
        };
    }
    Ok(slowest)
}

/// Reads one answer with a `content-length` into `received`, and says its status.
async fn answer(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<u16> {
    received.clear();
    loop {
        let read = stream.read_buf(received).await.context("reading an answer")?;
        ensure!(read > 0, "the connection was closed after {:?}", String::from_utf8_lossy(received));
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = received.get(..end).map(String::from_utf8_lossy).unwrap_or_default();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let whole = end.saturating_add(4).saturating_add(length.context("an answer without content-length")?);
        if received.len() >= whole {
            let status = head.get(9..12).and_then(|status| status.parse().ok());
            return status.with_context(|| format!("no status in {head:?}"));
        }
    }
}
