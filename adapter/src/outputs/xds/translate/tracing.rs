//! Tracing of the listeners, and the cluster of its collector.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::trace::v3 as trace;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as hcm;
use envoy_types::pb::envoy::r#type::tracing::v3::{CustomTag, custom_tag};
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::Any;

use super::cluster::{cluster, host_header};
use super::{Materials, any, duration, number, yes};
use crate::model::Cluster;
use crate::outputs::settings::{Gateway, Timeouts, Tracing, TracingProtocol};

/// The cluster that dashboards of Choreo Connect know.
const CLUSTER: &str = "wso2_cc_trace";
const SERVICE: &str = "choreo_connect_router";

/// What the connection manager reports.
pub(super) fn tracing(settings: &Tracing) -> hcm::Tracing {
    let (name, config) = match &settings.protocol {
        TracingProtocol::Zipkin(path) => ("envoy.tracers.zipkin", any(&zipkin(settings, path))),
        TracingProtocol::OtlpGrpc | TracingProtocol::OtlpHttp(_) => {
            ("envoy.tracers.opentelemetry", any(&open_telemetry(settings)))
        }
    };
    hcm::Tracing {
        // A client cannot ask for being traced: it would choose what we spend on it.
        client_sampling: Some(Percent { value: 0.0 }),
        random_sampling: Some(Percent { value: settings.sampling_percentage.into() }),
        overall_sampling: Some(Percent { value: 100.0 }),
        max_path_tag_length: number(settings.max_path_length),
        spawn_upstream_span: yes(),
        custom_tags: vec![
            // Envoy's own has the query, and queries may carry credentials.
            tag("http.url", custom_tag::Type::Value(url(settings.max_path_length))),
            tag(
                "otel.library.name",
                custom_tag::Type::Literal(custom_tag::Literal { value: settings.library.clone() }),
            ),
        ],
        provider: Some(trace::tracing::Http {
            name: name.to_owned(),
            config_type: Some(trace::tracing::http::ConfigType::TypedConfig(config)),
        }),
        ..hcm::Tracing::default()
    }
}

fn tag(name: &str, value: custom_tag::Type) -> CustomTag {
    CustomTag { tag: name.to_owned(), r#type: Some(value) }
}

fn url(length: u32) -> String {
    format!("%REQ(:SCHEME)%://%REQ(:AUTHORITY)%%PATH(NQ:ORIG_OR_PATH):{length}%")
}

#[allow(deprecated, reason = "its successor needs Envoy 1.37 or later to know the header")]
fn zipkin(settings: &Tracing, path: &str) -> trace::ZipkinConfig {
    trace::ZipkinConfig {
        collector_cluster: CLUSTER.to_owned(),
        collector_endpoint: path.to_owned(),
        collector_hostname: host_header(&settings.collector),
        collector_endpoint_version: trace::zipkin_config::CollectorEndpointVersion::HttpJson.into(),
        trace_id_128bit: true,
        ..trace::ZipkinConfig::default()
    }
}

fn open_telemetry(settings: &Tracing) -> trace::OpenTelemetryConfig {
    let mut config = trace::OpenTelemetryConfig { service_name: SERVICE.to_owned(), ..Default::default() };
    match &settings.protocol {
        TracingProtocol::OtlpHttp(path) => config.http_service = Some(http_service(settings, path)),
        TracingProtocol::OtlpGrpc | TracingProtocol::Zipkin(_) => config.grpc_service = Some(grpc_service(settings)),
    }
    config
}

fn grpc_service(settings: &Tracing) -> core::GrpcService {
    let target = core::grpc_service::EnvoyGrpc {
        cluster_name: CLUSTER.to_owned(),
        authority: host_header(&settings.collector),
        ..core::grpc_service::EnvoyGrpc::default()
    };
    core::GrpcService {
        timeout: duration(settings.timeout),
        initial_metadata: header(settings, str::to_owned).into_iter().collect(),
        target_specifier: Some(core::grpc_service::TargetSpecifier::EnvoyGrpc(target)),
        ..core::GrpcService::default()
    }
}

fn http_service(settings: &Tracing, path: &str) -> core::HttpService {
    let scheme = if settings.collector.tls { "https" } else { "http" };
    core::HttpService {
        http_uri: Some(core::HttpUri {
            uri: format!("{scheme}://{}{path}", host_header(&settings.collector)),
            timeout: duration(settings.timeout),
            http_upstream_type: Some(core::http_uri::HttpUpstreamType::Cluster(CLUSTER.to_owned())),
        }),
        // Percent signs begin commands of Envoy here, and only here.
        request_headers_to_add: header(settings, |value| value.replace('%', "%%"))
            .map(|header| core::HeaderValueOption { header: Some(header), ..core::HeaderValueOption::default() })
            .into_iter()
            .collect(),
        ..core::HttpService::default()
    }
}

fn header(settings: &Tracing, value: impl Fn(&str) -> String) -> Option<core::HeaderValue> {
    let (name, secret) = settings.authentication.as_ref()?;
    Some(core::HeaderValue { key: name.clone(), value: value(secret.expose()), ..core::HeaderValue::default() })
}

/// Name and resource of the collector's cluster.
pub(super) fn collector(settings: &Tracing, gateway: &Gateway, materials: &Materials) -> (String, Any) {
    let model = Cluster {
        endpoints: vec![settings.collector.clone()],
        http2: settings.protocol == TracingProtocol::OtlpGrpc,
        ..Cluster::named(CLUSTER)
    };
    let connect = settings.connect_timeout.unwrap_or(gateway.timeouts.connect);
    let gateway = Gateway { timeouts: Timeouts { connect, ..gateway.timeouts.clone() }, ..gateway.clone() };
    (CLUSTER.to_owned(), cluster(&model, &gateway, materials))
}
