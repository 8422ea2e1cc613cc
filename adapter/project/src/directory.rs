//! Unzipped project folders to [`ProjectFiles`]. A symbolic link is followed only to a place below the root, as mounted
//! volumes of Kubernetes need it. Blocks: call it off the async threads.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::files::{MAX_FILE_BYTES, MAX_FILES, ProjectFiles, is_litter};
use crate::model::Problems;

/// Reads a project folder. `root` bounds where symbolic links may lead.
///
/// # Errors
/// All that is wrong with the folder.
pub fn read(folder: &Path, root: &Path) -> Result<ProjectFiles, Problems> {
    let mut problems = Problems::new();
    let mut files = ProjectFiles::default();
    let mut visited: usize = 0;
    let mut pending = vec![(folder.to_path_buf(), String::new())];
    let outcome = fs::canonicalize(root).map_err(|error| (String::new(), format!("cannot be read ({error})")));
    let outcome = outcome.and_then(|root| {
        while let Some((path, relative)) = pending.pop() {
            visited = visited.saturating_add(1);
            if visited > MAX_FILES.saturating_mul(2) {
                return Err((relative, "is one of too many files".to_owned()));
            }
            visit(&root, &path, &relative, &mut files, &mut pending).map_err(|what| (relative, what))?;
        }
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(files),
        Err((path, what)) => {
            let subject = if path.is_empty() { folder.display().to_string() } else { "the file".to_owned() };
            problems.error((&path, ""), format!("{subject} {what}"), "the project cannot be read", "repair the folder");
            Err(problems)
        }
    }
}

fn visit(
    root: &Path,
    path: &Path,
    relative: &str,
    files: &mut ProjectFiles,
    pending: &mut Vec<(PathBuf, String)>,
) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({error})");
    let real = fs::canonicalize(path).map_err(cannot)?;
    if !real.starts_with(root) {
        return Err("is a symbolic link that leads out of the folder".to_owned());
    }
    let metadata = fs::metadata(&real).map_err(cannot)?;
    if metadata.is_file() {
        return files.insert(relative, read_bounded(&real, MAX_FILE_BYTES)?);
    }
    if !metadata.is_dir() {
        return Err("is neither a file nor a folder".to_owned());
    }
    for entry in fs::read_dir(&real).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err("holds a file whose name is not UTF-8".to_owned());
        };
        if is_litter(&name) {
            continue;
        }
        if pending.len() > MAX_FILES {
            return Err("holds too many files".to_owned());
        }
        let inner = if relative.is_empty() { name } else { format!("{relative}/{name}") };
        pending.push((entry.path(), inner));
    }
    Ok(())
}

/// Reads a file, but no more than one byte beyond `limit`, which is enough to refuse it.
///
/// # Errors
/// What is wrong with it.
pub fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read ({error})");
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut contents = Vec::new();
    fs::File::open(path).map_err(cannot)?.take(limit).read_to_end(&mut contents).map_err(cannot)?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_read_with_its_sub_folders() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("Definitions")).unwrap();
        fs::create_dir_all(root.path().join(".git")).unwrap();
        fs::write(root.path().join(".git/config"), "x").unwrap();
        fs::write(root.path().join("api.yaml"), "a").unwrap();
        fs::write(root.path().join("Definitions/swagger.yaml"), "b").unwrap();
        let files = read(root.path(), root.path()).unwrap();
        assert_eq!(files.paths().collect::<Vec<_>>(), ["Definitions/swagger.yaml", "api.yaml"]);
    }

    #[test]
    fn links_inside_are_followed_and_links_outside_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("pet");
        fs::create_dir_all(&project).unwrap();
        fs::write(root.path().join("shared.yaml"), "a").unwrap();
        symlink(root.path().join("shared.yaml"), project.join("api.yaml")).unwrap();
        assert_eq!(read(&project, root.path()).unwrap().get("api.yaml"), Some(&b"a"[..]));
        assert!(read(&project, &project).is_err());
        symlink(&project, project.join("again")).unwrap();
        assert!(read(&project, root.path()).is_err(), "a loop ends");
    }

    #[test]
    fn a_missing_folder_is_a_problem() {
        assert!(read(Path::new("/nowhere/at/all"), Path::new("/nowhere/at/all")).is_err());
    }
}
