//! A TCP proxy that can misbehave: between two programs that are put to the test, so that the network fails as networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::local;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// It arrives.
    Fair,
    /// It arrives so much later, in either direction.
    Slow(Duration),
    /// It never arrives, and nobody is told.
    BlackHole,
    /// Connections are closed, those that there are and those that are new.
    Closed,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    weather: Weather,
    /// Connections of an earlier time are closed.
    time: u64,
}

impl Proxy {
    /// Starts one on a free port of 127.0.0.1, towards another port there.
    ///
    /// # Errors
    /// When nothing can be listened on.
    pub async fn towards(port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let address = listener.local_addr().context("where the proxy listens")?;
        let state = Arc::new(watch::Sender::new(State { weather: Weather::Fair, time: 0 }));
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, for connections that there are too.
    pub fn set(&self, weather: Weather) {
        self.state.send_modify(|state| state.weather = weather);
    }

    /// Closes the connections that there are.
    pub fn interrupt(&self) {
        self.state.send_modify(|state| state.time = state.time.saturating_add(1));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, state: Arc<watch::Sender<State>>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(serve(client, port, state.subscribe()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, port: u16, state: watch::Receiver<State>) {
    let Ok(server) = TcpStream::connect(local(port)).await else { return };
    // Small messages must not wait for one another.
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(from_client, to_server, state.clone()) => {}
        () = pass(from_server, to_client, state) => {}
    }
}

/// Copies until either side ends, or the weather closes the connection.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let began = state.borrow().time;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            closed = state.wait_for(|now| now.weather == Weather::Closed || now.time != began) => return drop(closed),
            read = from.read(&mut buffer) => read,
        };
        let Some(bytes) = read.ok().filter(|length| *length > 0).and_then(|length| buffer.get(..length)) else {
            return;
        };
        let now = state.borrow().weather;
        match now {
            Weather::Fair => {}
            Weather::Slow(by) => tokio::time::sleep(by).await,
            Weather::BlackHole => continue,
            Weather::Closed => return,
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
