use std::collections::BTreeSet;

use tollgate_model::wire::Cursor;
use tollgate_model::{Api, ApiKind, LifeCycle};

use super::*;
use crate::model::{Cluster, Deployment, Endpoint, WorldWriter};
use crate::outputs::xds::{OwnKeys, Resources};

fn deployment(name: &str) -> Arc<Deployment> {
    let endpoint =
        Endpoint { host: "127.0.0.1".to_owned(), port: 80, tls: false, trusted_ca: None, priority: 0, discovery: None };
    let api = Api {
        id: name.to_owned(),
        name: name.to_owned(),
        version: "1.0".to_owned(),
        organization: "carbon.super".to_owned(),
        virtual_host: "localhost".to_owned(),
        base_path: format!("/{name}"),
        default_base_path: None,
        kind: ApiKind::Http,
        life_cycle: LifeCycle::Published,
        authorization_header: None,
        tier: None,
        mutual_ssl: None,
        graphql: None,
        endpoints: Vec::new(),
        production: None,
        sandbox: None,
        cors: None,
        resources: Vec::new(),
    };
    Arc::new(Deployment {
        variant: String::new(),
        api,
        api_type: "HTTP".to_owned(),
        context: format!("/{name}"),
        environments: BTreeSet::from(["Default".to_owned()]),
        clusters: vec![Cluster {
            name: name.to_owned(),
            endpoints: vec![endpoint],
            http2: false,
            circuit_breakers: None,
            lambda: None,
            connect_timeout: None,
        }],
    })
}

struct Adapter {
    writer: WorldWriter,
    clusters: watch::Receiver<Arc<Offers>>,
    feed: Arc<Feed>,
    status: Arc<Status>,
    shutdown: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Adapter {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gateway = crate::outputs::xds::tests::gateway();
        let files = crate::outputs::xds::tests::files(folder.path());
        let blueprint = Arc::new(Blueprint::load(gateway, &files, OwnKeys::default()).unwrap());
        let mut world = World::default();
        world.environments.insert("Default".to_owned(), "localhost".to_owned());
        let writer = WorldWriter::new(world);
        let (feed, status) = (Arc::new(Feed::default()), Status::new());
        let publisher = Publisher::new(writer.watch(), blueprint, Arc::clone(&feed), Arc::clone(&status)).unwrap();
        let (clusters, shutdown) = (publisher.offers(), CancellationToken::new());
        tokio::spawn(publisher.run(shutdown.clone()));
        Self { writer, clusters, feed, status, shutdown, _folder: folder }
    }

    fn deploy(&self, name: &str) {
        let deployment = deployment(name);
        self.writer.update(|world| drop(world.deployments.insert(deployment.key(), deployment)));
    }

    fn undeploy(&self, name: &str) {
        self.writer.update(|world| drop(world.deployments.remove(&deployment(name).key())));
    }

    /// Waits for so many clusters, and says when.
    async fn clusters(&mut self, count: usize) -> Arc<Resources> {
        let shown = self.clusters.wait_for(|shown| shown["Default"].clusters.iter().len() == count).await.unwrap();
        Arc::clone(&shown["Default"].clusters)
    }

    fn revision(&self) -> u64 {
        let frame = self.feed.answer("Default", Cursor::default()).unwrap().unwrap();
        tollgate_model::wire::FeedFrame::decode(&frame).unwrap().cursor.revision
    }

    /// Waits until the filters are told of a change since `before`.
    async fn told(&self, before: u64) {
        let mut changed = self.feed.watch();
        while self.revision() == before {
            changed.changed().await.unwrap();
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn the_filters_hear_of_an_api_when_the_gateway_has_its_cluster() {
    let mut adapter = Adapter::start();
    let gateway = adapter.status.nodes().connect("Default/a", "Default", true);
    gateway.acknowledged(ResourceType::Cluster, "before");
    let (before, start) = (adapter.revision(), Instant::now());
    adapter.deploy("one");
    let clusters = adapter.clusters(1).await;
    assert_eq!(adapter.revision(), before, "not yet: the gateway has not taken the cluster");
    gateway.acknowledged(ResourceType::Cluster, clusters.version());
    adapter.told(before).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_gateway_does_not_hold_up_the_filters() {
    let mut adapter = Adapter::start();
    let gateway = adapter.status.nodes().connect("Default/a", "Default", true);
    gateway.acknowledged(ResourceType::Cluster, "before");
    let (before, start) = (adapter.revision(), Instant::now());
    adapter.deploy("one");
    adapter.clusters(1).await;
    adapter.told(before).await;
    assert_eq!(start.elapsed(), SETTLE);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_outlives_its_api_for_a_while() {
    let mut adapter = Adapter::start();
    adapter.deploy("one");
    adapter.clusters(1).await;
    let before = adapter.revision();
    let start = Instant::now();
    adapter.undeploy("one");
    adapter.told(before).await;
    assert_eq!(adapter.clusters.borrow()["Default"].clusters.iter().len(), 1);
    adapter.clusters(0).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_wanted_again_stays() {
    let mut adapter = Adapter::start();
    adapter.deploy("one");
    adapter.clusters(1).await;
    let before = adapter.revision();
    adapter.undeploy("one");
    adapter.told(before).await;
    let before = adapter.revision();
    adapter.deploy("one");
    adapter.told(before).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    adapter.clusters(1).await;
    assert_eq!(adapter.clusters.borrow()["Default"].clusters.iter().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_instances_change_touches_its_cluster_and_no_other() {
    use crate::model::{Discovery, Instance, Service};
    let mut adapter = Adapter::start();
    let service = Service { datacenters: vec![None], namespace: None, name: "s".to_owned(), tags: Vec::new() };
    let mut found = Deployment::clone(&deployment("found"));
    let default = Instance { host: "127.0.0.1".to_owned(), port: 80 };
    found.clusters[0].endpoints[0].discovery =
        Some(Arc::new(Discovery { service: service.clone(), default, mesh: None }));
    adapter.deploy("named");
    adapter.writer.update(|world| drop(world.deployments.insert(found.key(), Arc::new(found))));
    // Those of every gateway are among them.
    let both = |offers: &Arc<Offers>| {
        let clusters = &offers["Default"].clusters;
        Some((Arc::clone(clusters.get("named")?), Arc::clone(clusters.get("found")?)))
    };
    let before = adapter.clusters.wait_for(|offers| both(offers).is_some()).await.map(|seen| both(&seen)).unwrap();
    let before = before.unwrap();

    let instances = [Instance { host: "10.0.0.1".to_owned(), port: 9 }];
    adapter.writer.update(|world| drop(world.instances.insert(service.clone(), instances.into())));
    let moved = |offers: &Arc<Offers>| both(offers).filter(|(_, found)| found.version() != before.1.version());
    let after = adapter.clusters.wait_for(|offers| moved(offers).is_some()).await.map(|seen| both(&seen)).unwrap();
    assert!(Arc::ptr_eq(&before.0, &after.unwrap().0), "the other one is the very same");

    adapter.writer.update(|world| world.instances.clear());
    let back = |offers: &Arc<Offers>| both(offers).is_some_and(|(_, found)| found.version() == before.1.version());
    adapter.clusters.wait_for(back).await.unwrap();
}
