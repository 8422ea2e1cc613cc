//! What lies in a folder of projects, and by what to tell that one of them has changed. Reads names and times, never
//! contents. Blocks: call it off the async threads.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most projects in a folder.
const MAX_PROJECTS: usize = 20_000;
/// Most entries of one project that are looked at. A project with more is refused when it is read.
const MAX_ENTRIES: usize = 5_000;
/// Deepest folder that is looked at.
const MAX_DEPTH: usize = 16;

/// A project as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its folder or zip.
    pub path: PathBuf,
    /// How it is.
    pub stamp: Stamp,
}

/// Made of names, sizes and times of all that a project consists of. Two of them are the same if nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    hash: u64,
    /// The latest change of anything, in nanoseconds since 1970. Nobody can set this time, so it also tells of copies that
    /// keep the times of their originals.
    pub newest: i128,
}

/// Which entries of a folder are projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Every folder and every zip.
    Everything,
    /// Zips, and folders with an api.yaml or api.json: there may be other things.
    Recognised,
}

/// Finds the projects in `folder` by their names. Dot-files are no projects.
///
/// # Errors
/// When the folder cannot be listed, or there are too many.
pub fn scan(folder: &Path, rule: Rule) -> io::Result<BTreeMap<String, Found>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if name.starts_with('.') || !is_project(&path, rule) {
            continue;
        }
        if found.len() >= MAX_PROJECTS {
            return Err(io::Error::other(format!("it holds more than {MAX_PROJECTS} projects")));
        }
        let stamp = stamp(&path);
        found.insert(name, Found { path, stamp });
    }
    Ok(found)
}

/// How a project is now.
#[must_use]
pub fn stamp(path: &Path) -> Stamp {
    let mut hasher = DefaultHasher::new();
    let mut newest = 0;
    let mut pending = vec![(path.to_path_buf(), 0_usize)];
    let mut visited: usize = 0;
    while let Some((path, depth)) = pending.pop() {
        visited = visited.saturating_add(1);
        if visited > MAX_ENTRIES {
            break;
        }
        path.hash(&mut hasher);
        match fs::metadata(&path) {
            Ok(metadata) => {
                newest = newest.max(add(&metadata, &mut hasher));
                if metadata.is_dir() && depth < MAX_DEPTH {
                    pending.extend(children(&path).into_iter().map(|child| (child, depth.saturating_add(1))));
                }
            }
            // It may be gone by now, or never have been readable: either is a state of its own.
            Err(error) => error.kind().hash(&mut hasher),
        }
    }
    Stamp { hash: hasher.finish(), newest }
}

fn add(metadata: &Metadata, hasher: &mut DefaultHasher) -> i128 {
    let changed =
        i128::from(metadata.ctime()).saturating_mul(1_000_000_000).saturating_add(i128::from(metadata.ctime_nsec()));
    (metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()).hash(hasher);
    changed.hash(hasher);
    changed
}

/// In the order of their names, since the order of a listing means nothing.
fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut children: Vec<PathBuf> =
        entries.take(MAX_ENTRIES).filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    children.sort();
    children
}

fn is_project(path: &Path, rule: Rule) -> bool {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
        return true;
    }
    path.is_dir()
        && match rule {
            Rule::Everything => true,
            Rule::Recognised => ["api.yaml", "api.json"].iter().any(|name| path.join(name).is_file()),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_are_folders_and_zips() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a/Definitions", ".hidden"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["c.ZIP", "README.md", ".d.zip", "a/api.yaml"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        for (rule, expected) in [(Rule::Everything, &["a", "b", "c.ZIP"][..]), (Rule::Recognised, &["a", "c.ZIP"])] {
            let found = scan(folder.path(), rule).unwrap();
            assert_eq!(found.keys().collect::<Vec<_>>(), expected, "{rule:?}");
        }
        assert!(scan(&folder.path().join("nowhere"), Rule::Everything).is_err());
    }

    #[test]
    fn whatever_changes_in_a_project_changes_its_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("p");
        fs::create_dir_all(project.join("Definitions")).unwrap();
        fs::write(project.join("api.yaml"), "a").unwrap();
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 5] = [
            ("contents", |project| fs::write(project.join("api.yaml"), "b").unwrap()),
            ("a new file", |project| fs::write(project.join("Definitions/swagger.yaml"), "").unwrap()),
            ("another name", |project| {
                fs::rename(project.join("Definitions/swagger.yaml"), project.join("Definitions/x")).unwrap();
            }),
            ("a file less", |project| fs::remove_file(project.join("Definitions/x")).unwrap()),
            ("times set back", |project| {
                let file = fs::File::options().write(true).open(project.join("api.yaml")).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
        ];
        for (what, change) in changes {
            let before = stamp(&project);
            assert_eq!(stamp(&project), before, "nothing happened");
            change(&project);
            assert_ne!(stamp(&project), before, "{what}");
        }
    }
}
