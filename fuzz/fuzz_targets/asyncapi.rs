//! An AsyncAPI 2 definition, as YAML or JSON.
#![no_main]

use tollgate_fuzz::{WEBSOCKET, check_all};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = if data.starts_with(b"{") { "Definitions/asyncapi.json" } else { "Definitions/asyncapi.yaml" };
    check_all(&[("api.yaml", WEBSOCKET.as_bytes()), (file, data)]);
});
