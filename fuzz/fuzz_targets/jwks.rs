//! A key set, as an identity provider may send it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_enforce::fuzzing::jwks(data));
