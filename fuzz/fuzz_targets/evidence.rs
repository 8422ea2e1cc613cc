//! What a module of a chain finds in filter state.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    tollgate_enforce::fuzzing::evidence(data);
    // The first bytes are hard to find by chance.
    tollgate_enforce::fuzzing::evidence(&[b"TGE\x02", data].concat());
});
