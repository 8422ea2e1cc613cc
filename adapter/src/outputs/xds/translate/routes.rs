//! The routes: the gateway's own pages on the system host, one route for WebSockets, and one for everything else.
//!
//! Only the gateway's own pages go without the enforcer. Every other request needs it, because without the header it sets
//! there is no cluster to go to.

use std::collections::HashMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher};
use envoy_types::pb::google::protobuf::Any;
use tollgate_model::contract::{CLUSTER_HEADER, ENFORCER_FILTER, LIMIT_HEADERS, RESPONSE_HEADERS};

use super::rate_limit::{RATE_LIMIT, rate_limit};
use super::{PUBLIC_CLUSTER, ROUTES, any, duration, number, text_source, yes};
use crate::outputs::settings::Gateway;

const EVERY_HOST: &str = "*";
const WEBSOCKET: &str = "websocket";

/// Which keys of its own the gateway offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnKeys {
    /// Test keys.
    pub test_keys: bool,
    /// Those of the tokens for backends.
    pub backend_jwt: bool,
}

/// Name and resource of the route configuration. `ready` is what `/ready` says.
#[must_use]
pub fn routes(gateway: &Gateway, keys: OwnKeys, ready: bool) -> (String, Any) {
    let mut own = vec![
        page("/health", "GET", answer(200, r#"{"status": "healthy"}"#)),
        page("/ready", "GET", if ready { answer(200, r#"{"status": "ready"}"#) } else { answer(503, NOT_READY) }),
    ];
    if keys.test_keys {
        own.push(page("/testkey", "GET|POST", to_adapter(None)));
    }
    if keys.test_keys || keys.backend_jwt {
        let mut jwks = page("/.wellknown/jwks", "GET", to_adapter(Some("/jwks")));
        jwks.typed_per_filter_config.insert(RATE_LIMIT.to_owned(), any(&rate_limit(gateway.jwks_limit)));
        own.push(jwks);
    }
    own.extend(to_backends(gateway));
    let host = &gateway.system_host;
    let virtual_hosts = if host == EVERY_HOST {
        vec![virtual_host("system", vec![EVERY_HOST.to_owned()], own)]
    } else {
        vec![
            virtual_host("system", vec![host.clone(), format!("{host}:*")], own),
            virtual_host("apis", vec![EVERY_HOST.to_owned()], to_backends(gateway).into()),
        ]
    };
    let configuration = route::RouteConfiguration {
        name: ROUTES.to_owned(),
        virtual_hosts,
        request_headers_to_remove: vec![CLUSTER_HEADER.to_owned()],
        ..route::RouteConfiguration::default()
    };
    (ROUTES.to_owned(), any(&configuration))
}

const NOT_READY: &str = r#"{"status": "not ready"}"#;

fn virtual_host(name: &str, domains: Vec<String>, routes: Vec<route::Route>) -> route::VirtualHost {
    route::VirtualHost { name: name.to_owned(), domains, routes, ..route::VirtualHost::default() }
}

/// A page of the gateway itself: exact path, only these methods, no enforcer.
fn page(path: &str, methods: &str, action: route::route::Action) -> route::Route {
    let regex = RegexMatcher { regex: methods.to_owned(), ..RegexMatcher::default() };
    let pattern = string_matcher::MatchPattern::SafeRegex(regex);
    let method = StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() };
    let matched = route::RouteMatch {
        path_specifier: Some(route::route_match::PathSpecifier::Path(path.to_owned())),
        headers: vec![route::HeaderMatcher {
            name: ":method".to_owned(),
            header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(method)),
            ..route::HeaderMatcher::default()
        }],
        ..route::RouteMatch::default()
    };
    let without = route::FilterConfig { disabled: true, ..route::FilterConfig::default() };
    let mut route = route::Route {
        name: path.to_owned(),
        r#match: Some(matched),
        typed_per_filter_config: HashMap::from([(ENFORCER_FILTER.to_owned(), any(&without))]),
        action: Some(action),
        ..route::Route::default()
    };
    if matches!(route.action, Some(route::route::Action::DirectResponse(_))) {
        route.response_headers_to_add.push(json_content());
    }
    route
}

fn json_content() -> core::HeaderValueOption {
    header("content-type", "application/json", HeaderAppendAction::OverwriteIfExistsOrAdd)
}

/// What the enforcer decided about the response. It is left in filter state, so that responses need not pass the filter;
/// without it the value is empty, and Envoy neither adds nor replaces a header by an empty one.
fn decided_headers(gateway: &Gateway) -> Vec<core::HeaderValueOption> {
    let from_state = |(name, state): (&str, &str)| {
        // A backend may vary by more than the gateway does. Consent to other origins is the gateway's alone.
        let action = if name == "vary" {
            HeaderAppendAction::AppendIfExistsOrAdd
        } else {
            HeaderAppendAction::OverwriteIfExistsOrAdd
        };
        header(name, &format!("%FILTER_STATE(wasm.{state}:PLAIN)%"), action)
    };
    let limits = LIMIT_HEADERS.into_iter().filter(|_| gateway.limit_headers);
    RESPONSE_HEADERS.into_iter().chain(limits).map(from_state).collect()
}

fn header(key: &str, value: &str, action: HeaderAppendAction) -> core::HeaderValueOption {
    core::HeaderValueOption {
        header: Some(core::HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            ..core::HeaderValue::default()
        }),
        append_action: action.into(),
        keep_empty_value: false,
        ..core::HeaderValueOption::default()
    }
}

fn answer(status: u32, body: &str) -> route::route::Action {
    route::route::Action::DirectResponse(route::DirectResponseAction {
        status,
        body: Some(text_source(body)),
        ..route::DirectResponseAction::default()
    })
}

fn to_adapter(path: Option<&str>) -> route::route::Action {
    route::route::Action::Route(route::RouteAction {
        prefix_rewrite: path.unwrap_or_default().to_owned(),
        cluster_specifier: Some(route::route_action::ClusterSpecifier::Cluster(PUBLIC_CLUSTER.to_owned())),
        ..route::RouteAction::default()
    })
}

/// Longest that a WebSocket stays open.
const MAX_TUNNEL: Duration = Duration::from_secs(24 * 60 * 60);

/// What upgrades the connection goes first. Which API may be upgraded is the enforcer's decision: without it there is no
/// cluster to go to.
fn to_backends(gateway: &Gateway) -> [route::Route; 2] {
    let mut tunnel = to_backend(gateway);
    tunnel.name = "websockets".to_owned();
    if let Some(matched) = &mut tunnel.r#match {
        let pattern = string_matcher::MatchPattern::Exact(WEBSOCKET.to_owned());
        let protocol = StringMatcher { match_pattern: Some(pattern), ignore_case: true };
        matched.headers.push(route::HeaderMatcher {
            name: "upgrade".to_owned(),
            header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(protocol)),
            ..route::HeaderMatcher::default()
        });
    }
    if let Some(route::route::Action::Route(action)) = &mut tunnel.action {
        action.upgrade_configs.push(route::route_action::UpgradeConfig {
            upgrade_type: WEBSOCKET.to_owned(),
            enabled: yes(),
            ..route::route_action::UpgradeConfig::default()
        });
        action.max_stream_duration = Some(route::route_action::MaxStreamDuration {
            max_stream_duration: duration(MAX_TUNNEL),
            ..route::route_action::MaxStreamDuration::default()
        });
    }
    [tunnel, to_backend(gateway)]
}

/// The cluster is what the enforcer says; without it there is none and the answer is 503. The timeout is that of the gateway
/// until the enforcer's `x-envoy-*` headers say otherwise. So do they for retries: which codes cause one is not said here, since
/// Envoy would add these to those of an API.
fn to_backend(gateway: &Gateway) -> route::Route {
    let interval = gateway.retry.base_interval;
    let retry = route::RetryPolicy {
        retry_on: "retriable-status-codes".to_owned(),
        num_retries: number(0),
        retry_back_off: Some(route::retry_policy::RetryBackOff {
            base_interval: duration(interval),
            ..route::retry_policy::RetryBackOff::default()
        }),
        ..route::RetryPolicy::default()
    };
    let action = route::RouteAction {
        timeout: duration(gateway.timeouts.route),
        idle_timeout: duration(gateway.timeouts.route_idle),
        retry_policy: Some(retry),
        cluster_specifier: Some(route::route_action::ClusterSpecifier::ClusterHeader(CLUSTER_HEADER.to_owned())),
        host_rewrite_specifier: Some(route::route_action::HostRewriteSpecifier::AutoHostRewrite(
            envoy_types::pb::google::protobuf::BoolValue { value: true },
        )),
        ..route::RouteAction::default()
    };
    route::Route {
        name: "apis".to_owned(),
        r#match: Some(route::RouteMatch {
            path_specifier: Some(route::route_match::PathSpecifier::Prefix("/".to_owned())),
            case_sensitive: yes(),
            ..route::RouteMatch::default()
        }),
        action: Some(route::route::Action::Route(action)),
        response_headers_to_add: decided_headers(gateway),
        ..route::Route::default()
    }
}
