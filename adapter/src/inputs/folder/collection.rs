//! Brings the catalogue in line with the projects of a source, one outcome a project: a good one is deployed, a broken one
//! is reported and leaves what it had deployed before, one that is gone is undeployed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::task::spawn_blocking;

use super::scan::{self, Found, Stamp};
use crate::inputs::catalog::{Batch, Catalog, DeployError, ProjectPut};
use crate::model::{Origin, Problems, ProjectOrigin, Refusals, SourceReport};
use tollgate_project::Compiled;

/// Which source the projects are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The artifacts directory.
    Folder,
    /// The Git repository.
    Git,
}

impl Kind {
    /// Its name in the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Git => "git",
        }
    }

    fn origin(self, project: &str, revision: Option<&str>) -> Origin {
        let origin = ProjectOrigin { project: Arc::from(project), revision: revision.map(Arc::from) };
        match self {
            Self::Folder => Origin::Folder(origin),
            Self::Git => Origin::Git(origin),
        }
    }
}

/// The projects of a source as they were last taken over.
pub struct Collection {
    kind: Kind,
    location: String,
    catalog: Arc<Catalog>,
    reports: Arc<dyn Refusals>,
    known: BTreeMap<String, Known>,
    report: SourceReport,
}

struct Known {
    stamp: Stamp,
    verdict: Verdict,
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Served,
    /// It stays wrong until it changes.
    Invalid,
    /// It may be good as soon as another API goes.
    Collides(Problems),
}

/// A project that was read.
struct Compilation {
    name: String,
    stamp: Stamp,
    /// None when it changed while it was read.
    outcome: Option<Result<Compiled, Problems>>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Projects that are served as they are.
    pub served: usize,
    /// Refused ones.
    pub refused: usize,
}

impl Collection {
    /// Of a source at that location, which is shown to people.
    #[must_use]
    pub fn new(kind: Kind, location: String, catalog: Arc<Catalog>, reports: Arc<dyn Refusals>) -> Self {
        let report = SourceReport { location: location.clone(), ..SourceReport::default() };
        Self { kind, location, catalog, reports, known: BTreeMap::new(), report }
    }

    /// Where the source is.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Takes over what changed. Symbolic links of a project lead nowhere outside of `root`.
    ///
    /// # Errors
    /// When the store fails; nothing has changed then, and the next call tries again.
    pub async fn follow(
        &mut self,
        found: &BTreeMap<String, Found>,
        root: &Path,
        revision: Option<&str>,
    ) -> Result<Outcome, DeployError> {
        let gone: Vec<String> = self.known.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        let changed = found.iter().filter(|(name, project)| self.is_due(name, project));
        let work = changed.map(|(name, project)| self.compile(name.clone(), project.clone(), root.to_path_buf()));
        let compiled: Vec<Compilation> = stream::iter(work.collect::<Vec<_>>()).buffered(parallelism()).collect().await;
        let mut batch = Batch { put: Vec::new(), gone: gone.iter().map(|name| self.kind.origin(name, None)).collect() };
        let (mut put, mut invalid) = (Vec::new(), Vec::new());
        for Compilation { name, stamp, outcome } in compiled {
            match outcome {
                None => {}
                Some(Err(problems)) => invalid.push((name, stamp, problems)),
                Some(Ok(compiled)) => {
                    let warnings = compiled.warnings.clone();
                    let deployments = compiled.deployments().into_iter().map(Arc::new).collect();
                    batch.put.push(ProjectPut { origin: self.kind.origin(&name, revision), deployments });
                    put.push((name, stamp, warnings));
                }
            }
        }
        if !batch.put.is_empty() || !batch.gone.is_empty() {
            let outcomes = self.catalog.sync(batch).await?.outcomes;
            for ((name, stamp, warnings), outcome) in put.into_iter().zip(outcomes) {
                self.placed(name, stamp, &warnings, outcome);
            }
        }
        for (name, stamp, problems) in invalid {
            self.refuse(&name, &problems);
            self.known.insert(name, Known { stamp, verdict: Verdict::Invalid });
        }
        for name in gone {
            self.known.remove(&name);
            self.reports.accept(&self.title(&name));
        }
        Ok(self.followed(found.len(), revision))
    }

    /// The source itself cannot be read; what was taken over stays.
    pub fn failed(&mut self, reason: &str) {
        self.report.failures = self.report.failures.saturating_add(1);
        if self.report.error.as_deref() != Some(reason) {
            tracing::error!(
                source = self.kind.name(),
                location = self.location,
                reason,
                "a source of projects cannot be read; what it deployed stays"
            );
        }
        self.report.error = Some(reason.to_owned());
        self.reports.source(self.kind.name(), self.report.clone());
    }

    fn followed(&mut self, projects: usize, revision: Option<&str>) -> Outcome {
        let served = self.known.values().filter(|known| known.verdict == Verdict::Served).count();
        let refused = self.known.len().saturating_sub(served);
        self.report = SourceReport {
            location: self.location.clone(),
            projects,
            refused,
            revision: revision.map(str::to_owned),
            last_read: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
            error: None,
            failures: 0,
        };
        self.reports.source(self.kind.name(), self.report.clone());
        Outcome { served, refused }
    }

    fn is_due(&self, name: &str, project: &Found) -> bool {
        self.known
            .get(name)
            .is_none_or(|known| known.stamp != project.stamp || matches!(known.verdict, Verdict::Collides(_)))
    }

    fn compile(&self, name: String, project: Found, root: PathBuf) -> impl Future<Output = Compilation> + use<> {
        let catalog = Arc::clone(&self.catalog);
        async move {
            let stamp = project.stamp;
            let outcome = spawn_blocking(move || {
                let outcome =
                    super::read(&project.path, &root).and_then(|files| catalog.compile(&files.without_top_folder()));
                (scan::stamp(&project.path) == stamp).then_some(outcome)
            });
            let outcome = outcome.await.unwrap_or_else(|error| Some(Err(failure(&error.to_string()))));
            Compilation { name, stamp, outcome }
        }
    }

    fn placed(&mut self, name: String, stamp: Stamp, warnings: &Problems, outcome: Result<(), Problems>) {
        let verdict = match outcome {
            Ok(()) => {
                for warning in warnings {
                    tracing::warn!(project = %self.title(&name), %warning, "deployed with a warning");
                }
                self.reports.accept(&self.title(&name));
                Verdict::Served
            }
            Err(problems) => {
                let verdict = Verdict::Collides(problems);
                let is_news = self.known.get(&name).is_none_or(|known| known.verdict != verdict);
                if let (true, Verdict::Collides(problems)) = (is_news, &verdict) {
                    self.refuse(&name, problems);
                }
                verdict
            }
        };
        self.known.insert(name, Known { stamp, verdict });
    }

    fn refuse(&self, name: &str, problems: &Problems) {
        let title = self.title(name);
        for problem in problems.errors() {
            tracing::error!(project = title, %problem, "a project is refused; what it deployed before stays");
        }
        self.reports.refuse(&title, problems);
    }

    /// How a project is called in status and logs.
    fn title(&self, name: &str) -> String {
        format!("{}:{name}", self.kind.name())
    }
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

fn failure(what: &str) -> Problems {
    let mut problems = Problems::new();
    problems.error(("", ""), what.to_owned(), "the adapter failed", "see its log");
    problems
}
