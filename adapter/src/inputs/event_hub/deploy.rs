//! The part of the hub that brings APIs into the catalogue: answers about all of them, answers about one, and what events say for
//! certain. A broken project leaves what was deployed before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::artifact::{Artifact, Item};
use super::events::ApiEvent;
use super::fact::ApiFact;
use super::hub::{ARTIFACTS, Hub, seconds};
use super::judge::{Before, Judged, Verdict};
use super::mirror::Moment;
use super::pull::judge_all;
use super::store::Write;
use crate::inputs::catalog::{Batch, ProjectPut};
use crate::model::{Deployment, Origin, Problems, ProjectOrigin};

/// What is served of an API, and why that is right.
struct Placing {
    judged: Judged,
    deployments: Vec<Arc<Deployment>>,
    numbers: BTreeMap<String, i64>,
}

impl Hub {
    /// An answer about all APIs.
    pub(super) async fn answered_all(&mut self, began: Moment, mut judged: Vec<Judged>) {
        // Since it was asked, an API may have become somebody else's.
        judged.retain(|one| self.is_ours(&one.uuid));
        let listed: BTreeSet<String> = judged.iter().map(|one| one.uuid.clone()).collect();
        let gone = self.apis.missing(&listed, began);
        let due: Vec<Judged> = judged.into_iter().filter(|one| self.apis.counts_for(&one.uuid, began)).collect();
        self.apis.answered_all(began);
        let incomplete = judged_incompletely(&due);
        self.take(due, gone).await;
        self.report.pulls = self.report.pulls.saturating_add(1);
        self.artifacts.succeeded(Instant::now(), began, seconds());
        if incomplete {
            self.artifacts.want(self.soon());
        }
        self.completed(ARTIFACTS);
    }

    /// An answer about one API: its deployment, or that there is none.
    pub(super) async fn answered_one(&mut self, uuid: &str, began: Moment, mut judged: Vec<Judged>) {
        judged.retain(|one| self.is_ours(&one.uuid));
        let gone = if judged.is_empty() { vec![uuid.to_owned()] } else { Vec::new() };
        self.apis.answered(uuid, began);
        let again = judged_incompletely(&judged).then(|| self.soon());
        self.apis.ended(uuid, again);
        self.take(judged, gone).await;
        self.report.pulls = self.report.pulls.saturating_add(1);
    }

    fn soon(&self) -> Instant {
        Instant::now().checked_add(self.settings.retry).unwrap_or_else(Instant::now)
    }

    /// Takes an API at once from where it certainly is no longer. The answer to the question that is asked anyway decides.
    pub(super) async fn remove_at_once(&mut self, event: &ApiEvent) {
        let Some(deployments) = self.apis.without(event) else { return };
        let Some(served) = self.apis.get(&event.uuid) else { return };
        if deployments.is_empty() {
            return self.take(Vec::new(), vec![event.uuid.clone()]).await;
        }
        let (fact, numbers) = (served.before.fact, served.numbers.clone());
        let artifacts = self.apis.artifacts_without(event);
        let judged = unread(&event.uuid, Before { artifacts, fact });
        self.place(vec![Placing { judged, deployments, numbers }], Vec::new()).await;
    }

    /// Other states of the life cycle.
    pub(super) async fn move_all(&mut self, moves: Vec<(String, Option<ApiFact>, Vec<Arc<Deployment>>)>) {
        let placing = moves.into_iter().filter_map(|(uuid, fact, deployments)| {
            let served = self.apis.get(&uuid)?;
            let before = Before { fact, ..served.before.clone() };
            Some(Placing { judged: unread(&uuid, before), deployments, numbers: served.numbers.clone() })
        });
        let placing = placing.collect();
        self.place(placing, Vec::new()).await;
    }

    /// Reads the kept project of an API anew, as more is different than the state of its life cycle.
    pub(super) async fn read_again(&mut self, uuid: &str) {
        let Some(served) = self.apis.get(uuid) else { return };
        let artifacts = served.before.artifacts.clone();
        let items = self.kept(artifacts).await;
        if let Some(error) = items.iter().find_map(|item| item.project.as_ref().err()) {
            tracing::warn!(api = uuid, error, "the kept project of an API cannot be read; it is asked for");
            return self.apis.want(uuid, Instant::now());
        }
        match judge_all(&self.judge(), items).await {
            Ok(judged) => self.take(judged, Vec::new()).await,
            Err(error) => tracing::error!(api = uuid, %error, "the kept project of an API cannot be judged"),
        }
    }

    /// Projects that are on the disk, or about to be.
    pub(super) async fn kept(&self, artifacts: Vec<Artifact>) -> Vec<Item> {
        let store = Arc::clone(&self.store);
        let waiting: BTreeMap<String, Bytes> = artifacts
            .iter()
            .filter_map(|artifact| match self.unwritten_apis.get(&artifact.key()) {
                Some(Write::Artifact(_, Some(project))) => Some((artifact.key(), project.clone())),
                _ => None,
            })
            .collect();
        let read = spawn_blocking(move || {
            let project = |key: &str| match waiting.get(key) {
                Some(project) => Ok(project.clone()),
                None => match store.archive(key) {
                    Ok(project) => project.ok_or_else(|| format!("the project of {key} is not kept")),
                    Err(error) => Err(error.to_string()),
                },
            };
            let item = |artifact: Artifact| Item { project: project(&artifact.key()), artifact };
            artifacts.into_iter().map(item).collect::<Vec<Item>>()
        });
        read.await.unwrap_or_else(|error| {
            tracing::error!(%error, "kept projects cannot be read");
            Vec::new()
        })
    }

    /// Takes over what was judged.
    pub(super) async fn take(&mut self, judged: Vec<Judged>, gone: Vec<String>) {
        let mut placing = Vec::new();
        for mut one in judged {
            match std::mem::replace(&mut one.verdict, Verdict::Unchanged) {
                Verdict::Unchanged => {
                    self.reports.accept(&title(&one.uuid));
                    self.apis.keep(&one.uuid);
                }
                Verdict::Good { deployments, warnings, numbers } => {
                    for warning in &warnings {
                        tracing::warn!(api = one.uuid, %warning, "deployed with a warning");
                    }
                    placing.push(Placing { judged: one, deployments, numbers });
                }
                Verdict::Bad(problems) => self.refuse(&one.uuid, problems),
            }
        }
        self.place(placing, gone).await;
        self.artifacts.report.count = self.apis.served().count();
        self.artifacts.report.refused = self.apis.refused();
    }

    fn refuse(&mut self, uuid: &str, problems: Problems) {
        self.reports.refuse(&title(uuid), &problems);
        if self.apis.refuse(uuid, problems.clone()) {
            for problem in problems.errors() {
                tracing::error!(api = uuid, %problem, "an API of API Manager is refused; what it was before stays");
            }
        }
    }

    async fn place(&mut self, placing: Vec<Placing>, gone: Vec<String>) {
        if placing.is_empty() && gone.iter().all(|uuid| self.apis.get(uuid).is_none()) {
            return;
        }
        let put = placing.iter().map(|one| {
            let revision = one.judged.artifacts.first().map_or("", |artifact| artifact.revision.as_str());
            ProjectPut { origin: origin(&one.judged.uuid, revision), deployments: one.deployments.clone() }
        });
        let batch = Batch { put: put.collect(), gone: gone.iter().map(|uuid| origin(uuid, "")).collect() };
        let synced = match self.catalog.sync(batch).await {
            Ok(synced) => synced,
            Err(error) => {
                tracing::error!(%error, "APIs of API Manager cannot be taken over; all are asked for again");
                self.artifacts.failed(Instant::now(), error.to_string());
                return;
            }
        };
        for (one, outcome) in placing.into_iter().zip(synced.outcomes) {
            match outcome {
                Ok(()) => self.placed(one, synced.revision),
                Err(problems) => self.refuse(&one.judged.uuid, problems),
            }
        }
        for uuid in gone {
            self.reports.accept(&title(&uuid));
            if let Some(served) = self.apis.drop(&uuid) {
                for artifact in &served.before.artifacts {
                    self.unwritten_apis.insert(artifact.key(), Write::NoArtifact(artifact.key()));
                }
                if let Some(acknowledger) = &self.acknowledger {
                    acknowledger.gone(&served.before.artifacts, synced.revision);
                }
            }
        }
    }

    fn placed(&mut self, one: Placing, revision: u64) {
        let Placing { judged, deployments, numbers } = one;
        self.reports.accept(&title(&judged.uuid));
        let before = self.apis.get(&judged.uuid).map(|served| served.before.artifacts.clone()).unwrap_or_default();
        let projects: BTreeMap<&str, &Bytes> =
            judged.projects.iter().map(|(key, project)| (key.as_str(), project)).collect();
        for artifact in before.iter().filter(|former| judged.artifacts.iter().all(|now| now.key() != former.key())) {
            self.unwritten_apis.insert(artifact.key(), Write::NoArtifact(artifact.key()));
        }
        for artifact in &judged.artifacts {
            let key = artifact.key();
            let project = projects.get(key.as_str()).map(|project| (*project).clone());
            // One that waits to be written for the first time must not lose its project.
            let project = project.or_else(|| match self.unwritten_apis.get(&key) {
                Some(Write::Artifact(_, project)) => project.clone(),
                _ => None,
            });
            self.unwritten_apis.insert(key, Write::Artifact(artifact.clone(), project));
        }
        if let Some(acknowledger) = &self.acknowledger {
            acknowledger.deployed(&before, &judged.artifacts, &numbers, &deployments, revision);
        }
        self.apis.serve(judged, deployments, numbers);
    }
}

/// Whether an answer names projects that it does not hold: it is worth asking again.
fn judged_incompletely(judged: &[Judged]) -> bool {
    let lacks = |one: &Judged| matches!(one.verdict, Verdict::Bad(_)) && one.projects.len() < one.artifacts.len();
    judged.iter().any(lacks)
}

/// An API whose project need not be read.
fn unread(uuid: &str, before: Before) -> Judged {
    let Before { artifacts, fact } = before;
    Judged { uuid: uuid.to_owned(), artifacts, fact, projects: Vec::new(), verdict: Verdict::Unchanged }
}

fn origin(uuid: &str, revision: &str) -> Origin {
    let revision = Some(revision).filter(|revision| !revision.is_empty()).map(Arc::from);
    Origin::ApiManager(ProjectOrigin { project: Arc::from(uuid), revision })
}

/// How an API is called in status and logs.
fn title(uuid: &str) -> String {
    format!("API Manager:{uuid}")
}
