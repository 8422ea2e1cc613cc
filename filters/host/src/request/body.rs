//! What has arrived of a request's body.
//!
//! Envoy holds it; only its size is kept here. Must never say that a body is whole before it is.

use tollgate_enforce::{Answer, RequestBody};

use crate::{Abi, Level, Side};

/// A body under way.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Nothing follows.
    pub(super) ended: bool,
    /// What came after it, in the host's encoding.
    pub(super) trailers: Option<Vec<u8>>,
    /// Bytes so far; `None` when there was no part of a body yet.
    size: Option<usize>,
}

impl Incoming {
    /// Of a request whose headers have arrived; `ended` if nothing follows.
    pub(super) fn begun(ended: bool) -> Self {
        Self { ended, ..Self::default() }
    }

    pub(super) fn arrived(&mut self, size: usize, end: bool) {
        self.size = Some(size);
        self.ended |= end;
    }

    /// Whether Envoy holds a body.
    pub(super) const fn is_held(&self) -> bool {
        self.size.is_some()
    }

    /// Whether Envoy holds any bytes.
    pub(super) fn holds_some(&self) -> bool {
        self.size.is_some_and(|size| size > 0)
    }

    /// The answer to the question for the body; `None` while it must be waited for.
    pub(super) fn answer(&self, abi: &dyn Abi, limit: usize) -> Option<Answer> {
        if self.size.is_some_and(|size| size > limit) {
            return Some(Answer::BodyTooLarge);
        }
        if !self.ended {
            return None;
        }
        let bytes = match self.size {
            None => Vec::new(),
            Some(size) => match abi.body(Side::Request, size) {
                Ok(bytes) if bytes.len() == size => bytes,
                Ok(_) => return Some(Answer::Failed),
                Err(status) => {
                    abi.log(Level::Error, &format!("request body cannot be read: {status:?}"));
                    return Some(Answer::Failed);
                }
            },
        };
        let trailers = self.trailers.clone();
        Some(Answer::Body(RequestBody { bytes, trailers, replaceable: self.is_held() }))
    }
}
