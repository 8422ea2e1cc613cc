//! Envoy as a process, started from the bootstrap that the adapter prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::StatusCode;

use crate::http::{Answer, client};
use crate::locate;
use crate::ports::Ports;
use crate::process::Process;

/// What Envoy writes when a VM traps.
const TRAP_MARKS: [&str; 2] = ["Uncaught RuntimeError", "panicked at"];

/// Name of its log file.
pub(crate) const ENVOY_LOG: &str = "envoy.log";

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    bootstrap: PathBuf,
    folder: PathBuf,
    admin: u16,
    workers: u8,
    process: Process,
}

impl Envoy {
    /// Writes the bootstrap into `folder` and starts Envoy. `state` is where the adapter keeps its certificates.
    ///
    /// # Errors
    /// When one of the two programs fails.
    pub fn start(folder: &Path, state: &Path, ports: &Ports, environment: &str, workers: u8) -> Result<Self> {
        Self::with_bootstrap(folder, &bootstrap_text(state, ports, environment)?, ports.envoy_admin, workers)
    }

    /// Starts one more Envoy beside the one of these ports: with the same adapter, the same listeners, among which the kernel
    /// shares out connections, and an admin interface of its own on the port `admin`.
    ///
    /// # Errors
    /// When one of the two programs fails.
    pub fn start_beside(folder: &Path, state: &Path, ports: &Ports, environment: &str, admin: u16) -> Result<Self> {
        let text = bootstrap_of(&format!("gateway-{admin}"), admin, state, ports, environment)?;
        Self::with_bootstrap(folder, &text, admin, 2)
    }

    /// Starts Envoy with any bootstrap, whose admin interface is on the port `admin`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn with_bootstrap(folder: &Path, text: &str, admin: u16, workers: u8) -> Result<Self> {
        let bootstrap = folder.join("bootstrap.yaml");
        std::fs::write(&bootstrap, text).with_context(|| format!("writing {}", bootstrap.display()))?;
        let process = run(&bootstrap, folder, workers)?;
        Ok(Self { bootstrap, folder: folder.to_owned(), admin, workers, process })
    }

    /// The file it was started with.
    #[must_use]
    pub fn bootstrap(&self) -> &Path {
        &self.bootstrap
    }

    /// `kill -9`, and a new process with the same bootstrap.
    ///
    /// # Errors
    /// When it cannot be killed or started.
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = run(&self.bootstrap, &self.folder, self.workers)?;
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The counters and gauges whose name matches the regular expression `filter`. Blocks, so that it can be asked while a
    /// gateway is dropped; the answer takes about a millisecond.
    ///
    /// # Errors
    /// When the admin interface does not answer.
    pub fn stats(&self, filter: &str) -> Result<Vec<(String, u64)>> {
        let url = format!("http://localhost:{}/stats?filter={filter}", self.admin);
        // A runtime of its own, because the caller may be inside of one.
        let ask = || -> Result<Answer> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
            runtime.block_on(async { Answer::of(client(0)?.get(&url)).await })
        };
        let asked = std::thread::scope(|scope| scope.spawn(ask).join());
        let answer = asked.map_err(|_| anyhow!("asking Envoy for its stats panicked"))?.context("asking for stats")?;
        ensure!(answer.status == StatusCode::OK, "{url} answers {} {}", answer.status, answer.body);
        let line = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(answer.body.lines().filter_map(line).collect())
    }

    /// Every sign of a VM that failed, since the first start.
    ///
    /// # Errors
    /// When Envoy cannot be asked.
    pub fn vm_failures(&self) -> Result<Vec<String>> {
        let log = std::fs::read(self.log()).context("reading Envoy's log")?;
        let log = String::from_utf8_lossy(&log).into_owned();
        let marked = log.lines().filter(|line| TRAP_MARKS.iter().any(|mark| line.contains(mark)));
        let mut failures: Vec<String> = marked.map(str::to_owned).collect();
        let counters = self.stats("vm_reload")?;
        ensure!(!counters.is_empty(), "Envoy has no counters of VM failures: it has no filter");
        let reloads = counters.into_iter().filter(|(_, count)| *count > 0);
        failures.extend(reloads.map(|(name, count)| format!("{name} is {count}")));
        Ok(failures)
    }

    /// Bytes of memory that it holds at the moment.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn memory(&self) -> Result<u64> {
        self.process.memory()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// An error if it is not running.
    ///
    /// # Errors
    /// With the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        self.process.check_running()
    }
}

/// What `adapter bootstrap` prints for a gateway on these ports.
///
/// # Errors
/// When the adapter refuses.
pub fn bootstrap_text(state: &Path, ports: &Ports, environment: &str) -> Result<String> {
    bootstrap_of(&format!("gateway-{}", ports.http), ports.envoy_admin, state, ports, environment)
}

fn bootstrap_of(name: &str, admin: u16, state: &Path, ports: &Ports, environment: &str) -> Result<String> {
    let certificates = state.join("certificates");
    let Output { status, stdout, stderr } = Command::new(locate::adapter()?)
        .arg("bootstrap")
        .env("ROUTER_ADMIN_HOST", "127.0.0.1")
        .env("ROUTER_ADMIN_PORT", admin.to_string())
        .env("ROUTER_LABEL", environment)
        .env("ROUTER_PRIVATE_KEY_PATH", certificates.join("router.key"))
        .env("ROUTER_PUBLIC_CERT_PATH", certificates.join("router.pem"))
        .env("ADAPTER_HOST", "127.0.0.1")
        .env("ADAPTER_PORT", ports.xds.to_string())
        .env("ADAPTER_CA_CERT_PATH", certificates.join("ca.pem"))
        .env("ENFORCER_HOST", "127.0.0.1")
        .env("ENFORCER_PORT", ports.feed.to_string())
        .env("TOLLGATE_PUBLIC_PORT", ports.public.to_string())
        .env("HOSTNAME", name)
        .output()
        .context("running `adapter bootstrap`")?;
    ensure!(status.success(), "`adapter bootstrap` failed ({status}): {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).context("the bootstrap is not text")
}

fn run(bootstrap: &Path, folder: &Path, workers: u8) -> Result<Process> {
    let mut command = Command::new(locate::envoy()?);
    // Without hot restart there is no base id, and so nothing that two Envoys of one machine could share.
    command.arg("--config-path").arg(bootstrap).arg("--disable-hot-restart");
    command.arg("--concurrency").arg(workers.to_string()).arg("--log-level").arg("info").current_dir(folder);
    Process::spawn("Envoy", &mut command, &folder.join(ENVOY_LOG))
}
