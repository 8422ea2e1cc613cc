//! What Envoy says when it answers in a backend's stead: the codes and statuses of Choreo Connect, by response flag.
//!
//! Answers of the enforcer and the gateway's own pages carry no such flag, and so stay as they are. Callers of gRPC get
//! the body as `grpc-message`, which is Envoy's doing.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;

use super::format::{JsonFormat, JsonMapper, LocalReplies, Members};
use super::number;

/// Envoy's own words.
const ENVOY_SAYS: &str = "%LOCAL_REPLY_BODY%";

/// Response flag, status, code, message. The first that applies counts.
const REPLIES: [(&str, u32, &str, &str); 15] = [
    ("NR", 404, "404", "Not Found"),
    ("UF", 503, "102503", "Upstream connection failed"),
    ("UT", 504, "102504", "Upstream connection timeout"),
    ("UO", 503, "102505", "Upstream overflow"),
    ("URX", 500, "102506", "Upstream maximum connect attempts reached"),
    ("NC", 500, "102507", "Upstream not configured for the resource"),
    ("UH", 503, "102508", "No healthy upstream"),
    ("UR", 503, "102509", "Upstream connection reset by the remote"),
    ("UC", 503, "102510", "Upstream connection termination"),
    ("LR", 503, "102511", "Connection reset by the gateway"),
    ("IH", 400, "102512", "Strictly checked header validation failure"),
    ("SI", 500, "102513", "Stream idle timeout"),
    ("DPE", 500, "102514", "HTTP protocol error in downstream request"),
    ("UPE", 500, "102515", "HTTP protocol error in upstream request"),
    ("UMSDR", 500, "102516", "Upstream request reached max stream duration"),
];

/// All of them.
pub(super) fn local_replies() -> LocalReplies {
    LocalReplies { mappers: REPLIES.into_iter().map(mapper).collect() }
}

fn mapper((flag, status, code, message): (&str, u32, &str, &str)) -> JsonMapper {
    let description = if flag == "NR" { "The requested resource is not available." } else { ENVOY_SAYS };
    let flags = accesslog::ResponseFlagFilter { flags: vec![flag.to_owned()] };
    JsonMapper {
        filter: Some(accesslog::AccessLogFilter { filter_specifier: Some(FilterSpecifier::ResponseFlagFilter(flags)) }),
        status_code: number(status),
        body_format_override: Some(JsonFormat {
            members: Some(Members::of([("code", code), ("message", message), ("description", description)])),
            content_type: "application/json".to_owned(),
            formatters: Vec::new(),
        }),
    }
}
