//! What the settings of `[router.upstream]` and of an API become.

use super::*;

/// Settings and expected outcome of everything about TLS towards `https://a.example`.
#[test]
fn every_setting_of_tls_becomes_what_it_says() {
    let file = |name: &str| {
        let specifier = Some(core::data_source::Specifier::Filename(name.to_owned()));
        core::DataSource { specifier, ..core::DataSource::default() }
    };
    let own = || Endpoint { trusted_ca: Some("OWN".into()), ..backend("a.example", 443, true, 0) };
    let usual = || backend("a.example", 443, true, 0);
    let system = || Some(file("/etc/ssl/certs/ca-certificates.crt"));
    let defaults = UpstreamTls::default;
    for (name, endpoint, http2, settings, trusted, names, alpn) in [
        ("defaults", usual(), false, defaults(), system(), 1, vec![]),
        ("HTTP/2", usual(), true, defaults(), system(), 1, vec!["h2"]),
        ("own certificate", own(), false, defaults(), Some(inline(b"OWN")), 1, vec![]),
        (
            "other bundle",
            usual(),
            false,
            UpstreamTls { trusted_certificates: "/x".to_owned(), ..defaults() },
            Some(file("/x")),
            1,
            vec![],
        ),
        ("any name", usual(), false, UpstreamTls { verify_host_name: false, ..defaults() }, system(), 0, vec![]),
        ("anybody", own(), true, UpstreamTls { verify: false, ..defaults() }, None, 0, vec!["h2"]),
    ] {
        let gateway = Gateway { upstream_tls: settings, ..gateway() };
        let context = contexts(&translated(&[endpoint], http2, &gateway)).remove(0).1;
        let found = validation(&context);
        let common = context.common_tls_context.unwrap();
        assert_eq!(found.as_ref().and_then(|found| found.trusted_ca.clone()), trusted, "{name}");
        assert_eq!(found.map_or(0, |found| found.match_typed_subject_alt_names.len()), names, "{name}");
        assert_eq!(common.alpn_protocols, alpn, "{name}");
        let [shown] = common.tls_certificates.as_slice() else { panic!("{name}") };
        assert_eq!(shown.certificate_chain, Some(inline(b"CERTIFICATE")), "{name}: the router's own is offered");
        assert_eq!(context.sni, "a.example", "{name}");
    }
}

#[test]
fn http2_is_spoken_only_where_the_api_says_so() {
    use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
    use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
    let gateway = Gateway { upstream_http2: Http2 { header_table_bytes: 1, max_concurrent_streams: 2 }, ..gateway() };
    let protocol = |http2| {
        let mut options = translated(&[backend("a", 80, false, 0)], http2, &gateway).typed_extension_protocol_options;
        let options = options.remove("envoy.extensions.upstreams.http.v3.HttpProtocolOptions").unwrap();
        let options: envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions = open(&options);
        let Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) = options.upstream_protocol_options else {
            panic!()
        };
        explicit.protocol_config.unwrap()
    };
    assert!(matches!(protocol(false), ProtocolConfig::HttpProtocolOptions(_)));
    let ProtocolConfig::Http2ProtocolOptions(http2) = protocol(true) else { panic!() };
    assert_eq!((http2.hpack_table_size, http2.max_concurrent_streams), (number(1), number(2)));
}

#[test]
fn endpoints_are_left_alone_by_the_settings_and_never_when_switched_off() {
    let pair = [backend("a", 80, false, 0), backend("b", 80, false, 0)];
    let of =
        |outlier_detection| translated(&pair, false, &Gateway { outlier_detection, ..gateway() }).outlier_detection;
    assert_eq!(of(None), None);
    for (consecutive_5xx, expected) in [(None, 0), (Some(7), 7)] {
        let settings = OutlierDetection { consecutive_failures: 3, consecutive_5xx, ..OutlierDetection::default() };
        let found = of(Some(settings)).unwrap();
        assert_eq!(found.consecutive_5xx, number(expected));
        assert_eq!(
            (found.consecutive_gateway_failure, found.enforcing_consecutive_gateway_failure),
            (number(3), number(100))
        );
        assert_eq!(
            (found.consecutive_local_origin_failure, found.split_external_local_origin_errors),
            (number(3), true)
        );
        assert_eq!(found.max_ejection_percent, number(50), "one of two may be left alone");
        assert_eq!((found.interval.unwrap().seconds, found.base_ejection_time.unwrap().seconds), (10, 30));
    }
}

#[test]
fn spans_go_to_the_collector_by_its_own_cluster() {
    use crate::outputs::settings::{Tracing, TracingProtocol};
    let names =
        |gateway: &Gateway| own_clusters(gateway, &materials()).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&gateway()), [""; 0]);
    for (protocol, tracer, http2) in [
        (TracingProtocol::Zipkin("/api/v2/spans".to_owned()), "envoy.tracers.zipkin", false),
        (TracingProtocol::OtlpGrpc, "envoy.tracers.opentelemetry", true),
        (TracingProtocol::OtlpHttp("/v1/traces".to_owned()), "envoy.tracers.opentelemetry", false),
    ] {
        let settings = Tracing {
            collector: backend("collector", 443, true, 0),
            protocol,
            authentication: None,
            timeout: Duration::from_secs(1),
            connect_timeout: Some(Duration::from_secs(2)),
            sampling_percentage: 7,
            max_path_length: 9,
            library: "L".to_owned(),
        };
        let traced = Gateway { tracing: Some(settings), ..gateway() };
        assert_eq!(names(&traced), ["wso2_cc_trace"]);
        let cluster: ClusterResource = open(&own_clusters(&traced, &materials())[0].1);
        assert_eq!(cluster.connect_timeout.unwrap().seconds, 2);
        assert_eq!(
            contexts(&cluster)[0].1.common_tls_context.as_ref().unwrap().alpn_protocols.len(),
            usize::from(http2)
        );
        let tracing = manager(&open(&listeners(&traced, &materials())[0].1)).tracing.unwrap();
        assert_eq!(tracing.provider.unwrap().name, tracer);
        let percent = |value: Option<envoy_types::pb::envoy::r#type::v3::Percent>| value.unwrap().value;
        assert_eq!((percent(tracing.random_sampling), percent(tracing.client_sampling)), (7.0, 0.0));
        assert_eq!(tracing.max_path_tag_length, number(9));
    }
}

#[test]
fn functions_are_called_by_a_filter_of_their_cluster() {
    use crate::model::{AwsCredentials, LambdaFunction};
    use envoy_types::pb::envoy::extensions::filters::http::aws_lambda::v3 as aws;
    for (synchronous, mode) in
        [(true, aws::config::InvocationMode::Synchronous), (false, aws::config::InvocationMode::Asynchronous)]
    {
        let function = LambdaFunction {
            arn: "arn:x".to_owned(),
            payload_passthrough: synchronous,
            synchronous,
            credentials: Some(AwsCredentials { access_key: "A".to_owned(), secret_key: "S".to_owned().into() }),
        };
        let model = Cluster {
            endpoints: vec![backend("lambda.example", 443, true, 0)],
            lambda: Some(function),
            ..Cluster::named("c")
        };
        let mut found: ClusterResource = open(&cluster(&model, &gateway(), &materials()));
        let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let options = found.typed_extension_protocol_options.remove(options).unwrap();
        let options: envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions = open(&options);
        let names: Vec<&str> = options.http_filters.iter().map(|filter| filter.name.as_str()).collect();
        assert_eq!(names, ["envoy.filters.http.aws_lambda", "envoy.filters.http.upstream_codec"]);
        let Some(hcm::http_filter::ConfigType::TypedConfig(config)) = &options.http_filters[0].config_type else {
            panic!()
        };
        let config: aws::Config = open(config);
        assert_eq!((config.arn.as_str(), config.invocation_mode), ("arn:x", i32::from(mode)));
        assert_eq!(config.payload_passthrough, synchronous);
        assert_eq!(config.credentials.unwrap().access_key_id, "A");
        assert!(found.metadata.unwrap().filter_metadata.contains_key("com.amazonaws.lambda"));
    }
    let plain = translated(&[backend("a", 80, false, 0)], false, &gateway());
    assert_eq!(plain.metadata, None);
}

/// Where it is, the host header it gets, and the name by which it is recognised.
#[test]
fn an_instance_that_was_found_is_recognised_by_the_name_that_the_project_gives() {
    use crate::model::{Discovery, Instance, Service};
    let service = Service { datacenters: vec![None], namespace: None, name: "s".to_owned(), tags: Vec::new() };
    let discovery = |host: &str, port| {
        let default = Instance { host: host.to_owned(), port };
        Some(std::sync::Arc::new(Discovery { service: service.clone(), default, mesh: None }))
    };
    for (tls, default, header, name) in [
        (true, ("a.example", 443), "a.example", Some("a.example")),
        (true, ("a.example", 8443), "a.example:8443", Some("a.example")),
        (true, ("10.0.0.1", 443), "10.0.0.1", Some("10.0.0.1")),
        (false, ("a.example", 80), "10.0.0.9:9000", None),
    ] {
        let found = Endpoint { discovery: discovery(default.0, default.1), ..backend("10.0.0.9", 9000, tls, 0) };
        let cluster = translated(&[found], false, &gateway());
        assert_eq!(endpoints(&cluster), [(0, "10.0.0.9".to_owned(), 9000, header.to_owned())], "{default:?}");
        let names = contexts(&cluster).into_iter().map(|(_, context)| {
            let san = validation(&context).unwrap().match_typed_subject_alt_names.remove(0);
            let Some(MatchPattern::Exact(name)) = san.matcher.unwrap().match_pattern else { panic!() };
            assert!(context.sni == name || context.sni.is_empty(), "{}", context.sni);
            name
        });
        assert_eq!(names.collect::<Vec<_>>(), Vec::from_iter(name), "{default:?}");
    }
}

/// In a mesh the gateway shows its own identity and demands that of the service, whatever the settings of TLS.
#[test]
fn a_member_of_a_mesh_proves_to_be_its_service() {
    use crate::model::{Discovery, Instance, Mesh, Service};
    let mesh = Mesh {
        certificate: "LEAF".to_owned(),
        key: tollgate_model::Secret::from("KEY".to_owned()),
        authorities: "ROOTS".to_owned(),
        trust_domain: "11-22.consul".to_owned(),
    };
    let service = Service { datacenters: vec![None], namespace: None, name: "pets".to_owned(), tags: Vec::new() };
    let default = Instance { host: "a.example".to_owned(), port: 80 };
    let discovery = Discovery { service, default, mesh: Some(std::sync::Arc::new(mesh)) };
    let found = Endpoint { discovery: Some(std::sync::Arc::new(discovery)), ..backend("10.0.0.9", 20_000, true, 0) };
    let unverified = Gateway { upstream_tls: UpstreamTls { verify: false, ..gateway().upstream_tls }, ..gateway() };
    for settings in [gateway(), unverified] {
        let contexts = contexts(&translated(&[found.clone(), backend("a.example", 443, true, 0)], false, &settings));
        assert_eq!(contexts.len(), 2, "the neighbour is none of the mesh");
        let member = contexts.iter().find(|(name, _)| name.contains("pets")).map(|(_, context)| context).unwrap();
        let shown = format!("{:?}", member.common_tls_context.as_ref().unwrap().tls_certificates);
        assert!(shown.contains("certificate_chain") && member.sni.is_empty());
        let mut validation = validation(member).unwrap();
        let Some(MatchPattern::SafeRegex(identity)) =
            validation.match_typed_subject_alt_names.remove(0).matcher.unwrap().match_pattern
        else {
            panic!()
        };
        let matches = |text: &str| regex::Regex::new(&format!("^(?:{})$", identity.regex)).unwrap().is_match(text);
        assert!(matches("spiffe://11-22.consul/ns/default/dc/dc1/svc/pets"));
        assert!(matches("spiffe://11-22.consul/ap/one/ns/default/dc/dc1/svc/pets"));
        for other in [
            "spiffe://11-22.consul/ns/default/dc/dc1/svc/pets2",
            "spiffe://11-22.consul/ns/default/dc/dc1/svc/my/svc/pets",
            "spiffe://11-22xconsul/ns/default/dc/dc1/svc/pets",
            "spiffe://other.consul/ns/default/dc/dc1/svc/pets",
        ] {
            assert!(!matches(other), "{other}");
        }
    }
}
