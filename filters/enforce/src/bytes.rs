//! Looking at bytes by words. In wasm the comparison of the C library goes byte by byte, and a token has a thousand of them.

/// Whether both are the same. Where they differ does not change how long it takes: credentials are compared with what is
/// remembered of others, and nobody shall learn from a clock how much of a guess was right.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((blocks, rest), (other_blocks, other_rest)) = (one.as_chunks::<64>(), other.as_chunks::<64>());
    let pairs = blocks.iter().zip(other_blocks);
    let found = pairs.fold(0, |found, (one, other)| found | differences(one, other));
    let (words, other_words) = (rest.as_chunks::<8>().0, other_rest.as_chunks::<8>().0);
    let found = words.iter().zip(other_words).fold(found, |found, (one, other)| found | difference(one, other));
    let end = match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        // It may overlap what was compared before.
        (Some(end), Some(other_end)) => difference(end, other_end),
        _ => rest.iter().zip(other_rest).fold(0, |found, (one, other)| found | u64::from(one ^ other)),
    };
    found | end == 0
}

/// Not 0 if any bit differs. Without a branch, so that it is done by vector instructions.
fn differences(one: &[u8; 64], other: &[u8; 64]) -> u64 {
    let (words, other_words) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    words.iter().zip(other_words).fold(0, |found, (one, other)| found | difference(one, other))
}

const fn difference(one: &[u8; 8], other: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)
}

/// Whether any of them is ASCII whitespace.
pub(crate) fn has_whitespace(bytes: &[u8]) -> bool {
    // Without a branch for each byte, so that it is done by vector instructions; texts seldom have any of these.
    let suspect = |block: &[u8; 64]| block.iter().fold(false, |found, byte| found | (*byte <= b' '));
    let (blocks, rest) = bytes.as_chunks::<64>();
    let found = |block: &[u8; 64]| suspect(block) && block.iter().any(u8::is_ascii_whitespace);
    blocks.iter().any(found) || rest.iter().any(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_whitespace(bytes in prop::collection::vec(prop_oneof![100 => 33_u8..=255, 1 => any::<u8>()], 0..200)) {
            prop_assert_eq!(has_whitespace(&bytes), bytes.iter().any(u8::is_ascii_whitespace));
        }

        #[test]
        fn compares_as_slices_do(one in prop::collection::vec(any::<u8>(), 0..100), change in 0..110_usize) {
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
