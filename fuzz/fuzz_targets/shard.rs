//! A shard of the snapshot: whatever decodes is written back byte for byte, and every entry can be looked up.
#![no_main]

use tollgate_model::wire::Shard;
use xxhash_rust::xxh3::xxh3_64;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    // Almost nothing gets past the checksum, so the same bytes are tried with the right one.
    let mut sealed = data.to_vec();
    sealed.extend_from_slice(&xxh3_64(data).to_le_bytes());
    check(&sealed);
});

fn check(bytes: &[u8]) {
    let Ok(shard) = Shard::decode(bytes) else { return };
    assert_eq!(shard.encode().as_deref(), Ok(bytes));
    for entry in &shard.entries {
        assert_eq!(shard.get(entry.key), Some(entry));
    }
}
