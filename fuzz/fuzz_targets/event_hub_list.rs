//! An answer of API Manager's REST interface, taken for each of its lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_adapter::inputs::event_hub::fuzzing::list(data));
