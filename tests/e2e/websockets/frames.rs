//! Limits of frames on real gateways: what passes of open WebSockets, in both directions together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tollgate_tests::{Gateway, RedisServer, Settings, eventually};

use super::peers::{Handshake, SocketBackend};
use super::{CHAT, deploy, served};
use crate::limits::of;
use crate::subscriptions::token_service;

pub(super) const CHANNEL: &str = "/notifications";

fn subscribed(plans: &[&str]) -> String {
    let application = |plan: &&str| {
        format!(
            "  - name: {plan}\n    keys: [{{keyManager: Portal, consumerKey: {plan}}}]\n    \
             subscriptions: [{{api: ChatRooms, version: 1.0.0, tier: {plan}}}]\n"
        )
    };
    format!("applications:\n{}", plans.iter().map(application).collect::<String>())
}

/// A gateway of three workers, and an application for each plan.
async fn gateway(folder: &TempDir, backend: &SocketBackend, tiers: &str, plans: &[&str], extra: &str) -> Gateway {
    let file = folder.path().join("subscriptions.yaml");
    std::fs::write(&file, format!("tiers:\n{tiers}{}", subscribed(plans))).unwrap();
    let adapter = format!("subscriptionsFile = '{}'", file.display());
    let extra = format!("{}{extra}", token_service(folder, true));
    let gateway = Gateway::with(Settings { adapter, extra, workers: 3, ..Settings::default() }).await.unwrap();
    deploy(&gateway, backend, |text| text).await;
    served(&gateway).await;
    gateway
}

/// A client that counts what arrives.
pub(super) struct Client {
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    frames: Arc<AtomicUsize>,
    pongs: Arc<AtomicUsize>,
    reading: JoinHandle<()>,
}

impl Client {
    async fn open(gateway: &Gateway, plan: &str) -> Self {
        Self::with(gateway, &of(plan)).await
    }

    pub(super) async fn with(gateway: &Gateway, token: &str) -> Self {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("sec-websocket-extensions", "permessage-deflate")];
        let Handshake::Open(mut socket) = Handshake::of(gateway, &format!("{CHAT}{CHANNEL}"), &headers).await.unwrap()
        else {
            panic!("it is refused")
        };
        let seen = socket.seen().await.unwrap();
        assert_eq!(seen["headers"].get("sec-websocket-extensions"), None, "nothing is compressed: {seen}");
        let (sink, mut stream) = socket.into_stream().split();
        let (frames, pongs) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&frames), Arc::clone(&pongs));
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                match message {
                    Message::Text(_) | Message::Binary(_) => counters.0.fetch_add(1, Ordering::Relaxed),
                    Message::Pong(_) => counters.1.fetch_add(1, Ordering::Relaxed),
                    _ => 0,
                };
            }
        });
        Self { sink, frames, pongs, reading }
    }

    pub(super) fn received(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    pub(super) async fn send(&mut self, count: usize, bytes: usize) -> Result<()> {
        for _ in 0..count {
            self.sink.feed(Message::text("x".repeat(bytes))).await?;
        }
        Ok(self.sink.flush().await?)
    }

    /// Waits until everything that was sent has passed, or not, and so has what came back: frames that control the connection always
    /// pass, and keep their place.
    pub(super) async fn is_through(&mut self) {
        let before = self.pongs.load(Ordering::Relaxed);
        self.sink.send(Message::Ping("p".into())).await.unwrap();
        eventually("a ping is answered", async || {
            ensure!(self.pongs.load(Ordering::Relaxed) > before, "no pong");
            Ok(())
        })
        .await
        .unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// All that has passed: handshakes, what the backend got, and what came from it.
fn passed(backend: &SocketBackend, clients: &[Client]) -> usize {
    backend.count() + backend.received() + clients.iter().map(Client::received).sum::<usize>()
}

/// Sends until as many have passed as may, and more after that.
async fn use_up(backend: &SocketBackend, clients: &mut [Client], limit: usize) {
    eventually("the quota is used up", async || {
        for client in clients.iter_mut() {
            client.send(3, 10).await?;
            client.is_through().await;
        }
        let passed = passed(backend, clients);
        ensure!(passed >= limit, "{passed} of {limit}");
        Ok(())
    })
    .await
    .unwrap();
    for client in clients.iter_mut() {
        client.send(20, 10).await.unwrap();
        client.is_through().await;
    }
    assert_eq!(passed(backend, clients), limit);
}

#[tokio::test]
async fn exactly_the_limit_passes_in_both_directions_together() {
    let (folder, backend) = (TempDir::new().unwrap(), SocketBackend::start(None).await.unwrap());
    let tiers = "  - {name: Many, kind: subscription, limits: [{requests: 90, per: year}]}\n";
    let gateway = gateway(&folder, &backend, tiers, &["Many"], "").await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(Client::open(&gateway, "Many").await);
    }
    use_up(&backend, &mut clients, 90).await;
}

#[tokio::test]
async fn bytes_of_frames_count_and_another_window_begins_without_debts() {
    let (folder, backend) = (TempDir::new().unwrap(), SocketBackend::start(None).await.unwrap());
    let tiers = "  - {name: Bytes, kind: subscription, limits: [{bytes: 10000, per: year}]}\n  \
                 - {name: Short, kind: subscription, limits: [{bytes: 10000, per: 8 seconds}]}\n";
    let gateway = gateway(&folder, &backend, tiers, &["Bytes", "Short"], "").await;
    let mut client = Client::open(&gateway, "Bytes").await;
    client.is_through().await;
    // One that has begun goes through, and nothing after it.
    client.send(1, 20_000).await.unwrap();
    client.is_through().await;
    client.send(5, 10).await.unwrap();
    client.is_through().await;
    assert_eq!((backend.received(), client.received()), (1, 1));

    let mut client = Client::open(&gateway, "Short").await;
    let before = backend.received();
    client.send(1, 20_000).await.unwrap();
    client.is_through().await;
    assert_eq!(backend.received(), before + 1);
    eventually("the next window has begun", async || {
        client.send(1, 10).await?;
        client.is_through().await;
        ensure!(backend.received() > before + 1, "nothing passes");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn who_is_denied_meanwhile_sends_nothing_more() {
    let (folder, backend) = (TempDir::new().unwrap(), SocketBackend::start(None).await.unwrap());
    let tiers = "  - {name: Many, kind: subscription, limits: [{requests: 100000, per: year}]}\n";
    let gateway = gateway(&folder, &backend, tiers, &["Many"], "").await;
    let mut client = Client::open(&gateway, "Many").await;
    client.send(5, 10).await.unwrap();
    client.is_through().await;
    assert_eq!((backend.received(), client.received()), (5, 6));
    let file = folder.path().join("subscriptions.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}denyConditions:\n  - {{api: {CHAT}}}\n")).unwrap();
    eventually("the API is denied", async || {
        let before = backend.received();
        client.send(1, 10).await?;
        client.is_through().await;
        ensure!(backend.received() == before, "it passes");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn without_the_owner_of_quotas_frames_are_counted_here_and_nothing_hangs() {
    let (folder, backend) = (TempDir::new().unwrap(), SocketBackend::start(None).await.unwrap());
    let mut redis = RedisServer::start(None).await.unwrap();
    let extra = format!(
        "\n[tollgate.quota]\nowner = 'redis'\ngateways = 2\n[tollgate.quota.redis]\nurls = ['{}']\n",
        redis.url()
    );
    let tiers = "  - {name: Many, kind: subscription, limits: [{requests: 80, per: year}]}\n";
    let gateway = gateway(&folder, &backend, tiers, &["Many"], &extra).await;
    redis.kill().unwrap();
    let mut clients = vec![Client::open(&gateway, "Many").await, Client::open(&gateway, "Many").await];
    use_up(&backend, &mut clients, 40).await;
}

/// A message that has begun to pass and must not go on can be read by nobody.
#[tokio::test]
async fn a_message_that_cannot_be_finished_ends_the_connection() {
    let (folder, backend) = (TempDir::new().unwrap(), SocketBackend::start(None).await.unwrap());
    let tiers = "  - {name: Three, kind: subscription, limits: [{requests: 3, per: year}]}\n";
    let gateway = gateway(&folder, &backend, tiers, &["Three"], "").await;
    // The handshake is one, and what the backend says first another.
    let mut client = Client::open(&gateway, "Three").await;
    client.is_through().await;
    for (kind, last) in [(Data::Text, false), (Data::Continue, false), (Data::Continue, true)] {
        // Sooner or later it is closed.
        if client.sink.send(Message::Frame(Frame::message("part", OpCode::Data(kind), last))).await.is_err() {
            break;
        }
    }
    eventually("the connection is closed", async || {
        ensure!(client.reading.is_finished(), "it is open");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(backend.received(), 0);
}
