//! The adapter's clone of a remote repository, moved by the `git` program.
//!
//! The program, and no library: it can be killed when a remote stalls, what a remote sends is unpacked outside of this
//! process, and it knows every transport, proxy and server there is. Must never run anything a repository brings along (no
//! hooks, filters, submodules or symbolic links), and must never show a credential: not in arguments, logs or errors.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;

use super::GitSettings;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Most bytes of its output that are read.
const MAX_OUTPUT: u64 = 16 << 10;
/// What the remote has.
const INCOMING: &str = "refs/tollgate/incoming";
/// What was deployed last.
const SERVED: &str = "refs/tollgate/served";
/// By this a clone is recognised as the adapter's own, in which it may remove what it likes.
const MARK: &str = "tollgate.clone";
/// Left behind by a command that was killed. Nobody else works in the clone.
const LOCKS: [&str; 4] = ["index.lock", "shallow.lock", "config.lock", "HEAD.lock"];
/// Variables that would lead the program elsewhere.
const MISLEADING: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CONFIG_PARAMETERS",
];

/// Why the repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("git cannot be run ({0}); install it, or switch adapter.sourceControl off")]
    Program(std::io::Error),
    /// The folder cannot be used.
    #[error(
        "{} {what}; name an empty folder, or one that is not there yet, in adapter.sourceControl.artifactsDirectory",
        path.display()
    )]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A command failed.
    #[error("git {command} failed: {reason}")]
    Command {
        /// Which.
        command: &'static str,
        /// What it said.
        reason: String,
    },
    /// What was fetched could not be deployed.
    #[error("{0}")]
    Deploy(String),
}

/// The clone.
pub struct Repository {
    settings: GitSettings,
}

impl Repository {
    /// Opens the clone, or makes an empty one.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub async fn open(settings: GitSettings) -> Result<Self, GitError> {
        let repository = Self { settings };
        let path = repository.folder();
        let wrong = |what: String| GitError::Directory { path: path.to_owned(), what };
        tokio::fs::create_dir_all(path).await.map_err(|error| wrong(format!("cannot be made ({error})")))?;
        let mut entries =
            tokio::fs::read_dir(path).await.map_err(|error| wrong(format!("cannot be read ({error})")))?;
        let is_empty = matches!(entries.next_entry().await, Ok(None));
        if is_empty {
            repository.run("init", &["init", "--quiet"]).await?;
            repository.run("config", &["config", "--local", MARK, "true"]).await?;
        }
        for lock in LOCKS {
            match tokio::fs::remove_file(path.join(".git").join(lock)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(wrong(format!("holds a lock that cannot be removed ({error})")));
                }
                _ => {}
            }
        }
        // The folder's own configuration, not that of a repository it may lie in.
        let config = path.join(".git").join("config").display().to_string();
        let mark = repository.run("config", &["config", "--file", &config, "--get", MARK]).await;
        match mark {
            Ok(mark) if mark == "true" => Ok(repository),
            Err(error @ GitError::Program(_)) => Err(error),
            _ => Err(wrong("holds something else than the adapter's clone, which would be lost".to_owned())),
        }
    }

    /// One that nothing is done with.
    #[cfg(test)]
    pub(super) const fn closed(settings: GitSettings) -> Self {
        Self { settings }
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.settings.directory
    }

    /// Fetches the branch and gives its commit. History is of no use here.
    ///
    /// # Errors
    /// When the remote cannot be reached or does not have the branch.
    pub async fn fetch(&self) -> Result<String, GitError> {
        let name = self.settings.branch.as_ref().map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let refspec = format!("+{name}:{INCOMING}");
        let options = ["--quiet", "--no-tags", "--force", "--depth=1", "--no-recurse-submodules"];
        let mut arguments = vec!["fetch"];
        arguments.extend(options);
        arguments.extend(["--", self.settings.url.as_str(), refspec.as_str()]);
        self.run("fetch", &arguments).await?;
        self.commit(INCOMING).await
    }

    /// Makes the files those of a commit, and nothing else.
    ///
    /// # Errors
    /// When git fails.
    pub async fn check_out(&self, revision: &str) -> Result<(), GitError> {
        self.run("reset", &["reset", "--quiet", "--hard", revision]).await?;
        self.run("clean", &["clean", "--quiet", "-ffdx"]).await.map(drop)
    }

    /// Remembers what is deployed, for a start without the remote.
    ///
    /// # Errors
    /// When git fails.
    pub async fn note_served(&self, revision: &str) -> Result<(), GitError> {
        self.run("update-ref", &["update-ref", SERVED, revision]).await.map(drop)
    }

    /// What was deployed last.
    pub async fn served(&self) -> Option<String> {
        self.commit(SERVED).await.ok()
    }

    async fn commit(&self, name: &str) -> Result<String, GitError> {
        self.run("rev-parse", &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).await
    }

    async fn run(&self, command: &'static str, arguments: &[&str]) -> Result<String, GitError> {
        let mut child = self.command(arguments).spawn().map_err(GitError::Program)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async { tokio::join!(child.wait(), bounded(out), bounded(err)) };
        let failed = |reason: String| GitError::Command { command, reason: self.without_credentials(&reason) };
        // Dropping the child kills it.
        let Ok((status, out, err)) = timeout(PATIENCE, work).await else {
            return Err(failed(format!("it took longer than {} seconds", PATIENCE.as_secs())));
        };
        let status = status.map_err(GitError::Program)?;
        if status.success() { Ok(out) } else { Err(failed(format!("{} ({status})", err.replace('\n', " | ")))) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=false", "-c", "core.fsmonitor=false"]);
        command.args(["-c", "core.autocrlf=false", "-c", "gc.autoDetach=false"]);
        command.args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30"]);
        command.args(arguments).current_dir(self.folder());
        for name in MISLEADING {
            command.env_remove(name);
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            // Others can run programs.
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_CEILING_DIRECTORIES", self.folder())
            .env("LC_ALL", "C")
            .env("GIT_SSH_COMMAND", self.ssh());
        // Arguments are for everybody to see; the environment is not.
        match self.authorization() {
            Some((key, value)) => {
                command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", key).env("GIT_CONFIG_VALUE_0", value)
            }
            None => command.env_remove("GIT_CONFIG_COUNT"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Only for the configured server: a redirection elsewhere does not get it.
    fn authorization(&self) -> Option<(String, String)> {
        let token = self.settings.access_token.as_deref()?;
        let url = Url::parse(&self.settings.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let username = self.settings.username.as_deref().unwrap_or("git");
        let value = format!("Authorization: Basic {}", STANDARD.encode(format!("{username}:{token}")));
        Some((format!("http.{}/.extraHeader", url.origin().ascii_serialization()), value))
    }

    fn ssh(&self) -> String {
        let mut command = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10".to_owned();
        if let Some(key) = &self.settings.ssh_key {
            let key = key.display().to_string().replace('\'', r"'\''");
            command.push_str(&format!(" -o IdentitiesOnly=yes -i '{key}'"));
        }
        if !self.settings.known_hosts.is_empty() {
            // Double quotes keep a path with spaces together.
            let files = self.settings.known_hosts.iter().map(|file| format!("\"{}\"", file.display()));
            let files = files.collect::<Vec<_>>().join(" ").replace('\'', r"'\''");
            command.push_str(&format!(" -o 'UserKnownHostsFile={files}'"));
        }
        command
    }

    fn without_credentials(&self, text: &str) -> String {
        let mut text = text.replace(&self.settings.url, &shown(&self.settings.url));
        if let Some(token) = self.settings.access_token.as_deref().filter(|token| !token.is_empty()) {
            text = text.replace(token, "***");
        }
        text
    }
}

/// A URL without the credentials it may hold.
#[must_use]
pub fn shown(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    if parsed.password().is_none() {
        return url.to_owned();
    }
    match parsed.set_password(Some("***")) {
        Ok(()) => parsed.to_string(),
        Err(()) => "the configured URL".to_owned(),
    }
}

/// The beginning of what a program says; the rest is read and forgotten, so that it can go on.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // What cannot be read is not there; the exit status says whether that matters.
    let _ = (&mut stream).take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
