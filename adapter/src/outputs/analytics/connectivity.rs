//! What kept a request from its backend: Envoy's flags in the codes of Choreo Connect.

use envoy_types::pb::envoy::data::accesslog::v3::ResponseFlags;

/// The code; -1 where the flags name nothing that has one. The first that fits counts.
pub(super) fn code(flags: Option<&ResponseFlags>) -> i32 {
    let Some(flags) = flags else { return -1 };
    let known = [
        (flags.failed_local_healthcheck || flags.no_healthy_upstream, 101_503),
        (flags.upstream_request_timeout, 101_504),
        (flags.local_reset, 101_001),
        (flags.upstream_remote_reset, 101_503),
        (flags.upstream_connection_failure, 101_500),
        (flags.upstream_connection_termination, 101_505),
        (flags.downstream_connection_termination, 101_001),
        (flags.stream_idle_timeout, 101_504),
        (flags.downstream_protocol_error, 101_506),
        (flags.upstream_max_stream_duration_reached, 101_504),
        (flags.duration_timeout, 101_000),
    ];
    known.into_iter().find(|(set, _)| *set).map_or(-1, |(_, code)| code)
}

/// Its kind.
pub(super) const fn message(code: i32) -> &'static str {
    match code {
        101_504 | 101_508 => "CONNECTION_TIMEOUT",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flag_that_fits_counts() {
        let none = ResponseFlags::default;
        for (flags, expected) in [
            (none(), (-1, "OTHER")),
            (ResponseFlags { no_route_found: true, ..none() }, (-1, "OTHER")),
            (ResponseFlags { upstream_request_timeout: true, ..none() }, (101_504, "CONNECTION_TIMEOUT")),
            (
                ResponseFlags { upstream_connection_failure: true, upstream_connection_termination: true, ..none() },
                (101_500, "OTHER"),
            ),
            (ResponseFlags { duration_timeout: true, ..none() }, (101_000, "OTHER")),
        ] {
            let code = code(Some(&flags));
            assert_eq!((code, message(code)), expected, "{flags:?}");
        }
        assert_eq!(code(None), -1);
    }
}
