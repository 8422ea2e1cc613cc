//! Reads a request body up to a limit. Bodies in chunks have no length that could be looked at first.

use bytes::Buf;
use futures_util::{Stream, TryStreamExt};

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// Larger than the limit.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The client went away, or broke the protocol.
    #[error("the body cannot be read: {0}")]
    Read(#[from] warp::Error),
}

/// The whole body.
pub(super) async fn read<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Vec<u8>, BodyError> {
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(mut chunk) = body.try_next().await? {
        if bytes.len().saturating_add(chunk.remaining()) > limit {
            return Err(BodyError::TooLarge(limit));
        }
        while chunk.has_remaining() {
            let piece = chunk.chunk();
            bytes.extend_from_slice(piece);
            let length = piece.len();
            chunk.advance(length);
        }
    }
    Ok(bytes)
}
