//! A whole gateway: a backend, the adapter and Envoy.
//!
//! When a gateway is dropped at the end of a test, it checks the one thing that holds for every test: no VM has failed.
//! When a test fails, it shows the ends of the logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use tempfile::TempDir;

use crate::adapter::{ADAPTER_LOG, Adapter, AdapterConfig, PASSWORD, TokenService, USER};
use crate::envoy::ENVOY_LOG;
use crate::http::{Answer, client};
use crate::ports::Ports;
use crate::process::tail;
use crate::project::ApiProject;
use crate::{Backend, Envoy, eventually, locate, within};

/// A start may take so long: every VM of Envoy compiles the module first, and several gateways may do so at once.
const START: Duration = Duration::from_secs(120);
/// Lines of each log that a failure shows.
const TAIL: usize = 40;

/// What a gateway is started with.
#[derive(Debug)]
pub struct Settings {
    /// The ports; free ones when absent.
    pub ports: Option<Ports>,
    /// Folder for state and logs, which stays; a temporary one when absent.
    pub folder: Option<PathBuf>,
    /// The enforcer module; the usual one when absent.
    pub module: Option<PathBuf>,
    /// Issuers beside that of the test keys.
    pub token_services: Vec<TokenService>,
    /// Further keys of the adapter's table `[adapter]`, as text.
    pub adapter: String,
    /// Further keys of the adapter's table `[tollgate]`, as text.
    pub tollgate: String,
    /// Further keys of the adapter's table `[tollgate.listen]`, as text.
    pub listen: String,
    /// Folder whose `apis` holds projects that are there from the start.
    pub artifacts: Option<PathBuf>,
    /// Further tables of the adapter's config.toml, as text.
    pub extra: String,
    /// Envoy's worker threads.
    pub workers: u8,
    /// The gateway label.
    pub environment: String,
    /// Whether not even the adapter is waited for, beyond that it is alive: where it cannot be ready yet.
    pub unready: bool,
    /// Whether dropping the gateway asks no questions about its VMs: where a test makes one fail, and where a person may stop
    /// the gateway at any moment.
    pub unjudged: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ports: None,
            folder: None,
            module: None,
            token_services: Vec::new(),
            artifacts: None,
            adapter: String::new(),
            tollgate: String::new(),
            listen: String::new(),
            extra: String::new(),
            workers: 2,
            environment: "Default".to_owned(),
            unready: false,
            unjudged: false,
        }
    }
}

/// A running gateway. The fields are dropped in this order: who asks before who answers.
#[derive(Debug)]
pub struct Gateway {
    /// The router.
    pub envoy: Envoy,
    /// The adapter.
    pub adapter: Adapter,
    /// The backend that `backend_url` names.
    pub backend: Backend,
    /// Where everything listens.
    pub ports: Ports,
    config: AdapterConfig,
    client: Client,
    unjudged: bool,
    _folder: Folder,
}

#[derive(Debug)]
enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl Gateway {
    /// Starts a gateway with the usual settings, and waits until it is ready.
    ///
    /// # Errors
    /// When something is missing, or it does not become ready.
    pub async fn start() -> Result<Self> {
        Self::with(Settings::default()).await
    }

    /// Starts a gateway, and waits until it is ready.
    ///
    /// # Errors
    /// When something is missing, or it does not become ready.
    pub async fn with(settings: Settings) -> Result<Self> {
        let mut gateway = Self::launch(settings).await?;
        gateway.wait_ready().await?;
        Ok(gateway)
    }

    /// Starts a gateway, and waits for the adapter only: for tests of gateways that do not become ready.
    ///
    /// # Errors
    /// When something is missing, or the adapter does not become ready.
    pub async fn launch(settings: Settings) -> Result<Self> {
        let folder = match settings.folder {
            Some(folder) => Folder::Kept(folder),
            None => Folder::Temporary(TempDir::with_prefix("tollgate-").context("making a temporary folder")?),
        };
        std::fs::create_dir_all(folder.path()).with_context(|| format!("creating {}", folder.path().display()))?;
        for log in [ADAPTER_LOG, ENVOY_LOG] {
            // An earlier gateway's, in a folder that stays. If it cannot be removed, opening it says why.
            let _ = std::fs::remove_file(folder.path().join(log));
        }
        let ports = settings.ports.map_or_else(Ports::free, Ok)?;
        let config = AdapterConfig {
            state: folder.path().join("state"),
            module: settings.module.map_or_else(locate::module, Ok)?,
            token_services: settings.token_services,
            artifacts: settings.artifacts,
            adapter: settings.adapter,
            tollgate: settings.tollgate,
            listen: settings.listen,
            extra: settings.extra,
        };
        locate::envoy()?;
        let backend = Backend::start().await?;
        let adapter = match settings.unready {
            false => Adapter::start(folder.path(), &config, &ports).await?,
            true => Adapter::launch(folder.path(), &config, &ports).await?,
        };
        let envoy = Envoy::start(folder.path(), adapter.state(), &ports, &settings.environment, settings.workers)?;
        let unjudged = settings.unjudged;
        Ok(Self { envoy, adapter, backend, ports, config, client: client(0)?, unjudged, _folder: folder })
    }

    /// Waits until `/ready` of the gateway says so.
    ///
    /// # Errors
    /// When it does not, or a process has ended.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let request = self.request(Method::GET, "/ready");
        let (adapter, envoy) = (&mut self.adapter, &mut self.envoy);
        let mut ended = None;
        let ready = within(START, "the gateway is ready", async || {
            if let Err(error) = adapter.check_running().and_then(|()| envoy.check_running()) {
                // Waiting longer is pointless; leave the loop and report after it.
                ended = Some(error);
                return Ok(());
            }
            let request = request.try_clone().context("the request has no body to copy")?;
            let answer = Answer::of(request).await?;
            ensure!(answer.status == StatusCode::OK, "/ready answers {} {}", answer.status, answer.body);
            Ok(())
        })
        .await;
        ended.map_or(ready, Err)
    }

    /// Kills the adapter and starts it with another configuration.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn reconfigure_adapter(&mut self, change: impl FnOnce(&mut AdapterConfig)) -> Result<()> {
        change(&mut self.config);
        self.adapter.kill()?;
        self.adapter.start_with(&self.config, &self.ports).await
    }

    /// The URL of a path on the HTTP listener.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.ports.http)
    }

    /// The URL of a path on the HTTPS listener.
    #[must_use]
    pub fn secure_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports.https)
    }

    /// A request to the HTTP listener, on a connection of its own.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// The client that opens a connection for every request.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// `GET`, with a token if there is one.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        let request = self.request(Method::GET, path);
        Answer::of(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    /// A token from `/testkey`, with these scopes.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self, scopes: &str) -> Result<String> {
        let request = self.client.post(self.secure_url("/testkey")).basic_auth(USER, Some(PASSWORD));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = Answer::of(request.body(format!("scope={}", scopes.replace(' ', "+")))).await?;
        ensure!(answer.status == StatusCode::OK, "/testkey answers {} {}", answer.status, answer.body);
        Ok(answer.body.trim().to_owned())
    }

    /// Deploys a project, and waits until `path` of it is known on every worker.
    ///
    /// # Errors
    /// When it is refused or does not appear.
    pub async fn deploy(&self, project: &ApiProject, path: &str) -> Result<()> {
        self.adapter.deploy(project.zip()?).await?;
        let served = |status: u16| status != 404 && status < 500;
        eventually("every worker serves the API", async || self.all_answer(path, 32, served).await).await
    }

    /// Sends `count` requests at once, each on a connection of its own, so that all workers get some.
    ///
    /// # Errors
    /// When an answer does not have such a status.
    pub async fn all_answer(&self, path: &str, count: usize, expected: impl Fn(u16) -> bool) -> Result<()> {
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..count {
            requests.spawn(Answer::of(self.request(Method::GET, path)));
        }
        while let Some(answer) = requests.join_next().await {
            let answer = answer.context("a request panicked")??;
            ensure!(expected(answer.status.as_u16()), "{path} answers {} {}", answer.status, answer.body);
        }
        Ok(())
    }

    fn show_logs(&self) {
        for (name, log) in [("adapter", self.adapter.log()), ("Envoy", self.envoy.log())] {
            // The harness of `cargo test` captures this with the rest of the test's output.
            eprintln!("--- end of the log of {name}\n{}", tail(log, TAIL));
        }
    }
}

impl Drop for Gateway {
    #[allow(clippy::panic, reason = "this is the assertion of every test, and a drop has no other way to fail one")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
            return;
        }
        if self.unjudged {
            return;
        }
        match self.envoy.vm_failures() {
            Ok(failures) if failures.is_empty() => {}
            outcome => {
                self.show_logs();
                panic!("a VM has failed, or cannot be asked: {outcome:?}");
            }
        }
    }
}
