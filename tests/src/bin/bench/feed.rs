//! The adapter's part towards the measured filters: snapshots, and quota without end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tollgate_model::contract::{ENVIRONMENT_HEADER, FEED_PATH, QUOTA_PATH};
use tollgate_model::wire::Cursor;
use tollgate_model::{QuotaAnswer, QuotaAsk, QuotaGrant, QuotaRequest};
use tollgate_tests::ports::local;

/// How long a poll waits for news. Shorter than the filters' patience.
const WAIT: Duration = Duration::from_secs(15);
/// Length of every window of quota.
const WINDOW_MS: u64 = 60_000;

/// A running feed; it stops when dropped.
pub struct Feed {
    state: Arc<State>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// By environment, the frames in order of their revisions, which count from 1.
    frames: Mutex<BTreeMap<String, Vec<Bytes>>>,
    news: Notify,
}

impl Feed {
    /// Serves these snapshots.
    pub async fn start(port: u16, snapshots: BTreeMap<String, Vec<Vec<u8>>>) -> Result<Self> {
        let listener = TcpListener::bind(local(port)).await.context("listening for the feed")?;
        let frames = snapshots.into_iter().map(|(name, frames)| (name, frames.into_iter().map(Bytes::from).collect()));
        let state = Arc::new(State { frames: Mutex::new(frames.collect()), news: Notify::new() });
        Ok(Self { serving: tokio::spawn(serve(listener, Arc::clone(&state))), state })
    }

    /// The revision that the next frame of an environment must have.
    pub fn next_revision(&self, environment: &str) -> u64 {
        let frames = self.state.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.get(environment).map_or(0, |frames| frames.len() as u64).saturating_add(1)
    }

    /// Adds a frame, and wakes who waits for one.
    pub fn publish(&self, environment: &str, frame: Vec<u8>) {
        let mut frames = self.state.frames.lock().unwrap_or_else(PoisonError::into_inner);
        frames.entry(environment.to_owned()).or_default().push(frame.into());
        drop(frames);
        self.state.news.notify_waiters();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { Ok::<_, Infallible>(state.answer(request).await.map(Full::new)) }
        });
        tokio::spawn(async move {
            // Envoy opens another connection.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Bytes> {
        match request.uri().path() {
            FEED_PATH => {
                let environment = request.headers().get(ENVIRONMENT_HEADER).and_then(|name| name.to_str().ok());
                let since =
                    request.uri().query().and_then(|query| query.strip_prefix("since=")?.parse::<Cursor>().ok());
                match environment.zip(since) {
                    Some((environment, since)) => self.news(environment, since).await,
                    None => status(StatusCode::BAD_REQUEST),
                }
            }
            QUOTA_PATH => match request.into_body().collect().await {
                Ok(body) => grant(&body.to_bytes()).unwrap_or_else(|_| status(StatusCode::BAD_REQUEST)),
                Err(_) => status(StatusCode::BAD_REQUEST),
            },
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn news(&self, environment: &str, since: Cursor) -> Response<Bytes> {
        let news = self.news.notified();
        tokio::pin!(news);
        // From here on nothing is missed.
        news.as_mut().enable();
        if let Some(frame) = self.frame(environment, since) {
            return Response::new(frame);
        }
        // Whoever waited in vain asks again.
        let _ = tokio::time::timeout(WAIT, news).await;
        self.frame(environment, since).map_or_else(|| status(StatusCode::NO_CONTENT), Response::new)
    }

    /// The frame after that cursor.
    fn frame(&self, environment: &str, since: Cursor) -> Option<Bytes> {
        let position = if since.epoch == 1 { usize::try_from(since.revision).ok()? } else { 0 };
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).get(environment)?.get(position).cloned()
    }
}

/// Whatever is wanted.
fn grant(body: &[u8]) -> Result<Response<Bytes>> {
    let request: QuotaRequest = serde_json::from_slice(body).context("reading asks")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("asking for the time")?.as_millis();
    let now = u64::try_from(now).context("the time is too large")?;
    let (window, past) = (now.checked_div(WINDOW_MS).unwrap_or(0), now.checked_rem(WINDOW_MS).unwrap_or(0));
    let lease = |ask: &QuotaAsk| QuotaGrant {
        window: i64::try_from(window).unwrap_or(i64::MAX),
        granted: ask.want,
        left: ask.limit.amount,
        starts_in_ms: 0,
        ends_in_ms: WINDOW_MS.saturating_sub(past),
        retry_in_ms: 0,
    };
    let answer = QuotaAnswer { grants: request.asks.iter().map(lease).collect() };
    Ok(Response::new(serde_json::to_vec(&answer).context("encoding grants")?.into()))
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
