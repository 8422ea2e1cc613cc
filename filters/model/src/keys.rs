//! How table keys are made. Every key is built here, so that the adapter writes what the filter looks up.

/// Separates the parts of a key. No virtual host, base path or id may contain it; the adapter refuses such projects.
const SEPARATOR: u8 = 0;

/// Most segments a base path may have, so that a look-up tries a bounded number of prefixes.
pub const MAX_BASE_PATH_SEGMENTS: usize = 16;

/// Key of an API in the `api` table.
#[must_use]
pub fn api(virtual_host: impl AsRef<[u8]>, id: impl AsRef<[u8]>) -> Vec<u8> {
    join(virtual_host.as_ref(), id.as_ref())
}

/// Key of a base path in the `route` table.
#[must_use]
pub fn route(virtual_host: impl AsRef<[u8]>, base_path: impl AsRef<[u8]>) -> Vec<u8> {
    join(virtual_host.as_ref(), base_path.as_ref())
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(first.len().saturating_add(second.len()).saturating_add(1));
    key.extend_from_slice(first);
    key.push(SEPARATOR);
    key.extend_from_slice(second);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        /// Two different pairs never share a key, as long as neither part holds the separator.
        #[test]
        fn keys_are_injective(a in "[a-z*.]{0,9}", b in "[a-z/]{0,9}", c in "[a-z*.]{0,9}", d in "[a-z/]{0,9}") {
            prop_assert_eq!(super::route(&a, &b) == super::route(&c, &d), (&a, &b) == (&c, &d));
        }
    }
}
