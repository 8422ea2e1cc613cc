//! Request bodies, read within limits of size and time.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use multer::{Constraints, Multipart, SizeLimit};
use warp::reply::Response;

use super::parameters::{self, Invalid};
use super::reply;
use tollgate_project::archive::MAX_ARCHIVE_BYTES;

/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of a login.
const MAX_LOGIN: usize = 4 << 10;
/// Room for the frame around the archive.
const MAX_FRAME: usize = 64 << 10;
/// Most parts of a form.
const MAX_PARTS: usize = 8;

/// The body of a login.
///
/// # Errors
/// The answer to give instead.
pub async fn login<B: Buf, E: std::fmt::Display>(
    body: impl Stream<Item = Result<B, E>>,
) -> Result<serde_json::Value, Response> {
    let bytes = in_time(collect(body, MAX_LOGIN)).await?;
    if bytes.is_empty() {
        return Err(reply::invalid(&parameters::no_credentials()));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| reply::error(StatusCode::BAD_REQUEST, &format!("parsing body failed, because {error}")))
}

/// The part `file` of a form.
///
/// # Errors
/// The answer to give instead.
pub async fn archive<B, E>(
    content_type: Option<&str>,
    body: impl Stream<Item = Result<B, E>> + Send + 'static,
) -> Result<Bytes, Response>
where
    B: Buf,
    E: std::error::Error + Send + Sync + 'static,
{
    let content_type = content_type.unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        let message = format!("unsupported media type {content_type:?}, only [multipart/form-data] are allowed");
        return Err(reply::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message));
    };
    let whole = u64::try_from(MAX_ARCHIVE_BYTES.saturating_add(MAX_FRAME)).unwrap_or(u64::MAX);
    let part = u64::try_from(MAX_ARCHIVE_BYTES).unwrap_or(u64::MAX);
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(whole).per_field(part));
    let chunks = body.map_ok(|mut chunk| chunk.copy_to_bytes(chunk.remaining()));
    in_time(file(Multipart::with_constraints(chunks, boundary, limits))).await
}

async fn file(mut form: Multipart<'static>) -> Result<Bytes, Response> {
    for _ in 0..MAX_PARTS {
        let Some(field) = form.next_field().await.map_err(|error| malformed(&error))? else { break };
        if field.name() == Some("file") {
            return field.bytes().await.map_err(|error| malformed(&error));
        }
    }
    Err(reply::invalid(&Invalid { code: 602, message: "file in formData is required".to_owned() }))
}

fn malformed(error: &multer::Error) -> Response {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => too_large(),
        other => reply::error(StatusCode::BAD_REQUEST, &format!("parsing file formData failed, because {other}")),
    }
}

async fn collect<B: Buf, E: std::fmt::Display>(
    body: impl Stream<Item = Result<B, E>>,
    limit: usize,
) -> Result<Bytes, Response> {
    let mut bytes = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| reply::error(StatusCode::BAD_REQUEST, &format!("the body broke off ({error})")))?;
        if bytes.len().saturating_add(chunk.remaining()) > limit {
            return Err(too_large());
        }
        let mut chunk = chunk;
        let length = chunk.remaining();
        bytes.extend_from_slice(&chunk.copy_to_bytes(length));
    }
    Ok(bytes.freeze())
}

fn too_large() -> Response {
    reply::error(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large")
}

async fn in_time<T>(work: impl Future<Output = Result<T, Response>>) -> Result<T, Response> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(reply::error(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive in time")),
    }
}
