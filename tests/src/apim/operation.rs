//! The language of scenarios: everything that people do in API Manager. Each operation changes the state and says which
//! events API Manager publishes for it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::artifact;
use super::event::{self, Event};
use super::state::{
    Api, Application, Block, Deployment, KeyManager, KeyMapping, Policy, Project, Subscription, Tenant,
};

/// Something somebody does. APIs are named `name:version`, everything else by its name.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the members are what the operation is named after")]
pub enum Operation {
    /// Creates and publishes an API, or changes what its next revision is made of.
    Publish { project: Project, tier: String },
    /// Makes a revision and deploys it there.
    Deploy { api: String, environments: Vec<String>, vhost: String, endpoints: Option<(String, String)> },
    /// Takes the API away there.
    Undeploy { api: String, environments: Vec<String> },
    /// Changes the state in the life cycle.
    LifeCycle { api: String, status: String },
    /// Makes the version the default one, or no longer.
    DefaultVersion { api: String, default: bool },
    /// Deletes the API, after taking it away everywhere.
    DeleteApi { api: String },
    /// Creates an application, or changes it.
    Application { name: String, tier: String, attributes: BTreeMap<String, String> },
    /// Deletes an application, with its keys and subscriptions.
    DeleteApplication { name: String },
    /// Generates keys for an application.
    Keys { application: String, consumer_key: String, kind: String, key_manager: String },
    /// Takes keys away.
    DeleteKeys { consumer_key: String },
    /// Subscribes, or changes plan or state of the subscription.
    Subscribe { application: String, api: String, tier: String, state: String },
    /// Ends a subscription.
    Unsubscribe { application: String, api: String },
    /// Makes or changes a plan of subscriptions.
    SubscriptionPolicy { name: String, policy: Policy },
    /// Makes or changes a plan of applications.
    ApplicationPolicy { name: String, policy: Policy },
    /// Deletes a plan of subscriptions.
    DeleteSubscriptionPolicy { name: String },
    /// Deletes a plan of applications.
    DeleteApplicationPolicy { name: String },
    /// Revokes a token that expires then (milliseconds since 1970).
    Revoke { jti: String, expires: i64 },
    /// Registers a key manager, or changes it.
    KeyManager { name: String, key_manager: KeyManager },
    /// Deletes a key manager.
    DeleteKeyManager { name: String },
    /// Keeps somebody out.
    Deny { id: i64, block: Block },
    /// Lets them in again.
    Allow { id: i64 },
    /// Adds a custom key template.
    KeyTemplate { template: String },
    /// Takes it away.
    DeleteKeyTemplate { template: String },
}

impl Tenant {
    /// Does it, and returns what is published.
    pub(super) fn perform(&mut self, operation: Operation) -> Result<Vec<Event>> {
        match operation {
            Operation::Publish { .. }
            | Operation::Deploy { .. }
            | Operation::Undeploy { .. }
            | Operation::LifeCycle { .. }
            | Operation::DefaultVersion { .. }
            | Operation::DeleteApi { .. } => self.in_publisher(operation),
            Operation::Application { .. }
            | Operation::DeleteApplication { .. }
            | Operation::Keys { .. }
            | Operation::DeleteKeys { .. }
            | Operation::Subscribe { .. }
            | Operation::Unsubscribe { .. } => self.in_portal(operation),
            _ => self.in_admin(operation),
        }
    }

    fn in_publisher(&mut self, operation: Operation) -> Result<Vec<Event>> {
        Ok(match operation {
            Operation::Publish { project, tier } => vec![self.publish(project, tier)],
            Operation::Deploy { api, environments, vhost, endpoints } => {
                self.deploy(&api, &environments, &vhost, endpoints)?
            }
            Operation::Undeploy { api, environments } => {
                let now = self.now();
                let held = self.api(&api)?;
                held.deployments.retain(|environment, _| !environments.contains(environment));
                held.time = now;
                vec![event::api(self, &api, "REMOVE_API_FROM_GATEWAY", &environments, "")?]
            }
            Operation::LifeCycle { api, status } => {
                let now = self.now();
                let held = self.api(&api)?;
                (held.status, held.time) = (status, now);
                vec![event::api(self, &api, "API_LIFECYCLE_CHANGE", &[], "")?]
            }
            Operation::DefaultVersion { api, default } => {
                let now = self.now();
                let held = self.api(&api)?;
                (held.default_version, held.time) = (default, now);
                vec![event::api(self, &api, "API_UPDATE", &[], "DEFAULT_VERSION")?]
            }
            Operation::DeleteApi { api } => {
                let environments: Vec<String> = self.api(&api)?.deployments.keys().cloned().collect();
                let removed = event::api(self, &api, "REMOVE_API_FROM_GATEWAY", &environments, "")?;
                let deleted = event::api(self, &api, "API_DELETE", &[], "")?;
                self.apis.remove(&api);
                self.subscriptions.retain(|(_, subscribed), _| *subscribed != api);
                vec![removed, deleted]
            }
            _ => Vec::new(),
        })
    }

    fn publish(&mut self, project: Project, tier: String) -> Event {
        let (name, now) = (format!("{}:{}", project.name, project.version), self.now());
        let kind = if let Some(api) = self.apis.get_mut(&name) {
            (api.project, api.tier, api.time) = (project, tier, now);
            "API_UPDATE"
        } else {
            let (id, uuid) = (self.next_id(), self.new_uuid(&name));
            let api = Api {
                id,
                uuid,
                project,
                tier,
                status: "PUBLISHED".to_owned(),
                default_version: false,
                revision: 0,
                deployments: BTreeMap::new(),
                time: now,
            };
            self.apis.insert(name.clone(), api);
            "API_CREATE"
        };
        // It is there.
        event::api(self, &name, kind, &[], "").unwrap_or_default()
    }

    fn deploy(
        &mut self,
        name: &str,
        environments: &[String],
        vhost: &str,
        endpoints: Option<(String, String)>,
    ) -> Result<Vec<Event>> {
        let (now, revision_uuid, domain) = (self.now(), self.new_uuid("revision"), self.domain.clone());
        let api = self.api(name)?;
        (api.revision, api.time) = (api.revision.saturating_add(1), now);
        let deployment = Deployment {
            revision: api.revision,
            revision_uuid,
            vhost: vhost.to_owned(),
            archive: artifact::project(api, &domain)?.into(),
            endpoints,
        };
        for environment in environments {
            api.deployments.insert(environment.clone(), deployment.clone());
        }
        Ok(vec![event::api(self, name, "DEPLOY_API_IN_GATEWAY", environments, "")?])
    }

    fn in_portal(&mut self, operation: Operation) -> Result<Vec<Event>> {
        let now = self.now();
        Ok(match operation {
            Operation::Application { name, tier, attributes } => {
                let (id, uuid) = match self.applications.get(&name) {
                    Some(held) => (held.id, held.uuid.clone()),
                    None => (self.next_id(), self.new_uuid(&name)),
                };
                let application = Application { id, uuid, tier, attributes, time: now };
                let fresh = self.applications.insert(name.clone(), application.clone()).is_none();
                let kind = if fresh { "APPLICATION_CREATE" } else { "APPLICATION_UPDATE" };
                vec![event::application(self, &name, &application, kind)]
            }
            Operation::DeleteApplication { name } => {
                let application = self.applications.remove(&name).with_context(|| format!("no application {name}"))?;
                self.keys.retain(|_, mapping| mapping.application != name);
                self.subscriptions.retain(|(subscriber, _), _| *subscriber != name);
                vec![event::application(self, &name, &application, "APPLICATION_DELETE")]
            }
            Operation::Keys { application, consumer_key, kind, key_manager } => {
                let mapping = KeyMapping { application, kind, key_manager, time: now };
                let event = event::keys(self, &consumer_key, &mapping, "APPLICATION_REGISTRATION_CREATE")?;
                self.keys.insert(consumer_key, mapping);
                vec![event]
            }
            Operation::DeleteKeys { consumer_key } => {
                let mapping = self.keys.remove(&consumer_key).with_context(|| format!("no keys {consumer_key}"))?;
                vec![event::keys(self, &consumer_key, &mapping, "REMOVE_APPLICATION_KEYMAPPING")?]
            }
            Operation::Subscribe { application, api, tier, state } => {
                let key = (application, api);
                let (id, uuid, kind) = match self.subscriptions.get(&key) {
                    Some(held) => (held.id, held.uuid.clone(), "SUBSCRIPTIONS_UPDATE"),
                    None => (self.next_id(), self.new_uuid("subscription"), "SUBSCRIPTIONS_CREATE"),
                };
                let subscription = Subscription { id, uuid, tier, state, time: now };
                let event = event::subscription(self, &key, &subscription, kind)?;
                self.subscriptions.insert(key, subscription);
                vec![event]
            }
            Operation::Unsubscribe { application, api } => {
                let key = (application, api);
                let subscription =
                    self.subscriptions.remove(&key).with_context(|| format!("no subscription {key:?}"))?;
                vec![event::subscription(self, &key, &subscription, "SUBSCRIPTIONS_DELETE")?]
            }
            _ => Vec::new(),
        })
    }

    fn in_admin(&mut self, operation: Operation) -> Result<Vec<Event>> {
        Ok(match operation {
            Operation::SubscriptionPolicy { name, policy } => {
                let policy = self.numbered(policy, self.subscription_policies.get(&name).map(|held| held.id));
                let fresh = self.subscription_policies.insert(name.clone(), policy.clone()).is_none();
                vec![event::policy(self, &name, &policy, "SUBSCRIPTION", if fresh { "CREATE" } else { "UPDATE" })]
            }
            Operation::ApplicationPolicy { name, policy } => {
                let policy = self.numbered(policy, self.application_policies.get(&name).map(|held| held.id));
                let fresh = self.application_policies.insert(name.clone(), policy.clone()).is_none();
                vec![event::policy(self, &name, &policy, "APPLICATION", if fresh { "CREATE" } else { "UPDATE" })]
            }
            Operation::DeleteSubscriptionPolicy { name } => {
                let policy = self.subscription_policies.remove(&name).with_context(|| format!("no policy {name}"))?;
                vec![event::policy(self, &name, &policy, "SUBSCRIPTION", "DELETE")]
            }
            Operation::DeleteApplicationPolicy { name } => {
                let policy = self.application_policies.remove(&name).with_context(|| format!("no policy {name}"))?;
                vec![event::policy(self, &name, &policy, "APPLICATION", "DELETE")]
            }
            Operation::Revoke { jti, expires } => {
                let event = event::revocation(self, &jti, expires);
                self.revoked.insert(jti, expires);
                vec![event]
            }
            Operation::KeyManager { name, key_manager } => {
                let action = if self.key_managers.contains_key(&name) { "update" } else { "add" };
                let event = event::key_manager(self, &name, &key_manager, action);
                self.key_managers.insert(name, key_manager);
                vec![event]
            }
            Operation::DeleteKeyManager { name } => {
                let held = self.key_managers.remove(&name).with_context(|| format!("no key manager {name}"))?;
                vec![event::key_manager(self, &name, &held, "delete")]
            }
            Operation::Deny { id, block } => {
                let event = event::block(self, id, &block, true);
                self.blocks.insert(id, block);
                vec![event]
            }
            Operation::Allow { id } => {
                let block = self.blocks.remove(&id).with_context(|| format!("no deny condition {id}"))?;
                vec![event::block(self, id, &block, false)]
            }
            Operation::KeyTemplate { template } => {
                let event = event::key_template(&template, "add");
                self.key_templates.insert(template);
                vec![event]
            }
            Operation::DeleteKeyTemplate { template } => {
                self.key_templates.remove(&template);
                vec![event::key_template(&template, "remove")]
            }
            _ => Vec::new(),
        })
    }

    fn numbered(&mut self, policy: Policy, held: Option<i64>) -> Policy {
        let (id, time) = (held.unwrap_or_else(|| self.next_id()), self.now());
        Policy { id, time, ..policy }
    }

    fn api(&mut self, name: &str) -> Result<&mut Api> {
        self.apis.get_mut(name).with_context(|| format!("there is no API {name}"))
    }
}
