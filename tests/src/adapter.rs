//! The adapter as a process, and a client of its interfaces.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use tollgate_model::Algorithm;

use crate::http::{Answer, client};
use crate::ports::Ports;
use crate::process::Process;
use crate::{eventually, locate};

/// User of the REST interface and of the test keys.
pub const USER: &str = "admin";
/// Their password.
pub const PASSWORD: &str = "admin";

/// Name of its log file.
pub(crate) const ADAPTER_LOG: &str = "adapter.log";

/// What an adapter is started with.
#[derive(Debug, Clone, Default)]
pub struct AdapterConfig {
    /// Folder for its store and its development certificates.
    pub state: PathBuf,
    /// The enforcer module it hands out.
    pub module: PathBuf,
    /// Issuers beside that of the test keys.
    pub token_services: Vec<TokenService>,
    /// Folder whose `apis` holds projects to deploy at the start.
    pub artifacts: Option<PathBuf>,
    /// Further keys of the table `[adapter]` of its config.toml, as text.
    pub adapter: String,
    /// Further keys of its table `[tollgate]`, as text.
    pub tollgate: String,
    /// Further keys of its table `[tollgate.listen]`, as text.
    pub listen: String,
    /// Further tables of its config.toml, as text.
    pub extra: String,
}

/// An issuer, as config.toml has it.
#[derive(Debug, Clone)]
pub struct TokenService {
    /// Name of the key manager.
    pub name: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub keys: Keys,
    /// What its tokens may be signed with; the default when empty.
    pub algorithms: Vec<Algorithm>,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum Keys {
    /// A PEM file.
    File(PathBuf),
    /// A JWKS URL.
    Url(String),
}

/// A running adapter.
#[derive(Debug)]
pub struct Adapter {
    config: PathBuf,
    folder: PathBuf,
    state: PathBuf,
    rest: u16,
    admin: u16,
    process: Process,
    client: Client,
}

impl Adapter {
    /// Writes the configuration into `folder`, starts the adapter, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready; with the end of its log.
    pub async fn start(folder: &Path, config: &AdapterConfig, ports: &Ports) -> Result<Self> {
        let mut adapter = Self::spawn(folder, config, ports)?;
        adapter.wait_ready().await?;
        Ok(adapter)
    }

    /// The same, but waits only until it is alive.
    ///
    /// # Errors
    /// When it does not live; with the end of its log.
    pub async fn launch(folder: &Path, config: &AdapterConfig, ports: &Ports) -> Result<Self> {
        let mut adapter = Self::spawn(folder, config, ports)?;
        adapter.wait_for("/health").await?;
        Ok(adapter)
    }

    fn spawn(folder: &Path, config: &AdapterConfig, ports: &Ports) -> Result<Self> {
        let file = folder.join("config.toml");
        std::fs::write(&file, toml(config, ports)).with_context(|| format!("writing {}", file.display()))?;
        Ok(Self {
            process: serve(&file, folder)?,
            config: file,
            folder: folder.to_owned(),
            state: config.state.clone(),
            rest: ports.rest,
            admin: ports.admin,
            client: client(0)?,
        })
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it anew, with the configuration it had.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process = serve(&self.config, &self.folder)?;
        self.wait_ready().await
    }

    /// Starts it anew, and waits only until it is alive.
    ///
    /// # Errors
    /// When it does not live.
    pub async fn launch_again(&mut self) -> Result<()> {
        self.process = serve(&self.config, &self.folder)?;
        self.wait_for("/health").await
    }

    /// Starts it anew, with another configuration.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_with(&mut self, config: &AdapterConfig, ports: &Ports) -> Result<()> {
        std::fs::write(&self.config, toml(config, ports)).context("writing the configuration")?;
        self.start_again().await
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn wait_ready(&mut self) -> Result<()> {
        self.wait_for("/ready").await
    }

    async fn wait_for(&mut self, page: &str) -> Result<()> {
        let url = format!("http://127.0.0.1:{}{page}", self.admin);
        let (process, client) = (&mut self.process, &self.client);
        let mut ended = None;
        let ready = eventually("the adapter answers", async || {
            if let Err(error) = process.check_running() {
                // Waiting longer is pointless; leave the loop and report after it.
                ended = Some(error);
                return Ok(());
            }
            let answer = Answer::of(client.get(&url)).await?;
            ensure!(answer.status.is_success(), "{url} answers {} {}", answer.status, answer.body);
            Ok(())
        })
        .await;
        ended.map_or(ready, Err)
    }

    /// A request to the REST interface, with Basic credentials. `path` begins after `/api/mgw/adapter/0.1`.
    pub fn rest(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("https://localhost:{}/api/mgw/adapter/0.1{path}", self.rest);
        self.client.request(method, url).basic_auth(USER, Some(PASSWORD))
    }

    /// Deploys a project archive, as `apictl mg deploy api --override` does.
    ///
    /// # Errors
    /// When the adapter refuses it.
    pub async fn deploy(&self, archive: Vec<u8>) -> Result<()> {
        let answer = self.try_deploy(archive, true).await?;
        ensure!(answer.status.is_success(), "deploy answered {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Deploys a project archive and returns the answer, whatever it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_deploy(&self, archive: Vec<u8>, replace: bool) -> Result<Answer> {
        let file = Part::bytes(archive).file_name("project.zip").mime_str("application/zip").context("the form")?;
        let path = format!("/apis?override={replace}");
        Answer::of(self.rest(Method::POST, &path).multipart(Form::new().part("file", file))).await
    }

    /// Undeploys an API everywhere, as `apictl mg undeploy api` does.
    ///
    /// # Errors
    /// When the adapter refuses.
    pub async fn undeploy(&self, name: &str, version: &str) -> Result<()> {
        let path = format!("/apis?apiName={name}&version={version}&vhost=&environments=");
        let answer = Answer::of(self.rest(Method::DELETE, &path)).await?;
        ensure!(answer.status.is_success(), "undeploy answered {} {}", answer.status, answer.body);
        Ok(())
    }

    /// What `GET /apis` lists for a query such as `type:ws`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn list_of(&self, query: &str) -> Result<Value> {
        Ok(Answer::of(self.rest(Method::GET, &format!("/apis?limit=1000&query={query}"))).await?.json())
    }

    /// What `GET /apis` lists.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn list(&self) -> Result<Value> {
        Ok(Answer::of(self.rest(Method::GET, "/apis?limit=1000")).await?.json())
    }

    /// The figures of `/metrics` of the admin interface, as Prometheus reads them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin);
        Ok(Answer::of(self.client.get(url)).await?.body)
    }

    /// What `/status` of the admin interface shows.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn status(&self) -> Result<Value> {
        Ok(Answer::of(self.client.get(format!("http://127.0.0.1:{}/status", self.admin))).await?.json())
    }

    /// The answer of its readiness.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ready(&self) -> Result<Answer> {
        Answer::of(self.client.get(format!("http://127.0.0.1:{}/ready", self.admin))).await
    }

    /// Folder of its store and of its development certificates.
    #[must_use]
    pub fn state(&self) -> &Path {
        &self.state
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

fn serve(config: &Path, folder: &Path) -> Result<Process> {
    let mut command = Command::new(locate::adapter()?);
    command.arg("serve").arg("--config").arg(config).current_dir(folder);
    command.env("adapter_admin_pwd", PASSWORD).env("enforcer_admin_pwd", PASSWORD);
    Process::spawn("the adapter", &mut command, &folder.join(ADAPTER_LOG))
}

fn toml(config: &AdapterConfig, ports: &Ports) -> String {
    let Ports { http, https, xds, rest, feed, public, admin, .. } = ports;
    let (state, module) = (config.state.display(), config.module.display());
    let (adapter, tollgate, listen) = (&config.adapter, &config.tollgate, &config.listen);
    let artifacts = config.artifacts.as_ref();
    let artifacts = artifacts.map_or_else(String::new, |path| format!("artifactsDirectory = '{}'", path.display()));
    let mut text = format!(
        r#"[tollgate]
stateDirectory = '{state}'
module = '{module}'
{tollgate}

[tollgate.listen]
host = "127.0.0.1"
xds = {xds}
public = {public}
admin = {admin}
{listen}

[adapter]
{artifacts}
{adapter}

[adapter.server]
host = "127.0.0.1"
port = "{rest}"

[[adapter.server.users]]
username = "{USER}"
password = "$env{{adapter_admin_pwd}}"

[router]
listenerHost = "127.0.0.1"
listenerPort = {http}
securedListenerHost = "127.0.0.1"
securedListenerPort = {https}

[enforcer.authService]
port = {feed}

[[enforcer.jwtIssuer.jwtUser]]
username = "{USER}"
password = "$env{{enforcer_admin_pwd}}"
"#
    );
    for TokenService { name, issuer, keys, algorithms } in &config.token_services {
        let keys = match keys {
            Keys::File(path) => format!("certificateFilePath = '{}'", path.display()),
            Keys::Url(url) => format!("jwksURL = \"{url}\""),
        };
        let algorithms = match algorithms.as_slice() {
            [] => String::new(),
            listed => format!("algorithms = {:?}", listed.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>()),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[enforcer.security.tokenService]]\nname = \"{name}\"\nissuer = \"{issuer}\"\nvalidateSubscription = false\n{keys}\n{algorithms}\n"
        );
    }
    text.push_str(&config.extra);
    text
}
