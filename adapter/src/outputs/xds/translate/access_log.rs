//! The access logs of the listeners: lines in a file, and what the adapter makes events of.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log::AccessLogFormat};
use envoy_types::pb::envoy::extensions::access_loggers::grpc::v3::{
    CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig,
};
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};
use tollgate_model::contract::USAGE_STATE;

use super::format::{JsonFileAccessLog, JsonFormat, Members};
use super::{XDS_CLUSTER, any, duration, number, text_source};
use crate::outputs::analytics::LOG_NAME;
use crate::outputs::settings::{AccessLog, Analytics, LogFormat};

/// A file of lines.
pub(super) fn access_log(settings: &AccessLog) -> accesslog::AccessLog {
    let path = settings.file.display().to_string();
    let formatters = vec![core::TypedExtensionConfig {
        name: "envoy.formatter.req_without_query".to_owned(),
        typed_config: Some(any(&ReqWithoutQuery::default())),
    }];
    let config = match &settings.format {
        LogFormat::Text(text) => any(&FileAccessLog {
            path,
            access_log_format: Some(AccessLogFormat::LogFormat(core::SubstitutionFormatString {
                format: Some(Format::TextFormatSource(text_source(text))),
                formatters,
                ..core::SubstitutionFormatString::default()
            })),
        }),
        LogFormat::Json(members) => {
            let format = JsonFormat { members: Some(Members::of(members)), formatters, ..JsonFormat::default() };
            let log = JsonFileAccessLog { path, log_format: Some(format) };
            Any { type_url: FileAccessLog::type_url(), value: log.encode_to_vec() }
        }
    };
    accesslog::AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(config)),
        ..accesslog::AccessLog::default()
    }
}

/// Everything that events are made of, to the adapter, by the way of xDS.
pub(super) fn remote_log(settings: &Analytics) -> accesslog::AccessLog {
    let adapter = core::grpc_service::EnvoyGrpc {
        cluster_name: XDS_CLUSTER.to_owned(),
        ..core::grpc_service::EnvoyGrpc::default()
    };
    let common = CommonGrpcAccessLogConfig {
        log_name: LOG_NAME.to_owned(),
        grpc_service: Some(core::GrpcService {
            target_specifier: Some(core::grpc_service::TargetSpecifier::EnvoyGrpc(adapter)),
            ..core::GrpcService::default()
        }),
        transport_api_version: core::ApiVersion::V3.into(),
        buffer_flush_interval: duration(settings.flush),
        buffer_size_bytes: number(settings.buffer_bytes),
        filter_state_objects_to_log: vec![format!("wasm.{USAGE_STATE}")],
        ..CommonGrpcAccessLogConfig::default()
    };
    let config = HttpGrpcAccessLogConfig {
        common_config: Some(common),
        additional_request_headers_to_log: settings.request_headers.clone(),
        additional_response_headers_to_log: settings.response_headers.clone(),
        additional_response_trailers_to_log: settings.response_trailers.clone(),
    };
    accesslog::AccessLog {
        name: "envoy.access_loggers.http_grpc".to_owned(),
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(any(&config))),
        ..accesslog::AccessLog::default()
    }
}
