//! Frames of a WebSocket, as either side may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_enforce::fuzzing::websocket(data));
