//! Redis servers as processes, each with a folder of its own and nothing on disk.

mod cluster;
mod sentinel;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

pub use self::cluster::RedisCluster;
pub use self::sentinel::RedisSentinel;

use crate::ports::{Port, local};
use crate::process::Process;
use crate::{eventually, locate};

/// A running Redis.
#[derive(Debug)]
pub struct RedisServer {
    port: Port,
    folder: tempfile::TempDir,
    password: Option<&'static str>,
    /// Further arguments.
    arguments: Vec<String>,
    process: Process,
}

impl RedisServer {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// When Redis is not installed, or does not come up.
    pub async fn start(password: Option<&'static str>) -> Result<Self> {
        Self::with(password, Vec::new()).await
    }

    /// The same, with further arguments.
    ///
    /// # Errors
    /// When Redis is not installed, or does not come up.
    async fn with(password: Option<&'static str>, arguments: Vec<String>) -> Result<Self> {
        let (port, folder) = (Port::free()?, tempfile::tempdir()?);
        let process = spawn(port.number(), folder.path().to_owned(), password, &arguments)?;
        let mut server = Self { port, folder, password, arguments, process };
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
        self.process = spawn(self.port.number(), self.folder.path().to_owned(), self.password, &self.arguments)?;
        self.wait().await
    }

    /// Sends a command, after authenticating where there is a password.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub async fn command(&self, parts: &[&str]) -> Result<String> {
        let mut stream = BufReader::new(TcpStream::connect(local(self.port())).await?);
        if let Some(password) = self.password {
            exchange(&mut stream, &["AUTH", password]).await?;
        }
        exchange(&mut stream, parts).await
    }

    /// Takes back a password that was set while it ran, if it was.
    ///
    /// # Errors
    /// When it does not do it.
    pub async fn reset_password(&self, password: &str) -> Result<()> {
        let mut stream = BufReader::new(TcpStream::connect(local(self.port())).await?);
        // Where there is none, this is an error and needs not be done.
        let _ = exchange(&mut stream, &["AUTH", password]).await;
        exchange(&mut stream, &["CONFIG", "SET", "requirepass", ""]).await.map(drop)
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

/// One command and its answer, unless that is a list.
async fn exchange(stream: &mut BufReader<TcpStream>, parts: &[&str]) -> Result<String> {
    let mut command = format!("*{}\r\n", parts.len());
    for part in parts {
        command.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    stream.write_all(command.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("$", length)) => {
            let mut text = vec![0; length.parse().context("the length of an answer")?];
            stream.read_exact(&mut text).await?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        _ => bail!("{} answers {line}", parts.join(" ")),
    }
}

fn spawn(port: u16, folder: PathBuf, password: Option<&str>, arguments: &[String]) -> Result<Process> {
    let mut command = Command::new(locate::redis()?);
    command.current_dir(&folder).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--appendonly", "no"]).args(arguments);
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    Process::spawn("Redis", &mut command, &folder.join("redis.log"))
}
