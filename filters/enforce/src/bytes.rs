//! Comparing bytes by words. In wasm the comparison of the C library goes byte by byte, and a token has a thousand of them.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
