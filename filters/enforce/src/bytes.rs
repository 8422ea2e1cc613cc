//! Looking at bytes by words. In wasm the comparison of the C library goes byte by byte, and a token has a thousand of them.

/// Whether both are the same. Not for secrets: it stops at the first difference.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    if !words.iter().zip(other_words).all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other)) {
        return false;
    }
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        // It may overlap the last word before it.
        (Some(end), Some(other_end)) => u64::from_le_bytes(*end) == u64::from_le_bytes(*other_end),
        _ => rest.iter().zip(other_rest).all(|(one, other)| one == other),
    }
}

/// Whether any of them is ASCII whitespace.
pub(crate) fn has_whitespace(bytes: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // It has a bit for the first byte below 33, if there is one, and perhaps for others behind that.
    let suspect = |word: u64| word.wrapping_sub(ONES.wrapping_mul(33)) & !word & ONES.wrapping_mul(128) != 0;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut pieces =
        words.iter().map(|word| (word.as_slice(), suspect(u64::from_le_bytes(*word)))).chain([(rest, true)]);
    pieces.any(|(piece, suspect)| suspect && piece.iter().any(u8::is_ascii_whitespace))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_whitespace(bytes in prop::collection::vec(prop_oneof![20 => 33_u8..=255, 1 => any::<u8>()], 0..40)) {
            prop_assert_eq!(has_whitespace(&bytes), bytes.iter().any(u8::is_ascii_whitespace));
        }

        #[test]
        fn compares_as_slices_do(one: Vec<u8>, change in 0..40_usize) {
            prop_assert!(same(&one, &one.clone()));
            let mut other = one.clone();
            if let Some(byte) = other.get_mut(change) {
                *byte ^= 1;
            }
            prop_assert_eq!(same(&one, &other), one == other);
            other.push(0);
            prop_assert!(!same(&one, &other) && !same(&other, &one));
        }
    }
}
