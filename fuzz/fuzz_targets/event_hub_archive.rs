//! The archive in which API Manager hands out APIs: as it came, and packed of files of which each begins with a line `=== <path>`.
#![no_main]

use std::io::{Cursor, Write as _};

use tollgate_adapter::inputs::event_hub::fuzzing::archive;
use zip::write::{SimpleFileOptions, ZipWriter};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    archive(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for file in text.split("=== ").skip(1) {
        let (path, content) = file.split_once('\n').unwrap_or((file, ""));
        // One that is there already cannot be written again.
        if writer.start_file(path.trim_end(), options).is_ok() {
            let _ = writer.write_all(content.as_bytes());
        }
    }
    if let Ok(packed) = writer.finish() {
        archive(packed.get_ref());
    }
});
