//! Certificates and public keys in PEM: of issuers, of callers and of backends, as whoever uploads a project or registers a key
//! manager may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollgate_fuzz::certificates::check(data));
