//! `[adapter.sourceControl]`: the Git repository that projects come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Reader;
use crate::inputs::git::GitSettings;

const SECTION: &str = "adapter.sourceControl";

pub(super) fn read(reader: &mut Reader<'_>, state: &Path) -> Option<GitSettings> {
    let key = |name: &str| format!("{SECTION}.{name}");
    if reader.flag(&key("enabled")) != Some(true) {
        reader.skip(SECTION);
        return None;
    }
    let seconds = |reader: &mut Reader<'_>, name: &str, default: u32| {
        Duration::from_secs(reader.number(&key(name), 1..=86_400).unwrap_or(default).into())
    };
    let poll = seconds(reader, "pollInterval", 30);
    let retry = seconds(reader, "retryInterval", 5);
    let max_retries = reader.number(&key("maxRetryCount"), 0..=100_000).unwrap_or(20);
    let directory = reader.path(&key("artifactsDirectory")).unwrap_or_else(|| state.join("git"));
    let branch = reader.text(&key("repository.branch"));
    if branch.as_deref().is_some_and(|branch| !is_branch(branch)) {
        reader.error(&key("repository.branch"), "this is no name of a branch", "write it as git shows it, e.g. main");
    }
    let username = reader.text(&key("repository.username"));
    let access_token = reader.text(&key("repository.accessToken"));
    let ssh_key = reader.path(&key("repository.SSHKeyFile"));
    // The variable is the one that Choreo Connect's own Git client looks at.
    let listed = reader.variable("SSH_KNOWN_HOSTS").unwrap_or_default();
    let known_hosts: Vec<PathBuf> = match reader.path(&key("repository.SSHKnownHostsFile")) {
        Some(file) => vec![file],
        None => std::env::split_paths(&listed).filter(|file| !file.as_os_str().is_empty()).collect(),
    };
    let Some(url) = reader.text(&key("repository.URL")) else {
        reader.error(&key("repository.URL"), "no repository is named", "write its URL, or switch sourceControl off");
        return None;
    };
    if access_token.is_some() && url.starts_with("http://") {
        reader.warn(&key("repository.URL"), "the access token travels unencrypted", "use https");
    }
    Some(GitSettings { url, branch, username, access_token, ssh_key, known_hosts, directory, poll, retry, max_retries })
}

/// The rules of git-check-ref-format that matter: nothing that means something in a refspec.
fn is_branch(name: &str) -> bool {
    let special =
        |character: char| character.is_whitespace() || character.is_control() || ":^~?*[\\".contains(character);
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['-', '/', '.'])
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(special)
}

#[cfg(test)]
mod tests {
    use super::super::reader::Environment;
    use super::*;

    fn check(text: &str, expected: Result<Option<&str>, &str>) {
        let none = Environment::new();
        let mut reader = Reader::new("config.toml", text, &none);
        let settings = read(&mut reader, Path::new("state"));
        let problems = reader.finish();
        let errors: Vec<String> = problems.errors().map(ToString::to_string).collect();
        match expected {
            Ok(url) => {
                assert!(problems.is_empty(), "{text}: {problems:?}");
                assert_eq!(settings.as_ref().map(|settings| settings.url.as_str()), url, "{text}");
            }
            Err(part) => assert!(errors.iter().any(|error| error.contains(part)), "{text}: {errors:?} lacks {part}"),
        }
    }

    #[test]
    fn repositories() {
        let on = "[adapter.sourceControl]\nenabled = true\n";
        check("", Ok(None));
        check("[adapter.sourceControl]\nenabled = false\nrepository.accessToken = '$env{unset}'", Ok(None));
        check(&format!("{on}repository.URL = 'https://git.example/a.git'"), Ok(Some("https://git.example/a.git")));
        check(on, Err("no repository is named"));
        check(&format!("{on}pollInterval = 0\nrepository.URL = 'x'"), Err("from 1 to 86400"));
        for branch in ["-x", "a b", "a:b", "a..b", "a^", "refs/*", "@{1}"] {
            check(&format!("{on}repository.URL = 'x'\nrepository.branch = '{branch}'"), Err("no name of a branch"));
        }
    }

    #[test]
    fn what_is_not_said_is_as_documented_and_nothing_secret_is_printed() {
        let none = Environment::new();
        let text = "[adapter.sourceControl]\nenabled = true\nrepository.URL = 'https://u:pass@git.example/a.git'\n\
                    repository.accessToken = 'hush'";
        let settings = read(&mut Reader::new("c", text, &none), Path::new("state")).unwrap();
        assert_eq!(settings.directory, PathBuf::from("state/git"));
        let seconds = (settings.poll.as_secs(), settings.retry.as_secs(), settings.max_retries);
        assert_eq!((seconds, settings.branch.as_deref()), ((30, 5, 20), None));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("pass") && !shown.contains("hush"), "{shown}");
    }
}
