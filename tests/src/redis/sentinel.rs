//! A master, its replica, and a sentinel that makes the one the other when it dies.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use super::{RedisServer, exchange};
use crate::ports::{Port, local};
use crate::process::Process;
use crate::{eventually, locate};

/// Under this name the sentinel knows the master.
const NAME: &str = "tollgate";

/// A running set of three.
#[derive(Debug)]
pub struct RedisSentinel {
    master: RedisServer,
    _replica: RedisServer,
    port: Port,
    _process: Process,
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts one, and waits until the sentinel knows master and replica.
    ///
    /// # Errors
    /// When Redis is not installed, or they do not find each other.
    pub async fn start() -> Result<Self> {
        let master = RedisServer::start(None).await?;
        let of = ["--replicaof".to_owned(), format!("127.0.0.1 {}", master.port())];
        let replica = RedisServer::with(None, of.to_vec()).await?;
        let (port, folder) = (Port::free()?, tempfile::tempdir()?);
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 2000\n",
            port.number(),
            master.port()
        );
        std::fs::write(&file, text).context("writing the sentinel's configuration")?;
        let mut command = Command::new(locate::redis()?);
        command.arg(&file).arg("--sentinel").current_dir(folder.path());
        let process = Process::spawn("the sentinel", &mut command, &folder.path().join("sentinel.log"))?;
        let number = port.number();
        eventually("the sentinel knows the replica", async || {
            let mut stream = BufReader::new(TcpStream::connect(local(number)).await?);
            let info = exchange(&mut stream, &["INFO", "sentinel"]).await?;
            ensure!(info.contains("status=ok") && info.contains("slaves=1"), "{info}");
            Ok(())
        })
        .await?;
        Ok(Self { master, _replica: replica, port, _process: process, _folder: folder })
    }

    /// Where the sentinel is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.number())
    }

    /// The master's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        NAME
    }

    /// Kills the master, once the replica has all it has.
    ///
    /// # Errors
    /// When the replica lags behind, or the master cannot be killed.
    pub async fn kill_master(&mut self) -> Result<()> {
        let replicas = self.master.command(&["WAIT", "1", "5000"]).await?;
        ensure!(replicas == "1", "{replicas} replicas have it all");
        self.master.kill()
    }
}
