//! A log file that is rotated by size, and whose older ones go by number and by age.

use std::path::Path;

use chrono::TimeDelta;
use file_rotate::compression::Compression;
use file_rotate::suffix::{AppendTimestamp, DateFrom, FileLimit, SuffixScheme, TimestampSuffix};
use file_rotate::{ContentLimit, FileRotate};

use crate::config::LogFile;

/// Part of the names of older files.
const STAMP: &str = "%Y%m%dT%H%M%S";

/// Opens it, and its folder if need be.
pub(super) fn open(file: &LogFile) -> Result<FileRotate<Older>, String> {
    let failed = |error: std::io::Error| {
        format!("the log file {} cannot be written ({error}); correct logfile of log_config.toml", file.path.display())
    };
    // The rotation panics where a file cannot be made, so that is tried before.
    let path = std::path::absolute(&file.path).map_err(failed)?;
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    std::fs::OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
    let bytes = usize::try_from(file.max_bytes).unwrap_or(usize::MAX).max(1);
    // The newest of the older files stays as it is, so that whoever follows it can read its end.
    let compression = if file.compress { Compression::OnRotate(1) } else { Compression::None };
    Ok(FileRotate::new(path, Older::new(file), ContentLimit::BytesSurpassed(bytes), compression, None))
}

/// Names of older files, and when they go.
pub(super) struct Older {
    stamp: AppendTimestamp,
    max_files: Option<usize>,
}

impl Older {
    fn new(file: &LogFile) -> Self {
        let age = file.max_days.and_then(|days| TimeDelta::try_days(days.into()));
        let limit = age.map_or(FileLimit::Unlimited, FileLimit::Age);
        Self { stamp: AppendTimestamp::with_format(STAMP, limit, DateFrom::Now), max_files: file.max_files }
    }
}

impl SuffixScheme for Older {
    type Repr = TimestampSuffix;

    fn rotate_file(
        &mut self,
        basepath: &Path,
        newest_suffix: Option<&TimestampSuffix>,
        suffix: &Option<TimestampSuffix>,
    ) -> std::io::Result<TimestampSuffix> {
        self.stamp.rotate_file(basepath, newest_suffix, suffix)
    }

    fn parse(&self, suffix: &str) -> Option<TimestampSuffix> {
        self.stamp.parse(suffix)
    }

    fn too_old(&self, suffix: &TimestampSuffix, file_number: usize) -> bool {
        self.max_files.is_some_and(|max| file_number >= max) || self.stamp.too_old(suffix, file_number)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_rotated_compressed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/adapter.log");
        let config =
            |compress| LogFile { path: path.clone(), max_bytes: 10, max_files: Some(2), max_days: Some(1), compress };
        std::fs::create_dir_all(folder.path().join("logs")).unwrap();
        std::fs::write(folder.path().join("logs/adapter.log.20200101T000000"), "old").unwrap();
        let mut log = open(&config(true)).unwrap();
        for line in 0..6 {
            log.write_all(format!("{line} is a line\n").as_bytes()).unwrap();
        }
        let names = files(&folder.path().join("logs"));
        let compressed = names.iter().filter(|name| name.ends_with(".gz")).count();
        assert_eq!((names.len(), compressed), (3, 1), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("2020")), "{names:?}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let error = open(&LogFile { path, max_bytes: 1, max_files: None, max_days: None, compress: false });
        assert!(error.is_err_and(|error| error.contains("cannot be written")));
    }
}
