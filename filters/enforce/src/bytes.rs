//! Looking at bytes by words. In wasm the comparison of the C library goes byte by byte, and a token has a thousand of them.

/// Whether both are the same. Not for secrets: it stops at the first difference.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((blocks, rest), (other_blocks, other_rest)) = (one.as_chunks::<64>(), other.as_chunks::<64>());
    if !blocks.iter().zip(other_blocks).all(|(one, other)| differences(one, other) == 0) {
        return false;
    }
    let ((words, _), (other_words, _)) = (rest.as_chunks::<8>(), other_rest.as_chunks::<8>());
    if !words.iter().zip(other_words).all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other)) {
        return false;
    }
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        // It may overlap what was compared before.
        (Some(end), Some(other_end)) => u64::from_le_bytes(*end) == u64::from_le_bytes(*other_end),
        _ => rest.iter().zip(other_rest).all(|(one, other)| one == other),
    }
}

/// Not 0 if any bit differs. Without a branch, so that it is done by vector instructions.
fn differences(one: &[u8; 64], other: &[u8; 64]) -> u64 {
    let (words, other_words) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let pairs = words.iter().zip(other_words);
    pairs.fold(0, |found, (one, other)| found | (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)))
}

/// Where the first of these bytes are that are `wanted`, and how many of `places` they fill; more than those are not looked for.
pub(crate) fn first<const PLACES: usize>(bytes: &[u8], wanted: u8) -> ([usize; PLACES], usize) {
    let (mut places, mut found) = ([0; PLACES], 0_usize);
    let pattern = u64::from_le_bytes([wanted; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut note = |start: usize, piece: &[u8]| {
        for (at, _) in piece.iter().enumerate().filter(|(_, byte)| **byte == wanted) {
            let Some(place) = places.get_mut(found) else { return false };
            *place = start.saturating_add(at);
            found = found.saturating_add(1);
        }
        true
    };
    let mut start = 0_usize;
    for word in words {
        if has_zero(u64::from_le_bytes(*word) ^ pattern) && !note(start, word) {
            return (places, found);
        }
        start = start.saturating_add(8);
    }
    note(start, rest);
    (places, found)
}

/// Whether a byte of the word is 0. Exact as a whole, though not byte by byte.
const fn has_zero(word: u64) -> bool {
    word.wrapping_sub(ONES) & !word & ONES.wrapping_mul(128) != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether any of them is ASCII whitespace.
pub(crate) fn has_whitespace(bytes: &[u8]) -> bool {
    // It has a bit for the first byte below 33, if there is one, and perhaps for others behind that.
    let suspect = |word: u64| word.wrapping_sub(ONES.wrapping_mul(33)) & !word & ONES.wrapping_mul(128) != 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        if suspect(u64::from_le_bytes(*word)) && word.iter().any(u8::is_ascii_whitespace) {
            return true;
        }
    }
    rest.iter().any(u8::is_ascii_whitespace)
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
        fn finds_the_first(bytes in prop::collection::vec(prop_oneof![8 => any::<u8>(), 2 => Just(b'.'), 1 => Just(b'/')], 0..60)) {
            let expected: Vec<usize> =
                bytes.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at).take(3).collect();
            let (places, found) = first::<3>(&bytes, b'.');
            prop_assert_eq!(&places[..found], &expected);
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
