//! `[router.filters.compression]`.

use crate::config::reader::Reader;
use crate::outputs::settings::{Compressible, Compression, Gzip, Strategy};

const LIBRARY: &str = "router.filters.compression.library";
const STRATEGY: &str = "router.filters.compression.libraryProperties.compressionStrategy";
/// Envoy takes nothing beyond it.
const MAX_CHUNK: u32 = 65_536;

/// Compression, if it is on. In the original `enableForEtagHeader` does the opposite of what it says; here it does not.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Compression> {
    let defaults = Compression::default();
    let enabled = reader.flag("router.filters.compression.enabled").unwrap_or(true);
    if reader.text(LIBRARY).is_some_and(|library| !library.eq_ignore_ascii_case("gzip")) {
        reader.error(LIBRARY, "this library is not supported", "write gzip");
    }
    let compression = Compression {
        requests: direction(reader, "router.filters.compression.requestDirection", defaults.requests.is_some()),
        responses: direction(reader, "router.filters.compression.responseDirection", defaults.responses.is_some()),
        with_etag: reader
            .flag("router.filters.compression.responseDirection.enableForEtagHeader")
            .unwrap_or(defaults.with_etag),
        gzip: gzip(reader, &defaults.gzip),
    };
    let used = compression.requests.is_some() || compression.responses.is_some();
    (enabled && used).then_some(compression)
}

fn direction(reader: &mut Reader<'_>, table: &str, default: bool) -> Option<Compressible> {
    let defaults = Compressible::default();
    let types = format!("{table}.contentType");
    let enabled = reader.flag(&format!("{table}.enabled")).unwrap_or(default);
    let compressible = Compressible {
        minimum_length: reader
            .number(&format!("{table}.minimumContentLength"), 0..=u32::MAX)
            .unwrap_or(defaults.minimum_length),
        media_types: reader.texts(&types).unwrap_or(defaults.media_types),
    };
    if enabled && compressible.media_types.is_empty() {
        reader.error(&types, "nothing would be compressed", "list media types, or switch the direction off");
    }
    enabled.then_some(compressible)
}

fn gzip(reader: &mut Reader<'_>, defaults: &Gzip) -> Gzip {
    let mut number = |key: &str, range, default| {
        reader.number(&format!("router.filters.compression.libraryProperties.{key}"), range).unwrap_or(default)
    };
    Gzip {
        memory_level: number("memoryLevel", 1..=9, defaults.memory_level),
        window_bits: number("windowBits", 9..=15, defaults.window_bits),
        level: number("compressionLevel", 1..=9, defaults.level),
        chunk_bytes: number("chunkSize", 4096..=MAX_CHUNK, defaults.chunk_bytes),
        strategy: strategy(reader),
    }
}

fn strategy(reader: &mut Reader<'_>) -> Strategy {
    match reader.text(STRATEGY).as_deref() {
        None | Some("defaultStrategy") => Strategy::Default,
        Some("gzipFiltered") => Strategy::Filtered,
        Some("gzipHuffmanOnly") => Strategy::HuffmanOnly,
        Some("gzipRle") => Strategy::Rle,
        Some("gzipFixed") => Strategy::Fixed,
        Some(_) => {
            reader.error(
                STRATEGY,
                "a strategy is expected here",
                "write defaultStrategy, gzipFiltered, gzipHuffmanOnly, gzipRle or gzipFixed",
            );
            Strategy::Default
        }
    }
}
