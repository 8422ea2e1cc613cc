//! How a cluster finds out which of its endpoints can be used.

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;

use super::{duration, number};
use crate::outputs::settings::{HealthCheck, OutlierDetection};

/// Whether an endpoint can be connected to, asked for from time to time.
pub(super) fn check(settings: &HealthCheck) -> core::HealthCheck {
    core::HealthCheck {
        timeout: duration(settings.timeout),
        interval: duration(settings.interval),
        unhealthy_threshold: number(settings.unhealthy_threshold),
        healthy_threshold: number(settings.healthy_threshold),
        health_checker: Some(core::health_check::HealthChecker::TcpHealthCheck(
            core::health_check::TcpHealthCheck::default(),
        )),
        ..core::HealthCheck::default()
    }
}

/// How an endpoint does with real requests. Broken connections are counted apart, so that they are not taken for answers of
/// the application. Envoy's comparisons between endpoints are off: nobody could foretell what they do.
pub(super) fn outlier_detection(settings: &OutlierDetection) -> cluster::OutlierDetection {
    cluster::OutlierDetection {
        consecutive_5xx: number(settings.consecutive_5xx.unwrap_or(0)),
        consecutive_gateway_failure: number(settings.consecutive_failures),
        enforcing_consecutive_gateway_failure: number(100),
        split_external_local_origin_errors: true,
        consecutive_local_origin_failure: number(settings.consecutive_failures),
        interval: duration(settings.interval),
        base_ejection_time: duration(settings.base_ejection_time),
        max_ejection_percent: number(settings.max_ejection_percent),
        enforcing_success_rate: number(0),
        enforcing_local_origin_success_rate: number(0),
        ..cluster::OutlierDetection::default()
    }
}
