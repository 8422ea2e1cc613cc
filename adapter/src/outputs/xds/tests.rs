mod incremental;

use std::collections::BTreeMap;
use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::{Any, Struct, Value, value};
use envoy_types::pb::google::rpc;
use futures_util::stream;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tollgate_model::wire::Cursor;
use tonic::Streaming;

use super::*;
use crate::certs;
use crate::outputs::nodes::{FeedPosition, RefusedCluster};
use crate::outputs::settings::{
    Codec, Compression, Dns, DownstreamTls, HealthCheck, Http2, ListenerAddress, LogFormat, OutlierDetection,
    RateLimit, Retry, Timeouts, UpstreamTls,
};

/// Real files in `folder`.
pub(in crate::outputs) fn files(folder: &Path) -> GatewayFiles {
    let router = certs::ensure(folder).unwrap().router;
    let module = folder.join("enforcer.wasm");
    std::fs::write(&module, b"\0asm\x01\0\0\0").unwrap();
    GatewayFiles { certificate: router.certificate, key: router.key, module }
}

/// Usual settings.
pub(in crate::outputs) fn gateway() -> Gateway {
    Gateway {
        http: Some(ListenerAddress { host: "127.0.0.1".to_owned(), port: 9090 }),
        https: None,
        system_host: "localhost".to_owned(),
        use_remote_address: false,
        codec: Codec::default(),
        downstream_tls: DownstreamTls::default(),
        access_log: None,
        wire_log: None,
        soap_faults: false,
        compression: Some(Compression::default()),
        connection_buffer_bytes: 1024 * 1024,
        timeouts: Timeouts::default(),
        retry: Retry::default(),
        upstream_tls: UpstreamTls::default(),
        upstream_http2: Http2::default(),
        dns: Dns::default(),
        health_check: HealthCheck::default(),
        outlier_detection: Some(OutlierDetection::default()),
        tracing: None,
        jwks_limit: RateLimit::default(),
        limit_headers: false,
        analytics: None,
    }
}

struct Adapter {
    address: String,
    blueprint: Arc<Blueprint>,
    clusters: watch::Sender<Arc<Offers>>,
    status: Arc<Status>,
    _folder: tempfile::TempDir,
}

fn resources(names: &[&str]) -> Arc<Resources> {
    let item =
        |name: &&str| Arc::new(Resource::new((*name).to_owned(), Any::default()).owned_by(format!("API {name}")));
    Arc::new(Resources::new(names.iter().map(item).collect()))
}

fn clusters(names: &[&str]) -> Arc<Offers> {
    let offer = Offer { clusters: resources(names), extension: resources(&["tollgate.enforcer"]) };
    Arc::new(BTreeMap::from([("Default".to_owned(), offer)]))
}

impl Adapter {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blueprint = Arc::new(Blueprint::load(gateway(), &files(folder.path()), OwnKeys::default()).unwrap());
        let published = watch::Sender::new(clusters(&["one"]));
        let status = Status::new();
        let context = XdsContext {
            blueprint: Arc::clone(&blueprint),
            offers: published.subscribe(),
            status: Arc::clone(&status),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(tls::serve_plain(listener, service(context), CancellationToken::new()));
        Self { address, blueprint, clusters: published, status, _folder: folder }
    }

    fn report(&self) -> crate::outputs::nodes::NodeReport {
        self.status.nodes().report(&crate::outputs::acknowledge::Published::default()).remove(0)
    }

    /// Waits until the report is as `expected`.
    async fn until(&self, expected: impl Fn(&crate::outputs::nodes::NodeReport) -> bool) {
        let mut changed = self.status.nodes().watch();
        while !expected(&self.report()) {
            changed.changed().await.unwrap();
        }
    }
}

/// The part of Envoy that speaks xDS.
struct Envoy {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

impl Envoy {
    /// Connects with a first request for clusters.
    async fn connect(adapter: &Adapter, environment: &str, in_use: &str) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let instance = Value { kind: Some(value::Kind::StringValue("a".to_owned())) };
        let metadata = Struct { fields: [("instanceIdentifier".to_owned(), instance)].into() };
        let node = Node { id: environment.to_owned(), metadata: Some(metadata), ..Node::default() };
        let first = DiscoveryRequest {
            node: Some(node),
            type_url: ResourceType::Cluster.url().to_owned(),
            version_info: in_use.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::connect(adapter.address.clone()).await.unwrap();
        let requests_stream = stream::unfold(receiver, |mut all| async { Some((all.recv().await?, all)) });
        let responses = client.stream_aggregated_resources(requests_stream).await.unwrap().into_inner();
        Self { requests, responses }
    }

    async fn subscribe(&self, kind: ResourceType, names: &[&str], in_use: &str) {
        let request = DiscoveryRequest {
            type_url: kind.url().to_owned(),
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            version_info: in_use.to_owned(),
            ..DiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }

    async fn next(&mut self, kind: ResourceType) -> DiscoveryResponse {
        let response = self.responses.message().await.unwrap().unwrap();
        assert_eq!(response.type_url, kind.url());
        response
    }

    async fn answer(&self, response: &DiscoveryResponse, names: &[&str], error: Option<&str>) {
        let error_detail = error.map(|text| rpc::Status { message: text.to_owned(), ..rpc::Status::default() });
        let request = DiscoveryRequest {
            type_url: response.type_url.clone(),
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            version_info: if error.is_none() { response.version_info.clone() } else { String::new() },
            response_nonce: response.nonce.clone(),
            error_detail,
            ..DiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }

    /// Goes through the start as Envoy does: routes and enforcer are asked for before the listeners are taken.
    async fn start(&mut self) {
        let clusters = self.next(ResourceType::Cluster).await;
        self.subscribe(ResourceType::Listener, &[], "").await;
        self.answer(&clusters, &[], None).await;
        let listeners = self.next(ResourceType::Listener).await;
        self.subscribe(ResourceType::Extension, &["tollgate.enforcer"], "").await;
        let extension = self.next(ResourceType::Extension).await;
        self.subscribe(ResourceType::Route, &["default"], "").await;
        let routes = self.next(ResourceType::Route).await;
        assert_eq!((listeners.resources.len(), extension.resources.len(), routes.resources.len()), (1, 1, 1));
        self.answer(&extension, &["tollgate.enforcer"], None).await;
        self.answer(&routes, &["default"], None).await;
        self.answer(&listeners, &[], None).await;
    }
}

fn says_ready(response: &DiscoveryResponse) -> bool {
    use envoy_types::pb::envoy::config::route::v3::route::Action;
    let routes = RouteConfiguration::decode(response.resources[0].value.as_slice()).unwrap();
    matches!(&routes.virtual_hosts[0].routes[1].action, Some(Action::DirectResponse(answer)) if answer.status == 200)
}

#[tokio::test]
async fn a_gateway_becomes_ready_when_it_took_everything_and_its_filters_hold_the_snapshot() {
    let adapter = Adapter::start().await;
    let mut envoy = Envoy::connect(&adapter, "Default", "").await;
    envoy.start().await;
    adapter.until(|node| node.types.len() == 4 && node.types["listener"].error().is_none()).await;
    assert!(!adapter.report().ready);
    let position = FeedPosition { cursor: Cursor { epoch: 7, revision: 1 << 16 }, whole: true, problems: None };
    adapter.status.nodes().fed("Default/a", "Default", position);
    let routes = envoy.next(ResourceType::Route).await;
    assert!(says_ready(&routes) && adapter.report().ready);
}

#[tokio::test]
async fn a_refused_cluster_is_left_out_and_its_api_is_named_until_it_changes() {
    let adapter = Adapter::start().await;
    let mut envoy = Envoy::connect(&adapter, "Default", "").await;
    let first = envoy.next(ResourceType::Cluster).await;
    assert_eq!(first.resources.len(), 1);
    envoy.answer(&first, &[], None).await;
    adapter.clusters.send_replace(clusters(&["one", "two"]));
    let second = envoy.next(ResourceType::Cluster).await;
    assert_eq!(second.resources.len(), 2);
    envoy.answer(&second, &[], Some("no such file")).await;
    let without = envoy.next(ResourceType::Cluster).await;
    assert_eq!(without.resources.len(), 1);
    envoy.answer(&without, &[], None).await;
    adapter.until(|node| node.types["cluster"].error().is_none()).await;
    let refused = RefusedCluster { api: Some("API two".to_owned()), error: "no such file".to_owned() };
    assert_eq!(adapter.report().refused_clusters, [("two".to_owned(), refused)].into());
    adapter.clusters.send_replace(clusters(&["one", "two", "three"]));
    let more = envoy.next(ResourceType::Cluster).await;
    assert_eq!(more.resources.len(), 2, "the others go out");
    envoy.answer(&more, &[], None).await;
    adapter.clusters.send_replace(clusters(&["one"]));
    assert_eq!(envoy.next(ResourceType::Cluster).await.resources.len(), 1);
    adapter.until(|node| node.refused_clusters.is_empty()).await;
}

#[tokio::test]
async fn an_unknown_environment_gets_listeners_but_no_clusters() {
    let adapter = Adapter::start().await;
    let mut envoy = Envoy::connect(&adapter, "Elsewhere", "").await;
    assert!(envoy.next(ResourceType::Cluster).await.resources.is_empty());
    envoy.subscribe(ResourceType::Listener, &[], "").await;
    assert_eq!(envoy.next(ResourceType::Listener).await.resources.len(), 1);
    assert!(!adapter.report().known_environment);
}

#[tokio::test]
async fn a_gateway_that_was_ready_stays_so_when_the_adapter_returns() {
    let adapter = Adapter::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ready = Blueprint::load(gateway(), &files(folder.path()), OwnKeys::default())
        .unwrap()
        .routes(true)
        .version()
        .to_owned();
    let mut envoy = Envoy::connect(&adapter, "Default", "earlier").await;
    envoy.next(ResourceType::Cluster).await;
    for (kind, names) in [(ResourceType::Listener, &[][..]), (ResourceType::Extension, &["tollgate.enforcer"])] {
        envoy.subscribe(kind, names, "earlier").await;
        envoy.next(kind).await;
    }
    envoy.subscribe(ResourceType::Route, &["default"], &ready).await;
    assert!(says_ready(&envoy.next(ResourceType::Route).await));
}

#[tokio::test]
async fn a_gateway_that_leaves_is_noted() {
    let adapter = Adapter::start().await;
    let mut envoy = Envoy::connect(&adapter, "Default", "").await;
    envoy.next(ResourceType::Cluster).await;
    assert!(adapter.report().connected);
    drop(envoy);
    adapter.until(|node| !node.connected).await;
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(folder.path());
    let check = |gateway: Gateway, files: GatewayFiles, expected: &str| {
        let error = Blueprint::load(gateway, &files, OwnKeys::default()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("fix:"), "{error}");
    };
    check(gateway(), GatewayFiles { module: folder.path().join("none.wasm"), ..good.clone() }, "none.wasm");
    check(gateway(), GatewayFiles { module: good.key.clone(), ..good.clone() }, "not a WebAssembly module");
    check(
        gateway(),
        GatewayFiles { key: folder.path().join("adapter.key"), ..good.clone() },
        "cannot be used together",
    );
    check(Gateway { http: None, ..gateway() }, good, "both listeners");
}

#[tokio::test]
async fn listeners_follow_what_is_to_be_logged() {
    let adapter = Adapter::start().await;
    let mut envoy = Envoy::connect(&adapter, "Default", "").await;
    envoy.next(ResourceType::Cluster).await;
    envoy.subscribe(ResourceType::Listener, &[], "").await;
    let before = envoy.next(ResourceType::Listener).await;
    envoy.answer(&before, &[], None).await;
    // What changes nothing is not sent: the next listeners are those that do.
    adapter.blueprint.log(None, None);
    let format = LogFormat::Text("%PROTOCOL%\n".to_owned());
    adapter.blueprint.log(Some(AccessLog { file: "/dev/null".into(), format }), None);
    let after = envoy.next(ResourceType::Listener).await;
    assert_ne!(before.resources, after.resources);
    assert_ne!(before.version_info, after.version_info);
}
