//! The feed over HTTP: the long poll, and questions for an issuer's keys and for tokens that tell backends who calls.
//!
//! Only gateways get here: the server asks for a client certificate. Must never answer with a key that is not published.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tollgate_model::contract::{
    BackendJwtRequest, ENVIRONMENT_HEADER, FEED_WAIT_SECONDS, KeysRequest, MANAGED_HEADER, NODE_HEADER, PROBLEMS_HEADER,
};
use tollgate_model::wire::Cursor;
use warp::{Filter, Rejection};

use super::{Feed, FeedError, frame};
use crate::admin::{Counters, Status};
use crate::outputs::backend_jwt::{Minter, NoToken};
use crate::outputs::body;
use crate::outputs::issuers::Issuers;
use crate::outputs::nodes::FeedPosition;
use crate::outputs::xds::{Offer, Offers, ResourceType};

/// Most bytes of a question for keys.
const MAX_QUESTION: usize = 64 * 1024;
/// How long filters are kept waiting for their gateway's clusters. Envoy looks for a lost adapter every three seconds.
const CLUSTERS_WAIT: Duration = Duration::from_secs(5);
/// Most characters of a gateway's name.
const MAX_NODE: usize = 512;

/// What the routes work on.
#[derive(Debug, Clone)]
pub struct FeedContext {
    /// The tables.
    pub feed: Arc<Feed>,
    /// The issuers.
    pub issuers: Arc<Issuers>,
    /// Where gateways are noted.
    pub status: Arc<Status>,
    /// What gateways get over xDS.
    pub offers: watch::Receiver<Arc<Offers>>,
    /// Makes tokens for backends, if backends are told who calls.
    pub minter: Option<Arc<Minter>>,
    /// Ends every wait.
    pub shutdown: CancellationToken,
}

/// `GET /v1/feed`, `POST /v1/keys` and `POST /v1/backend-jwt`.
pub fn routes(
    context: FeedContext,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone + Send + Sync + 'static {
    let keys_context = context.clone();
    let tokens_context = context.clone();
    let tokens = warp::path!("v1" / "backend-jwt")
        .and(warp::post())
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |headers: HeaderMap, content| {
            let context = tokens_context.clone();
            async move {
                match body::read(content, MAX_QUESTION).await {
                    Ok(question) => post_backend_jwt(context, &headers, &question).await,
                    Err(error) => text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
                }
            }
        });
    let feed = warp::path!("v1" / "feed")
        .and(warp::get())
        .and(raw_query())
        .and(warp::header::headers_cloned())
        .then(move |query: String, headers: HeaderMap| get_feed(context.clone(), query, headers));
    let keys = warp::path!("v1" / "keys").and(warp::post()).and(warp::body::stream()).then(move |content| {
        let context = keys_context.clone();
        async move {
            match body::read(content, MAX_QUESTION).await {
                Ok(question) => post_keys(context, &question).await,
                Err(error) => text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            }
        }
    });
    feed.or(keys).unify().or(tokens).unify()
}

fn raw_query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

async fn get_feed(context: FeedContext, query: String, headers: HeaderMap) -> Response<Bytes> {
    let (since, environment) = match (parse_since(&query), text_header(&headers, ENVIRONMENT_HEADER)) {
        (Ok(since), Some(environment)) => (since, environment.to_owned()),
        (Err(error), _) => return text(StatusCode::BAD_REQUEST, error),
        (_, None) => return text(StatusCode::BAD_REQUEST, format!("header {ENVIRONMENT_HEADER} is missing")),
    };
    Counters::add(&context.status.counters.feed_requests, 1);
    let node = text_header(&headers, NODE_HEADER).filter(|node| node.len() <= MAX_NODE);
    if let Some(node) = node {
        let problems = text_header(&headers, PROBLEMS_HEADER).map(ToOwned::to_owned);
        let position = FeedPosition { cursor: since, whole: frame::is_whole(since), problems };
        context.status.nodes().fed(node, &environment, position);
    }
    let wait = Duration::from_secs(FEED_WAIT_SECONDS);
    let answer = tokio::select! {
        () = context.shutdown.cancelled() => Ok(None),
        answer = timeout(wait, next(&context.feed, &environment, since)) => answer.unwrap_or(Ok(None)),
    };
    if let (Ok(Some(_)), Some(node), true) = (&answer, node, headers.contains_key(MANAGED_HEADER)) {
        // Late is better than naming a cluster that is not there, and never is worse.
        timeout(CLUSTERS_WAIT, has_taken(&context, node, &environment)).await.ok();
    }
    match answer {
        Ok(Some(frame)) => {
            let size = u64::try_from(frame.len()).unwrap_or(u64::MAX);
            Counters::add(&context.status.counters.feed_bytes, size);
            reply(StatusCode::OK, "application/octet-stream", frame)
        }
        Ok(None) => reply(StatusCode::NO_CONTENT, "application/octet-stream", Bytes::new()),
        Err(error @ FeedError::UnknownEnvironment(_)) => {
            tracing::warn!(%error, "a gateway's filters cannot be fed");
            text(StatusCode::NOT_FOUND, error.to_string())
        }
        Err(error @ FeedError::Encode(_)) => {
            tracing::error!(environment, %error, "the feed cannot be answered");
            text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    }
}

/// Waits until there is something to say. The watch is opened first, so that no change falls between look and wait.
async fn next(feed: &Feed, environment: &str, since: Cursor) -> Result<Option<Bytes>, FeedError> {
    let mut changed = feed.watch();
    loop {
        let answer = feed.answer(environment, since)?;
        if answer.is_some() || changed.changed().await.is_err() {
            return Ok(answer);
        }
    }
}

/// Waits until the gateway has answered what its environment's APIs need. It may not even be connected: after a restart of
/// the adapter, filters are often back before Envoy's own stream is.
async fn has_taken(context: &FeedContext, node: &str, environment: &str) {
    let nodes = context.status.nodes();
    let mut changed = nodes.watch();
    loop {
        let offer = context.offers.borrow().get(environment).cloned();
        let answered = |offer: Offer| {
            nodes.has_answered(node, ResourceType::Cluster, offer.clusters.version())
                && nodes.has_answered(node, ResourceType::Extension, offer.extension.version())
        };
        if offer.is_none_or(answered) || changed.changed().await.is_err() {
            return;
        }
    }
}

async fn post_keys(context: FeedContext, question: &[u8]) -> Response<Bytes> {
    let question: KeysRequest = match serde_json::from_slice(question) {
        Ok(question) => question,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("no question for keys: {error}")),
    };
    match context.issuers.keys(&question.issuer, &question.kid).await {
        None => text(StatusCode::NOT_FOUND, "there is no such issuer".to_owned()),
        Some(keys) => match serde_json::to_vec(&keys) {
            Ok(body) => reply(StatusCode::OK, "application/json", Bytes::from(body)),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
    }
}

/// Never answers with what the credential was refused for in words: whoever asks is told by its own filter.
async fn post_backend_jwt(context: FeedContext, headers: &HeaderMap, question: &[u8]) -> Response<Bytes> {
    let (Some(minter), Some(environment)) = (&context.minter, text_header(headers, ENVIRONMENT_HEADER)) else {
        return text(StatusCode::NOT_FOUND, "there are no tokens for backends here".to_owned());
    };
    let Ok(question) = serde_json::from_slice::<BackendJwtRequest>(question) else {
        return text(StatusCode::BAD_REQUEST, "no question for a token".to_owned());
    };
    let (api, virtual_host) = (question.api.clone(), question.virtual_host.clone());
    let refused = match minter.make(environment, question).await {
        Ok(made) => match serde_json::to_vec(&made) {
            Ok(body) => return reply(StatusCode::OK, "application/json", Bytes::from(body)),
            Err(error) => NoToken::Failed(error.to_string()),
        },
        Err(refused) => refused,
    };
    tracing::warn!(api, virtual_host, environment, %refused, "a backend cannot be told who calls");
    let status = match refused {
        NoToken::NoApi => StatusCode::NOT_FOUND,
        NoToken::Refused(_) => StatusCode::FORBIDDEN,
        NoToken::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, refused.to_string())
}

fn parse_since(query: &str) -> Result<Cursor, String> {
    let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "since");
    match (values.next(), values.next()) {
        (Some((_, value)), None) => value.parse().map_err(|error| format!("query parameter since: {error}")),
        (None, _) => Err("query parameter since is missing".to_owned()),
        (Some(_), Some(_)) => Err("query parameter since is there twice".to_owned()),
    }
}

fn text_header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn text(status: StatusCode, body: String) -> Response<Bytes> {
    reply(status, "text/plain; charset=utf-8", Bytes::from(body))
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
