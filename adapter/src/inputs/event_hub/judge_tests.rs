//! Forms of an API in environments that share a virtual host.

use super::super::testing::petstore_zip;
use super::*;
use crate::inputs::catalog::ProjectPut;
use crate::inputs::catalog::{Batch, Store};
use crate::inputs::project::CompileOptions;
use crate::model::{Origin, ProjectOrigin, Refusals, World, WorldWriter};

struct Nobody;

impl Refusals for Nobody {
    fn refuse(&self, _: &str, _: &Problems) {}
    fn accept(&self, _: &str) {}
}

const UUID: &str = "00000000-0000-0000-0000-00000000000a";

fn item(revision: &str, places: &[(&str, &str, Option<&str>)]) -> Item {
    let mut artifact = Artifact { uuid: UUID.to_owned(), revision: revision.to_owned(), ..Artifact::default() };
    for (environment, host, production) in places {
        artifact.environments.insert((*environment).to_owned(), (*host).to_owned());
        let production = production.map(str::to_owned);
        artifact.endpoints.insert((*environment).to_owned(), Endpoints { production, sandbox: None });
    }
    Item { artifact, project: Ok(petstore_zip("Pets").into()) }
}

/// Environments, with the host and the first backend of each.
fn forms(deployments: &[Arc<Deployment>]) -> Vec<(String, String, String)> {
    let mut forms: Vec<(String, String, String)> = deployments
        .iter()
        .map(|one| {
            let environments: Vec<&str> = one.environments.iter().map(String::as_str).collect();
            let backend = one.api.production.as_ref().map(|backend| backend.cluster.clone());
            let cluster = one.clusters.iter().find(|cluster| Some(&cluster.name) == backend.as_ref());
            let host = cluster.and_then(|cluster| cluster.endpoints.first()).map(|endpoint| endpoint.host.clone());
            (environments.join(","), one.api.virtual_host.clone(), host.unwrap_or_default())
        })
        .collect();
    forms.sort();
    forms
}

#[tokio::test]
async fn environments_that_share_a_host_may_have_an_api_in_different_forms() {
    let folder = tempfile::tempdir().unwrap();
    let world = WorldWriter::new(World::default());
    let options = CompileOptions::default();
    let catalog = Catalog::new(Store::open(folder.path()).unwrap(), options, world.clone(), Arc::new(Nobody));
    let judge = Judge {
        catalog: Arc::clone(&catalog),
        before: Arc::default(),
        facts: Arc::default(),
        hosts: Arc::new(BTreeMap::from([("Europe".to_owned(), "eu.example.com".to_owned())])),
    };
    let good = |items: Vec<Item>| match judge.all(items).remove(0).verdict {
        Verdict::Good { deployments, .. } => deployments,
        other => panic!("{other:?}"),
    };
    let same = good(vec![item("1", &[("Default", "gw", Some("http://one")), ("Asia", "gw", Some("http://one"))])]);
    assert_eq!(forms(&same), [("Asia,Default".to_owned(), "gw".to_owned(), "one".to_owned())]);
    assert_eq!(same[0].variant, "");
    let hosts = good(vec![item("1", &[("Default", "", None), ("Europe", "", None)])]);
    let hosts: Vec<String> = forms(&hosts).into_iter().map(|(_, host, _)| host).collect();
    assert_eq!(hosts, ["localhost", "eu.example.com"]);

    // Two revisions, and other backends.
    let apart = good(vec![
        item("1", &[("Default", "gw", Some("http://one")), ("Asia", "gw", Some("http://two"))]),
        item("2", &[("Europe", "gw", Some("http://three"))]),
    ]);
    let expected = [("Asia", "gw", "two"), ("Default", "gw", "one"), ("Europe", "gw", "three")];
    let expected =
        expected.map(|(environment, host, backend)| (environment.to_owned(), host.to_owned(), backend.to_owned()));
    assert_eq!(forms(&apart), expected);
    let origin = Origin::ApiManager(ProjectOrigin { project: Arc::from(UUID), revision: None });
    for (deployments, count) in [(apart.clone(), 3), (same, 1), (apart, 3), (Vec::new(), 0)] {
        let put = ProjectPut { origin: origin.clone(), deployments };
        let synced = catalog.sync(Batch { put: vec![put], gone: Vec::new() }).await.unwrap();
        assert!(synced.outcomes[0].is_ok(), "{:?}", synced.outcomes);
        assert_eq!(world.current().deployments.len(), count);
    }
}
