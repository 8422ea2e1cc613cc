//! The limit on how often the gateway's public keys may be asked for. Switched off but on that page, so that no other request
//! pays for it.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::http::local_ratelimit::v3::LocalRateLimit;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::r#type::v3 as kind;

use super::{any, duration, number};
use crate::outputs::settings::RateLimit;

/// Name of the filter.
pub(super) const RATE_LIMIT: &str = "envoy.filters.http.local_ratelimit";

/// The filter, which does nothing by itself.
pub(super) fn rate_limiter() -> hcm::HttpFilter {
    let nothing = LocalRateLimit { stat_prefix: "jwks".to_owned(), ..LocalRateLimit::default() };
    hcm::HttpFilter {
        name: RATE_LIMIT.to_owned(),
        disabled: true,
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&nothing))),
        ..hcm::HttpFilter::default()
    }
}

/// What it does on a route.
pub(super) fn rate_limit(limit: RateLimit) -> LocalRateLimit {
    let always = || {
        Some(core::RuntimeFractionalPercent {
            default_value: Some(kind::FractionalPercent {
                numerator: 100,
                denominator: kind::fractional_percent::DenominatorType::Hundred.into(),
            }),
            ..core::RuntimeFractionalPercent::default()
        })
    };
    LocalRateLimit {
        stat_prefix: "jwks".to_owned(),
        token_bucket: Some(kind::TokenBucket {
            max_tokens: limit.requests,
            tokens_per_fill: number(limit.requests),
            fill_interval: duration(limit.window),
        }),
        filter_enabled: always(),
        filter_enforced: always(),
        ..LocalRateLimit::default()
    }
}
