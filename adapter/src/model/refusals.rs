//! Where inputs report what they took and what they could not take. Must never influence what happens: reporting is all.

use serde::Serialize;

use super::{ControlPlaneReport, Problems};

/// Takes note of how inputs fare.
pub trait Refusals: Send + Sync {
    /// Something (a file, a stored deployment) was refused, and stays so until somebody repairs it.
    fn refuse(&self, origin: &str, problems: &Problems);
    /// It is good now, or gone.
    fn accept(&self, origin: &str);
    /// How a source of projects is doing.
    fn source(&self, name: &str, report: SourceReport) {
        let _ = (name, report);
    }
    /// How it stands with the control plane.
    fn control_plane(&self, report: &ControlPlaneReport) {
        let _ = report;
    }
}

/// What is known of a source of projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// Where it is, without credentials.
    pub location: String,
    /// Projects it has.
    pub projects: usize,
    /// Those of them that were refused in their present form.
    pub refused: usize,
    /// The commit that is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When it was last read, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_read: Option<u64>,
    /// Why it could not be read the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often that has failed in a row.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
