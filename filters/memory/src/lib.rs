//! Comparing memory, for whatever compares slices and texts in a module: maps of all kinds above all. The C library of wasm
//! goes byte by byte, and is not linked where these are.
//!
//! A crate of its own because of `no_builtins`. The compiler takes these names for those of C's functions, of which it believes
//! to know everything; where it also saw what is in them, it made code of callers in which equal lengths compared wrongly.
//!
//! Must stay a plain loop over words: a compiler that sees a comparison of slices here would have it call itself.
#![no_builtins]
#![cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "it is tested natively, and used in modules"))]

use std::cmp::Ordering;

/// How they compare as unsigned bytes, like C's `memcmp`. Both have the same length.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (one, other) in words.iter().zip(other_words) {
        let (one, other) = (u64::from_be_bytes(*one), u64::from_be_bytes(*other));
        if one != other {
            return if one < other { Ordering::Less } else { Ordering::Greater };
        }
    }
    for (one, other) in rest.iter().zip(other_rest) {
        if one != other {
            return if one < other { Ordering::Less } else { Ordering::Greater };
        }
    }
    Ordering::Equal
}

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "they have a C interface")]
mod exported {
    use super::compare;

    /// # Safety
    /// Both are readable for that length.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
        // SAFETY: said above. C allows any pointer where there are no bytes, which a slice does not.
        match length {
            0 => 0,
            _ => unsafe {
                compare(std::slice::from_raw_parts(one, length), std::slice::from_raw_parts(other, length)) as i32
            },
        }
    }

    /// # Safety
    /// Both are readable for that length.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
        // SAFETY: said above.
        unsafe { memcmp(one, other, length) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn compares_as_slices_do(one: Vec<u8>, change in 0..40_usize, to: u8) {
            let mut other = one.clone();
            if let Some(byte) = other.get_mut(change) {
                *byte = to;
            }
            prop_assert_eq!(compare(&one, &other), one.cmp(&other));
        }
    }
}
