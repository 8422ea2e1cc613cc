//! A gateway's request for quota, against the ledger of the owner: whatever is asked, nobody is given more than was wanted, nor
//! more than one window holds.
#![no_main]

use jiff::tz::TimeZone;
use tollgate_adapter::outputs::quota::Ledger;
use tollgate_model::QuotaRequest;

/// 28 November 2026, in milliseconds since the epoch.
const NOW: i64 = 1_795_824_000_000;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let Ok(request) = serde_json::from_slice::<QuotaRequest>(body) else { return };
    let mut ledger = Ledger::new(TimeZone::UTC);
    for (now, ask) in (NOW..).step_by(700).zip(request.asks.iter().cycle().take(request.asks.len() * 2)) {
        let Ok(grant) = ledger.ask(ask, 1, now) else { continue };
        assert!(grant.granted <= ask.want && grant.granted <= ask.limit.amount, "{ask:?}: {grant:?}");
        assert!(grant.starts_in_ms <= grant.ends_in_ms && grant.retry_in_ms <= grant.ends_in_ms, "{ask:?}: {grant:?}");
    }
});
