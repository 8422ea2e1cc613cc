//! Functions of AWS Lambda: a filter of the function's own cluster turns the request into a signed call. Routes know nothing
//! of it, and the enforcer only chooses the cluster.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::http::aws_lambda::v3 as aws;
use envoy_types::pb::envoy::extensions::filters::http::upstream_codec::v3::UpstreamCodec;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value};

use super::any;
use crate::model::LambdaFunction;

/// What a cluster's requests pass before they leave.
pub(super) fn filters(function: &LambdaFunction) -> [hcm::HttpFilter; 2] {
    let mode = if function.synchronous {
        aws::config::InvocationMode::Synchronous
    } else {
        aws::config::InvocationMode::Asynchronous
    };
    let credentials = function.credentials.as_ref().map(|credentials| aws::Credentials {
        access_key_id: credentials.access_key.clone(),
        secret_access_key: credentials.secret_key.expose().to_owned(),
        session_token: String::new(),
    });
    let config = aws::Config {
        arn: function.arn.clone(),
        payload_passthrough: function.payload_passthrough,
        invocation_mode: mode.into(),
        credentials,
        ..aws::Config::default()
    };
    [
        filter("envoy.filters.http.aws_lambda", any(&config)),
        filter("envoy.filters.http.upstream_codec", any(&UpstreamCodec {})),
    ]
}

fn filter(name: &str, config: Any) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: name.to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(config)),
        ..hcm::HttpFilter::default()
    }
}

/// The mark without which the filter leaves requests alone.
pub(super) fn metadata() -> core::Metadata {
    let yes = Value { kind: Some(value::Kind::BoolValue(true)) };
    let mark = Struct { fields: HashMap::from([("egress_gateway".to_owned(), yes)]) };
    core::Metadata {
        filter_metadata: HashMap::from([("com.amazonaws.lambda".to_owned(), mark)]),
        ..core::Metadata::default()
    }
}
