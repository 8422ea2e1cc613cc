//! A Redis server as a process, with a folder of its own and nothing on disk.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ports::{Port, local};
use crate::process::Process;
use crate::{eventually, locate};

/// A running Redis.
#[derive(Debug)]
pub struct RedisServer {
    port: Port,
    folder: tempfile::TempDir,
    password: Option<&'static str>,
    process: Process,
}

impl RedisServer {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// When Redis is not installed, or does not come up.
    pub async fn start(password: Option<&'static str>) -> Result<Self> {
        let (port, folder) = (Port::free()?, tempfile::tempdir()?);
        let process = spawn(port.number(), folder.path().to_owned(), password)?;
        let mut server = Self { port, folder, password, process };
        server.wait().await?;
        Ok(server)
    }

    /// `redis://` with its password.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}", self.port.number())
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// `kill -9`: everything it held is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it anew, empty.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = spawn(self.port.number(), self.folder.path().to_owned(), self.password)?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<()> {
        let port = self.port.number();
        let process = &mut self.process;
        eventually("Redis answers", async || {
            process.check_running()?;
            let mut stream = TcpStream::connect(local(port)).await?;
            stream.write_all(b"PING\r\n").await?;
            let mut answer = [0; 1];
            stream.read_exact(&mut answer).await?;
            // `+PONG`, or `-NOAUTH`, which is an answer too.
            ensure!(answer == *b"+" || answer == *b"-", "no Redis answers on port {port}");
            Ok(())
        })
        .await
    }
}

fn spawn(port: u16, folder: PathBuf, password: Option<&str>) -> Result<Process> {
    let mut command = Command::new(locate::redis()?);
    command.current_dir(&folder).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no"]);
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    Process::spawn("Redis", &mut command, &folder.join("redis.log"))
}
