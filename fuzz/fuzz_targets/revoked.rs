//! A shard of revoked tokens: whatever decodes is written back byte for byte, and every token in it is found.
#![no_main]

use tollgate_model::wire::RevokedShard;
use xxhash_rust::xxh3::xxh3_64;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    // Almost nothing gets past the checksum, so the same bytes are tried with the right one.
    let mut sealed = data.to_vec();
    sealed.extend_from_slice(&xxh3_64(data).to_le_bytes());
    check(&sealed);
});

fn check(bytes: &[u8]) {
    if let Ok(opened) = RevokedShard::open(bytes) {
        // Not proved whole; whatever is asked, the answer is one of its records.
        for (hash, _) in opened.iter().take(16) {
            assert!(opened.get(hash).is_none_or(|expiry| opened.iter().any(|record| record == (hash, expiry))));
        }
    }
    let Ok(shard) = RevokedShard::decode(bytes) else { return };
    assert_eq!(RevokedShard::encode(shard.slot(), shard.iter()).as_deref(), Ok(bytes));
    assert!(shard.iter().all(|(hash, expiry)| shard.get(hash) == Some(expiry)));
}
