//! The part of the hub that follows the list of a global adapter: which APIs are this adapter's, when several share them.
//!
//! The list says which APIs to ask for, and when to ask again; what is deployed of them, API Manager says. Must never take an API
//! away because the global adapter is not there: before its first list the last good state counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::fact::Resource;
use super::hub::Hub;
use super::mirror::{Applied, LAG};
use super::pull::Which;
use crate::inputs::global_adapter::{Listed, Told, different};
use crate::model::ListReport;

/// The name of the list, beside those of [`Resource`].
pub const GLOBAL_ADAPTER: &str = "globalAdapter";

/// Which APIs are this adapter's.
#[derive(Default)]
pub struct Share {
    told: Option<watch::Receiver<Told>>,
    listed: Option<Arc<Listed>>,
    connected: bool,
    /// What people are shown.
    pub report: ListReport,
}

impl Share {
    /// What that global adapter says.
    pub fn told_by(told: watch::Receiver<Told>) -> Self {
        Self { told: Some(told), ..Self::default() }
    }

    /// Whether all changes are known.
    pub const fn is_current(&self) -> bool {
        self.connected && self.listed.is_some() && self.report.error.is_none()
    }

    /// Takes over what it said last. Gives the list before, if there is another one now.
    fn take_news(&mut self) -> Option<(Option<Arc<Listed>>, Arc<Listed>)> {
        let told = self.told.as_mut()?.borrow_and_update().clone();
        self.connected = told.connected;
        self.report.error = told.error;
        self.report.failures = told.failures;
        let listed = told.list?;
        (self.report.count, self.report.last_success) = (listed.len(), told.received);
        let before = self.listed.replace(Arc::clone(&listed));
        (before.as_ref() != Some(&listed)).then_some((before, listed))
    }
}

/// Waits until a global adapter, if there is one, says something.
pub async fn news(share: &mut Option<Share>) {
    if let Some(told) = share.as_mut().and_then(|share| share.told.as_mut())
        && told.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

impl Hub {
    /// Whether it is known which APIs are to be asked for.
    pub(super) fn knows_ours(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.listed.is_some())
    }

    /// Of which APIs it is asked when it is asked for all; none while that is not known.
    pub(super) fn ours(&self) -> Option<Which> {
        let Some(share) = &self.share else { return Some(Which::All) };
        let listed = share.listed.as_ref()?;
        Some(Which::These(Arc::new(listed.keys().cloned().collect::<BTreeSet<String>>())))
    }

    /// Whether this adapter is to serve an API, as far as is known.
    pub(super) fn is_ours(&self, uuid: &str) -> bool {
        let listed = self.share.as_ref().and_then(|share| share.listed.as_ref());
        listed.is_none_or(|listed| listed.contains_key(uuid))
    }

    /// Follows what a global adapter says.
    pub(super) async fn share_changed(&mut self) {
        let Some((before, listed)) = self.share.as_mut().and_then(Share::take_news) else { return };
        let served = self.apis.served().map(|(uuid, _)| uuid);
        let gone: Vec<String> = served.filter(|uuid| !listed.contains_key(*uuid)).cloned().collect();
        if !gone.is_empty() {
            tracing::info!(apis = ?gone, "APIs are no longer this adapter's");
        }
        self.take(Vec::new(), gone).await;
        let now = Instant::now();
        match before {
            None => {
                self.artifacts.want(now);
                self.artifacts.want_again(now.checked_add(LAG).unwrap_or(now));
            }
            Some(before) => different(&before, &listed).iter().for_each(|uuid| self.apis.want(uuid, now)),
        }
        // No event speaks of what is known of these APIs beside their projects.
        self.want(&Applied { pull_now: [Resource::Apis].into(), ..Applied::default() });
    }
}
