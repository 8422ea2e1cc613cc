//! How table keys are made. Every key is built here, so that the adapter writes what the filter looks up.

use crate::{CutoffKind, TierKind};

/// Separates the parts of a key. No virtual host, base path, id or name may contain it; the adapter refuses what does.
const SEPARATOR: u8 = 0;

const DENY: &[u8] = b"deny";

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

/// Key of a plan in the `tier` table.
#[must_use]
pub fn tier(kind: TierKind, name: &str) -> Vec<u8> {
    join(kind.name().as_bytes(), name.as_bytes())
}

/// Key of an OAuth client in the `credential` table. The same consumer key of two key managers is two clients.
#[must_use]
pub fn credential(key_manager: &str, consumer_key: &str) -> Vec<u8> {
    join(b"client", &join(key_manager.as_bytes(), consumer_key.as_bytes()))
}

/// Key of an opaque API key in the `credential` table: the SHA-256 of the key, never the key.
#[must_use]
pub fn opaque_key(sha256: &[u8; 32]) -> Vec<u8> {
    join(b"key", sha256)
}

/// Key of a workload in the `credential` table, by its SPIFFE ID.
#[must_use]
pub fn workload(spiffe_id: &str) -> Vec<u8> {
    join(b"workload", spiffe_id.as_bytes())
}

/// Key of a subscription to the API of that id.
#[must_use]
pub fn subscription(application: &str, api_id: &str) -> Vec<u8> {
    join(application.as_bytes(), &join(b"id", api_id.as_bytes()))
}

/// Key of a subscription to the API of that name and version, whatever its id.
#[must_use]
pub fn subscription_by_name(application: &str, name: &str, version: &str) -> Vec<u8> {
    join(application.as_bytes(), &join(b"name", &join(name.as_bytes(), version.as_bytes())))
}

/// Key of a cut-off: tokens of whom.
#[must_use]
pub fn cutoff(kind: CutoffKind, of: &str) -> Vec<u8> {
    join(kind.name().as_bytes(), of.as_bytes())
}

/// Key of a deny condition in the `throttle` table.
#[must_use]
pub fn deny(id: &str) -> Vec<u8> {
    join(DENY, id.as_bytes())
}

/// Key of a custom policy in the `throttle` table.
#[must_use]
pub fn custom(name: &str) -> Vec<u8> {
    join(b"custom", name.as_bytes())
}

/// Whether that is a key of a deny condition.
#[must_use]
pub fn is_deny(key: &[u8]) -> bool {
    key.strip_prefix(DENY).is_some_and(|rest| rest.first() == Some(&SEPARATOR))
}

/// Writes the key of two parts, [`api`]'s or [`route`]'s, in place of what `key` holds.
pub fn write(first: &[u8], second: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(first);
    key.push(SEPARATOR);
    key.extend_from_slice(second);
}

/// The base path in a key of the `route` table.
#[must_use]
pub fn base_path_of(key: &[u8]) -> &[u8] {
    key.splitn(2, |byte| *byte == SEPARATOR).nth(1).unwrap_or_default()
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(first.len().saturating_add(second.len()).saturating_add(1));
    write(first, second, &mut key);
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
