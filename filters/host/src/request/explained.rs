//! Decisions that are made in front of the log. The client learns nothing of it.

use tollgate_enforce::{Cx, Decision, Header};

use crate::role::Explain;
use crate::{Abi, Level};

/// Longest id of a request in the log.
const MAX_REQUEST_ID: usize = 64;

/// Decides, and says why in a line of the log that begins with `explain` and the request's id.
pub(super) fn decide(abi: &dyn Abi, cx: &Cx, explain: Explain) -> Decision {
    let (decision, trace) = explain(cx);
    let id = match cx.request.get("x-request-id") {
        Header::One(id) => id
            .iter()
            .take(MAX_REQUEST_ID)
            .filter(|byte| byte.is_ascii_graphic())
            .map(|byte| char::from(*byte))
            .collect(),
        Header::Absent | Header::Many => "-".to_owned(),
    };
    let trace = serde_json::to_string(&trace).unwrap_or_else(|error| format!("cannot be written: {error}"));
    abi.log(Level::Info, &format!("explain {id} {trace}"));
    decision
}
