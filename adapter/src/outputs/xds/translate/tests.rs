use std::path::PathBuf;

use envoy_types::pb::envoy::config::cluster::v3::Cluster as ClusterResource;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::config::listener::v3 as listener;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::extensions::wasm::v3 as wasm;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::{Any, StringValue};
use prost::Message;
use tollgate_model::Callbacks;
use tollgate_model::contract::{CLUSTER_HEADER, ENFORCER_FILTER, LIMIT_HEADERS, PluginConfig, RESPONSE_HEADERS};

mod upstream;

use super::*;
use crate::model::{CircuitBreakers, Cluster, Endpoint};
use crate::outputs::settings::{
    AccessLog, Codec, Compressible, Compression, Dns, DownstreamTls, Gateway, HealthCheck, Http2, ListenerAddress,
    LogFormat, OutlierDetection, RateLimit, Retry, Timeouts, TlsVersion, UpstreamTls, WireLog,
};

fn gateway() -> Gateway {
    let at = |port| Some(ListenerAddress { host: "0.0.0.0".to_owned(), port });
    Gateway {
        http: at(9090),
        https: at(9095),
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

fn materials() -> Materials {
    Materials {
        certificate: b"CERTIFICATE".to_vec(),
        key: b"KEY".to_vec(),
        module: b"\0asm".to_vec(),
        client_authorities: None,
    }
}

fn open<M: Message + Name + Default>(any: &Any) -> M {
    assert_eq!(any.type_url, M::type_url());
    M::decode(any.value.as_slice()).unwrap()
}

fn manager(listener: &listener::Listener) -> hcm::HttpConnectionManager {
    let filter = &listener.filter_chains[0].filters[0];
    let Some(listener::filter::ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("{filter:?}") };
    open(config)
}

#[test]
fn both_listeners_share_one_manager_with_the_enforcer_first() {
    let found = listeners(&gateway(), &materials());
    let found: Vec<listener::Listener> = found.iter().map(|(_, any)| open(any)).collect();
    let names: Vec<&str> = found.iter().map(|listener| listener.name.as_str()).collect();
    assert_eq!(names, ["HTTPListener", "HTTPSListener"]);
    let manager = manager(&found[0]);
    assert_eq!(manager, super::tests::manager(&found[1]));
    assert!(manager.merge_slashes && manager.strip_matching_host_port);
    assert!(manager.normalize_path.unwrap().value);
    let escaped = hcm::http_connection_manager::PathWithEscapedSlashesAction::KeepUnchanged;
    assert_eq!(manager.path_with_escaped_slashes_action, i32::from(escaped));

    let [enforcer, compressor, limiter, router] = manager.http_filters.as_slice() else { panic!("four filters") };
    assert!(limiter.disabled, "requests must not pay for the limit of one page");
    assert_eq!(compressor.name, "envoy.filters.http.compressor");
    let Some(hcm::http_filter::ConfigType::ConfigDiscovery(discovery)) = &enforcer.config_type else { panic!() };
    assert_eq!((enforcer.name.as_str(), discovery.default_config.as_ref()), (ENFORCER_FILTER, None));
    assert_eq!(discovery.type_urls, [Wasm::type_url()]);
    assert_eq!(discovery.config_source.as_ref().unwrap().initial_fetch_timeout.unwrap().seconds, 0);
    let Some(hcm::http_filter::ConfigType::TypedConfig(config)) = &router.config_type else { panic!() };
    assert!(open::<Router>(config).suppress_envoy_headers);
}

#[test]
fn https_is_tls_1_2_and_up_with_the_routers_own_certificate() {
    let found = listeners(&gateway(), &materials());
    let (http, https): (listener::Listener, listener::Listener) = (open(&found[0].1), open(&found[1].1));
    assert_eq!(http.filter_chains[0].transport_socket, None);
    let socket = https.filter_chains[0].transport_socket.clone().unwrap();
    let Some(core::transport_socket::ConfigType::TypedConfig(config)) = socket.config_type else { panic!() };
    let common = open::<tls::DownstreamTlsContext>(&config).common_tls_context.unwrap();
    assert_eq!(common.alpn_protocols, ["h2", "http/1.1"]);
    let lowest = common.tls_params.unwrap().tls_minimum_protocol_version;
    assert_eq!(lowest, i32::from(tls::tls_parameters::TlsProtocol::TlSv12));
    assert_eq!(common.tls_certificates[0].private_key, Some(inline(b"KEY")));
}

#[test]
fn clients_are_asked_for_a_certificate_only_when_there_is_somebody_to_trust() {
    for authorities in [None, Some("AUTHORITY".to_owned())] {
        let materials = Materials { client_authorities: authorities.clone(), ..materials() };
        let https: listener::Listener = open(&listeners(&gateway(), &materials)[1].1);
        let socket = https.filter_chains[0].transport_socket.clone().unwrap();
        let Some(core::transport_socket::ConfigType::TypedConfig(config)) = socket.config_type else { panic!() };
        let context = open::<tls::DownstreamTlsContext>(&config);
        assert!(!context.require_client_certificate.unwrap().value, "an API decides that");
        let trusted = match context.common_tls_context.unwrap().validation_context_type {
            None => None,
            Some(tls::common_tls_context::ValidationContextType::ValidationContext(context)) => context.trusted_ca,
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(trusted, authorities.as_deref().map(text_source));
        let forwarded = hcm::http_connection_manager::ForwardClientCertDetails::Sanitize;
        assert_eq!(manager(&https).forward_client_cert_details, i32::from(forwarded));
    }
}

#[test]
fn a_listener_can_be_switched_off() {
    let found = listeners(&Gateway { http: None, ..gateway() }, &materials());
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["HTTPSListener"]);
}

#[test]
fn zero_switches_a_timeout_off() {
    let timeouts = Timeouts { stream_idle: Duration::ZERO, ..Timeouts::default() };
    let manager = manager(&open(&listeners(&Gateway { timeouts, ..gateway() }, &materials())[0].1));
    assert_eq!(manager.stream_idle_timeout.unwrap().seconds, 0);
}

#[test]
fn listeners_speak_what_they_are_told() {
    use hcm::http_connection_manager::CodecType;
    for (codec, expected) in
        [(Codec::Auto, CodecType::Auto), (Codec::Http1, CodecType::Http1), (Codec::Http2, CodecType::Http2)]
    {
        let manager = manager(&open(&listeners(&Gateway { codec, ..gateway() }, &materials())[0].1));
        assert_eq!(manager.codec_type, i32::from(expected));
    }
}

#[test]
fn the_wire_log_sees_what_the_enforcer_lets_through() {
    use envoy_types::pb::envoy::extensions::filters::http::lua::v3::Lua;
    let names = |wire_log| -> Vec<String> {
        let manager = manager(&open(&listeners(&Gateway { wire_log, ..gateway() }, &materials())[0].1));
        manager.http_filters.into_iter().map(|filter| filter.name).collect()
    };
    let lua = "envoy.filters.http.lua";
    assert!(!names(None).iter().any(|name| name == lua));
    let log = WireLog { body: true, ..WireLog::default() };
    assert_eq!(names(Some(log)).iter().position(|name| name == lua), Some(1), "right after the enforcer");
    let filter = super::wire_log::wire_log(&log);
    let Some(hcm::http_filter::ConfigType::TypedConfig(config)) = filter.config_type else { panic!() };
    let program = format!("{:?}", open::<Lua>(&config).default_source_code);
    assert!(program.contains("local HEADERS, BODY, TRAILERS = false, true, false"), "{program}");
}

#[test]
fn the_access_log_is_off_or_text_or_json() {
    use core::substitution_format_string::Format;
    use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
    let format = |format: Option<LogFormat>| {
        let access_log = format.map(|format| AccessLog { file: PathBuf::from("/dev/stdout"), format });
        let manager = manager(&open(&listeners(&Gateway { access_log, ..gateway() }, &materials())[0].1));
        let log = manager.access_log.first()?.config_type.clone();
        let Some(envoy_types::pb::envoy::config::accesslog::v3::access_log::ConfigType::TypedConfig(config)) = log
        else {
            panic!("{log:?}")
        };
        let log: FileAccessLog = open(&config);
        let Some(file_access_log::AccessLogFormat::LogFormat(format)) = log.access_log_format else { panic!() };
        assert_eq!((log.path.as_str(), format.formatters.len()), ("/dev/stdout", 1));
        format.format
    };
    assert_eq!(format(None), None);
    assert_eq!(format(Some(LogFormat::Text("a\n".to_owned()))), Some(Format::TextFormatSource(text_source("a\n"))));
    let members = [("a", "%PROTOCOL%"), ("b", "x")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let Some(Format::JsonFormat(found)) = format(Some(LogFormat::Json(members.into()))) else { panic!() };
    let found = found.fields.into_iter().map(|(name, value)| (name, value.kind));
    let text = |text: &str| Some(protobuf::value::Kind::StringValue(text.to_owned()));
    let expected = [("a".to_owned(), text("%PROTOCOL%")), ("b".to_owned(), text("x"))];
    assert_eq!(found.collect::<std::collections::HashMap<_, _>>(), expected.into());
}

#[test]
fn bodies_are_compressed_in_the_directions_that_are_on() {
    use envoy_types::pb::envoy::extensions::filters::http::compressor::v3::{Compressor, compressor};
    let filter = |compression: Compression| -> Compressor {
        let changed = Gateway { compression: Some(compression), ..gateway() };
        let manager = manager(&open(&listeners(&changed, &materials())[0].1));
        let Some(hcm::http_filter::ConfigType::TypedConfig(config)) = &manager.http_filters[1].config_type else {
            panic!()
        };
        open(config)
    };
    let on = |common: Option<&compressor::CommonDirectionConfig>| {
        common.is_some_and(|common| common.enabled.as_ref().unwrap().default_value.unwrap().value)
    };
    let check = |compression: Compression, requests: bool, responses: bool, skip_etag: bool| {
        let filter = filter(compression);
        let request = filter.request_direction_config.as_ref().and_then(|config| config.common_config.as_ref());
        let response = filter.response_direction_config.as_ref().unwrap();
        assert_eq!((on(request), on(response.common_config.as_ref())), (requests, responses));
        assert_eq!(response.disable_on_etag_header, skip_etag);
    };
    let both = Compression { requests: Some(Compressible::default()), ..Compression::default() };
    check(Compression::default(), false, true, false);
    check(both.clone(), true, true, false);
    check(Compression { responses: None, ..both }, true, false, false);
    check(Compression { with_etag: false, ..Compression::default() }, false, true, true);
    let without = manager(&open(&listeners(&Gateway { compression: None, ..gateway() }, &materials())[0].1));
    assert_eq!(without.http_filters.len(), 3);
}

#[test]
fn versions_and_ciphers_of_tls_are_those_of_their_side() {
    let ciphers = |text: &str| vec![text.to_owned()];
    let downstream_tls = DownstreamTls {
        minimum_version: TlsVersion::V1_0,
        maximum_version: TlsVersion::V1_1,
        ciphers: ciphers("AES128-SHA"),
        ..DownstreamTls::default()
    };
    let upstream_tls = UpstreamTls { ciphers: ciphers("AES256-SHA"), ..UpstreamTls::default() };
    let changed = Gateway { downstream_tls, upstream_tls, ..gateway() };
    let https: listener::Listener = open(&listeners(&changed, &materials())[1].1);
    let socket = https.filter_chains[0].transport_socket.clone().unwrap();
    let Some(core::transport_socket::ConfigType::TypedConfig(config)) = socket.config_type else { panic!() };
    let down = open::<tls::DownstreamTlsContext>(&config).common_tls_context.unwrap().tls_params.unwrap();
    let versions = [tls::tls_parameters::TlsProtocol::TlSv10, tls::tls_parameters::TlsProtocol::TlSv11].map(i32::from);
    assert_eq!([down.tls_minimum_protocol_version, down.tls_maximum_protocol_version], versions);
    let cluster = translated(&[backend("a.example", 443, true, 0)], false, &changed);
    let up = contexts(&cluster)[0].1.common_tls_context.clone().unwrap().tls_params.unwrap();
    assert_eq!((down.cipher_suites, up.cipher_suites), (ciphers("AES128-SHA"), ciphers("AES256-SHA")));
}

/// Status and body of what Envoy says for a response flag.
#[test]
fn every_response_flag_has_its_status_and_code() {
    use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
    let manager = manager(&open(&listeners(&gateway(), &materials())[0].1));
    let replies = manager.local_reply_config.unwrap();
    assert_eq!(replies.body_format, None, "what has no flag stays as it is");
    let found = replies.mappers.iter().map(|mapper| {
        let Some(FilterSpecifier::ResponseFlagFilter(filter)) = mapper.filter.clone().unwrap().filter_specifier else {
            panic!("{mapper:?}")
        };
        let format = mapper.body_format_override.clone().unwrap();
        assert_eq!(format.content_type, "application/json");
        let Some(core::substitution_format_string::Format::JsonFormat(body)) = format.format else { panic!() };
        let text = |name: &str| match body.fields[name].kind.clone() {
            Some(protobuf::value::Kind::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        let mut names: Vec<&String> = body.fields.keys().collect();
        names.sort();
        assert_eq!(names, ["code", "description", "message"]);
        let described =
            if filter.flags == ["NR"] { "The requested resource is not available." } else { "%LOCAL_REPLY_BODY%" };
        assert_eq!(text("description"), described);
        (filter.flags.join(","), mapper.status_code.unwrap().value, text("code"))
    });
    let expected = [
        ("NR", 404, "404"),
        ("UF", 503, "102503"),
        ("UT", 504, "102504"),
        ("UO", 503, "102505"),
        ("URX", 500, "102506"),
        ("NC", 500, "102507"),
        ("UH", 503, "102508"),
        ("UR", 503, "102509"),
        ("UC", 503, "102510"),
        ("LR", 503, "102511"),
        ("IH", 400, "102512"),
        ("SI", 500, "102513"),
        ("DPE", 500, "102514"),
        ("UPE", 500, "102515"),
        ("UMSDR", 500, "102516"),
    ];
    assert!(found.eq(expected.map(|(flag, status, code)| (flag.to_owned(), status, code.to_owned()))));
}

/// The version of a resource is the hash of its encoding: it must not depend on the process.
#[test]
fn the_same_settings_have_the_same_encoding() {
    let once = listeners(&gateway(), &materials());
    for _ in 0..8 {
        assert_eq!(listeners(&gateway(), &materials()), once);
    }
}

const KEYS: OwnKeys = OwnKeys { test_keys: true, backend_jwt: false };

/// Host name, domains and route names of a route configuration.
fn outline(any: &Any) -> Vec<(Vec<String>, Vec<String>)> {
    let names = |routes: &[route::Route]| routes.iter().map(|route| route.name.clone()).collect();
    let configuration: route::RouteConfiguration = open(any);
    configuration.virtual_hosts.iter().map(|host| (host.domains.clone(), names(&host.routes))).collect()
}

#[test]
fn system_pages_are_on_the_system_host_only() {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pages = strings(&["/health", "/ready", "/testkey", "/.wellknown/jwks", "websockets", "apis"]);
    let (name, any) = routes(&gateway(), KEYS, true);
    assert_eq!(name, "default");
    let expected =
        [(strings(&["localhost", "localhost:*"]), pages.clone()), (strings(&["*"]), strings(&["websockets", "apis"]))];
    assert_eq!(outline(&any), expected);
    let (_, any) = routes(&Gateway { system_host: "*".to_owned(), ..gateway() }, KEYS, true);
    assert_eq!(outline(&any), [(strings(&["*"]), pages)]);
    let (_, any) = routes(&gateway(), OwnKeys::default(), true);
    assert_eq!(outline(&any)[0].1, ["/health", "/ready", "websockets", "apis"]);
    let (_, any) = routes(&gateway(), OwnKeys { test_keys: false, backend_jwt: true }, true);
    assert_eq!(outline(&any)[0].1, ["/health", "/ready", "/.wellknown/jwks", "websockets", "apis"]);
}

#[test]
fn only_system_pages_go_without_the_enforcer_and_everything_else_needs_its_cluster() {
    let (_, any) = routes(&gateway(), KEYS, true);
    let configuration: route::RouteConfiguration = open(&any);
    assert_eq!(configuration.request_headers_to_remove, [CLUSTER_HEADER]);
    for found in configuration.virtual_hosts.iter().flat_map(|host| &host.routes) {
        let disabled = found
            .typed_per_filter_config
            .get(ENFORCER_FILTER)
            .is_some_and(|config| open::<route::FilterConfig>(config).disabled);
        let own = !["websockets", "apis"].contains(&found.name.as_str());
        assert_eq!(disabled, own, "{}", found.name);
        let path = found.r#match.as_ref().unwrap().path_specifier.as_ref();
        let exact = matches!(path, Some(route::route_match::PathSpecifier::Path(_)));
        assert_eq!(exact, own, "{}", found.name);
        if let (false, Some(route::route::Action::Route(action))) = (disabled, &found.action) {
            let header = route::route_action::ClusterSpecifier::ClusterHeader(CLUSTER_HEADER.to_owned());
            assert_eq!(action.cluster_specifier, Some(header));
            assert_eq!(action.timeout.unwrap().seconds, 60);
            let retry = action.retry_policy.as_ref().unwrap();
            assert_eq!((retry.num_retries.unwrap().value, retry.retriable_status_codes.len()), (0, 0));
        }
    }
}

/// The tunnel is for nothing but requests that ask for it, and those ask no other route.
#[test]
fn only_websockets_are_upgraded_and_not_for_ever() {
    let (_, any) = routes(&gateway(), KEYS, true);
    let configuration: route::RouteConfiguration = open(&any);
    for found in configuration.virtual_hosts.iter().flat_map(|host| &host.routes) {
        let Some(route::route::Action::Route(action)) = &found.action else { continue };
        let upgrades: Vec<&str> = action.upgrade_configs.iter().map(|one| one.upgrade_type.as_str()).collect();
        let lasts = action.max_stream_duration.and_then(|limit| limit.max_stream_duration);
        if found.name != "websockets" {
            assert_eq!((upgrades.as_slice(), lasts), (&[][..], None), "{}", found.name);
            continue;
        }
        assert_eq!((upgrades.as_slice(), lasts.unwrap().seconds), (&["websocket"][..], 86_400));
        let [matcher] = found.r#match.as_ref().unwrap().headers.as_slice() else { panic!("{found:?}") };
        let Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(text)) = &matcher.header_match_specifier
        else {
            panic!("{matcher:?}")
        };
        assert_eq!((matcher.name.as_str(), text.ignore_case), ("upgrade", true));
    }
}

/// Callers who speak SOAP come first, since the first mapper that applies counts.
#[test]
fn soap_faults_of_envoy_come_before_the_rest() {
    use envoy_types::pb::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
    let manager = manager(&open(&listeners(&Gateway { soap_faults: true, ..gateway() }, &materials())[0].1));
    let replies = manager.local_reply_config.unwrap();
    let found = replies.mappers.iter().map(|mapper| {
        let conditions = match mapper.filter.clone().unwrap().filter_specifier {
            Some(FilterSpecifier::AndFilter(all)) => all.filters.len(),
            Some(FilterSpecifier::ResponseFlagFilter(_)) => 1,
            other => panic!("{other:?}"),
        };
        (mapper.body_format_override.clone().unwrap().content_type, conditions)
    });
    let expected = [("text/xml", 3), ("application/soap+xml", 2), ("application/json", 1)];
    let expected = expected.into_iter().flat_map(|(form, conditions)| vec![(form.to_owned(), conditions); 15]);
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// What the enforcer decides about a response must reach it, whatever header that is.
#[test]
fn every_response_header_of_the_contract_comes_from_filter_state() {
    for (limit_headers, limits) in [(false, &[][..]), (true, &LIMIT_HEADERS[..])] {
        check_decided(&Gateway { limit_headers, ..gateway() }, limits);
    }
}

fn check_decided(gateway: &Gateway, limits: &[(&str, &str)]) {
    use core::header_value_option::HeaderAppendAction::{AppendIfExistsOrAdd, OverwriteIfExistsOrAdd};
    let (_, any) = routes(gateway, KEYS, true);
    let configuration: route::RouteConfiguration = open(&any);
    let found = configuration.virtual_hosts.iter().flat_map(|host| &host.routes);
    for found in found.filter(|route| !route.name.starts_with('/')) {
        let added = found.response_headers_to_add.iter().map(|option| {
            let header = option.header.clone().unwrap();
            assert!(!option.keep_empty_value, "{header:?}");
            (header.key, header.value, option.append_action)
        });
        let expected = RESPONSE_HEADERS.iter().chain(limits).map(|(name, state)| {
            let action = if *name == "vary" { AppendIfExistsOrAdd } else { OverwriteIfExistsOrAdd };
            ((*name).to_owned(), format!("%FILTER_STATE(wasm.{state}:PLAIN)%"), i32::from(action))
        });
        assert_eq!(added.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn ready_says_what_it_is_told() {
    let check = |ready, status, body: &str| {
        let (_, any) = routes(&gateway(), KEYS, ready);
        let page = open::<route::RouteConfiguration>(&any).virtual_hosts[0].routes[1].clone();
        let Some(route::route::Action::DirectResponse(answer)) = page.action else { panic!() };
        let text = core::data_source::Specifier::InlineString(body.to_owned());
        assert_eq!((answer.status, answer.body.unwrap().specifier), (status, Some(text)));
    };
    check(true, 200, r#"{"status": "ready"}"#);
    check(false, 503, r#"{"status": "not ready"}"#);
}

fn backend(host: &str, port: u16, tls: bool, priority: u32) -> Endpoint {
    Endpoint { host: host.to_owned(), port, tls, trusted_ca: None, priority, discovery: None }
}

fn translated(endpoints: &[Endpoint], http2: bool, gateway: &Gateway) -> ClusterResource {
    let model = Cluster { endpoints: endpoints.to_vec(), http2, ..Cluster::named("c") };
    open(&cluster(&model, gateway, &materials()))
}

/// Priority, address, port and host header of every endpoint.
fn endpoints(cluster: &ClusterResource) -> Vec<(u32, String, u16, String)> {
    let mut found = Vec::new();
    for locality in &cluster.load_assignment.as_ref().unwrap().endpoints {
        for one in &locality.lb_endpoints {
            let Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(named)) = &one.host_identifier else { panic!() };
            let Some(core::address::Address::SocketAddress(socket)) = &named.address.as_ref().unwrap().address else {
                panic!("{named:?}")
            };
            let Some(core::socket_address::PortSpecifier::PortValue(port)) = socket.port_specifier else { panic!() };
            let port = u16::try_from(port).unwrap();
            found.push((locality.priority, socket.address.clone(), port, named.hostname.clone()));
        }
    }
    found
}

#[test]
fn endpoints_keep_their_order_and_get_the_right_host() {
    let check = |given: &[Endpoint], expected: &[(u32, &str, u16, &str)]| {
        let found = endpoints(&translated(given, false, &gateway()));
        let found: Vec<_> =
            found.iter().map(|(priority, host, port, name)| (*priority, host.as_str(), *port, name.as_str())).collect();
        assert_eq!(found, expected);
    };
    check(&[backend("a.example", 80, false, 0)], &[(0, "a.example", 80, "a.example")]);
    check(&[backend("a.example", 443, true, 0)], &[(0, "a.example", 443, "a.example")]);
    check(&[backend("a.example", 8443, true, 0)], &[(0, "a.example", 8443, "a.example:8443")]);
    check(&[backend("[::1]", 8080, false, 0)], &[(0, "::1", 8080, "[::1]:8080")]);
    check(&[backend("a", 80, false, 0), backend("b", 80, false, 0)], &[(0, "a", 80, "a"), (0, "b", 80, "b")]);
    check(&[backend("a", 80, false, 0), backend("b", 80, false, 4)], &[(0, "a", 80, "a"), (1, "b", 80, "b")]);
}

#[test]
fn addresses_are_not_resolved_and_names_are() {
    use envoy_types::pb::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, DiscoveryType};
    let kind = |given: &[Endpoint]| translated(given, false, &gateway()).cluster_discovery_type.unwrap();
    let fixed = ClusterDiscoveryType::Type(DiscoveryType::Static.into());
    assert_eq!(kind(&[backend("127.0.0.1", 80, false, 0), backend("[::1]", 80, false, 0)]), fixed);
    let mixed = kind(&[backend("127.0.0.1", 80, false, 0), backend("a.example", 80, false, 0)]);
    assert!(matches!(mixed, ClusterDiscoveryType::ClusterType(_)));
}

#[test]
fn several_endpoints_are_checked_for_health_and_one_is_not() {
    let one = translated(&[backend("a", 80, false, 0)], false, &gateway());
    let two = translated(&[backend("a", 80, false, 0), backend("b", 80, false, 1)], false, &gateway());
    assert_eq!((one.health_checks.len(), two.health_checks.len()), (0, 1));
    assert_eq!((one.outlier_detection.is_some(), two.outlier_detection.is_some()), (false, true));
    assert_eq!((one.connect_timeout.unwrap().seconds, one.transport_socket_matches.len()), (20, 0));
}

#[test]
fn limits_are_those_of_the_api_and_no_others() {
    let limits = CircuitBreakers { max_connections: Some(7), max_retries: Some(2), ..CircuitBreakers::default() };
    let model = |circuit_breakers| Cluster {
        endpoints: vec![backend("a", 80, false, 0)],
        circuit_breakers,
        ..Cluster::named("c")
    };
    let of = |circuit_breakers| {
        open::<ClusterResource>(&cluster(&model(circuit_breakers), &gateway(), &materials())).circuit_breakers
    };
    let thresholds = of(Some(limits)).unwrap().thresholds;
    let [found] = thresholds.as_slice() else { panic!("{thresholds:?}") };
    assert_eq!((found.max_connections, found.max_retries), (number(7), number(2)));
    assert_eq!((found.max_requests, found.max_pending_requests, found.max_connection_pools), (None, None, None));
    assert_eq!(of(None), None);
}

/// TLS contexts of a cluster by host.
fn contexts(cluster: &ClusterResource) -> Vec<(String, tls::UpstreamTlsContext)> {
    let of = |socket: &core::TransportSocket| {
        let Some(core::transport_socket::ConfigType::TypedConfig(config)) = &socket.config_type else { panic!() };
        open(config)
    };
    let sockets = cluster.transport_socket_matches.iter();
    sockets.map(|matched| (matched.name.clone(), of(matched.transport_socket.as_ref().unwrap()))).collect()
}

fn validation(context: &tls::UpstreamTlsContext) -> Option<tls::CertificateValidationContext> {
    match context.common_tls_context.clone().unwrap().validation_context_type {
        None => None,
        Some(tls::common_tls_context::ValidationContextType::ValidationContext(context)) => Some(context),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_backend_must_be_who_it_is_said_to_be() {
    let given = [backend("b.example", 443, true, 0), backend("10.0.0.1", 443, true, 0), backend("c", 80, false, 0)];
    let cluster = translated(&given, true, &gateway());
    let contexts = contexts(&cluster);
    let [(address, to_address), (name, to_name)] = contexts.as_slice() else { panic!("{contexts:?}") };
    assert_eq!((address.as_str(), to_address.sni.as_str()), ("10.0.0.1", ""));
    assert_eq!((name.as_str(), to_name.sni.as_str()), ("b.example", "b.example"));
    for (host, context, kind) in [
        ("10.0.0.1", to_address, tls::subject_alt_name_matcher::SanType::IpAddress),
        ("b.example", to_name, tls::subject_alt_name_matcher::SanType::Dns),
    ] {
        let validation = validation(context).unwrap();
        let file = core::data_source::Specifier::Filename("/etc/ssl/certs/ca-certificates.crt".to_owned());
        assert_eq!(validation.trusted_ca.unwrap().specifier, Some(file));
        let san = &validation.match_typed_subject_alt_names[0];
        let pattern = san.matcher.as_ref().unwrap().match_pattern.clone();
        assert_eq!((san.san_type, pattern), (i32::from(kind), Some(MatchPattern::Exact(host.to_owned()))));
    }
    let locality = &cluster.load_assignment.unwrap().endpoints[0];
    let matched = locality.lb_endpoints.iter().map(|endpoint| endpoint.metadata.is_some());
    assert_eq!(matched.collect::<Vec<_>>(), [true, true, false], "what speaks no TLS matches no TLS context");
}

#[test]
fn a_backend_with_certificates_of_its_own_is_recognised_by_those_only() {
    let own = |port, ca: &str| Endpoint { trusted_ca: Some(ca.into()), ..backend("a.example", port, true, 0) };
    let given = [own(443, "FIRST"), own(8443, "SECOND"), backend("b.example", 443, true, 0)];
    let cluster = translated(&given, false, &gateway());
    let trusted: Vec<_> = contexts(&cluster)
        .into_iter()
        .map(|(_, context)| (context.sni.clone(), validation(&context).unwrap().trusted_ca.unwrap()))
        .collect();
    let file = core::data_source::Specifier::Filename("/etc/ssl/certs/ca-certificates.crt".to_owned());
    let file = core::DataSource { specifier: Some(file), ..core::DataSource::default() };
    let named = |name: &str, source| (name.to_owned(), source);
    let expected =
        [named("a.example", inline(b"FIRST")), named("a.example", inline(b"SECOND")), named("b.example", file)];
    assert_eq!(trusted, expected);
    let locality = &cluster.load_assignment.unwrap().endpoints[0];
    let criteria = locality.lb_endpoints.iter().map(|endpoint| {
        endpoint.metadata.clone().unwrap().filter_metadata.remove("envoy.transport_socket_match").unwrap()
    });
    let matches = cluster.transport_socket_matches.into_iter().map(|matched| matched.r#match.unwrap());
    assert_eq!(criteria.collect::<Vec<_>>(), matches.collect::<Vec<_>>());
}

#[test]
fn verification_is_left_out_only_when_told_so() {
    let with = |upstream_tls| {
        let gateway = Gateway { upstream_tls, ..gateway() };
        let cluster = translated(&[backend("a.example", 443, true, 0)], false, &gateway);
        contexts(&cluster).remove(0).1
    };
    assert_eq!(validation(&with(UpstreamTls { verify: false, ..UpstreamTls::default() })), None);
    let unnamed = with(UpstreamTls { verify_host_name: false, ..UpstreamTls::default() });
    assert!(validation(&unnamed).unwrap().match_typed_subject_alt_names.is_empty());
    let old = with(UpstreamTls { minimum_version: TlsVersion::V1_1, ..UpstreamTls::default() });
    let lowest = old.common_tls_context.unwrap().tls_params.unwrap().tls_minimum_protocol_version;
    assert_eq!(lowest, i32::from(tls::tls_parameters::TlsProtocol::TlSv11));
}

#[test]
fn the_enforcer_is_configured_for_its_environment_and_fails_closed() {
    let (name, any) = extension("Production", Callbacks::NONE, &materials()).unwrap();
    let resource: core::TypedExtensionConfig = open(&any);
    assert_eq!((name.as_str(), resource.name.as_str()), (ENFORCER_FILTER, ENFORCER_FILTER));
    let plugin = open::<Wasm>(&resource.typed_config.unwrap()).config.unwrap();
    assert_eq!(plugin.failure_policy, i32::from(wasm::FailurePolicy::FailReload));
    let configuration: StringValue = open(&plugin.configuration.unwrap());
    let configuration: PluginConfig = serde_json::from_str(&configuration.value).unwrap();
    assert_eq!(
        (configuration.cluster.as_str(), configuration.environment.as_str()),
        ("tollgate_adapter", "Production")
    );
    let Some(wasm::plugin_config::Vm::VmConfig(vm)) = plugin.vm else { panic!() };
    let allowed = vm.capability_restriction_config.unwrap().allowed_capabilities;
    assert!(allowed.contains_key("proxy_on_request_headers") && !allowed.contains_key("proxy_on_response_headers"));
    let Some(core::async_data_source::Specifier::Local(code)) = vm.code.unwrap().specifier else { panic!() };
    assert_eq!(code, inline(b"\0asm"));
}
