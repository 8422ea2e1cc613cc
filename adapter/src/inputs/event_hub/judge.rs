//! APIs of an archive as deployments. Each is taken or refused by itself. Takes a while: call it off the async threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tollgate_model::LifeCycle;

use super::artifact::{Artifact, Endpoints, Item};
use super::fact::ApiFact;
use super::object::Object;
use crate::inputs::catalog::Catalog;
use crate::inputs::project::document::parse;
use crate::inputs::project::{Placement, ProjectFiles, Targets, archive, names};
use crate::model::{Deployment, Problems};

/// Virtual host of an environment for which API Manager names none.
const DEFAULT_HOST: &str = "localhost";

/// What is deployed of an API, or was meant to be.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Of the API.
    pub uuid: String,
    /// Its revisions. Each environment has one of them.
    pub artifacts: Vec<Artifact>,
    /// What API Manager said of it beside its project.
    pub fact: Option<ApiFact>,
    /// Projects by the keys of the artifacts; none for what is kept already.
    pub projects: Vec<(String, Bytes)>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of an API.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is as it was.
    Unchanged,
    /// It can be served.
    Good {
        /// As this.
        deployments: Vec<Arc<Deployment>>,
        /// Although this is odd.
        warnings: Problems,
        /// `revisionId` of the projects, by the keys of the artifacts.
        numbers: BTreeMap<String, i64>,
    },
    /// It cannot be served.
    Bad(Problems),
}

/// What is known of an API already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Its revisions.
    pub artifacts: Vec<Artifact>,
    /// What was said beside.
    pub fact: Option<ApiFact>,
}

/// How APIs are judged.
#[derive(Clone)]
pub struct Judge {
    /// Reads projects.
    pub catalog: Arc<Catalog>,
    /// What is known already, and good; that need not be read again.
    pub before: Arc<BTreeMap<String, Before>>,
    /// What API Manager says of APIs beside their projects.
    pub facts: Arc<BTreeMap<String, ApiFact>>,
    /// Default virtual hosts of environments.
    pub hosts: Arc<BTreeMap<String, String>>,
}

impl Judge {
    /// Judges all APIs of an archive.
    #[must_use]
    pub fn all(&self, items: Vec<Item>) -> Vec<Judged> {
        let mut by_api: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for item in items {
            by_api.entry(item.artifact.uuid.clone()).or_default().push(item);
        }
        by_api.into_iter().map(|(uuid, items)| self.one(uuid, items)).collect()
    }

    fn one(&self, uuid: String, mut items: Vec<Item>) -> Judged {
        items.sort_by(|one, other| one.artifact.revision.cmp(&other.artifact.revision));
        let artifacts: Vec<Artifact> = items.iter().map(|item| item.artifact.clone()).collect();
        let fact = self.facts.get(&uuid).copied();
        let judged =
            |verdict, projects| Judged { uuid: uuid.clone(), artifacts: artifacts.clone(), fact, projects, verdict };
        let before = self.before.get(&uuid);
        if before.is_some_and(|before| before.fact == fact && before.artifacts == artifacts) {
            return judged(Verdict::Unchanged, Vec::new());
        }
        let verdict = self.read(&items, fact);
        let projects = items.into_iter().filter_map(|item| Some((item.artifact.key(), item.project.ok()?)));
        judged(verdict, projects.collect())
    }

    fn read(&self, items: &[Item], fact: Option<ApiFact>) -> Verdict {
        let (mut deployments, mut warnings, mut numbers) = (Vec::new(), Problems::new(), BTreeMap::new());
        for item in items {
            match self.revision(item, fact) {
                Ok((found, odd, number)) => {
                    deployments.extend(found);
                    warnings.extend(odd);
                    numbers.extend(number.map(|number| (item.artifact.key(), number)));
                }
                Err(problems) => return Verdict::Bad(problems),
            }
        }
        Verdict::Good { deployments: told_apart(deployments), warnings, numbers }
    }

    fn revision(
        &self,
        item: &Item,
        fact: Option<ApiFact>,
    ) -> Result<(Vec<Deployment>, Problems, Option<i64>), Problems> {
        let why = "API Manager hands out no project of it";
        let project = item.project.as_ref().map_err(|what| problem(what.clone(), why, "deploy the revision again"))?;
        let files = archive::unpack(project)?;
        let (mut deployments, mut warnings) = (Vec::new(), Problems::new());
        for (endpoints, targets) in self.placements(&item.artifact)? {
            let placement = Placement {
                id: Some(item.artifact.uuid.clone()),
                organization: Some(item.artifact.organization.clone()).filter(|owner| !owner.is_empty()),
                life_cycle: fact.map(|fact| fact.life_cycle),
                default_version: fact.map(|fact| fact.default_version),
                targets: Some(targets),
                production: endpoints.production,
                sandbox: endpoints.sandbox,
            };
            let compiled = self.catalog.compile_placed(&files, &placement)?;
            deployments.extend(compiled.deployments());
            warnings.extend(compiled.warnings);
        }
        Ok((deployments, warnings, revision_number(&files)))
    }

    /// Virtual hosts with their environments, by what takes the place of the backends there.
    fn placements(&self, artifact: &Artifact) -> Result<Vec<(Endpoints, Targets)>, Problems> {
        let mut placements: Vec<(Endpoints, Targets)> = Vec::new();
        for (environment, host) in &artifact.environments {
            let default = || self.hosts.get(environment).map_or(DEFAULT_HOST, String::as_str);
            let host = if host.is_empty() { default() } else { host };
            let host = names::virtual_host(host).map_err(|what| {
                let why = "no request could be matched with it";
                problem(format!("the virtual host {host} {what}"), why, "correct it in the admin portal")
            })?;
            let endpoints = artifact.endpoints.get(environment).cloned().unwrap_or_default();
            let at = match placements.iter().position(|(known, _)| *known == endpoints) {
                Some(at) => at,
                None => {
                    placements.push((endpoints, Targets::new()));
                    placements.len().saturating_sub(1)
                }
            };
            if let Some((_, targets)) = placements.get_mut(at) {
                targets.entry(host).or_default().insert(environment.clone());
            }
        }
        Ok(placements)
    }
}

/// Where a virtual host has several forms of the API, each is named after its environments.
fn told_apart(deployments: Vec<Deployment>) -> Vec<Arc<Deployment>> {
    let mut forms: BTreeMap<String, usize> = BTreeMap::new();
    for deployment in &deployments {
        let count = forms.entry(deployment.api.virtual_host.clone()).or_default();
        *count = count.saturating_add(1);
    }
    let named = deployments.into_iter().map(|mut deployment| {
        if forms.get(&deployment.api.virtual_host).is_some_and(|count| *count > 1) {
            let environments: Vec<&str> = deployment.environments.iter().map(String::as_str).collect();
            deployment.variant = environments.join(",");
        }
        Arc::new(deployment)
    });
    named.collect()
}

/// The deployments of an API in another state of its life cycle, if that is all there is to it.
#[must_use]
pub fn moved(deployments: &[Arc<Deployment>], life_cycle: LifeCycle) -> Option<Vec<Arc<Deployment>>> {
    let simple = |state: LifeCycle| state != LifeCycle::Prototyped;
    let all_simple = simple(life_cycle) && deployments.iter().all(|deployment| simple(deployment.api.life_cycle));
    all_simple.then(|| {
        let moved = deployments.iter().map(|deployment| {
            let mut deployment = Deployment::clone(deployment);
            deployment.api.life_cycle = life_cycle;
            Arc::new(deployment)
        });
        moved.collect()
    })
}

/// `revisionId` of api.yaml, by which API Manager is told what was deployed.
fn revision_number(files: &ProjectFiles) -> Option<i64> {
    let bytes = files.get("api.yaml").or_else(|| files.get("api.json"))?;
    let document = parse("api.yaml", bytes, &mut Problems::new())?;
    let data = Object::of(&document).ok()?.object("data")?;
    data.number("revisionId")
}

fn problem(what: String, why: &str, fix: &str) -> Problems {
    let mut problems = Problems::new();
    problems.error(("", ""), what, why, fix);
    problems
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
