//! A child process with a log file, killed when dropped.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A running (or crashed) program.
#[derive(Debug)]
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`. The child gets a process group of its own: Ctrl-C in a terminal
    /// reaches us, and we stop it.
    ///
    /// # Errors
    /// When the program or its log cannot be opened.
    pub fn spawn(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the log {}", log.display()))?;
        let errors: File = output.try_clone().context("sharing the log between both outputs")?;
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }

    /// Its status, if it has ended.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("looking after {}", self.name))
    }

    /// An error that quotes the log, if the process has ended.
    ///
    /// # Errors
    /// When it has.
    pub fn check_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended ({status}): {} (log: {})", self.name, last_words(&self.log), self.log.display())
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory that it holds at the moment.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("VmRSS is {line}"))?;
        Ok(kilobytes.saturating_mul(1024))
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about a process that cannot be killed, and the drop may happen during a panic.
        let _ = self.kill();
    }
}

/// The last line of a log that speaks of an error; the very last one if none does.
fn last_words(log: &Path) -> String {
    let text = tail(log, usize::MAX);
    let errors = |line: &&str| ["error", "critical"].iter().any(|word| line.to_lowercase().contains(word));
    text.lines().rfind(errors).or_else(|| text.lines().last()).unwrap_or_default().to_owned()
}

/// The last lines of a log; says so when there is none.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    match std::fs::read(log) {
        Err(error) => format!("(no log at {}: {error})", log.display()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let mut last: Vec<&str> = text.lines().rev().take(lines).collect();
            last.reverse();
            last.join("\n")
        }
    }
}
