//! The part of the hub that says how it stands.

use super::fact::Resource;
use super::hub::{ARTIFACTS, Hub};
use super::share::GLOBAL_ADAPTER;
use crate::model::ControlPlaneState;

impl Hub {
    /// Shows how it stands, if that is news.
    pub(super) fn show_report(&mut self) {
        let mut report = self.report.clone();
        report.state = self.state();
        report.sources =
            self.sources.iter().map(|(resource, one)| (resource.name().to_owned(), one.report.clone())).collect();
        for resource in Resource::ALL {
            if let Some(list) = report.sources.get_mut(resource.name()) {
                list.count = self.mirror.count(resource);
            }
        }
        if let Some(share) = &self.share {
            report.sources.insert(GLOBAL_ADAPTER.to_owned(), share.report.clone());
        }
        report.sources.insert(ARTIFACTS.to_owned(), self.artifacts.report.clone());
        // What is counted while it goes on is in the one already; what was shown last says whether it is news.
        if report != self.shown {
            if report.state != self.shown.state {
                tracing::info!(state = report.state.name(), stale = ?report.stale(), "how it stands with API Manager");
            }
            self.reports.control_plane(&report);
            self.report = report.clone();
            self.shown = report;
        }
    }

    /// Everything that API Manager has is known when the broker is listened to, and every list was pulled after that began.
    fn state(&self) -> ControlPlaneState {
        if !*self.ready.borrow() {
            return ControlPlaneState::Connecting;
        }
        if self.share.as_ref().is_some_and(|share| !share.is_current()) {
            return ControlPlaneState::Stale;
        }
        let Some(since) = self.subscribed else { return ControlPlaneState::Stale };
        let all = self.sources.values().chain([&self.artifacts]);
        let fresh = all
            .into_iter()
            .all(|source| source.report.error.is_none() && source.pulled.is_some_and(|began| began >= since));
        if fresh { ControlPlaneState::Live } else { ControlPlaneState::Stale }
    }
}
