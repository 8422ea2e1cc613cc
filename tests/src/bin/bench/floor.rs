//! Modules that make the calls of a request and do nothing else: no module that makes them can be faster.
//!
//! They let everything pass, and must never be taken for a filter.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Envoy's calls of `authn` (context created, headers, context deleted), and its own: the header map, the clock, and one header
/// taken away. Texts lie where the calls say; whatever the host returns is put behind them.
const AUTHN: &str = r#"
(module
  (import "env" "proxy_get_header_map_pairs" (func $map (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $record (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $steady (param i32 i64 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 64) "authorization")
  (data (i32.const 128) ":path/orders/42")
  (data (i32.const 192) "x-first-headerx-second-headerx-third-header")
  (data (i32.const 256) "a value that is as long as the names of clusters are")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 65536)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_delete") (param i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $map (i32.const 0) (i32.const 0) (i32.const 4)))
    (drop (call $now (i32.const 8)))
    (drop (call $remove (i32.const 0) (i32.const 64) (i32.const 13)))
    ;; more
    i32.const 0))
"#;

/// The further calls of `full`: the steady clock, the path, three headers, and the record.
const FURTHER: &str = "
    (drop (call $set (i32.const 0) (i32.const 128) (i32.const 5) (i32.const 133) (i32.const 10)))
    (drop (call $steady (i32.const 1) (i64.const 0) (i32.const 8)))
    (drop (call $set (i32.const 0) (i32.const 192) (i32.const 14) (i32.const 256) (i32.const 52)))
    (drop (call $set (i32.const 0) (i32.const 206) (i32.const 15) (i32.const 256) (i32.const 5)))
    (drop (call $set (i32.const 0) (i32.const 221) (i32.const 14) (i32.const 256) (i32.const 10)))
    (drop (call $record (i32.const 192) (i32.const 14) (i32.const 1024) (i32.const 300)))";

/// The module, in base64, as Envoy takes it in its configuration.
pub fn module(everything: bool) -> Result<String> {
    let text = if everything { AUTHN.replace(";; more", FURTHER) } else { AUTHN.to_owned() };
    Ok(STANDARD.encode(wat::parse_str(text).context("assembling a module that does nothing")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_can_be_assembled() {
        assert!(module(false).unwrap().len() < module(true).unwrap().len());
    }
}
