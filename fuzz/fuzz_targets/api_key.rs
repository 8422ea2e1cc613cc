//! An API key, opaque or signed, as any client may send it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_enforce::fuzzing::api_key(data));
