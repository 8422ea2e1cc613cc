//! `just up`: a gateway with a sample API in the foreground, until Ctrl-C. On the well-known ports, or with `--free-ports` on
//! eight that nobody uses. `just up-with-apim`: the same with all that an API Manager has.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tollgate_tests::adapter::{PASSWORD, USER};
use tollgate_tests::ports::Ports;
use tollgate_tests::{Gateway, Settings, eventually, locate, project};

const LOOK_AFTER: Duration = Duration::from_millis(250);

#[tokio::main]
async fn main() -> ExitCode {
    let mut interrupted = match Stop::listen() {
        Ok(stop) => stop,
        Err(error) => return fail(&error),
    };
    let outcome = tokio::select! {
        biased;
        () = interrupted.wait() => Ok(()),
        outcome = run() => outcome,
    };
    match outcome {
        Ok(()) => {
            println!("\nStopped.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Ctrl-C reaches the whole process group: what ended a moment before us ended because of it.
            let stopped = tokio::time::timeout(LOOK_AFTER, interrupted.wait()).await.is_ok();
            if stopped { ExitCode::SUCCESS } else { fail(&error) }
        }
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("listening for signals");
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn run() -> Result<()> {
    let mut gateway = match arguments().iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--api-manager", url, broker, environment, ports @ ..] => {
            with_api_manager(url, broker, environment, settings("up-with-apim", ports)?).await?
        }
        ports => with_sample(settings("up", ports)?).await?,
    };
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        gateway.adapter.check_running()?;
        gateway.envoy.check_running()?;
    }
}

fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

async fn with_sample(settings: Settings) -> Result<Gateway> {
    let gateway = Gateway::with(settings).await?;
    gateway.adapter.deploy(project::sample("petstore", &gateway.backend.url())?).await?;
    eventually("the sample API is served", async || {
        gateway.all_answer("/petstore/1.0.5/health", 8, |status| status == 200).await
    })
    .await?;
    print_tour(&gateway);
    Ok(gateway)
}

/// The APIs of that API Manager, with the password of `cp_admin_pwd`. Certificates are not looked at: this is for trying it.
async fn with_api_manager(url: &str, broker: &str, environment: &str, settings: Settings) -> Result<Gateway> {
    ensure!(
        std::env::var_os("cp_admin_pwd").is_some(),
        "set the environment variable cp_admin_pwd to the password of API Manager's admin"
    );
    let extra = format!(
        "[controlPlane]\nenabled = true\nserviceURL = {url:?}\nenvironmentLabels = [{environment:?}]\nskipSSLVerification = true\n\
         sendRevisionUpdate = true\n[controlPlane.brokerConnectionParameters]\neventListeningEndpoints = [{broker:?}]\n"
    );
    let gateway = Gateway::with(Settings { extra, environment: environment.to_owned(), ..settings }).await?;
    let ports = &gateway.ports;
    let (http, https, admin) = (ports.http, ports.https, ports.admin);
    let adapter = locate::adapter()?;
    println!(
        "
  Gateway        http://localhost:{http} and https://localhost:{https}, environment {environment}
  Status         {} status --address localhost:{admin}

Deploy a revision of an API to {environment} in the publisher portal, and subscribe an application to it in the developer portal.
Both take effect within two seconds. With a token of the application:

  curl -i -H \"Authorization: Bearer $TOKEN\" http://localhost:{http}/<context>/<version>/<resource>

Ctrl-C stops everything.
",
        adapter.display()
    );
    Ok(gateway)
}

/// On the well-known ports, with logs in a folder that stays.
fn standard(name: &str) -> Result<Settings> {
    let ports = Ports::standard();
    ports.check_free()?;
    let folder = locate::root().join(".tollgate").join(name);
    println!("Starting the adapter and Envoy (logs: {}) ...", folder.display());
    Ok(Settings { ports: Some(ports), folder: Some(folder), unjudged: true, ..Settings::default() })
}

fn settings(name: &str, arguments: &[&str]) -> Result<Settings> {
    match arguments {
        [] => standard(name),
        ["--free-ports"] => {
            println!("Starting the adapter and Envoy ...");
            Ok(Settings { unjudged: true, ..Settings::default() })
        }
        _ => bail!("the only arguments are --free-ports, and before it --api-manager URL BROKER ENVIRONMENT"),
    }
}

fn print_tour(gateway: &Gateway) {
    let ports = &gateway.ports;
    let (http, https, rest, admin) = (ports.http, ports.https, ports.rest, ports.admin);
    let (backend, envoy_admin) = (gateway.backend.url(), ports.envoy_admin);
    println!(
        "
  Gateway        http://localhost:{http} and https://localhost:{https}
  Sample API     /petstore/1.0.5, backed by an echo server at {backend}
  Deploy         https://localhost:{rest}/api/mgw/adapter/0.1 (apictl mg; user {USER}, password {PASSWORD})
  Status         http://localhost:{admin}/status
  Envoy's admin  http://localhost:{envoy_admin}

Get a token:

  TOKEN=$(curl -sk -u {USER}:{PASSWORD} https://localhost:{https}/testkey)

Try:

  curl -i -H \"Authorization: Bearer $TOKEN\" http://localhost:{http}/petstore/1.0.5/pet/1    # 200, from the backend
  curl -i http://localhost:{http}/petstore/1.0.5/pet/1                                      # 401, no credentials
  curl -i -H \"Authorization: Bearer $TOKEN\" http://localhost:{http}/petstore/1.0.5/nothing  # 404, no such resource

Ctrl-C stops everything.
"
    );
}
