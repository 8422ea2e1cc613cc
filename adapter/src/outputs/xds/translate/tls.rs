//! TLS contexts of listeners and clusters.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher};

use super::{Materials, any, inline, no, text_source};
use crate::model::{Endpoint, Mesh, Service};
use crate::outputs::settings::{DownstreamTls, TlsVersion, UpstreamTls};

const SOCKET: &str = "envoy.transport_sockets.tls";
/// Clients choose.
const EITHER: [&str; 2] = ["h2", "http/1.1"];
/// A cluster speaks one protocol: a backend that would choose another must not be offered it.
const HTTP2: [&str; 1] = ["h2"];

/// What the HTTPS listener shows its clients.
pub(super) fn downstream(settings: &DownstreamTls, materials: &Materials) -> core::TransportSocket {
    let parameters = parameters(settings.minimum_version, settings.maximum_version, &settings.ciphers);
    let mut common = common(materials, parameters, &EITHER);
    common.validation_context_type = materials.client_authorities.as_deref().map(client_validation);
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: no(),
        ..tls::DownstreamTlsContext::default()
    };
    socket(any(&context))
}

/// A certificate that a client shows must come from one of these authorities, or there is no connection.
fn client_validation(authorities: &str) -> tls::common_tls_context::ValidationContextType {
    tls::common_tls_context::ValidationContextType::ValidationContext(tls::CertificateValidationContext {
        trusted_ca: Some(text_source(authorities)),
        ..tls::CertificateValidationContext::default()
    })
}

/// How a backend is spoken to.
pub(super) fn upstream(
    endpoint: &Endpoint,
    http2: bool,
    settings: &UpstreamTls,
    materials: &Materials,
) -> core::TransportSocket {
    let parameters = parameters(settings.minimum_version, settings.maximum_version, &settings.ciphers);
    let mut common = common(materials, parameters, if http2 { &HTTP2 } else { &[] });
    if let Some((mesh, service)) = endpoint.mesh() {
        common.tls_certificates = vec![certificate(mesh.certificate.as_bytes(), mesh.key.expose().as_bytes())];
        let validation = tls::common_tls_context::ValidationContextType::ValidationContext(member(mesh, service));
        common.validation_context_type = Some(validation);
        let context =
            tls::UpstreamTlsContext { common_tls_context: Some(common), ..tls::UpstreamTlsContext::default() };
        return socket(any(&context));
    }
    if settings.verify {
        let validation =
            tls::common_tls_context::ValidationContextType::ValidationContext(validation(endpoint, settings));
        common.validation_context_type = Some(validation);
    }
    let (host, _) = endpoint.authority();
    let named = ip(host).is_none();
    let context = tls::UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: if named { host.to_owned() } else { String::new() },
        ..tls::UpstreamTlsContext::default()
    };
    socket(any(&context))
}

/// A member of the mesh proves which service it is, wherever it runs. That is not a matter of settings.
fn member(mesh: &Mesh, service: &Service) -> tls::CertificateValidationContext {
    let (domain, name) = (regex::escape(&mesh.trust_domain), regex::escape(&service.name));
    let identity = RegexMatcher {
        regex: format!("spiffe://{domain}/(ap/[^/]+/)?ns/[^/]+/dc/[^/]+/svc/{name}"),
        ..RegexMatcher::default()
    };
    let pattern = string_matcher::MatchPattern::SafeRegex(identity);
    tls::CertificateValidationContext {
        trusted_ca: Some(text_source(&mesh.authorities)),
        match_typed_subject_alt_names: vec![tls::SubjectAltNameMatcher {
            san_type: tls::subject_alt_name_matcher::SanType::Uri.into(),
            matcher: Some(StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }),
            ..tls::SubjectAltNameMatcher::default()
        }],
        ..tls::CertificateValidationContext::default()
    }
}

fn validation(endpoint: &Endpoint, settings: &UpstreamTls) -> tls::CertificateValidationContext {
    let (host, _) = endpoint.authority();
    let trusted = match &endpoint.trusted_ca {
        Some(certificates) => inline(certificates.as_bytes()),
        None => {
            let bundle = core::data_source::Specifier::Filename(settings.trusted_certificates.clone());
            core::DataSource { specifier: Some(bundle), ..core::DataSource::default() }
        }
    };
    let mut context =
        tls::CertificateValidationContext { trusted_ca: Some(trusted), ..tls::CertificateValidationContext::default() };
    if settings.verify_host_name {
        let kind = if ip(host).is_some() {
            tls::subject_alt_name_matcher::SanType::IpAddress
        } else {
            tls::subject_alt_name_matcher::SanType::Dns
        };
        let exact = string_matcher::MatchPattern::Exact(host.trim_matches(['[', ']']).to_owned());
        context.match_typed_subject_alt_names.push(tls::SubjectAltNameMatcher {
            san_type: kind.into(),
            matcher: Some(StringMatcher { match_pattern: Some(exact), ..StringMatcher::default() }),
            ..tls::SubjectAltNameMatcher::default()
        });
    }
    context
}

/// The address in `host`, with or without the brackets of a URL.
pub(super) fn ip(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

fn common(materials: &Materials, parameters: tls::TlsParameters, alpn: &[&str]) -> tls::CommonTlsContext {
    tls::CommonTlsContext {
        tls_params: Some(parameters),
        tls_certificates: vec![certificate(&materials.certificate, &materials.key)],
        alpn_protocols: alpn.iter().map(|name| (*name).to_owned()).collect(),
        ..tls::CommonTlsContext::default()
    }
}

fn certificate(chain: &[u8], key: &[u8]) -> tls::TlsCertificate {
    tls::TlsCertificate {
        certificate_chain: Some(inline(chain)),
        private_key: Some(inline(key)),
        ..tls::TlsCertificate::default()
    }
}

fn socket(config: envoy_types::pb::google::protobuf::Any) -> core::TransportSocket {
    core::TransportSocket {
        name: SOCKET.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(config)),
    }
}

fn parameters(minimum: TlsVersion, maximum: TlsVersion, ciphers: &[String]) -> tls::TlsParameters {
    tls::TlsParameters {
        tls_minimum_protocol_version: protocol(minimum).into(),
        tls_maximum_protocol_version: protocol(maximum).into(),
        cipher_suites: ciphers.to_vec(),
        ..tls::TlsParameters::default()
    }
}

const fn protocol(version: TlsVersion) -> tls::tls_parameters::TlsProtocol {
    match version {
        TlsVersion::V1_0 => tls::tls_parameters::TlsProtocol::TlSv10,
        TlsVersion::V1_1 => tls::tls_parameters::TlsProtocol::TlSv11,
        TlsVersion::V1_2 => tls::tls_parameters::TlsProtocol::TlSv12,
        TlsVersion::V1_3 => tls::tls_parameters::TlsProtocol::TlSv13,
    }
}
