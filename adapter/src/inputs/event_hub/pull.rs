//! Pulls: questions to API Manager, and answers read as facts or as deployments. Must never take a failure for an empty answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::artifact::{self, ArchiveError, Item};
use super::fact::Resource;
use super::judge::{Judge, Judged};
use super::lists::{self, List, Numbers};
use super::mirror::Snapshot;
use super::object::ShapeError;
use super::rest::{MAX_ARTIFACTS, MAX_LIST, RestClient, RestError};

/// What API Manager answers with 404 when nothing is deployed.
const NOTHING: &str = "No Api artifacts found";
/// APIs that are judged in one go.
const CHUNK: usize = 25;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No answer that counts.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// It is not what was asked for.
    #[error("the answer cannot be used: {0}")]
    Shape(#[from] ShapeError),
    /// It is no archive of projects.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Nothing where there must be something.
    #[error("the answer is empty")]
    Empty,
    /// The adapter itself failed.
    #[error("the adapter failed ({0})")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl PullError {
    /// Whether API Manager has never heard of the list.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Rest(error) if error.status() == Some(StatusCode::NOT_FOUND))
    }
}

/// Of which APIs the deployments are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All that there are.
    All,
    /// Those of these UUIDs.
    These(Arc<BTreeSet<String>>),
    /// That of this UUID.
    One(String),
}

impl Which {
    fn includes(&self, uuid: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(uuids) => uuids.contains(uuid),
            Self::One(one) => one == uuid,
        }
    }
}

/// Asks for lists and projects. Cheap to clone.
#[derive(Clone)]
pub struct Puller {
    client: RestClient,
    environments: Vec<String>,
}

impl Puller {
    /// Asks that API Manager about these environments.
    #[must_use]
    pub const fn new(client: RestClient, environments: Vec<String>) -> Self {
        Self { client, environments }
    }

    /// A whole list.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn list(&self, resource: Resource, numbers: Numbers) -> Result<List, PullError> {
        if resource != Resource::Apis {
            return self.one(resource, &[], numbers).await;
        }
        let mut all = List { facts: Snapshot::new(), refused: Vec::new(), refusals: 0 };
        for environment in &self.environments {
            let list = self.one(resource, &[("gatewayLabel", environment)], numbers.clone()).await?;
            all.facts.extend(list.facts);
            all.refusals = all.refusals.saturating_add(list.refusals);
            all.refused.extend(list.refused);
        }
        Ok(all)
    }

    async fn one(&self, resource: Resource, query: &[(&str, &str)], numbers: Numbers) -> Result<List, PullError> {
        let body = self.client.get(path(resource), query, MAX_LIST).await?.ok_or(PullError::Empty)?;
        let everybodys = self.client.asks_for_all();
        // Tens of thousands of elements take a while.
        spawn_blocking(move || {
            let answer: Value = serde_json::from_slice(&body).map_err(RestError::Json)?;
            Ok(lists::read(resource, &answer, &numbers, everybodys)?)
        })
        .await?
    }

    /// What is deployed of these APIs.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn deployments(&self, which: Which, judge: Judge) -> Result<Vec<Judged>, PullError> {
        let body = match self.archive(&which).await {
            Ok(Some(body)) => body,
            Ok(None) => return Ok(Vec::new()),
            Err(RestError::Status { status: StatusCode::NOT_FOUND, reason }) if reason.contains(NOTHING) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let environments = self.environments.clone();
        let items = spawn_blocking(move || artifact::read(&body, &environments)).await??;
        // Only what was asked for was answered for.
        let wanted = |item: &Item| which.includes(&item.artifact.uuid);
        judge_all(&judge, items.into_iter().filter(wanted).collect()).await
    }

    async fn archive(&self, which: &Which) -> Result<Option<Bytes>, RestError> {
        let labels = STANDARD.encode(self.environments.join("|"));
        let common = [("gatewayLabel", labels.as_str()), ("type", "Envoy")];
        match which {
            Which::All => self.client.get("runtime-artifacts", &common, MAX_ARTIFACTS).await,
            Which::One(uuid) => {
                let query: Vec<(&str, &str)> = [("apiId", uuid.as_str())].into_iter().chain(common).collect();
                self.client.get("runtime-artifacts", &query, MAX_ARTIFACTS).await
            }
            // What a question about nothing means, nobody says.
            Which::These(uuids) if uuids.is_empty() => Ok(None),
            Which::These(uuids) => {
                let question = json!({"uuids": uuids.as_ref()});
                self.client.ask("retrieve-api-artifacts", &common, &question, MAX_ARTIFACTS).await
            }
        }
    }
}

/// Judges APIs on all processors.
///
/// # Errors
/// When the adapter itself fails.
pub async fn judge_all(judge: &Judge, items: Vec<Item>) -> Result<Vec<Judged>, PullError> {
    let mut by_api: BTreeMap<String, Vec<Item>> = BTreeMap::new();
    for item in items {
        by_api.entry(item.artifact.uuid.clone()).or_default().push(item);
    }
    let apis: Vec<Vec<Item>> = by_api.into_values().collect();
    let chunks = apis.chunks(CHUNK).map(<[_]>::concat).collect::<Vec<_>>();
    let work = chunks.into_iter().map(|items| {
        let judge = judge.clone();
        async move { spawn_blocking(move || judge.all(items)).await }
    });
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let judged: Vec<Result<Vec<Judged>, _>> = stream::iter(work).buffered(processors).collect().await;
    let mut all = Vec::new();
    for chunk in judged {
        all.extend(chunk?);
    }
    Ok(all)
}

const fn path(resource: Resource) -> &'static str {
    match resource {
        Resource::ApplicationPolicies => "application-policies",
        Resource::SubscriptionPolicies => "subscription-policies",
        Resource::ApiPolicies => "api-policies",
        Resource::Applications => "applications",
        Resource::ApplicationKeys => "application-key-mappings",
        Resource::Subscriptions => "subscriptions",
        Resource::Apis => "apis",
        Resource::KeyManagers => "keymanagers",
        Resource::RevokedTokens => "revokedjwt",
        Resource::KeyTemplates => "keyTemplates",
        Resource::BlockConditions => "block",
    }
}
