//! `[router.upstream]`: how names of backends are resolved, and which of several endpoints are used.

use std::time::Duration;

use crate::config::reader::Reader;
use crate::outputs::settings::{Dns, HealthCheck, OutlierDetection};

/// How names of backends are resolved.
pub(super) fn dns(reader: &mut Reader<'_>) -> Dns {
    let defaults = Dns::default();
    let refresh = reader.number("router.upstream.dns.dNSRefreshRate", 100..=3_600_000);
    Dns {
        refresh: refresh.map_or(defaults.refresh, |millis| Duration::from_millis(millis.into())),
        respect_ttl: reader.flag("router.upstream.dns.respectDNSTtl").unwrap_or(defaults.respect_ttl),
    }
}

/// Active health checks.
pub(super) fn health_check(reader: &mut Reader<'_>) -> HealthCheck {
    let defaults = HealthCheck::default();
    let timeout = reader.number("router.upstream.health.timeout", 1..=3600);
    let interval = reader.number("router.upstream.health.interval", 1..=3600);
    let unhealthy = reader.number("router.upstream.health.unhealthyThreshold", 1..=1000);
    let healthy = reader.number("router.upstream.health.healthyThreshold", 1..=1000);
    HealthCheck {
        timeout: timeout.map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.into())),
        interval: interval.map_or(defaults.interval, |seconds| Duration::from_secs(seconds.into())),
        unhealthy_threshold: unhealthy.unwrap_or(defaults.unhealthy_threshold),
        healthy_threshold: healthy.unwrap_or(defaults.healthy_threshold),
    }
}

/// Which endpoints are left alone for a while, if any.
pub(super) fn outlier_detection(reader: &mut Reader<'_>) -> Option<OutlierDetection> {
    const TABLE: &str = "router.upstream.outlierDetection";
    let defaults = OutlierDetection::default();
    let enabled = reader.flag(&format!("{TABLE}.enabled")).unwrap_or(true);
    let mut number = |key: &str, range| reader.number(&format!("{TABLE}.{key}"), range);
    let seconds =
        |seconds: Option<u32>, default| seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()));
    let settings = OutlierDetection {
        consecutive_failures: number("consecutiveFailures", 1..=1000).unwrap_or(defaults.consecutive_failures),
        consecutive_5xx: number("consecutive5xx", 0..=1000).filter(|count| *count > 0),
        interval: seconds(number("interval", 1..=3600), defaults.interval),
        base_ejection_time: seconds(number("baseEjectionTime", 1..=86_400), defaults.base_ejection_time),
        max_ejection_percent: number("maxEjectionPercent", 1..=100).unwrap_or(defaults.max_ejection_percent),
    };
    enabled.then_some(settings)
}
