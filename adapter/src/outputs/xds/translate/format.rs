//! JSON bodies and log lines, whose values are Envoy's commands.
//!
//! The generated types keep JSON formats in hash maps, whose encoding differs from one process to the next, and with it the
//! version of everything around them. The messages here are those types with ordered maps; on the wire they are the same.
//! Must never be used for anything but formats.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::accesslog::v3::AccessLogFilter;
use envoy_types::pb::envoy::config::core::v3::{DataSource, TypedExtensionConfig};
use envoy_types::pb::google::protobuf::{UInt32Value, Value, value};

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Members {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) fields: BTreeMap<String, Value>,
}

impl Members {
    pub(super) fn of<K: Into<String>, V: Into<String>>(members: impl IntoIterator<Item = (K, V)>) -> Self {
        let text = |text: V| Value { kind: Some(value::Kind::StringValue(text.into())) };
        Self { fields: members.into_iter().map(|(name, command)| (name.into(), text(command))).collect() }
    }
}

/// `envoy.config.core.v3.SubstitutionFormatString` with a JSON format, or with a text where a body is no JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct JsonFormat {
    #[prost(message, optional, tag = "2")]
    pub(super) members: Option<Members>,
    #[prost(string, tag = "4")]
    pub(super) content_type: String,
    /// In place of the members.
    #[prost(message, optional, tag = "5")]
    pub(super) text: Option<DataSource>,
    #[prost(message, repeated, tag = "6")]
    pub(super) formatters: Vec<TypedExtensionConfig>,
}

/// `envoy.extensions.access_loggers.file.v3.FileAccessLog` with a JSON format.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct JsonFileAccessLog {
    #[prost(string, tag = "1")]
    pub(super) path: String,
    #[prost(message, optional, tag = "5")]
    pub(super) log_format: Option<JsonFormat>,
}

/// `ResponseMapper` of the HTTP connection manager with a JSON body.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct JsonMapper {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<AccessLogFilter>,
    #[prost(message, optional, tag = "2")]
    pub(super) status_code: Option<UInt32Value>,
    #[prost(message, optional, tag = "4")]
    pub(super) body_format_override: Option<JsonFormat>,
}

/// `LocalReplyConfig`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocalReplies {
    #[prost(message, repeated, tag = "1")]
    pub(super) mappers: Vec<JsonMapper>,
}

/// The part of the HTTP connection manager that holds them. Messages are merged by joining their encodings.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WithLocalReplies {
    #[prost(message, optional, tag = "38")]
    pub(super) local_reply_config: Option<LocalReplies>,
}
