//! An archive, as anyone who may deploy can send it: unpacked, read and checked.
#![no_main]

use tollgate_fuzz::check;
use tollgate_project::archive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(files) = archive::unpack(data) {
        check(&files);
    }
});
