//! The access log of the listeners.

use envoy_types::pb::envoy::config::accesslog::v3 as accesslog;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log::AccessLogFormat};
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use super::format::{JsonFileAccessLog, JsonFormat, Members};
use super::{any, text_source};
use crate::outputs::settings::{AccessLog, LogFormat};

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
