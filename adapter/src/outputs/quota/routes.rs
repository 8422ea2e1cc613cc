//! `POST /v1/quota`: gateways ask for leases. Only gateways get here: the server asks for a client certificate.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use tollgate_model::contract::NODE_HEADER;
use tollgate_model::{MAX_ASKS, MAX_QUOTA_KEY, MAX_UNHEARD, QuotaAnswer, QuotaRequest};
use warp::{Filter, Rejection};

use super::Receipts;
use crate::outputs::body;

/// Most bytes of a request.
const MAX_REQUEST: usize = 1024 * 1024;

/// The route: leases of `owner`.
pub fn routes(
    owner: Receipts,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone + Send + Sync + 'static {
    warp::path!("v1" / "quota").and(warp::post()).and(warp::header::headers_cloned()).and(warp::body::stream()).then(
        move |headers: HeaderMap, content| {
            let owner = owner.clone();
            async move {
                match body::read(content, MAX_REQUEST).await {
                    Ok(request) => lease(&owner, &headers, &request).await,
                    Err(error) => text(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
                }
            }
        },
    )
}

async fn lease(owner: &Receipts, headers: &HeaderMap, request: &[u8]) -> Response<Bytes> {
    let Some(holder) = headers.get(NODE_HEADER).and_then(|value| value.to_str().ok()) else {
        return text(StatusCode::BAD_REQUEST, &format!("header {NODE_HEADER} is missing"));
    };
    let request: QuotaRequest = match serde_json::from_slice(request) {
        Ok(request) => request,
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("no request for quota: {error}")),
    };
    if request.asks.len() > MAX_ASKS || request.asks.iter().any(|ask| ask.key.len() > MAX_QUOTA_KEY) {
        let limits = format!("at most {MAX_ASKS} asks, with keys of at most {MAX_QUOTA_KEY} bytes");
        return text(StatusCode::BAD_REQUEST, &limits);
    }
    if request.unheard.len() > MAX_UNHEARD {
        return text(StatusCode::BAD_REQUEST, &format!("at most {MAX_UNHEARD} unheard questions"));
    }
    match owner.lease(request, holder).await {
        Ok(grants) => match serde_json::to_vec(&QuotaAnswer { grants }) {
            Ok(answer) => reply(StatusCode::OK, "application/json", Bytes::from(answer)),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        Err(error) => {
            tracing::warn!(%error, holder, "a gateway gets no quota");
            text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
    }
}

fn text(status: StatusCode, body: &str) -> Response<Bytes> {
    reply(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(body.as_bytes()))
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
