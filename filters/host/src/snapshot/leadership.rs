//! Which VM of the process polls the adapter: a lease in shared data, renewed on tick and taken over when stale.
//!
//! Shared data cannot create a key only if it is missing, so two VMs may both believe they have claimed a new lease. A VM
//! therefore leads only once it has read its own name back on a later tick; whoever wrote last wins.

use tollgate_enforce::Timestamp;

use super::shared;
use crate::{Abi, Status};

/// How long a lease lasts without being renewed.
const LEASE_MS: u64 = 3_000;
/// A lease is renewed when less than this is left.
const RENEW_MS: u64 = 2_000;

/// One VM's view of the lease.
pub(crate) struct Leadership {
    /// Random name of this VM.
    name: u64,
    leads: bool,
}

/// What is stored: name of the holder, and when the lease ends (milliseconds since the epoch), little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    holder: u64,
    ends: u64,
}

impl Leadership {
    pub(crate) fn new(name: u64) -> Self {
        Self { name, leads: false }
    }

    /// Whether this VM led at its last tick.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }

    /// Looks at the lease and claims, renews or leaves it. Returns whether this VM leads.
    pub(crate) fn tick(&mut self, abi: &dyn Abi, now: Timestamp) -> bool {
        self.leads = match abi.shared(&shared::leader()) {
            Ok(found) => {
                let (lease, version) = found.map_or((None, 0), |(bytes, version)| (Lease::decode(&bytes), version));
                self.judge(abi, now, lease, version)
            }
            // Without shared data nobody can lead, and nothing could be shared.
            Err(_) => false,
        };
        self.leads
    }

    fn judge(&self, abi: &dyn Abi, now: Timestamp, lease: Option<Lease>, version: u32) -> bool {
        let left = lease.map_or(0, |lease| lease.ends.saturating_sub(now.0));
        // More than a whole lease can only be left when the clock was set back.
        let stale = left == 0 || left > LEASE_MS.saturating_mul(2);
        let ours = lease.is_some_and(|lease| lease.holder == self.name) && !stale;
        if ours && left > RENEW_MS {
            return true;
        }
        if !ours && !stale {
            return false;
        }
        let renewed = Lease { holder: self.name, ends: now.0.saturating_add(LEASE_MS) };
        match abi.set_shared(&shared::leader(), &renewed.encode(), version) {
            // A renewal keeps the lead; a claim has to be read back first.
            Ok(()) => ours,
            Err(Status::CasMismatch | Status::NotFound | Status::Failed(_)) => false,
        }
    }
}

impl Lease {
    fn encode(self) -> Vec<u8> {
        [self.holder.to_le_bytes(), self.ends.to_le_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (holder, rest) = bytes.split_first_chunk::<8>()?;
        let ends = rest.first_chunk::<8>()?;
        Some(Self { holder: u64::from_le_bytes(*holder), ends: u64::from_le_bytes(*ends) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeEnvoy;

    const START: u64 = 1_000_000;

    fn tick(vm: &mut Leadership, envoy: &FakeEnvoy, after: u64) -> bool {
        vm.tick(envoy, Timestamp(START + after))
    }

    #[test]
    fn one_vm_leads_and_keeps_the_lead() {
        let envoy = FakeEnvoy::new();
        let (mut first, mut second) = (Leadership::new(1), Leadership::new(2));
        assert!(!tick(&mut first, &envoy, 0), "a claim must be read back");
        for after in (100..10_000).step_by(100) {
            assert!(tick(&mut first, &envoy, after), "lost the lead at {after}");
            assert!(!tick(&mut second, &envoy, after), "two leaders at {after}");
        }
    }

    #[test]
    fn a_dead_leader_is_replaced() {
        let envoy = FakeEnvoy::new();
        let (mut first, mut second) = (Leadership::new(1), Leadership::new(2));
        tick(&mut first, &envoy, 0);
        assert!(tick(&mut first, &envoy, 100));
        assert!(!tick(&mut second, &envoy, 2_900));
        assert!(!tick(&mut second, &envoy, 3_000));
        assert!(tick(&mut second, &envoy, 3_100));
        assert!(!tick(&mut first, &envoy, 3_200), "back from the dead, it follows");
    }

    #[test]
    fn of_two_that_claim_at_once_the_last_one_wins() {
        let envoy = FakeEnvoy::new();
        let (mut first, mut second) = (Leadership::new(1), Leadership::new(2));
        // Both saw no lease before either wrote.
        assert!(!first.judge(&envoy, Timestamp(START), None, 0));
        assert!(!second.judge(&envoy, Timestamp(START), None, 0));
        assert!(!tick(&mut first, &envoy, 100));
        assert!(tick(&mut second, &envoy, 100));
    }

    #[test]
    fn a_clock_set_back_does_not_leave_everybody_waiting() {
        let envoy = FakeEnvoy::new();
        let (mut first, mut second) = (Leadership::new(1), Leadership::new(2));
        tick(&mut first, &envoy, 1_000_000);
        assert!(!tick(&mut second, &envoy, 0));
        assert!(tick(&mut second, &envoy, 100));
    }
}
