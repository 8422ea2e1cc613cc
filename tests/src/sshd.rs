//! An SSH server on loopback with keys of its own, that lets in whoever has one key, as the user who runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::ports::Port;
use crate::process::Process;
use crate::{eventually, locate};

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct SshServer {
    folder: TempDir,
    port: Port,
    user: String,
    process: Process,
}

impl SshServer {
    /// Starts one, and waits until it listens.
    ///
    /// # Errors
    /// When OpenSSH is not installed, or the server does not come up.
    pub async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("tollgate-sshd-").context("making a temporary folder")?;
        let port = Port::free()?;
        for key in ["server", "client", "stranger"] {
            let file = folder.path().join(key);
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file))?;
        }
        let user = run(Command::new("id").arg("-un"))?;
        let configuration = configuration(folder.path(), port.number());
        std::fs::write(folder.path().join("sshd_config"), configuration).context("writing sshd_config")?;
        let public =
            |key: &str| std::fs::read_to_string(folder.path().join(format!("{key}.pub"))).context("a public key");
        for (file, key) in [("known_hosts", "server"), ("other_hosts", "stranger")] {
            let line = format!("[127.0.0.1]:{} {}", port.number(), public(key)?);
            std::fs::write(folder.path().join(file), line).context("writing known hosts")?;
        }
        let mut command = Command::new(locate::sshd()?);
        command.args(["-D", "-e", "-f"]).arg(folder.path().join("sshd_config"));
        let process = Process::spawn("sshd", &mut command, &folder.path().join("sshd.log"))?;
        let mut server = Self { folder, port, user, process };
        server.wait().await?;
        Ok(server)
    }

    /// `ssh://` of a folder of this machine.
    #[must_use]
    pub fn url(&self, folder: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port.number(), folder.display())
    }

    /// A file of this server: the private keys `client`, which it lets in, and `stranger`; `known_hosts`, which names the
    /// server's key, and `other_hosts`, which names another one.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn wait(&mut self) -> Result<()> {
        let (port, process) = (self.port.number(), &mut self.process);
        eventually("sshd listens", async || {
            process.check_running()?;
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.context("connecting").map(drop)
        })
        .await
    }
}

/// Only keys, and nothing of the machine's own configuration.
fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/server\nAuthorizedKeysFile {folder}/client.pub\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\nLogLevel VERBOSE\n"
    )
}

/// What a command prints.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("running {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
