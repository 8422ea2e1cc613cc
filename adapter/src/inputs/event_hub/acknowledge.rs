//! Tells API Manager which revisions gateways serve, and which no longer: when the gateways of the environment have taken them,
//! and not before. Where no gateway is connected, there is nothing to tell. Must never hold anything up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::artifact::Artifact;
use super::rest::{RestClient, RestError};
use crate::model::gateways::{Change, GatewayAnswer, Outcome};
use crate::model::{Deployment, Gateways};

/// How often gateways are looked at while something waits for them.
const EVERY: Duration = Duration::from_millis(250);
/// Tries to tell API Manager something.
const TRIES: usize = 5;

/// What API Manager is to be told of an API in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// This revision is served there.
    Deployed { number: i64, host: String },
    /// This revision is not served there any more.
    Gone { revision: String },
}

/// Waits for gateways.
#[derive(Debug, Clone)]
struct Waiting {
    word: Word,
    change: Change,
}

/// API and environment.
type Place = (String, String);

/// Takes what is to be told.
#[derive(Clone)]
pub struct Acknowledger {
    sender: mpsc::UnboundedSender<(Place, Waiting)>,
}

impl Acknowledger {
    /// Tells that API Manager, until `shutdown`, what these gateways have taken.
    #[must_use]
    pub fn start(client: RestClient, gateways: Arc<dyn Gateways>, shutdown: CancellationToken) -> Self {
        // As many as there are APIs and environments: a newer word replaces an older one as soon as it is read.
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tell(client, gateways, receiver) => {}
            }
        });
        Self { sender }
    }

    /// An API is served in these revisions.
    pub fn deployed(
        &self,
        before: &[Artifact],
        now: &[Artifact],
        numbers: &BTreeMap<String, i64>,
        deployments: &[Arc<Deployment>],
        revision: u64,
    ) {
        for artifact in now {
            let Some(number) = numbers.get(&artifact.key()).copied() else {
                tracing::warn!(api = artifact.uuid, "the project has no revisionId, so its deployment is not reported");
                continue;
            };
            for (environment, host) in &artifact.environments {
                let own = deployments.iter().filter(|deployment| deployment.environments.contains(environment));
                let clusters =
                    own.flat_map(|deployment| deployment.clusters.iter().map(|cluster| cluster.name.clone()));
                let change = Change {
                    revision,
                    environments: BTreeSet::from([environment.clone()]),
                    clusters: clusters.collect(),
                };
                let word = Word::Deployed { number, host: host.clone() };
                self.send(&artifact.uuid, environment, Waiting { word, change });
            }
        }
        let kept = |environment: &String| now.iter().any(|artifact| artifact.environments.contains_key(environment));
        self.left(before, revision, |environment| !kept(environment));
    }

    /// An API is not served any more.
    pub fn gone(&self, before: &[Artifact], revision: u64) {
        self.left(before, revision, |_| true);
    }

    fn left(&self, before: &[Artifact], revision: u64, left: impl Fn(&String) -> bool) {
        for artifact in before {
            for environment in artifact.environments.keys().filter(|environment| left(environment)) {
                let change =
                    Change { revision, environments: BTreeSet::from([environment.clone()]), ..Change::default() };
                let word = Word::Gone { revision: artifact.revision.clone() };
                self.send(&artifact.uuid, environment, Waiting { word, change });
            }
        }
    }

    fn send(&self, uuid: &str, environment: &str, waiting: Waiting) {
        // Nobody is told anything after the shutdown.
        let _ = self.sender.send(((uuid.to_owned(), environment.to_owned()), waiting));
    }
}

async fn tell(client: RestClient, gateways: Arc<dyn Gateways>, mut news: mpsc::UnboundedReceiver<(Place, Waiting)>) {
    let mut waiting: BTreeMap<Place, Waiting> = BTreeMap::new();
    loop {
        if waiting.is_empty() {
            let Some((place, word)) = news.recv().await else { return };
            waiting.insert(place, word);
        }
        while let Ok((place, word)) = news.try_recv() {
            waiting.insert(place, word);
        }
        let mut ready = Vec::new();
        for (place, one) in &waiting {
            match verdict(&gateways.answers(&one.change, Duration::ZERO).await) {
                Some(true) => ready.push((place.clone(), Some(one.word.clone()))),
                Some(false) => {
                    tracing::warn!(
                        api = place.0,
                        environment = place.1,
                        "a gateway refuses the API, so its deployment is not reported"
                    );
                    ready.push((place.clone(), None));
                }
                None => {}
            }
        }
        for (place, _) in &ready {
            waiting.remove(place);
        }
        report(&client, ready).await;
        sleep(EVERY).await;
    }
}

/// Whether all gateways have taken it; nothing while some have not answered, or there is none.
fn verdict(answers: &[GatewayAnswer]) -> Option<bool> {
    if answers.iter().any(|answer| answer.state == Outcome::Refused) {
        return Some(false);
    }
    let all = answers.iter().all(|answer| answer.state == Outcome::Acknowledged);
    (all && !answers.is_empty()).then_some(true)
}

async fn report(client: &RestClient, ready: Vec<(Place, Option<Word>)>) {
    let mut deployed: BTreeMap<(String, i64), Vec<Value>> = BTreeMap::new();
    for ((uuid, environment), word) in ready {
        match word {
            Some(Word::Deployed { number, host }) => {
                deployed.entry((uuid, number)).or_default().push(json!({"name": environment, "vhost": host}));
            }
            Some(Word::Gone { revision }) => {
                let body = json!({"apiUUID": uuid, "revisionUUID": revision, "environment": environment});
                send(client, Method::POST, "apis/undeployed-revision", &body).await;
            }
            None => {}
        }
    }
    if deployed.is_empty() {
        return;
    }
    let list = deployed
        .into_iter()
        .map(|((uuid, number), places)| json!({"apiId": uuid, "revisionId": number, "envInfo": places}));
    send(client, Method::PATCH, "apis/deployed-revisions", &Value::Array(list.collect())).await;
}

async fn send(client: &RestClient, method: Method, path: &str, body: &Value) {
    let tries = ExponentialBuilder::default().with_jitter().with_max_times(TRIES);
    let attempt = || async { client.tell(method.clone(), path, body).await };
    let final_error = |error: &RestError| error.status().is_none_or(|status| status.is_server_error());
    match attempt.retry(tries).when(final_error).await {
        Ok(()) => tracing::info!(path, "API Manager was told what gateways serve"),
        Err(error) => tracing::error!(path, %error, "API Manager cannot be told what gateways serve"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_gateways_have_taken_is_reported() {
        let answers = |states: &[Outcome]| {
            let answer = |state: &Outcome| GatewayAnswer {
                name: "a".to_owned(),
                environment: "Default".to_owned(),
                state: *state,
                reasons: Vec::new(),
            };
            verdict(&states.iter().map(answer).collect::<Vec<_>>())
        };
        use Outcome::{Acknowledged, Pending, Refused};
        assert_eq!(answers(&[]), None);
        assert_eq!(answers(&[Acknowledged, Acknowledged]), Some(true));
        assert_eq!(answers(&[Acknowledged, Pending]), None);
        assert_eq!(answers(&[Acknowledged, Refused]), Some(false));
    }
}
