//! What a gateway does with its clients' connections, requests and answers, whatever the API.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::TlsVersion;

/// Which protocol a listener speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Codec {
    /// Whatever the client begins with.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// TLS towards clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownstreamTls {
    /// Lowest protocol version.
    pub minimum_version: TlsVersion,
    /// Highest protocol version.
    pub maximum_version: TlsVersion,
    /// Cipher suites up to TLS 1.2 in Envoy's terms; Envoy's own choice when there are none.
    pub ciphers: Vec<String>,
    /// PEM file or folder of the authorities of clients' certificates. Clients are then asked for one, and one that is shown
    /// must be good; whether an API demands it is the enforcer's affair. When absent, nobody is asked.
    pub client_authorities: Option<PathBuf>,
}

impl Default for DownstreamTls {
    fn default() -> Self {
        Self {
            minimum_version: TlsVersion::V1_2,
            maximum_version: TlsVersion::V1_3,
            ciphers: Vec::new(),
            client_authorities: None,
        }
    }
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// File on the gateway's machine; `/dev/stdout` is one.
    pub file: PathBuf,
    /// What a line looks like.
    pub format: LogFormat,
}

/// Which parts of messages are logged whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireLog {
    /// Headers, but for values that may be secret.
    pub headers: bool,
    /// Bodies, up to a limit.
    pub body: bool,
    /// Trailers, like headers.
    pub trailers: bool,
}

/// What a line of the access log looks like, in Envoy's format commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// Text, with the end of the line.
    Text(String),
    /// An object with these members.
    Json(BTreeMap<String, String>),
}

/// Compression of bodies by gzip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// Requests on their way to a backend; none means that they stay as they are.
    pub requests: Option<Compressible>,
    /// Answers on their way to a client that accepts gzip.
    pub responses: Option<Compressible>,
    /// Whether answers with an ETag are compressed; a strong tag is removed then.
    pub with_etag: bool,
    /// How.
    pub gzip: Gzip,
}

/// Which bodies are compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compressible {
    /// Least bytes, if the length is known.
    pub minimum_length: u32,
    /// Media types.
    pub media_types: Vec<String>,
}

impl Default for Compressible {
    fn default() -> Self {
        let media_types = [
            "application/javascript",
            "application/json",
            "application/xhtml+xml",
            "image/svg+xml",
            "text/css",
            "text/html",
            "text/plain",
            "text/xml",
        ];
        Self { minimum_length: 30, media_types: media_types.map(str::to_owned).to_vec() }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self { requests: None, responses: Some(Compressible::default()), with_etag: true, gzip: Gzip::default() }
    }
}

/// Parameters of zlib.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gzip {
    /// 1 to 9: memory against speed and ratio.
    pub memory_level: u32,
    /// 9 to 15: window as a power of two.
    pub window_bits: u32,
    /// 1 to 9: speed against ratio.
    pub level: u32,
    /// For which kind of data.
    pub strategy: Strategy,
    /// Bytes of the output buffer.
    pub chunk_bytes: u32,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { memory_level: 3, window_bits: 12, level: 9, strategy: Strategy::Default, chunk_bytes: 4096 }
    }
}

/// For which kind of data zlib is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Any.
    Default,
    /// Small values with a somewhat random distribution.
    Filtered,
    /// No string matches.
    HuffmanOnly,
    /// Runs of one byte.
    Rle,
    /// No dynamic Huffman codes.
    Fixed,
}
