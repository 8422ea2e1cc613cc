//! The incremental protocol over the wire.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

use super::*;

/// The part of Envoy that speaks incremental xDS.
struct DeltaEnvoy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

type Versions = HashMap<String, String>;

impl DeltaEnvoy {
    async fn connect(adapter: &Adapter, held: Versions) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let node = Node { id: "Default".to_owned(), ..Node::default() };
        let first = DeltaDiscoveryRequest {
            node: Some(node),
            type_url: ResourceType::Cluster.url().to_owned(),
            initial_resource_versions: held,
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::connect(adapter.address.clone()).await.unwrap();
        let requests_stream = stream::unfold(receiver, |mut all| async { Some((all.recv().await?, all)) });
        let responses = client.delta_aggregated_resources(requests_stream).await.unwrap().into_inner();
        Self { requests, responses }
    }

    async fn subscribe(&self, kind: ResourceType, names: &[&str], held: Versions) {
        let request = DeltaDiscoveryRequest {
            type_url: kind.url().to_owned(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            initial_resource_versions: held,
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }

    /// The next response, with its answer: the names and versions sent, and the names removed.
    async fn next(&mut self, kind: ResourceType, error: Option<&str>) -> (Versions, Vec<String>) {
        let response = self.responses.message().await.unwrap().unwrap();
        assert_eq!(response.type_url, kind.url());
        let answer = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail: error.map(|text| rpc::Status { message: text.to_owned(), ..rpc::Status::default() }),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(answer).await.unwrap();
        let sent = response.resources.into_iter().map(|resource| (resource.name, resource.version));
        (sent.collect(), response.removed_resources)
    }
}

fn names(sent: &Versions) -> Vec<&str> {
    let mut names: Vec<&str> = sent.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn only_changes_are_sent_and_one_that_comes_back_gets_what_it_missed() {
    let adapter = Adapter::start().await;
    let mut envoy = DeltaEnvoy::connect(&adapter, Versions::new()).await;
    let (mut held, _) = envoy.next(ResourceType::Cluster, None).await;
    adapter.clusters.send_replace(clusters(&["one", "two"]));
    let (second, removed) = envoy.next(ResourceType::Cluster, None).await;
    assert_eq!((names(&held), names(&second), removed.len()), (vec!["one"], vec!["two"], 0));
    held.extend(second);
    drop(envoy);
    adapter.clusters.send_replace(clusters(&["two", "three"]));
    let mut envoy = DeltaEnvoy::connect(&adapter, held).await;
    let (missed, removed) = envoy.next(ResourceType::Cluster, None).await;
    assert_eq!((names(&missed), removed), (vec!["three"], vec!["one".to_owned()]));
}

#[tokio::test]
async fn a_ready_gateway_stays_so_and_every_name_is_answered() {
    let adapter = Adapter::start().await;
    let mut envoy = DeltaEnvoy::connect(&adapter, Versions::new()).await;
    envoy.next(ResourceType::Cluster, None).await;
    envoy.subscribe(ResourceType::Listener, &[], Versions::new()).await;
    assert_eq!(names(&envoy.next(ResourceType::Listener, None).await.0), ["HTTPListener"]);
    envoy.subscribe(ResourceType::Extension, &["tollgate.enforcer", "other"], Versions::new()).await;
    let (extension, none) = envoy.next(ResourceType::Extension, None).await;
    assert_eq!((names(&extension), none), (vec!["tollgate.enforcer"], vec!["other".to_owned()]));
    let folder = tempfile::tempdir().unwrap();
    let ready = Blueprint::load(gateway(), &files(folder.path()), OwnKeys::default()).unwrap();
    let version = ready.routes(true).get("default").unwrap().version().to_owned();
    envoy.subscribe(ResourceType::Route, &["default"], [("default".to_owned(), version.clone())].into()).await;
    let (routes, _) = envoy.next(ResourceType::Route, None).await;
    assert_eq!(routes, [("default".to_owned(), version)].into());
    adapter.until(|node| node.ready).await;
}

#[tokio::test]
async fn a_refused_cluster_does_not_keep_others_back() {
    let adapter = Adapter::start().await;
    let mut envoy = DeltaEnvoy::connect(&adapter, Versions::new()).await;
    envoy.next(ResourceType::Cluster, None).await;
    adapter.clusters.send_replace(clusters(&["one", "two", "three"]));
    let (sent, _) = envoy.next(ResourceType::Cluster, Some("Error adding/updating cluster(s) two: no")).await;
    assert_eq!(names(&sent), ["three", "two"]);
    let (again, removed) = envoy.next(ResourceType::Cluster, None).await;
    assert_eq!((names(&again), removed.len()), (vec!["three"], 0));
    adapter.until(|node| node.types["cluster"].error().is_none()).await;
    let refused = adapter.report().refused_clusters;
    assert_eq!(refused["two"], RefusedCluster { api: Some("API two".to_owned()), error: "two: no".to_owned() });
}
