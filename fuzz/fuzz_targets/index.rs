//! The index in shared data: whatever decodes is written back byte for byte.
#![no_main]

use tollgate_model::wire::Index;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    // A whole index with the input's bits flipped: the right length is hard to find by chance.
    let mut flipped = Index::default().encode();
    for (byte, flip) in flipped.iter_mut().zip(data) {
        *byte ^= flip;
    }
    check(&flipped);
});

fn check(bytes: &[u8]) {
    let Ok(index) = Index::decode(bytes) else { return };
    assert_eq!(index.encode(), bytes);
}
