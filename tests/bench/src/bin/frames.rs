//! `frames <port> <seconds> <path> <token-file>`: sends frames over WebSockets as fast as their echoes come, and prints how many
//! came a second, as JSON. An echo that is another than what was sent, or does not come, makes it fail.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tollgate_bench::{argument, local};

/// As many as the other programs open.
const CONNECTIONS: usize = 32;
/// Bytes of payload: a short message.
const PAYLOAD: u8 = 64;
const MASK: [u8; 4] = [1, 2, 3, 4];
/// Longest answer to a handshake.
const MAX_HEAD: usize = 16 * 1024;
/// How long anything may take beyond the time that is measured.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (port, seconds): (u16, u32) = (argument(1, "port")?, argument(2, "seconds")?);
    let (path, file): (String, String) = (argument(3, "path")?, argument(4, "token file")?);
    ensure!(seconds > 0, "nothing would be sent");
    let tokens = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let token = tokens.lines().next().with_context(|| format!("{file} is empty"))?;
    let mut sockets = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        sockets.push(timeout(PATIENCE, open(port, &path, token)).await.context("a handshake is not answered")??);
    }
    let (start, length) = (Instant::now(), Duration::from_secs(seconds.into()));
    let mut exchanging: JoinSet<_> = sockets.into_iter().map(|socket| exchange(socket, start, length)).collect();
    let mut exchanges = 0_u32;
    while let Some(done) = timeout(length.saturating_add(PATIENCE), exchanging.join_next()).await.context("no echo")? {
        exchanges = exchanges.saturating_add(done.context("a connection's task panicked")??);
    }
    let rate = f64::from(exchanges) / start.elapsed().as_secs_f64();
    println!("{}", json!({ "exchanges": exchanges, "rate": rate }));
    Ok(())
}

async fn open(port: u16, path: &str, token: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(local(port)).await.context("connecting")?;
    stream.set_nodelay(true).context("setting TCP_NODELAY")?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.context("sending a handshake")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read_buf(&mut head).await.context("reading the answer to a handshake")?;
        ensure!(read > 0 && head.len() <= MAX_HEAD, "half an answer: {}", String::from_utf8_lossy(&head));
    }
    ensure!(head.starts_with(b"HTTP/1.1 101 "), "answered {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// Sends a frame whenever the one before has come back. Says how many have.
async fn exchange(mut socket: TcpStream, start: Instant, length: Duration) -> Result<u32> {
    let frame = frame();
    let (mut echo, mut exchanges) = (vec![0; frame.len()], 0_u32);
    while start.elapsed() < length {
        socket.write_all(&frame).await.context("sending a frame")?;
        socket.read_exact(&mut echo).await.context("receiving a frame")?;
        ensure!(echo == frame, "another frame came back: {echo:?}");
        exchanges = exchanges.saturating_add(1);
    }
    Ok(exchanges)
}

/// A binary message in one frame, masked as those of clients are.
fn frame() -> Vec<u8> {
    let mut frame = vec![0x82, 0x80 | PAYLOAD];
    frame.extend(MASK);
    frame.extend(0..PAYLOAD);
    frame
}
