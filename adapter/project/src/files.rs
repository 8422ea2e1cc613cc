//! The files of an API project, in memory, within limits. Knows nothing of what they mean.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Problems;

/// Most files in a project.
pub const MAX_FILES: usize = 2_000;
/// Most bytes in one file.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// Most bytes in all files together.
pub const MAX_TOTAL_BYTES: usize = 32 << 20;
/// Most folders a file may be nested in.
const MAX_DEPTH: usize = 12;
/// Most bytes in the path of a file.
const MAX_PATH_BYTES: usize = 512;

/// Relative path, with `/` between its parts, to contents.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProjectFiles {
    files: BTreeMap<String, Vec<u8>>,
    total: usize,
}

/// Shows no contents: they may hold passwords.
impl fmt::Debug for ProjectFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.files.iter().map(|(path, contents)| (path, contents.len()))).finish()
    }
}

impl ProjectFiles {
    /// Adds a file, or reports why not.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file.
    pub fn insert(&mut self, path: &str, contents: Vec<u8>) -> Result<(), String> {
        check_path(path)?;
        if contents.len() > MAX_FILE_BYTES {
            return Err(format!("has more than {MAX_FILE_BYTES} bytes"));
        }
        let total = self.total.saturating_add(contents.len());
        if total > MAX_TOTAL_BYTES {
            return Err(format!("makes the project larger than {MAX_TOTAL_BYTES} bytes"));
        }
        if self.files.len() >= MAX_FILES {
            return Err(format!("makes the project have more than {MAX_FILES} files"));
        }
        if self.files.insert(path.to_owned(), contents).is_some() {
            return Err("appears twice".to_owned());
        }
        self.total = total;
        Ok(())
    }

    /// Contents of the file at that path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All paths.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Bytes that may still be added.
    #[must_use]
    pub const fn room(&self) -> usize {
        MAX_TOTAL_BYTES.saturating_sub(self.total)
    }

    /// Takes the one folder away that everything is in, if that is how the project was packed.
    #[must_use]
    pub fn without_top_folder(self) -> Self {
        if self.files.contains_key("api.yaml") || self.files.contains_key("api.json") {
            return self;
        }
        let Some((top, _)) = self.files.keys().next().and_then(|path| path.split_once('/')) else { return self };
        let prefix = format!("{top}/");
        if !self.files.keys().all(|path| path.starts_with(&prefix)) {
            return self;
        }
        let total = self.total;
        let files = self
            .files
            .into_iter()
            .map(|(path, contents)| (path.strip_prefix(&prefix).map(str::to_owned).unwrap_or(path), contents))
            .collect();
        Self { files, total }
    }

    /// The one file of these names. More than one is a problem, none is not.
    pub fn one_of<'n>(&self, names: &[&'n str], problems: &mut Problems) -> Option<(&'n str, &[u8])> {
        let mut found = names.iter().filter_map(|name| Some((*name, self.get(name)?)));
        let first = found.next()?;
        if let Some((second, _)) = found.next() {
            problems.error(
                (second, ""),
                format!("the project also has {}", first.0),
                "only one of them can be meant",
                "remove one of the two files",
            );
        }
        Some(first)
    }
}

/// Whether a file of that name belongs to no project: left behind by an operating system or a version control system.
#[must_use]
pub fn is_litter(path: &str) -> bool {
    path.split('/').any(|part| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != ".."))
}

fn check_path(path: &str) -> Result<(), String> {
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("has a path longer than {MAX_PATH_BYTES} bytes"));
    }
    if path.split('/').count() > MAX_DEPTH {
        return Err(format!("is nested deeper than {MAX_DEPTH} folders"));
    }
    let leaves = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if leaves || path.contains(['\\', '\0', ':']) {
        return Err("has a path that leaves the project or holds a forbidden character".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> ProjectFiles {
        let mut files = ProjectFiles::default();
        for path in paths {
            files.insert(path, Vec::new()).unwrap();
        }
        files
    }

    #[test]
    fn a_path_that_leaves_the_project_is_refused() {
        for path in ["../api.yaml", "/etc/passwd", "a/../../b", "a//b", "C:/x", "a\\b", "a/./b", "", "nul\0"] {
            assert!(ProjectFiles::default().insert(path, Vec::new()).is_err(), "{path:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let mut project = ProjectFiles::default();
        assert!(project.insert("big", vec![0; MAX_FILE_BYTES + 1]).is_err());
        for number in 0..MAX_TOTAL_BYTES / MAX_FILE_BYTES {
            project.insert(&format!("{number}"), vec![0; MAX_FILE_BYTES]).unwrap();
        }
        assert!(project.insert("last straw", vec![0]).is_err());
        assert!(project.insert("0", Vec::new()).is_err(), "twice");
        assert!(project.insert(&"d/".repeat(MAX_DEPTH), Vec::new()).is_err());
    }

    #[test]
    fn one_top_folder_is_taken_away() {
        let stripped: Vec<String> = files(&["pet/api.yaml", "pet/Definitions/swagger.yaml"])
            .without_top_folder()
            .paths()
            .map(str::to_owned)
            .collect();
        assert_eq!(stripped, ["Definitions/swagger.yaml", "api.yaml"]);
        for whole in [&["api.yaml", "Definitions/x"][..], &["a/api.yaml", "b/api.yaml"], &["readme"], &[]] {
            assert_eq!(files(whole).without_top_folder(), files(whole));
        }
    }

    #[test]
    fn litter_is_known() {
        for (path, litter) in
            [("__MACOSX/api.yaml", true), (".git/config", true), ("a/.DS_Store", true), ("Definitions/a.b", false)]
        {
            assert_eq!(is_litter(path), litter, "{path}");
        }
    }
}
