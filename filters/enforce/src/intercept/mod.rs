//! Interceptors: services that look at a request before its backend gets it, or at a response before its client does, and
//! may change it.
//!
//! `before` is the request's side, [`Interception`] the response's. Both tell the service what it asked for (`told`), read
//! what it wants (`answer`), and let it change headers within limits (`headers`). An answer that cannot be carried out to
//! the letter is refused as a whole: half of a change may be worse than none. Nothing here must ever be logged.

mod answer;
mod before;
mod headers;
mod response;
mod told;

pub(crate) use before::{Caller, Change, Intercepted, before};
pub use response::{Held, Interception, Outcome};

/// Most bytes of a body that a service is told.
const MAX_BODY: usize = 8 << 20;
/// Most bytes of an answer, which may hold such a body in base64.
const MAX_ANSWER: usize = 12 << 20;
