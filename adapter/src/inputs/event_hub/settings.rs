//! What is configured of API Manager.

use std::path::PathBuf;
use std::time::Duration;

use tollgate_model::Secret;
use url::Url;

use crate::broker::BrokerSettings;
use crate::inputs::global_adapter::GlobalAdapterSettings;
use crate::tls::Trust;

/// Where API Manager is, and what of it concerns this adapter.
#[derive(Debug, Clone)]
pub struct EventHubSettings {
    /// Base of its REST interface, with a slash at the end.
    pub url: Url,
    /// Who signs in.
    pub username: String,
    /// Their password.
    pub password: Secret,
    /// The tenant whose APIs are served: that of the user.
    pub tenant: String,
    /// Names of gateway environments.
    pub environments: Vec<String>,
    /// Whom to believe that it is API Manager.
    pub trust: Trust,
    /// Longest pause before something that failed is tried again.
    pub retry: Duration,
    /// How long it may say nothing while it is asked.
    pub timeout: Duration,
    /// Questions that are under way at a time.
    pub workers: usize,
    /// APIs that wait to be asked for one by one; when there are more, all are asked for together.
    pub queue: usize,
    /// How long nobody asks for single APIs after one failed.
    pub pause: Duration,
    /// How often everything is compared, whatever events say.
    pub reconcile: Duration,
    /// Whether API Manager is told which revisions gateways serve.
    pub report_revisions: bool,
    /// Where it publishes.
    pub broker: BrokerSettings,
    /// Who says which APIs are served, where several adapters share them. Owners (organizations) do not matter then.
    pub global_adapter: Option<GlobalAdapterSettings>,
    /// File of the last good state.
    pub store: PathBuf,
}
