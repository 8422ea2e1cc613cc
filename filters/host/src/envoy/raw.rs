//! The proxy-wasm ABI 0.2.1, function by function.
//!
//! The SDK's own wrappers panic on any status they do not expect, and a panic takes every request of the worker with it;
//! these return the status. They share the SDK's exports: the host puts results into memory that
//! `proxy_on_memory_allocate` gave it, one boxed slice each, and that memory is taken over here.
#![expect(unsafe_code, reason = "the ABI is a C interface")]

use super::super::abi::Status;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, length: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(kind: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        kind: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(kind: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_remove_header_map_value(kind: u32, name: *const u8, name_length: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(kind: u32) -> u32;
    fn proxy_close_stream(kind: u32) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        data: *mut *mut u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_length: usize,
        value: *const u8,
        value_length: usize,
        version: u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_length: usize,
        arguments: *const u8,
        arguments_length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_length: usize, value: *const u8, value_length: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_length: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// `clockid::monotonic` of WASI.
const MONOTONIC: u32 = 1;

/// `MapType::HttpRequestHeaders`.
pub(super) const REQUEST_HEADERS: u32 = 0;
/// `MapType::HttpRequestTrailers`.
pub(super) const REQUEST_TRAILERS: u32 = 1;
/// `MapType::HttpResponseHeaders`.
pub(super) const RESPONSE_HEADERS: u32 = 2;
/// `MapType::HttpResponseTrailers`.
pub(super) const RESPONSE_TRAILERS: u32 = 3;
/// `MapType::HttpCallResponseHeaders`.
pub(super) const CALL_RESPONSE_HEADERS: u32 = 6;
/// `BufferType::HttpRequestBody`.
pub(super) const REQUEST_BODY: u32 = 0;
/// `BufferType::HttpResponseBody`.
pub(super) const RESPONSE_BODY: u32 = 1;
/// `BufferType::HttpCallResponseBody`.
pub(super) const CALL_RESPONSE_BODY: u32 = 4;
/// `BufferType::PluginConfiguration`.
pub(super) const PLUGIN_CONFIGURATION: u32 = 7;
/// `StreamType::HttpRequest`.
pub(super) const REQUEST_STREAM: u32 = 0;
/// `StreamType::HttpResponse`.
pub(super) const RESPONSE_STREAM: u32 = 1;
/// "No gRPC status": Envoy derives one for gRPC clients.
const NO_GRPC_STATUS: i32 = -1;

fn check(status: u32) -> Result<(), Status> {
    match status {
        0 => Ok(()),
        1 => Err(Status::NotFound),
        8 => Err(Status::CasMismatch),
        other => Err(Status::Failed(other)),
    }
}

/// Makes a call that returns bytes, and takes them over.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Status> {
    let (mut data, mut size) = (std::ptr::null_mut::<u8>(), 0_usize);
    check(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: a pointer that is not null came from `proxy_on_memory_allocate(size)`, which leaks a boxed slice of exactly
    // that size; the host hands it over and keeps nothing.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

pub(super) fn log(level: u32, text: &str) {
    // SAFETY: pointer and length describe `text`. A log line that is lost is lost.
    let _ = unsafe { proxy_log(level, text.as_ptr(), text.len()) };
}

/// Nanoseconds since the epoch. Without a clock it is the end of time, when every token has expired.
pub(super) fn now() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes one u64.
    match check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) }) {
        Ok(()) => time,
        Err(_) => u64::MAX,
    }
}

/// Nanoseconds of the steady clock; of the other one on a host that has none.
pub(super) fn steady() -> u64 {
    let mut time = 0;
    // SAFETY: the host writes one u64. The standard library's own clock panics where there is none.
    match unsafe { clock_time_get(MONOTONIC, 0, &raw mut time) } {
        0 => time,
        _ => now(),
    }
}

pub(super) fn set_tick(period: u32) -> Result<(), Status> {
    // SAFETY: no pointers.
    check(unsafe { proxy_set_tick_period_milliseconds(period) })
}

pub(super) fn buffer(kind: u32, start: usize, length: usize) -> Result<Vec<u8>, Status> {
    // SAFETY: `bytes` passes valid places for the results.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(kind, start, length, data, size) })
}

/// Replaces the whole buffer.
pub(super) fn set_buffer(kind: u32, content: &[u8]) -> Result<(), Status> {
    // The length is that of what is replaced; the host cuts it to what there is.
    const EVERYTHING: usize = u32::MAX as usize;
    // SAFETY: pointer and length describe `content`.
    check(unsafe { proxy_set_buffer_bytes(kind, 0, EVERYTHING, content.as_ptr(), content.len()) })
}

pub(super) fn headers(kind: u32) -> Result<Vec<u8>, Status> {
    // SAFETY: `bytes` passes valid places for the results.
    bytes(|data, size| unsafe { proxy_get_header_map_pairs(kind, data, size) })
}

pub(super) fn header(kind: u32, name: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: as above; pointer and length describe `name`.
    bytes(|data, size| unsafe { proxy_get_header_map_value(kind, name.as_ptr(), name.len(), data, size) })
}

pub(super) fn set_header(kind: u32, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths describe `name` and `value`.
    check(unsafe { proxy_replace_header_map_value(kind, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(super) fn add_header(kind: u32, name: &str, value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths describe `name` and `value`.
    check(unsafe { proxy_add_header_map_value(kind, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

pub(super) fn remove_header(kind: u32, name: &str) -> Result<(), Status> {
    // SAFETY: pointer and length describe `name`.
    check(unsafe { proxy_remove_header_map_value(kind, name.as_ptr(), name.len()) })
}

pub(super) fn reply(status: u16, details: &str, body: &[u8], headers: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths describe the arguments.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

pub(super) fn resume(stream: u32) -> Result<(), Status> {
    // SAFETY: no pointers.
    check(unsafe { proxy_continue_stream(stream) })
}

pub(super) fn close(stream: u32) -> Result<(), Status> {
    // SAFETY: no pointers.
    check(unsafe { proxy_close_stream(stream) })
}

pub(super) fn shared(key: &str) -> Result<(Vec<u8>, u32), Status> {
    let mut version = 0;
    // SAFETY: as in `header`; the host writes one u32 for the version.
    let value =
        bytes(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version) })?;
    Ok((value, version))
}

pub(super) fn set_shared(key: &str, value: &[u8], version: u32) -> Result<(), Status> {
    // SAFETY: pointers and lengths describe `key` and `value`.
    check(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) })
}

pub(super) fn foreign(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: as in `header`.
    bytes(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len(), data, size)
    })
}

pub(super) fn property(path: &[u8]) -> Result<Vec<u8>, Status> {
    // SAFETY: as in `header`.
    bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(super) fn set_property(path: &[u8], value: &[u8]) -> Result<(), Status> {
    // SAFETY: pointers and lengths describe `path` and `value`.
    check(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(super) fn define_metric(kind: u32, name: &str) -> Result<u32, Status> {
    let mut id = 0;
    // SAFETY: pointer and length describe `name`; the host writes one u32.
    check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

pub(super) fn add(id: u32, by: u32) {
    // SAFETY: no pointers. A count that is lost is lost.
    let _ = unsafe { proxy_increment_metric(id, by.into()) };
}

pub(super) fn record(id: u32, value: u64) {
    // SAFETY: no pointers. A value that is lost is lost.
    let _ = unsafe { proxy_record_metric(id, value) };
}
