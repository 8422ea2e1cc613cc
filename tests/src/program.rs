//! The adapter as a program that answers and ends.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::locate;

/// What `adapter` with these arguments prints, run in `folder` with an environment of its own.
///
/// # Errors
/// When it fails; with what it says.
pub fn adapter(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Result<String> {
    let Output { status, stdout, stderr } = output(folder, environment, arguments)?;
    ensure!(
        status.success(),
        "adapter {} failed ({status}): {}",
        arguments.join(" "),
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).context("the output is not text")
}

/// What it says when it fails.
///
/// # Errors
/// When it does not.
pub fn adapter_refuses(folder: &Path, arguments: &[&str]) -> Result<String> {
    let Output { status, stderr, .. } = output(folder, &[], arguments)?;
    ensure!(!status.success(), "adapter {} succeeded", arguments.join(" "));
    String::from_utf8(stderr).context("the output is not text")
}

fn output(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(locate::adapter()?);
    command.args(arguments).current_dir(folder).env_clear().envs(environment.iter().copied());
    command.output().with_context(|| format!("running adapter {}", arguments.join(" ")))
}
