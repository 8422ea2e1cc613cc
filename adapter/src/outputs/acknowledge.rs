//! Who of the connected gateways has taken a change: Envoy its clusters, and its filters the tables.
//!
//! Versions have no order, so a gateway is compared with what is published now, which is at least as new as the change.
//! Must never keep anybody waiting beyond the given time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tollgate_model::wire::Cursor;

use super::nodes::Standing;
use crate::admin::Status;
use crate::model::gateways::{Answers, Change, GatewayAnswer, Gateways, Outcome};

/// What gateways were told of last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Revision of the world; 0 before anything is published.
    pub revision: u64,
    /// By environment.
    pub environments: BTreeMap<String, PublishedEnvironment>,
}

/// What the gateways of an environment were told of last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedEnvironment {
    /// Version of the clusters.
    pub clusters: String,
    /// Where the feed is.
    pub feed: Cursor,
}

/// Answers for the gateways that the status knows.
#[derive(Debug, Clone)]
pub struct Acknowledgements {
    status: Arc<Status>,
}

impl Acknowledgements {
    /// Of all gateways that report to that status.
    #[must_use]
    pub const fn new(status: Arc<Status>) -> Self {
        Self { status }
    }

    async fn wait(&self, change: &Change, patience: Duration) -> Vec<GatewayAnswer> {
        let deadline = Instant::now().checked_add(patience).unwrap_or_else(Instant::now);
        let mut published = self.status.published().subscribe();
        let mut nodes = self.status.nodes().watch();
        let mut answered: BTreeMap<String, GatewayAnswer> = BTreeMap::new();
        loop {
            let now = published.borrow_and_update().clone();
            nodes.borrow_and_update();
            let answers = self.look(change, &now);
            for answer in &answers {
                // Once it has taken the change, whatever is published later does not matter.
                if answer.state != Outcome::Pending || !answered.contains_key(&answer.name) {
                    answered.insert(answer.name.clone(), answer.clone());
                }
            }
            // Who has left need not be waited for.
            answered.retain(|name, _| answers.iter().any(|answer| answer.name == *name));
            if answered.values().all(|answer| answer.state != Outcome::Pending) {
                break;
            }
            let news = async {
                tokio::select! {
                    changed = published.changed() => changed.is_ok(),
                    changed = nodes.changed() => changed.is_ok(),
                }
            };
            if !timeout_at(deadline, news).await.unwrap_or(false) {
                break;
            }
        }
        answered.into_values().collect()
    }

    fn look(&self, change: &Change, published: &Published) -> Vec<GatewayAnswer> {
        let mut answers = Vec::new();
        for environment in &change.environments {
            let goal = published.environments.get(environment).filter(|_| published.revision >= change.revision);
            for standing in self.status.nodes().standing(environment) {
                answers.push(answer(change, environment, goal, standing));
            }
        }
        answers
    }
}

impl Gateways for Acknowledgements {
    fn answers<'a>(&'a self, change: &'a Change, patience: Duration) -> Answers<'a> {
        Box::pin(self.wait(change, patience))
    }
}

fn answer(
    change: &Change,
    environment: &str,
    goal: Option<&PublishedEnvironment>,
    standing: Standing,
) -> GatewayAnswer {
    let refused = standing.refused.iter().filter(|(cluster, _)| change.clusters.contains(*cluster));
    let reasons: Vec<String> = refused.map(|(_, error)| error.clone()).collect();
    let has_all = goal.is_some_and(|goal| standing.has(goal));
    let state = match (reasons.is_empty(), has_all, goal) {
        (false, _, Some(_)) => Outcome::Refused,
        (true, true, _) => Outcome::Acknowledged,
        _ => Outcome::Pending,
    };
    GatewayAnswer { name: standing.name, environment: environment.to_owned(), state, reasons }
}

#[cfg(test)]
mod tests;
