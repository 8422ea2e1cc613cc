//! The wire log: headers, bodies and trailers as they pass between the enforcer and the backend, in Envoy's own log.

use envoy_types::pb::envoy::extensions::filters::http::lua::v3::Lua;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;

use super::{any, text_source};
use crate::outputs::settings::WireLog;

const PROGRAM: &str = include_str!("wire_log.lua");

/// The filter that writes it.
pub(super) fn wire_log(settings: &WireLog) -> hcm::HttpFilter {
    let WireLog { headers, body, trailers } = settings;
    let program = format!("local HEADERS, BODY, TRAILERS = {headers}, {body}, {trailers}\n{PROGRAM}");
    let lua = Lua { default_source_code: Some(text_source(&program)), ..Lua::default() };
    hcm::HttpFilter {
        name: "envoy.filters.http.lua".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&lua))),
        ..hcm::HttpFilter::default()
    }
}
