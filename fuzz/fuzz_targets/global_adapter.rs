//! An answer of a global adapter, which says which APIs are an adapter's.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_adapter::inputs::global_adapter::fuzzing::answer(data));
