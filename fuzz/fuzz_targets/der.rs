//! The same in DER, so that what is inside of the armour is reached: the first byte says what it is said to be.
#![no_main]

use tollgate_fuzz::certificates::{armoured, check};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, der)) = data.split_first() else { return };
    let label = if kind % 2 == 0 { "CERTIFICATE" } else { "PUBLIC KEY" };
    check(armoured(label, der).as_bytes());
});
