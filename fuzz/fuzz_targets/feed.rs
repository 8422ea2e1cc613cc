//! An answer of the feed: whatever decodes means the same after it is written and read again.
#![no_main]

use tollgate_model::wire::FeedFrame;

const HEADER: &[u8] = b"TGFD\x01\x00";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    check(&[HEADER, data].concat());
});

fn check(bytes: &[u8]) {
    let Ok(frame) = FeedFrame::decode(bytes) else { return };
    let written = frame.encode().expect("what fits when read fits when written");
    assert_eq!(FeedFrame::decode(&written), Ok(frame));
}
