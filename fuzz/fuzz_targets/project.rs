//! The files of a project: each begins with a line `=== <path>`.
#![no_main]

use tollgate_fuzz::check;
use tollgate_project::ProjectFiles;

libfuzzer_sys::fuzz_target!(|data: &str| {
    let mut files = ProjectFiles::default();
    for file in data.split("=== ").skip(1) {
        let (path, content) = file.split_once('\n').unwrap_or((file, ""));
        let _ = files.insert(path.trim_end(), content.as_bytes().to_vec());
    }
    check(&files.without_top_folder());
});
