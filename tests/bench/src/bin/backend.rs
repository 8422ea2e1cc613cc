//! `backend <port>`: answers every request of HTTP/1.1 at once with a short body, and looks at nothing but where it ends.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_bench::{argument, local};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
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
            received.drain(..request);
            stream.write_all(ANSWER).await?;
        }
        if received.len() > MAX_HEAD || stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// Length of the first request with its body, if all of it is there.
fn whole_request(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")?.saturating_add(4);
    let text = std::str::from_utf8(received.get(..head)?).ok()?;
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let whole = head.saturating_add(text.lines().find_map(length).unwrap_or(0));
    (received.len() >= whole).then_some(whole)
}
