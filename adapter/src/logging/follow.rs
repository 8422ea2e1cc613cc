//! Follows log_config.toml while the adapter runs. A broken edit changes nothing, and is reported until it is repaired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Log;
use crate::config::{Environment, LogConfig, read_file};
use crate::model::{Problems, Refusals};
use crate::outputs::settings::{AccessLog, WireLog};

/// How often the file is looked at where the system tells of no changes.
const POLL: Duration = Duration::from_secs(2);
/// How long nothing must have changed: editors write in several steps.
const REST: Duration = Duration::from_millis(200);

/// What is needed to follow the file.
#[derive(Debug)]
pub struct LogReload {
    /// The file.
    pub path: PathBuf,
    /// What was in it at the start; nothing if it was not there.
    pub text: String,
    /// Variables that it may refer to.
    pub environment: Environment,
    /// The log whose levels are changed; none in tests.
    pub log: Option<Log>,
    /// What gateways log when the file does not say.
    pub access_log: Option<AccessLog>,
}

impl LogReload {
    /// Applies every good change until `shutdown`.
    pub async fn follow(
        mut self,
        apply: impl Fn(Option<AccessLog>, Option<WireLog>) + Send,
        refusals: Arc<dyn Refusals>,
        shutdown: CancellationToken,
    ) {
        let changed = Arc::new(Notify::new());
        let _watcher = watcher(&self.path, Arc::clone(&changed));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = timeout(POLL, changed.notified()) => {}
            }
            let Some(text) = self.settled().await else { continue };
            self.take(text, &apply, refusals.as_ref());
        }
    }

    /// What is in the file now, if that is new and stays so for a moment.
    async fn settled(&self) -> Option<String> {
        let before = self.look().await;
        if before.as_ref().is_ok_and(|text| *text == self.text) {
            return None;
        }
        sleep(REST).await;
        let after = self.look().await.ok()?;
        (before.ok()? == after).then_some(after)
    }

    /// A file that is gone says nothing; one that cannot be read changes nothing.
    async fn look(&self) -> Result<String, ()> {
        let path = self.path.clone();
        let read =
            tokio::task::spawn_blocking(move || if path.exists() { read_file(&path) } else { Ok(String::new()) });
        read.await.map_err(|_| ())?.map_err(|error| tracing::warn!(error, "the configuration of logs cannot be read"))
    }

    fn take(&mut self, text: String, apply: &impl Fn(Option<AccessLog>, Option<WireLog>), refusals: &dyn Refusals) {
        let file = self.path.display().to_string();
        let taken = LogConfig::read(&file, &text, &self.environment);
        // Seen, whether good or not: a broken edit is reported once.
        self.text = text;
        match taken {
            Ok((config, warnings)) => {
                for warning in &warnings {
                    tracing::warn!(%warning, "configuration");
                }
                let levels = self.log.as_ref().map_or(Ok(()), |log| log.set_levels(&config.levels));
                if let Err(error) = levels {
                    tracing::error!(error, "the levels of the log stay as they were");
                }
                apply(config.access_log.unwrap_or_else(|| self.access_log.clone()), config.wire_log);
                refusals.accept(&file);
                tracing::info!(file, "the configuration of logs has been taken over");
            }
            Err(problems) => {
                report(&problems);
                refusals.refuse(&file, &problems);
            }
        }
    }
}

fn report(problems: &Problems) {
    for problem in problems.errors() {
        tracing::error!(%problem, "the configuration of logs is refused, and the last good one stays");
    }
}

/// Tells of changes in the file's folder: editors and Kubernetes replace files rather than write to them.
fn watcher(path: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folder = std::path::absolute(path).ok()?.parent()?.to_owned();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            changed.notify_one();
        }
    });
    let watching = watcher.and_then(|mut watcher| {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching.inspect_err(|error| tracing::warn!(%error, "log_config.toml is looked at every {POLL:?}")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::mpsc;

    use super::*;

    #[derive(Default)]
    struct Reports(Mutex<Vec<bool>>);

    impl Refusals for Reports {
        fn refuse(&self, _origin: &str, _problems: &Problems) {
            self.0.lock().unwrap().push(false);
        }

        fn accept(&self, _origin: &str) {
            self.0.lock().unwrap().push(true);
        }
    }

    #[tokio::test]
    async fn good_changes_are_applied_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log_config.toml");
        let own = |file: &str| {
            let text = format!("[tollgate.accessLogs]\nenable = true\nlogfile = '{file}'");
            let environment = Environment::from([("adapter_admin_pwd".to_owned(), "a".to_owned())]);
            crate::config::Config::read("c", &text, &environment).unwrap().0.gateway.access_log
        };
        let (sender, mut applied) = mpsc::unbounded_channel();
        let reports = Arc::new(Reports::default());
        let reload = LogReload {
            path: path.clone(),
            text: String::new(),
            environment: Environment::new(),
            log: None,
            access_log: own("/configured"),
        };
        let shutdown = CancellationToken::new();
        let refusals: Arc<dyn Refusals> = Arc::clone(&reports) as Arc<dyn Refusals>;
        let task = tokio::spawn(reload.follow(move |log, _| sender.send(log).unwrap(), refusals, shutdown.clone()));
        let mut next = async |text: &str| {
            std::fs::write(&path, text).unwrap();
            timeout(Duration::from_secs(20), applied.recv()).await.unwrap().unwrap()
        };
        assert_eq!(next("[accessLogs]\nenable = true\nlogfile = '/one'").await, own("/one"));
        assert_eq!(next("[accessLogs]\nenable = false").await, None);
        assert_eq!(next("logLevel = 'WARN'").await, own("/configured"));
        std::fs::write(&path, "[accessLogs]\nenable = true\nformat = '100%'").unwrap();
        let refused = async {
            while reports.0.lock().unwrap().last() != Some(&false) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), refused).await.unwrap();
        assert_eq!(next("[accessLogs]\nenable = true\nlogfile = '/two'").await, own("/two"));
        assert_eq!(*reports.0.lock().unwrap(), [true, true, true, false, true]);
        shutdown.cancel();
        task.await.unwrap();
    }
}
