//! Against real repositories on this machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::*;
use crate::inputs::catalog::Store;
use crate::model::{Problems, SourceReport, World, WorldWriter};
use tollgate_project::CompileOptions;

#[derive(Default)]
struct Reported {
    refused: Mutex<Vec<String>>,
    source: Mutex<SourceReport>,
}

impl Refusals for Reported {
    fn refuse(&self, origin: &str, _: &Problems) {
        self.refused.lock().unwrap().push(origin.to_owned());
    }
    fn accept(&self, origin: &str) {
        self.refused.lock().unwrap().retain(|one| one != origin);
    }
    fn source(&self, _: &str, report: SourceReport) {
        *self.source.lock().unwrap() = report;
    }
}

/// A remote repository and an adapter beside it.
struct Bench {
    root: tempfile::TempDir,
    catalog: Arc<Catalog>,
    world: WorldWriter,
    reported: Arc<Reported>,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = WorldWriter::new(World::default());
        let reported = Arc::new(Reported::default());
        let reports: Arc<dyn Refusals> = Arc::<Reported>::clone(&reported);
        let store = Store::open(&root.path().join("state")).unwrap();
        let catalog = Catalog::new(store, CompileOptions::default(), world.clone(), reports);
        let bench = Self { root, catalog, world, reported };
        fs::create_dir_all(bench.remote()).unwrap();
        bench.git(&["init", "--quiet", "--initial-branch=main"]);
        bench
    }

    fn remote(&self) -> PathBuf {
        self.root.path().join("remote")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@example.com"]);
        command.args(arguments).current_dir(self.remote()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, amend: bool) -> String {
        self.git(&["add", "--all"]);
        let amend: &[&str] = if amend { &["--amend"] } else { &[] };
        self.git(&[&["commit", "--quiet", "--message=x"], amend].concat());
        self.git(&["rev-parse", "HEAD"])
    }

    fn write(&self, project: &str, context: &str) {
        write(&self.remote().join(project), context);
    }

    fn settings(&self) -> GitSettings {
        GitSettings {
            url: format!("file://{}", self.remote().display()),
            branch: Some("main".to_owned()),
            username: None,
            access_token: Some("very-secret".to_owned()),
            ssh_key: None,
            known_hosts: Vec::new(),
            directory: self.root.path().join("clone"),
            poll: Duration::from_secs(1),
            retry: Duration::from_millis(1),
            max_retries: 1,
        }
    }

    async fn open(&self, settings: GitSettings) -> Result<Git, GitError> {
        let reports: Arc<dyn Refusals> = Arc::<Reported>::clone(&self.reported);
        Git::open(settings, Arc::clone(&self.catalog), reports).await
    }

    fn served(&self) -> Vec<String> {
        let mut served: Vec<String> =
            self.world.current().deployments.values().map(|one| one.api.base_path.clone()).collect();
        served.sort();
        served
    }
}

fn write(folder: &Path, context: &str) {
    fs::create_dir_all(folder.join("Definitions")).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let api = format!(
        "type: api\ndata: {{name: {name}-api, version: '1', context: {context}, endpointConfig: {{production_endpoints: {{url: 'http://backend'}}}}}}"
    );
    fs::write(folder.join("api.yaml"), api).unwrap();
    fs::write(folder.join("Definitions/swagger.yaml"), "openapi: 3.0.1\npaths: {/a: {get: {}}}").unwrap();
}

#[tokio::test]
async fn commits_deletions_and_rewritten_history_are_followed() {
    let bench = Bench::new();
    bench.write("apis/pets", "/pets");
    bench.write("top", "/top");
    fs::create_dir_all(bench.remote().join("docs")).unwrap();
    fs::write(bench.remote().join("docs/README.md"), "no project").unwrap();
    bench.commit(false);
    let mut git = bench.open(bench.settings()).await.unwrap();
    assert_eq!(bench.served(), ["/pets/1", "/top/1"]);

    bench.write("apis/cats", "/cats");
    let revision = bench.commit(false);
    git.advance().await.unwrap();
    assert_eq!(bench.served(), ["/cats/1", "/pets/1", "/top/1"]);
    assert_eq!(bench.reported.source.lock().unwrap().revision.as_deref(), Some(revision.as_str()));

    fs::remove_dir_all(bench.remote().join("apis/pets")).unwrap();
    fs::write(bench.remote().join("apis/cats/api.yaml"), "type: api").unwrap();
    bench.commit(false);
    git.advance().await.unwrap();
    assert_eq!(bench.served(), ["/cats/1", "/top/1"], "what is broken stays as it was");
    assert_eq!(*bench.reported.refused.lock().unwrap(), ["git:apis/cats"]);

    bench.write("apis/cats", "/felines");
    bench.commit(true);
    git.advance().await.unwrap();
    assert_eq!(bench.served(), ["/felines/1", "/top/1"]);
    assert!(bench.reported.refused.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_remote_that_is_gone_takes_nothing_with_it() {
    let bench = Bench::new();
    bench.write("apis/pets", "/pets");
    bench.commit(false);
    let mut git = bench.open(bench.settings()).await.unwrap();
    let away = bench.root.path().join("away");
    fs::rename(bench.remote(), &away).unwrap();
    let error = git.advance().await.unwrap_err().to_string();
    assert!(error.starts_with("git fetch failed") && !error.contains("very-secret"), "{error}");
    assert_eq!(bench.served(), ["/pets/1"]);
    drop(git);

    // Not even for an adapter that starts meanwhile, whatever state the clone was left in.
    let clone = bench.settings().directory;
    fs::write(clone.join(".git/index.lock"), "").unwrap();
    fs::remove_file(clone.join("apis/pets/api.yaml")).unwrap();
    write(&clone.join("apis/stray"), "/stray");
    bench.world.update(|world| world.deployments.clear());
    let mut git = bench.open(bench.settings()).await.unwrap();
    assert_eq!(bench.served(), ["/pets/1"]);
    assert!(bench.reported.source.lock().unwrap().error.is_some());

    fs::rename(&away, bench.remote()).unwrap();
    bench.write("apis/cats", "/cats");
    bench.commit(false);
    git.advance().await.unwrap();
    assert_eq!(bench.served(), ["/cats/1", "/pets/1"]);
    assert_eq!(bench.reported.source.lock().unwrap().error, None);
}

#[tokio::test]
async fn without_anything_to_begin_with_the_start_fails() {
    let bench = Bench::new();
    bench.write("apis/pets", "/pets");
    bench.commit(false);
    let open = async |change: fn(&mut GitSettings)| {
        let mut settings = bench.settings();
        change(&mut settings);
        bench.open(settings).await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (what, change, part) in [
        ("no remote", (|settings| settings.url.push_str("-not-there")) as fn(&mut GitSettings), "git fetch failed"),
        ("no branch", |settings| settings.branch = Some("other".to_owned()), "git fetch failed"),
        ("a transport that runs programs", |settings| settings.url = "ext::sh -c true".to_owned(), "not allowed"),
        ("a folder of somebody else's", |settings| settings.directory.set_file_name("remote"), "would be lost"),
    ] {
        let error = open(change).await;
        assert!(error.contains(part), "{what}: {error}");
    }
    assert!(bench.served().is_empty());
    assert!(bench.remote().join("apis/pets/api.yaml").exists());
}

#[tokio::test]
async fn a_symbolic_link_leads_nowhere() {
    let bench = Bench::new();
    bench.write("apis/pets", "/pets");
    fs::write(bench.root.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink("../../../secret", bench.remote().join("apis/pets/Definitions/link")).unwrap();
    bench.commit(false);
    let git = bench.open(bench.settings()).await.unwrap();
    let link = git.repository.folder().join("apis/pets/Definitions/link");
    assert!(!fs::symlink_metadata(link).unwrap().is_symlink());
}

#[test]
fn credentials_are_not_shown() {
    for (url, expected) in [
        ("https://git.example/a.git", "https://git.example/a.git"),
        ("https://user:pass@git.example/a.git", "https://user:***@git.example/a.git"),
        ("git@git.example:a.git", "git@git.example:a.git"),
    ] {
        assert_eq!(repository::shown(url), expected);
    }
}

#[test]
fn failures_are_answered_with_patience() {
    let bench = Bench::new();
    let settings = GitSettings { poll: Duration::from_secs(30), retry: Duration::from_secs(5), ..bench.settings() };
    let reports: Arc<dyn Refusals> = Arc::<Reported>::clone(&bench.reported);
    let collection = Collection::new(Kind::Git, String::new(), Arc::clone(&bench.catalog), reports);
    let repository = Repository::closed(settings.clone());
    let mut git = Git { settings, repository, collection, revision: String::new(), failures: 0 };
    for (failures, seconds) in [(0, 30), (1, 5), (2, 10), (3, 20), (4, 30), (1000, 30)] {
        git.failures = failures;
        assert_eq!(git.pause().as_secs(), seconds, "{failures}");
    }
}
