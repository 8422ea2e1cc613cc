//! Revoked tokens that other systems write into etcd, and the removal of those that have expired.
//!
//! The whole list is read before gateways are told anything; from then on changes are followed without a gap. Must never take
//! a token off the list because something could not be read or reached.

mod etcd;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tollgate_model::TokenHash;

pub use self::etcd::EtcdSettings;
use self::etcd::{Change, Client, EtcdError, Watch};
use crate::model::{Expiry, Revoked, RevokedBy, WorldWriter};

/// How long the start waits for etcd.
const PATIENCE: Duration = Duration::from_secs(30);
/// First and longest pause after a failure.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// How often expired tokens are looked for.
const PURGE: Duration = Duration::from_secs(60);
/// How long a token stays on the list after it has expired: the clocks of gateways may be wrong.
const GRACE: Expiry = 300;

/// Why the list cannot be read at the start.
#[derive(Debug, thiserror::Error)]
#[error("the revoked tokens cannot be read from etcd ({0}); start it, or correct tollgate.revocation.etcd")]
pub struct RevocationError(#[from] EtcdError);

/// Follows the keys of etcd.
pub struct Revocation {
    client: Client,
    world: WorldWriter,
    /// Everything up to this revision is in the world.
    revision: i64,
}

impl Revocation {
    /// Reads the whole list into the world.
    ///
    /// # Errors
    /// When etcd cannot be asked, or does not answer for a while.
    pub async fn open(settings: &EtcdSettings, world: WorldWriter) -> Result<Self, RevocationError> {
        let mut revocation = Self { client: Client::new(settings)?, world, revision: 0 };
        let started = Instant::now();
        let mut pause = PAUSES[0];
        while let Err(error) = revocation.read_all().await {
            if started.elapsed() > PATIENCE || error.is_final() {
                return Err(error.into());
            }
            tracing::warn!(%error, "etcd cannot be asked for revoked tokens yet");
            pause = rest(pause).await;
        }
        Ok(revocation)
    }

    /// Follows etcd until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut pause = PAUSES[0];
        loop {
            let before = self.revision;
            match self.watch().await {
                // The changes since are no longer there to be had; nothing is taken off the list meanwhile.
                Err(EtcdError::Compacted) => match self.read_all().await {
                    Ok(()) => tracing::info!("read all revoked tokens again"),
                    Err(error) => tracing::warn!(%error, "etcd cannot be asked; the list of revoked tokens stays"),
                },
                Err(error) => tracing::warn!(%error, "etcd does not tell of revoked tokens; the list stays"),
                Ok(()) => {}
            }
            if self.revision > before {
                pause = PAUSES[0];
            }
            pause = rest(pause).await;
        }
    }

    /// Follows changes until the connection ends.
    async fn watch(&mut self) -> Result<(), EtcdError> {
        let mut watch: Watch = self.client.watch(self.revision.saturating_add(1)).await?;
        while let Some((revision, changes)) = watch.next().await? {
            self.take(changes);
            self.revision = self.revision.max(revision);
        }
        Ok(())
    }

    async fn read_all(&mut self) -> Result<(), EtcdError> {
        let (revision, changes) = self.client.read_all().await?;
        let count = changes.len();
        self.take(changes);
        self.revision = revision;
        tracing::info!(count, revision, "revoked tokens read from etcd");
        Ok(())
    }

    fn take(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.world.update(|world| {
            for change in changes {
                match change {
                    Change::Revoked(token_id, expires) => {
                        world.subscribers.revoke(RevokedBy::Etcd, &token_id, expires);
                    }
                    Change::Removed(token_id) => world.subscribers.take_back(RevokedBy::Etcd, &token_id),
                }
            }
        });
    }
}

async fn rest(pause: Duration) -> Duration {
    sleep(pause).await;
    pause.saturating_mul(2).min(PAUSES[1])
}

/// Removes tokens from the list once they have expired, until `shutdown`.
pub async fn purge_expired(world: WorldWriter, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(PURGE) => {}
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        purge(&world, Expiry::try_from(now).unwrap_or(Expiry::MAX));
    }
}

/// A shard is rewritten when a quarter of it has expired: each time it is, gateways get it again.
fn purge(world: &WorldWriter, now: Expiry) {
    let is_over = |expires: Expiry| expires.saturating_add(GRACE) < now;
    let enough = |shard: &BTreeMap<TokenHash, Revoked>| {
        let over = shard.values().filter(|revoked| is_over(revoked.expires())).count();
        over > 0 && over.saturating_mul(4) >= shard.len()
    };
    // Nobody is woken up for nothing.
    if world.current().subscribers.revoked.shards().any(enough) {
        world.update(|world| world.subscribers.revoked.prune(enough, |_, revoked| !is_over(revoked.expires())));
    }
}
