//! Where events go: lines in a file that is rotated, or on standard output.

use std::io::Write;
use std::path::Path;

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::AnalyticsError;

/// Lines that wait to be written. More are dropped: a full disk must not hold back gateways.
const WAITING: usize = 16_384;
/// Bytes of a file, and how many older ones there are.
const FILE_BYTES: usize = 100 * 1024 * 1024;
const OLDER: usize = 5;

/// Starts the task that writes what is sent; it ends when nobody can send any more.
pub(super) fn open(file: Option<&Path>, tasks: &TaskTracker) -> Result<mpsc::Sender<String>, AnalyticsError> {
    let mut out: Box<dyn Write + Send> = match file {
        Some(path) => Box::new(rotated(path).map_err(|source| AnalyticsError { path: path.to_owned(), source })?),
        None => Box::new(std::io::stdout()),
    };
    let (sender, mut receiver) = mpsc::channel::<String>(WAITING);
    tasks.spawn_blocking(move || {
        let mut failing = false;
        while let Some(line) = receiver.blocking_recv() {
            let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
            match (&written, failing) {
                (Err(error), false) => tracing::error!(%error, "events for analytics cannot be written"),
                (Ok(()), true) => tracing::info!("events for analytics are written again"),
                _ => {}
            }
            failing = written.is_err();
        }
    });
    Ok(sender)
}

fn rotated(path: &Path) -> std::io::Result<FileRotate<AppendCount>> {
    // The rotation panics where a file cannot be made, so that is tried before.
    let path = std::path::absolute(path)?;
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
    let limit = ContentLimit::BytesSurpassed(FILE_BYTES);
    Ok(FileRotate::new(path, AppendCount::new(OLDER), limit, Compression::None, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_appended_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/events.log");
        std::fs::create_dir_all(folder.path().join("logs")).unwrap();
        std::fs::write(&path, "before\n").unwrap();
        let tasks = TaskTracker::new();
        let sender = open(Some(&path), &tasks).unwrap();
        for line in ["one\n", "two\n"] {
            sender.send(line.to_owned()).await.unwrap();
        }
        drop(sender);
        tasks.close();
        tasks.wait().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\ntwo\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(Some(folder.path()), &TaskTracker::new()).unwrap_err().to_string();
        assert!(error.contains("tollgate.analytics.logfile"), "{error}");
    }
}
