//! Where a gateway reports what it did with requests, for whoever looks at traces.

use std::time::Duration;

use tollgate_model::Secret;

use crate::model::Endpoint;

/// Distributed tracing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// Who collects spans.
    pub collector: Endpoint,
    /// How it is spoken to.
    pub protocol: TracingProtocol,
    /// Header that the collector wants for authentication, and its value.
    pub authentication: Option<(String, Secret)>,
    /// How long a report may take.
    pub timeout: Duration,
    /// How long connecting may take; the usual time of clusters when absent.
    pub connect_timeout: Option<Duration>,
    /// Share of requests that are traced, in percent.
    pub sampling_percentage: u32,
    /// Most characters of a path that are reported.
    pub max_path_length: u32,
    /// Name of the library that spans are tagged with.
    pub library: String,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TracingProtocol {
    /// Zipkin's JSON, posted to this path. Jaeger understands it too.
    Zipkin(String),
    /// The OpenTelemetry protocol over gRPC.
    OtlpGrpc,
    /// The OpenTelemetry protocol over HTTP, posted to this path.
    OtlpHttp(String),
}
