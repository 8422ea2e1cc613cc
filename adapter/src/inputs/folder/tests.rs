use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;

use super::*;
use crate::inputs::catalog::{Selection, Store};
use crate::model::{SourceReport, World, WorldWriter};
use tollgate_project::CompileOptions;

#[derive(Default)]
struct Reported {
    refused: Mutex<BTreeSet<String>>,
    sources: Mutex<BTreeMap<String, SourceReport>>,
}

impl Refusals for Reported {
    fn refuse(&self, origin: &str, _: &Problems) {
        self.refused.lock().unwrap().insert(origin.to_owned());
    }
    fn accept(&self, origin: &str) {
        self.refused.lock().unwrap().remove(origin);
    }
    fn source(&self, name: &str, report: SourceReport) {
        self.sources.lock().unwrap().insert(name.to_owned(), report);
    }
}

struct Bench {
    root: tempfile::TempDir,
    catalog: Arc<Catalog>,
    world: WorldWriter,
    reported: Arc<Reported>,
    shutdown: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("apis")).unwrap();
        let (catalog, world, reported) = start(root.path());
        Self { root, catalog, world, reported, shutdown: CancellationToken::new() }
    }

    fn write(&self, project: &str, name: &str, context: &str) {
        write(&self.root.path().join("apis").join(project), name, context);
    }

    fn remove(&self, project: &str) {
        fs::remove_dir_all(self.root.path().join("apis").join(project)).unwrap();
    }

    async fn open(&self) -> (Folder, Outcome) {
        let reports: Arc<dyn Refusals> = Arc::<Reported>::clone(&self.reported);
        Folder::open(self.root.path(), Arc::clone(&self.catalog), reports).await.unwrap()
    }

    /// Follows the folder from now on.
    async fn follow(&self) {
        let (folder, _) = self.open().await;
        tokio::spawn(folder.run(self.shutdown.clone()));
    }

    fn served(&self) -> Vec<String> {
        self.world.current().deployments.values().map(|one| one.api.base_path.clone()).collect()
    }

    fn refused(&self) -> Vec<String> {
        self.reported.refused.lock().unwrap().iter().cloned().collect()
    }

    async fn until(&self, served: &[&str], refused: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut now = self.served();
            now.sort();
            if now == served && self.refused() == refused {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?} {:?} instead of {served:?} {refused:?}", self.refused());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn start(root: &Path) -> (Arc<Catalog>, WorldWriter, Arc<Reported>) {
    let world = WorldWriter::new(World::default());
    let reported = Arc::new(Reported::default());
    let reports: Arc<dyn Refusals> = Arc::<Reported>::clone(&reported);
    let store = Store::open(&root.join("state")).unwrap();
    (Catalog::new(store, CompileOptions::default(), world.clone(), reports), world, reported)
}

fn write(folder: &Path, name: &str, context: &str) {
    fs::create_dir_all(folder.join("Definitions")).unwrap();
    let api = format!(
        "type: api\ndata: {{name: {name}, version: '1', context: {context}, endpointConfig: {{production_endpoints: {{url: 'http://backend'}}}}}}"
    );
    fs::write(folder.join("api.yaml"), api).unwrap();
    fs::write(folder.join("Definitions/swagger.yaml"), "openapi: 3.0.1\npaths: {/a: {get: {}}}").unwrap();
}

#[tokio::test]
async fn a_broken_project_stops_no_other() {
    let bench = Bench::new();
    bench.write("a-good", "good", "/good");
    bench.write("z-good", "fine", "/fine");
    bench.write(".hidden", "hidden", "/hidden");
    let apis = bench.root.path().join("apis");
    fs::create_dir_all(apis.join("empty")).unwrap();
    fs::write(apis.join("broken.zip"), "no zip").unwrap();
    fs::write(apis.join("README.md"), "no project").unwrap();
    let (_, outcome) = bench.open().await;
    assert_eq!(outcome, Outcome { served: 2, refused: 2 });
    assert_eq!(bench.served().len(), 2);
    assert_eq!(bench.refused(), ["folder:broken.zip", "folder:empty"]);
    let report = bench.reported.sources.lock().unwrap()["folder"].clone();
    assert_eq!((report.projects, report.refused, report.error), (4, 2, None));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (catalog, _, reported) = start(directory.path());
    let error = Folder::open(directory.path(), catalog, reported).await.err().unwrap();
    assert!(error.to_string().contains("create the folder"), "{error}");
}

#[tokio::test]
async fn new_changed_broken_and_removed_projects_are_followed() {
    let bench = Bench::new();
    bench.write("pets", "Pets", "/pets");
    bench.follow().await;
    bench.until(&["/pets/1"], &[]).await;
    bench.write("cats", "Cats", "/cats");
    bench.until(&["/cats/1", "/pets/1"], &[]).await;
    bench.write("pets", "Pets", "/animals");
    bench.until(&["/animals/1", "/cats/1"], &[]).await;
    fs::write(bench.root.path().join("apis/pets/api.yaml"), "type: api").unwrap();
    bench.until(&["/animals/1", "/cats/1"], &["folder:pets"]).await;
    bench.write("pets", "Pets", "/pets");
    bench.until(&["/cats/1", "/pets/1"], &[]).await;
    bench.remove("cats");
    bench.until(&["/pets/1"], &[]).await;
}

#[tokio::test]
async fn a_project_may_take_another_name_or_the_place_of_another() {
    let bench = Bench::new();
    bench.write("a", "Pets", "/pets");
    bench.follow().await;
    bench.until(&["/pets/1"], &[]).await;
    fs::rename(bench.root.path().join("apis/a"), bench.root.path().join("apis/b")).unwrap();
    bench.write("c", "Others", "/others");
    bench.until(&["/others/1", "/pets/1"], &[]).await;
    bench.write("d", "Pets", "/elsewhere");
    bench.until(&["/others/1", "/pets/1"], &["folder:d"]).await;
    bench.remove("b");
    bench.until(&["/elsewhere/1", "/others/1"], &[]).await;
}

#[tokio::test]
async fn a_folder_that_goes_away_takes_nothing_with_it() {
    let bench = Bench::new();
    bench.write("pets", "Pets", "/pets");
    let (mut folder, _) = bench.open().await;
    let (here, away) = (bench.root.path().join("apis"), bench.root.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let reason = folder.look().await.unwrap_err();
    folder.collection.failed(&reason);
    assert_eq!(bench.served(), ["/pets/1"]);
    let report = || bench.reported.sources.lock().unwrap()["folder"].clone();
    assert!(report().error.is_some());
    fs::rename(&away, &here).unwrap();
    folder.look().await.unwrap();
    assert_eq!((bench.served().len(), report().error), (1, None));
}

/// What the REST API had deployed does not come back when the project that replaced it goes.
#[tokio::test]
async fn a_project_takes_over_what_was_stored() {
    let bench = Bench::new();
    write(&bench.root.path().join("upload"), "Pets", "/old");
    let archive = zipped(&bench.root.path().join("upload"));
    bench.catalog.deploy(archive.clone(), false).await.unwrap();
    assert_eq!(bench.served(), ["/old/1"]);
    bench.write("pets", "Pets", "/new");
    let (mut folder, _) = bench.open().await;
    assert_eq!(bench.served(), ["/new/1"]);
    // Over REST it can be replaced, and is not the project's any more.
    bench.catalog.deploy(archive, true).await.unwrap();
    assert_eq!(bench.served(), ["/old/1"]);
    bench.remove("pets");
    assert!(folder.look().await.unwrap().0, "it is given time to come back");
    sleep(SETTLE).await;
    folder.look().await.unwrap();
    assert_eq!(bench.served(), ["/old/1"], "it belongs to the REST API");

    bench.write("pets", "Pets", "/new");
    folder.look().await.unwrap();
    sleep(SETTLE).await;
    folder.look().await.unwrap();
    assert_eq!(bench.served(), ["/new/1"]);
    assert_eq!(bench.catalog.load().await.unwrap(), 0, "nothing is stored of it");
}

#[tokio::test]
async fn two_projects_with_one_api_are_one_too_many() {
    let bench = Bench::new();
    bench.write("a", "Pets", "/pets");
    bench.write("b", "Pets", "/pets");
    let (_, outcome) = bench.open().await;
    assert_eq!(outcome, Outcome { served: 1, refused: 1 });
    assert_eq!(bench.refused(), ["folder:b"]);
    let selection = Selection {
        name: "Pets".to_owned(),
        version: "1".to_owned(),
        virtual_host: None,
        environments: BTreeSet::new(),
    };
    bench.catalog.undeploy(selection).await.unwrap();
    assert!(bench.served().is_empty());
}

pub(in crate::inputs) fn zipped(folder: &Path) -> bytes::Bytes {
    use std::io::Write as _;
    let mut writer = zip::write::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for file in ["api.yaml", "Definitions/swagger.yaml"] {
        writer.start_file(file, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(&fs::read(folder.join(file)).unwrap()).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}
