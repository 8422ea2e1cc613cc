//! What a control plane says of a project that the project itself does not say, or no longer rightly.

use serde_json::Value;
use tollgate_model::LifeCycle;

use super::document::Node;
use super::environments::Targets;
use super::metadata::Metadata;
use super::upstream::{Upstream, combine};
use crate::model::Problems;

/// File that is named where a backend cannot be used.
const SOURCE: &str = "env_properties.json";

/// What counts instead of what the project says. What is absent is left to the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Id of the API.
    pub id: Option<String>,
    /// Owner of the API.
    pub organization: Option<String>,
    /// State in its life cycle.
    pub life_cycle: Option<LifeCycle>,
    /// Whether its version may be left out of the path.
    pub default_version: Option<bool>,
    /// Where it is deployed.
    pub targets: Option<Targets>,
    /// URL of the production backend.
    pub production: Option<String>,
    /// URL of the sandbox backend.
    pub sandbox: Option<String>,
}

impl Placement {
    /// What `api.yaml` would say.
    #[must_use]
    pub fn correct(&self, metadata: Metadata) -> Metadata {
        Metadata {
            id: self.id.clone().unwrap_or(metadata.id),
            organization: self.organization.clone().unwrap_or(metadata.organization),
            life_cycle: self.life_cycle.unwrap_or(metadata.life_cycle),
            default_version: self.default_version.unwrap_or(metadata.default_version),
            ..metadata
        }
    }

    /// Sends requests to other backends, with the timeouts and credentials of the former ones.
    pub fn redirect(&self, production: &mut Option<Upstream>, sandbox: &mut Option<Upstream>, problems: &mut Problems) {
        for (url, upstream) in [(&self.production, production), (&self.sandbox, sandbox)] {
            let Some(url) = url else { continue };
            let value = Value::String(url.clone());
            if let Some(found) = combine(&[(Node::root(SOURCE, &value), url)], false, problems) {
                let before = upstream.take().unwrap_or_default();
                *upstream = Some(Upstream { tuning: before.tuning, credentials: before.credentials, ..found });
            }
        }
    }
}
