//! An archive, as anyone who may deploy can send it: unpacked, read and checked.
#![no_main]

use tollgate_fuzz::check;
use tollgate_project::archive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match archive::unpack(data) {
        Ok(files) => check(&files),
        Err(problems) => assert!(problems.has_errors(), "a refusal says why"),
    }
});
