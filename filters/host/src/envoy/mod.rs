//! Envoy as the host: the [`Abi`] over the raw functions, and the contexts through which Envoy calls in.

mod allocator;
mod contexts;
mod raw;

use std::time::Duration;

use proxy_wasm::hostcalls;
use tollgate_enforce::{HeaderMap, Reply};

use crate::{Abi, CallId, Fields, Level, MetricId, MetricKind, Nanos, Side, Status};

pub use contexts::start;

/// The host of this VM.
#[derive(Debug, Clone, Copy)]
struct Envoy;

impl Abi for Envoy {
    fn now_nanos(&self) -> Nanos {
        Nanos(raw::now())
    }

    fn steady_nanos(&self) -> Nanos {
        Nanos(raw::steady())
    }

    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        raw::log(level, text);
    }

    fn headers(&self, of: Fields) -> Result<Vec<u8>, Status> {
        raw::headers(map(of))
    }

    fn set_header(&self, of: Fields, name: &str, value: &[u8]) -> Result<(), Status> {
        raw::set_header(map(of), name, value)
    }

    fn add_header(&self, of: Fields, name: &str, value: &[u8]) -> Result<(), Status> {
        raw::add_header(map(of), name, value)
    }

    fn remove_header(&self, of: Fields, name: &str) -> Result<(), Status> {
        raw::remove_header(map(of), name)
    }

    fn body(&self, of: Side, most: usize) -> Result<Vec<u8>, Status> {
        raw::buffer(buffer(of), 0, most)
    }

    fn body_from(&self, of: Side, start: usize, most: usize) -> Result<Vec<u8>, Status> {
        raw::buffer(buffer(of), start, most)
    }

    fn set_body(&self, of: Side, body: &[u8]) -> Result<(), Status> {
        raw::set_buffer(buffer(of), body)
    }

    fn reply(&self, reply: &Reply) -> Result<(), Status> {
        let headers: Vec<_> = reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        raw::reply(reply.status, reply.details, &reply.body, &HeaderMap::encode(&headers))
    }

    fn resume(&self, side: Side) -> Result<(), Status> {
        raw::resume(match side {
            Side::Request => raw::REQUEST_STREAM,
            Side::Response => raw::RESPONSE_STREAM,
        })
    }

    fn close(&self) -> Result<(), Status> {
        raw::close(raw::REQUEST_STREAM)
    }

    fn call(&self, cluster: &str, headers: &[(&str, &str)], body: &[u8], timeout: Duration) -> Result<CallId, Status> {
        // The SDK must do this one: it remembers which context is to have the answer. It knows both ways in which Envoy
        // refuses: an unknown cluster and one without endpoints.
        hostcalls::dispatch_http_call(cluster, headers.to_vec(), Some(body), Vec::new(), timeout)
            .map(CallId)
            .map_err(|status| Status::Failed(status as u32))
    }

    fn answer_status(&self) -> Option<u16> {
        let status = raw::header(raw::CALL_RESPONSE_HEADERS, ":status").ok()?;
        std::str::from_utf8(&status).ok()?.parse().ok()
    }

    fn answer_body(&self, length: usize) -> Result<Vec<u8>, Status> {
        raw::buffer(raw::CALL_RESPONSE_BODY, 0, length)
    }

    fn shared(&self, key: &str) -> Result<Option<(Vec<u8>, u32)>, Status> {
        match raw::shared(key) {
            Ok(found) => Ok(Some(found)),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(status),
        }
    }

    fn set_shared(&self, key: &str, value: &[u8], version: u32) -> Result<(), Status> {
        raw::set_shared(key, value, version)
    }

    fn foreign(&self, name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
        raw::foreign(name, arguments)
    }

    fn property(&self, path: &[&str]) -> Option<String> {
        String::from_utf8(raw::property(path.join("\0").as_bytes()).ok()?).ok()
    }

    fn number(&self, path: &[&str]) -> Option<u64> {
        // Of eight bytes, in the order of WebAssembly.
        let bytes = raw::property(path.join("\0").as_bytes()).ok()?;
        i64::from_le_bytes(<[u8; 8]>::try_from(bytes).ok()?).try_into().ok()
    }

    fn set_state(&self, name: &str, value: &[u8]) -> Result<(), Status> {
        raw::set_property(name.as_bytes(), value)
    }

    fn state(&self, name: &str) -> Option<Vec<u8>> {
        raw::property(format!("filter_state\0wasm.{name}").as_bytes()).ok()
    }

    fn set_tick(&self, period: Duration) -> Result<(), Status> {
        raw::set_tick(u32::try_from(period.as_millis()).unwrap_or(u32::MAX))
    }

    fn define_metric(&self, kind: MetricKind, name: &str) -> Option<MetricId> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
        };
        raw::define_metric(kind, name).ok().map(MetricId)
    }

    fn add(&self, metric: MetricId, by: u32) {
        raw::add(metric.0, by);
    }

    fn record(&self, metric: MetricId, value: u64) {
        raw::record(metric.0, value);
    }
}

const fn map(of: Fields) -> u32 {
    match of {
        Fields::Request => raw::REQUEST_HEADERS,
        Fields::RequestTrailers => raw::REQUEST_TRAILERS,
        Fields::Response => raw::RESPONSE_HEADERS,
        Fields::ResponseTrailers => raw::RESPONSE_TRAILERS,
    }
}

const fn buffer(of: Side) -> u32 {
    match of {
        Side::Request => raw::REQUEST_BODY,
        Side::Response => raw::RESPONSE_BODY,
    }
}
