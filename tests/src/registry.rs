//! A container registry as a process, with a folder of its own.

use std::process::Command;

use anyhow::{Context, Result};
use reqwest::StatusCode;

use crate::http::{Answer, client};
use crate::ports::Port;
use crate::process::Process;
use crate::{eventually, locate};

/// A user that a registry may ask for.
pub const USER: &str = "somebody";
/// The password.
pub const PASSWORD: &str = "secret";
/// Its bcrypt hash.
const HASH: &str = "$2y$04$0anSydmBJh1Phq9LE5MBDuY18qpT.2ko4dI4bOC9bpNhuk5quzmdu";

/// A running registry, over plain HTTP.
#[derive(Debug)]
pub struct RegistryServer {
    port: Port,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl RegistryServer {
    /// Starts one that asks nobody who they are, or else for [`USER`] and [`PASSWORD`]. Waits until it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not come up.
    pub async fn start(asks: bool) -> Result<Self> {
        let (port, folder) = (Port::free()?, tempfile::tempdir()?);
        let root = folder.path().join("data");
        let passwords = folder.path().join("passwords");
        std::fs::write(&passwords, format!("{USER}:{HASH}\n")).context("writing the passwords")?;
        let auth = format!("auth: {{ htpasswd: {{ realm: tests, path: {:?} }} }}\n", passwords.display().to_string());
        let config = format!(
            "version: 0.1\nlog: {{ level: warn }}\nstorage: {{ filesystem: {{ rootdirectory: {:?} }} }}\n\
             http: {{ addr: '127.0.0.1:{}', secret: tests }}\n{}",
            root.display().to_string(),
            port.number(),
            if asks { auth.as_str() } else { "" },
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).context("writing the registry's configuration")?;
        let mut command = Command::new(locate::registry()?);
        command.arg("serve").arg(&file).current_dir(folder.path());
        let mut process = Process::spawn("the registry", &mut command, &folder.path().join("registry.log"))?;
        let url = format!("http://127.0.0.1:{}/v2/", port.number());
        let client = client(0)?;
        eventually("the registry answers", async || {
            process.check_running()?;
            let status = Answer::of(client.get(&url)).await?.status;
            anyhow::ensure!(status == StatusCode::OK || status == StatusCode::UNAUTHORIZED, "{url} answers {status}");
            Ok(())
        })
        .await?;
        Ok(Self { port, _process: process, _folder: folder })
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }
}
