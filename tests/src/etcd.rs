//! A real etcd, with a data folder of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, client};
use crate::ports::Port;
use crate::process::Process;
use crate::{eventually, locate};

/// A running etcd; it stops when dropped.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    client: Client,
    ports: [Port; 2],
    folder: TempDir,
}

impl Etcd {
    /// Starts one without any keys.
    ///
    /// # Errors
    /// When there is no etcd, or it does not answer.
    pub async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-etcd-").context("making a temporary folder")?;
        let ports = [Port::free()?, Port::free()?];
        let etcd = Self { process: spawn(&folder, &ports)?, client: client(0)?, ports, folder };
        etcd.wait().await?;
        Ok(etcd)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0].number())
    }

    /// Writes a key.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn put(&self, key: &str, value: &str) -> Result<()> {
        self.ask("/v3/kv/put", &json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)})).await
    }

    /// Removes a key.
    ///
    /// # Errors
    /// When it does not do it.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.ask("/v3/kv/deleterange", &json!({"key": STANDARD.encode(key)})).await
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it anew with the keys it had.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.folder, &self.ports)?;
        self.wait().await
    }

    async fn wait(&self) -> Result<()> {
        eventually("etcd answers", async || self.ask("/v3/kv/range", &json!({"key": STANDARD.encode("x")})).await).await
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<()> {
        let request = self.client.request(Method::POST, format!("{}{path}", self.url())).body(body.to_string());
        let answer = Answer::of(request).await?;
        ensure!(answer.status.is_success(), "etcd answers {} {}", answer.status, answer.body);
        Ok(())
    }
}

fn spawn(folder: &TempDir, [client, peer]: &[Port; 2]) -> Result<Process> {
    let (client, peer) =
        (format!("http://127.0.0.1:{}", client.number()), format!("http://127.0.0.1:{}", peer.number()));
    let data: PathBuf = folder.path().join("data");
    let mut command = Command::new(locate::etcd()?);
    command.arg("--data-dir").arg(data).args(["--name", "test", "--log-level", "warn"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("test={peer}")]);
    Process::spawn("etcd", &mut command, &folder.path().join("etcd.log"))
}
