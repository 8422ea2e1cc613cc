//! The catalogue as its users see it: what is answered, what the world holds, what survives a restart.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Mutex as StdMutex;

use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::model::{DeploymentKey, Origin, ProjectOrigin, World};

#[derive(Default)]
struct Reported(StdMutex<BTreeMap<String, usize>>);

impl Refusals for Reported {
    fn refuse(&self, origin: &str, problems: &Problems) {
        self.0.lock().unwrap().insert(origin.to_owned(), problems.errors().count());
    }
    fn accept(&self, origin: &str) {
        self.0.lock().unwrap().remove(origin);
    }
}

struct Bench {
    catalog: Arc<Catalog>,
    world: WorldWriter,
    reported: Arc<Reported>,
}

fn bench(directory: &Path, options: CompileOptions) -> Bench {
    let world = WorldWriter::new(World::default());
    let reported = Arc::new(Reported::default());
    let refusals: Arc<dyn Refusals> = Arc::<Reported>::clone(&reported);
    let catalog = Catalog::new(Store::open(directory).unwrap(), options, world.clone(), refusals);
    Bench { catalog, world, reported }
}

fn zip(files: &[(&str, &Value)]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, document) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(document.to_string().as_bytes()).unwrap();
    }
    Bytes::from(writer.finish().unwrap().into_inner())
}

fn api(name: &str, version: &str, context: &str, environments: &[(&str, &str)]) -> Bytes {
    let data = json!({"name": name, "version": version, "context": context,
        "endpointConfig": {"production_endpoints": {"url": "http://backend/v2"}}});
    let list: Vec<Value> = environments
        .iter()
        .map(|(environment, host)| json!({"deploymentEnvironment": environment, "deploymentVhost": host}))
        .collect();
    let deployment = json!({"type": "deployment_environments", "data": list});
    let definition = json!({"openapi": "3.0.1", "paths": {"/pet": {"get": {}}}});
    let api = json!({"type": "api", "data": data});
    let mut files = vec![("api.json", &api), ("Definitions/swagger.json", &definition)];
    if !environments.is_empty() {
        files.push(("deployment_environments.json", &deployment));
    }
    zip(&files)
}

fn selection(name: &str, virtual_host: Option<&str>, environments: &[&str]) -> Selection {
    Selection {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        virtual_host: virtual_host.map(str::to_owned),
        environments: environments.iter().map(|one| (*one).to_owned()).collect(),
    }
}

fn served(bench: &Bench) -> Vec<String> {
    let world = bench.world.current();
    let line = |(key, one): (&DeploymentKey, &Arc<crate::model::Deployment>)| {
        let environments: Vec<&str> = one.environments.iter().map(String::as_str).collect();
        format!("{}{} [{}]", key.virtual_host, one.api.base_path, environments.join(","))
    };
    world.deployments.iter().map(line).collect()
}

#[tokio::test]
async fn a_deployment_is_published_listed_and_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = bench(directory.path(), CompileOptions::default());
    first.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), false).await.unwrap();
    assert_eq!(served(&first), ["localhost/pets/1.0.0 [Default]"]);
    let list = first.catalog.list().await;
    assert_eq!(
        (list[0].name.as_str(), list[0].context.as_str(), list[0].api_type.as_str()),
        ("Pets", "/pets/1.0.0", "HTTP")
    );
    drop(first);

    let mut moved = CompileOptions::default();
    moved.virtual_hosts.insert("Default".to_owned(), "elsewhere".to_owned());
    let second = bench(directory.path(), moved);
    assert_eq!(second.catalog.load().await.unwrap(), 1);
    assert_eq!(served(&second), ["localhost/pets/1.0.0 [Default]"], "it stays where it was deployed");
    assert_eq!(second.catalog.list().await, list);
}

#[tokio::test]
async fn collisions_are_refused_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    bench.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), false).await.unwrap();
    for (source, overwrite, conflict) in [
        (api("Pets", "1.0.0", "/pets", &[]), false, Some("already deployed")),
        (api("Pets", "1.0.0", "/pets", &[("Default", "localhost"), ("Europe", "eu")]), false, Some("already deployed")),
        (api("Cats", "1.0.0", "/pets", &[]), true, Some("same basepath")),
        (api("Pets1", ".0.0", "/other", &[]), false, Some("clusters of the same name")),
        (api("Pets", "1.0.0", "/pets", &[]), true, None),
        (api("Cats", "1.0.0", "/pets", &[("Default", "other.example.com")]), false, None),
    ] {
        let before = served(&bench);
        let outcome = bench.catalog.deploy(source, overwrite).await;
        match (outcome, conflict) {
            (Ok(_), None) => {}
            (Err(DeployError::Conflict(problems)), Some(part)) => {
                assert!(problems.iter().any(|problem| problem.to_string().contains(part)), "{problems:?} lacks {part}");
                assert_eq!(served(&bench), before);
            }
            (outcome, conflict) => panic!("{outcome:?} instead of {conflict:?}"),
        }
    }
}

#[tokio::test]
async fn an_invalid_project_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    for source in [Bytes::from_static(b"no zip"), zip(&[("api.json", &json!({}))])] {
        assert!(matches!(bench.catalog.deploy(source, true).await, Err(DeployError::Invalid(_))));
    }
    assert!(served(&bench).is_empty());
}

#[tokio::test]
async fn undeploying_removes_what_was_selected_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let everywhere = [("Default", "aa.io"), ("Europe", "bb.io"), ("Asia", "bb.io")];
    let a = "aa.io/pets/1.0.0 [Default]".to_owned();
    let b = "bb.io/pets/1.0.0 [Asia,Europe]".to_owned();
    for (number, (selected, left)) in [
        (selection("Pets", None, &[]), vec![]),
        (selection("Pets", Some("aa.io"), &[]), vec![b.clone()]),
        (selection("Pets", None, &["Asia"]), vec![a.clone(), "bb.io/pets/1.0.0 [Europe]".to_owned()]),
        (selection("Pets", None, &["Asia", "Europe"]), vec![a.clone()]),
        (selection("Pets", Some("aa.io"), &["Default"]), vec![b.clone()]),
    ]
    .into_iter()
    .enumerate()
    {
        let bench = bench(&directory.path().join(number.to_string()), CompileOptions::default());
        bench.catalog.deploy(api("Pets", "1.0.0", "/pets", &everywhere), true).await.unwrap();
        bench.catalog.undeploy(selected.clone()).await.unwrap();
        assert_eq!(served(&bench), left, "{selected:?}");
        bench.catalog.load().await.unwrap();
        assert_eq!(served(&bench), left, "after a restart: {selected:?}");
    }
}

#[tokio::test]
async fn undeploying_what_is_not_there_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    bench.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), false).await.unwrap();
    for selected in
        [selection("Cats", None, &[]), selection("Pets", Some("other"), &[]), selection("Pets", None, &["Mars"])]
    {
        assert!(matches!(bench.catalog.undeploy(selected).await, Err(UndeployError::NotFound)));
    }
    assert_eq!(served(&bench).len(), 1);
}

#[tokio::test]
async fn a_stored_project_that_no_longer_parses_is_denied_reported_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let first = bench(directory.path(), CompileOptions::default());
    first.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), false).await.unwrap();
    let key = first.world.current().deployments.keys().next().unwrap().clone();
    let record = first.catalog.state.lock().await.entries().next().unwrap().1.record.clone();
    let broken = store::Change::Put(key, record, Some(Bytes::from_static(b"of an older release")));
    first.catalog.store.apply(&[broken]).unwrap();
    drop(first);

    let second = bench(directory.path(), CompileOptions::default());
    assert_eq!(second.catalog.load().await.unwrap(), 0);
    assert!(served(&second).is_empty());
    assert_eq!(second.catalog.list().await.len(), 1, "it is still there");
    assert_eq!(second.reported.0.lock().unwrap().len(), 1);
    assert!(matches!(
        second.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), false).await,
        Err(DeployError::Conflict(_))
    ));
    assert!(matches!(
        second.catalog.deploy(api("Cats", "1.0.0", "/pets", &[]), false).await,
        Err(DeployError::Conflict(_))
    ));
    second.catalog.deploy(api("Pets", "1.0.0", "/pets", &[]), true).await.unwrap();
    assert_eq!(served(&second).len(), 1);
    assert!(second.reported.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn concurrent_deployments_of_one_path_have_one_winner() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    let names: Vec<String> = (0..8).map(|number| format!("Pets{number}x")).collect();
    let outcomes = futures_util::future::join_all(
        names.iter().map(|name| bench.catalog.deploy(api(name, "1.0.0", "/pets", &[]), false)),
    )
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(served(&bench).len(), 1);
}

#[tokio::test]
async fn an_environment_that_only_a_deployment_names_is_known_while_it_is_deployed() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    bench.catalog.deploy(api("Pets", "1.0.0", "/pets", &[("Mars", "mars.io")]), false).await.unwrap();
    assert_eq!(bench.world.current().environments.get("Mars").map(String::as_str), Some("mars.io"));
    bench.catalog.undeploy(selection("Pets", None, &[])).await.unwrap();
    assert!(!bench.world.current().environments.contains_key("Mars"));
    assert_eq!(bench.world.current().environments.get("Default").map(String::as_str), Some("localhost"));
}

fn project(bench: &Bench, name: &str, archive: &Bytes) -> ProjectPut {
    let files = super::super::project::archive::unpack(archive).unwrap();
    let deployments = bench.catalog.compile(&files).unwrap().deployments();
    ProjectPut { origin: origin(name), deployments: deployments.into_iter().map(Arc::new).collect() }
}

fn origin(project: &str) -> Origin {
    Origin::Folder(ProjectOrigin { project: Arc::from(project), revision: None })
}

async fn sync(bench: &Bench, put: &[(&str, Bytes)], gone: &[&str]) -> Vec<bool> {
    let put = put.iter().map(|(name, archive)| project(bench, name, archive)).collect();
    let batch = Batch { put, gone: gone.iter().map(|name| origin(name)).collect() };
    bench.catalog.sync(batch).await.unwrap().outcomes.into_iter().map(|outcome| outcome.is_ok()).collect()
}

#[tokio::test]
async fn projects_of_a_source_are_served_and_not_stored() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    assert_eq!(sync(&bench, &[("p", api("Pets", "1.0.0", "/pets", &[]))], &[]).await, [true]);
    assert_eq!(served(&bench).len(), 1);
    assert_eq!(bench.world.current().origins.values().collect::<Vec<_>>(), [&origin("p")]);
    assert_eq!(bench.catalog.load().await.unwrap(), 0);
}

#[tokio::test]
async fn projects_that_trade_places_in_one_step_all_find_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    let a = |context: &str| ("a", api("Aaa", "1.0.0", context, &[]));
    let b = |context: &str| ("b", api("Bbb", "1.0.0", context, &[]));
    let c = |context: &str| ("c", api("Ccc", "1.0.0", context, &[]));
    assert_eq!(sync(&bench, &[a("/one"), b("/two"), c("/two")], &[]).await, [true, true, false]);
    assert_eq!(served(&bench), ["localhost/one/1.0.0 [Default]", "localhost/two/1.0.0 [Default]"]);
    // c waits for b, which waits for a.
    assert_eq!(sync(&bench, &[c("/two"), b("/one"), a("/three")], &[]).await, [true, true, true]);
    assert_eq!(served(&bench).len(), 3);
    // Another name and another host of one project replace what it had.
    let moved = ("a", api("Zzz", "1.0.0", "/three", &[("Europe", "eu")]));
    assert_eq!(sync(&bench, &[moved], &["b", "c"]).await, [true]);
    assert_eq!(served(&bench), ["eu/three/1.0.0 [Europe]"]);
}

#[tokio::test]
async fn a_project_that_collides_keeps_what_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(directory.path(), CompileOptions::default());
    bench.catalog.deploy(api("Stored", "1.0.0", "/stored", &[]), false).await.unwrap();
    sync(&bench, &[("a", api("Aaa", "1.0.0", "/one", &[]))], &[]).await;
    let before = served(&bench);
    for context in ["/stored", "/one"] {
        let other = if context == "/one" { "b" } else { "a" };
        assert_eq!(sync(&bench, &[(other, api("Aaa", "1.0.0", context, &[]))], &[]).await, [false], "{context}");
        assert_eq!(served(&bench), before);
    }
}
