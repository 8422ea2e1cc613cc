//! Zip archives to [`ProjectFiles`]. An archive is hostile until proven otherwise: no entry may leave the project, and
//! nothing is inflated past the project's limits, whatever the archive says about itself.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::files::{MAX_FILE_BYTES, MAX_FILES, ProjectFiles, is_litter};
use crate::model::Problems;

/// Most bytes of an archive.
pub const MAX_ARCHIVE_BYTES: usize = 16 << 20;
/// An entry of more than [`RATIO_FLOOR`] bytes must not be smaller than this part of its contents.
const MAX_RATIO: u64 = 200;
/// Small entries may compress as well as they like.
const RATIO_FLOOR: u64 = 1 << 20;

/// Unpacks an archive, with or without one folder around the project.
///
/// # Errors
/// All that is wrong with the archive.
pub fn unpack(bytes: &[u8]) -> Result<ProjectFiles, Problems> {
    let mut problems = Problems::new();
    if bytes.len() > MAX_ARCHIVE_BYTES {
        refuse(&mut problems, "", &format!("has more than {MAX_ARCHIVE_BYTES} bytes"));
        return Err(problems);
    }
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => {
            refuse(&mut problems, "", &format!("is not a readable zip file ({error})"));
            return Err(problems);
        }
    };
    if archive.len() > MAX_FILES.saturating_mul(2) {
        refuse(&mut problems, "", &format!("has {} entries, more than a project can have", archive.len()));
        return Err(problems);
    }
    let mut files = ProjectFiles::default();
    for index in 0..archive.len() {
        let outcome = match archive.by_index(index) {
            Ok(mut entry) => take(&mut entry, &mut files),
            Err(error) => Err((String::new(), format!("cannot be read ({error})"))),
        };
        if let Err((path, what)) = outcome {
            refuse(&mut problems, &path, &what);
            // One bad entry says enough about an archive; the rest of a bomb is not worth inflating.
            return Err(problems);
        }
    }
    Ok(files.without_top_folder())
}

fn take<R: Read>(entry: &mut ZipFile<'_, R>, files: &mut ProjectFiles) -> Result<(), (String, String)> {
    let Ok(raw) = std::str::from_utf8(entry.name_raw()) else {
        return Err((String::new(), "has an entry whose name is not UTF-8".to_owned()));
    };
    // Some Windows tools write backslashes; what they separate is checked like any other path.
    let path = raw.replace('\\', "/");
    let fail = |what: &str| Err((path.clone(), what.to_owned()));
    if entry.is_symlink() {
        return fail("is a symbolic link");
    }
    if path.ends_with('/') || is_litter(&path) {
        return Ok(());
    }
    if entry.encrypted() {
        return fail("is encrypted");
    }
    if entry.size() > RATIO_FLOOR && entry.size() / MAX_RATIO > entry.compressed_size() {
        return fail("is compressed more than any text is: it looks like a zip bomb");
    }
    let limit = MAX_FILE_BYTES.min(files.room()).saturating_add(1);
    let mut contents = Vec::new();
    let read = entry.by_ref().take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut contents);
    if let Err(error) = read {
        return fail(&format!("cannot be inflated ({error})"));
    }
    files.insert(&path, contents).map_err(|what| (path, what))
}

fn refuse(problems: &mut Problems, path: &str, what: &str) {
    let what = if path.is_empty() { format!("the archive {what}") } else { format!("the entry {what}") };
    problems.error(
        (path, ""),
        what,
        "it cannot be unpacked safely",
        "zip the project folder again, for example with apictl",
    );
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, contents) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(contents).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[track_caller]
    fn refused(bytes: &[u8], because: &str) {
        let problems = unpack(bytes).unwrap_err();
        let text: String = problems.iter().map(ToString::to_string).collect();
        assert!(text.contains(because), "{text}");
    }

    #[test]
    fn a_project_with_or_without_a_top_folder_is_unpacked_alike() {
        let flat = unpack(&zip(&[("api.yaml", b"a"), ("Definitions/swagger.yaml", b"b")])).unwrap();
        let nested = unpack(&zip(&[
            ("pet/api.yaml", b"a"),
            ("pet/Definitions/swagger.yaml", b"b"),
            ("__MACOSX/pet/api.yaml", b"x"),
            ("pet/.DS_Store", b"x"),
        ]))
        .unwrap();
        assert_eq!(flat, nested);
        assert_eq!(flat.get("api.yaml"), Some(&b"a"[..]));
        let windows = unpack(&zip(&[("api.yaml", b"a"), ("Definitions\\swagger.yaml", b"b")])).unwrap();
        assert_eq!(windows, flat);
    }

    #[test]
    fn entries_that_leave_the_project_are_refused() {
        for name in ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"] {
            refused(&zip(&[("api.yaml", b"a"), (name, b"x")]), "leaves the project");
        }
    }

    #[test]
    fn symbolic_links_are_refused() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("api.yaml", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        refused(&writer.finish().unwrap().into_inner(), "symbolic link");
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; MAX_FILE_BYTES];
        refused(&zip(&[("api.yaml", &zeros)]), "zip bomb");
        let noise: Vec<u8> = (0..MAX_FILE_BYTES + 1).map(|n| (n % 251 * n % 256) as u8).collect();
        refused(&zip(&[("api.yaml", &noise)]), "more than");
    }

    #[test]
    fn an_entry_that_lies_about_its_size_is_not_inflated_past_the_limit() {
        let zeros = vec![0; MAX_FILE_BYTES * 4];
        let mut bytes = zip(&[("api.yaml", &zeros)]);
        let size = u32::try_from(zeros.len()).unwrap().to_le_bytes();
        for at in 0..bytes.len() - 4 {
            if bytes[at..at + 4] == size {
                bytes[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
            }
        }
        assert!(unpack(&bytes).is_err());
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        refused(b"", "not a readable zip");
        refused(b"PK\x03\x04 but then nothing", "not a readable zip");
        let mut cut = zip(&[("api.yaml", b"name: a")]);
        cut.truncate(cut.len() / 2);
        refused(&cut, "not a readable zip");
        refused(&vec![b'P'; MAX_ARCHIVE_BYTES + 1], "more than");
    }

    #[test]
    fn too_many_entries_are_refused() {
        let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("f{n}")).collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        refused(&zip(&entries), "more than");
    }
}
