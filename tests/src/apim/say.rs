//! Scenarios in fewer words: operations with the usual members.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::state::{Block, Files, KeyManager, Project};
use super::{ApiManager, Operation};
use crate::ApiProject;

impl Project {
    /// An API that a test makes, whose context is `/<name in small letters>`.
    #[must_use]
    pub fn built(project: ApiProject) -> Self {
        let (name, version) = (project.name().to_owned(), project.version().to_owned());
        let context = format!("{}/{version}", project.context());
        Self { name, version, context, kind: "HTTP".to_owned(), files: Files::Built(Box::new(project)) }
    }
}

impl Operation {
    /// Publishes an API without a plan of its own.
    #[must_use]
    pub fn publish(project: ApiProject) -> Self {
        Self::Publish { project: Project::built(project), tier: String::new() }
    }

    /// Deploys an API under `localhost`.
    #[must_use]
    pub fn deploy(api: &str, environments: &[&str]) -> Self {
        let environments = environments.iter().map(|&name| name.to_owned()).collect();
        Self::Deploy { api: api.to_owned(), environments, vhost: "localhost".to_owned(), endpoints: None }
    }

    /// Takes an API away.
    #[must_use]
    pub fn undeploy(api: &str, environments: &[&str]) -> Self {
        Self::Undeploy { api: api.to_owned(), environments: environments.iter().map(|&name| name.to_owned()).collect() }
    }

    /// Changes the state in the life cycle.
    #[must_use]
    pub fn life_cycle(api: &str, status: &str) -> Self {
        Self::LifeCycle { api: api.to_owned(), status: status.to_owned() }
    }

    /// Creates an application without limits.
    #[must_use]
    pub fn application(name: &str) -> Self {
        Self::Application { name: name.to_owned(), tier: "Unlimited".to_owned(), attributes: BTreeMap::new() }
    }

    /// Production keys.
    #[must_use]
    pub fn keys(application: &str, consumer_key: &str, key_manager: &str) -> Self {
        Self::Keys {
            application: application.to_owned(),
            consumer_key: consumer_key.to_owned(),
            kind: "PRODUCTION".to_owned(),
            key_manager: key_manager.to_owned(),
        }
    }

    /// Subscribes without limits.
    #[must_use]
    pub fn subscribe(application: &str, api: &str) -> Self {
        Self::subscription(application, api, "Unlimited", "UNBLOCKED")
    }

    /// Subscribes, or changes a subscription.
    #[must_use]
    pub fn subscription(application: &str, api: &str, tier: &str, state: &str) -> Self {
        Self::Subscribe {
            application: application.to_owned(),
            api: api.to_owned(),
            tier: tier.to_owned(),
            state: state.to_owned(),
        }
    }

    /// Ends a subscription.
    #[must_use]
    pub fn unsubscribe(application: &str, api: &str) -> Self {
        Self::Unsubscribe { application: application.to_owned(), api: api.to_owned() }
    }

    /// Revokes a token that expires in an hour.
    #[must_use]
    pub fn revoke(jti: &str) -> Self {
        Self::Revoke { jti: jti.to_owned(), expires: super::state::millis().saturating_add(3_600_000) }
    }

    /// Registers a key manager, or changes it.
    #[must_use]
    pub fn key_manager(name: &str, key_manager: KeyManager) -> Self {
        Self::KeyManager { name: name.to_owned(), key_manager }
    }

    /// Keeps somebody out.
    #[must_use]
    pub fn deny(id: i64, kind: &str, value: impl Into<Value>) -> Self {
        Self::Deny { id, block: Block { kind: kind.to_owned(), value: value.into() } }
    }
}

impl ApiManager {
    /// Does several things in turn.
    ///
    /// # Errors
    /// When one of them names something that is not there.
    pub fn all(&self, operations: impl IntoIterator<Item = Operation>) -> Result<()> {
        operations.into_iter().try_for_each(|operation| self.perform(operation))
    }

    /// The same silently.
    ///
    /// # Errors
    /// When one of them names something that is not there.
    pub fn all_silently(&self, operations: impl IntoIterator<Item = Operation>) -> Result<()> {
        operations.into_iter().try_for_each(|operation| self.silently(operation))
    }
}
