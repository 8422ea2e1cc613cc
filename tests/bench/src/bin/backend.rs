//! `backend <port>`: answers every request of HTTP/1.1 at once with a short body, and looks at nothing but where it ends. Where one
//! opens a WebSocket, everything after it comes back as it is, frames with their masks.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_bench::{argument, local};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
/// Whoever measures with it does not look at `sec-websocket-accept`.
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
/// Compression is taken where it is offered, so that it shows whether the offer arrived.
const COMPRESSED: &str = "sec-websocket-extensions: permessage-deflate\r\n";
/// Most bytes that come back in one go.
const PIECE: usize = 64 * 1024;
/// Longest head that is waited for.
const MAX_HEAD: usize = 64 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind(local(argument(1, "port")?)).await.context("listening")?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        stream.set_nodelay(true).context("setting TCP_NODELAY")?;
        // A connection that breaks is replaced by its client.
        tokio::spawn(async move { drop(serve(stream).await) });
    }
}

async fn serve(mut stream: TcpStream) -> Result<()> {
    let mut received = Vec::new();
    loop {
        while let Some(request) = whole_request(&received) {
            received.drain(..request.bytes);
            if request.upgrades {
                return echo(stream, &received, request.compresses).await;
            }
            stream.write_all(ANSWER).await?;
        }
        if received.len() > MAX_HEAD || stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

async fn echo(mut stream: TcpStream, received: &[u8], compresses: bool) -> Result<()> {
    let compressed = if compresses { COMPRESSED } else { "" };
    stream.write_all(format!("{SWITCHED}{compressed}\r\n").as_bytes()).await?;
    stream.write_all(received).await?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(piece.get(..read).unwrap_or_default()).await?;
    }
}

/// What there is to know of a request.
#[derive(Default)]
struct Request {
    /// Its length, with its body.
    bytes: usize,
    /// Whether it opens a WebSocket.
    upgrades: bool,
    /// Whether it offers to compress its frames.
    compresses: bool,
}

/// The first request, if all of it is there.
fn whole_request(received: &[u8]) -> Option<Request> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")?.saturating_add(4);
    let text = std::str::from_utf8(received.get(..head)?).ok()?;
    let mut request = Request { bytes: head, ..Request::default() };
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            request.bytes = head.saturating_add(value.trim().parse().unwrap_or(0));
        } else if name.eq_ignore_ascii_case("upgrade") {
            request.upgrades = true;
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            request.compresses = true;
        }
    }
    (received.len() >= request.bytes).then_some(request)
}
