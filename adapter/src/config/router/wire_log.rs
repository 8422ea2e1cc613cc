//! `[wireLogs]` of log_config.toml: whole messages in the log of a gateway.

use crate::config::reader::Reader;
use crate::outputs::settings::WireLog;

const ENABLE: &str = "wireLogs.enable";
const INCLUDE: &str = "wireLogs.include";

/// The wire log, if it is on.
pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Option<WireLog> {
    let enabled = reader.flag(ENABLE).unwrap_or(false);
    let mut log = WireLog::default();
    for part in reader.texts(INCLUDE).unwrap_or_default() {
        match part.to_lowercase().as_str() {
            "headers" => log.headers = true,
            "body" => log.body = true,
            "trailers" => log.trailers = true,
            _ => reader.error(INCLUDE, "a part of a message is expected here", "write Headers, Body or Trailers"),
        }
    }
    if !enabled {
        return None;
    }
    if log == WireLog::default() {
        reader.warn(INCLUDE, "wire logs are on, and nothing is logged", "list Headers, Body or Trailers");
        return None;
    }
    let what = "messages are written into the gateways' logs: queries and headers whose names hint at secrets are masked, bodies are not";
    reader.warn(ENABLE, what, "switch it off again when the fault is found");
    Some(log)
}
