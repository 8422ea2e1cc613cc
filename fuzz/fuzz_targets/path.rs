//! A resource template, as an API definition may have it, and a path, as any client may send it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_enforce::fuzzing::path(data));
