//! `bench [rounds] [seconds]`: what the enforcer costs, next to Envoy's own token check and to no check at all.
//!
//! One Envoy with one worker has three listeners that differ in one filter and answer by themselves, so that nothing but the
//! filter is compared. The same token goes to all of them, and they take turns, so that whatever else the machine does
//! hits them alike. Figures are medians of rounds; ratios travel between machines, requests a second do not.

mod calls;
mod config;
mod load;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::http::Answer;
use tollgate_tests::ports::Ports;
use tollgate_tests::process::{Process, tail};
use tollgate_tests::{Gateway, Settings, eventually, locate, project};

use config::{Contender, Setup};
use report::{Report, Round};

const PATH: &str = "/petstore/1.0.5/pet/1";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name, usual: u32| match arguments.next() {
        None => Ok(usual),
        Some(text) => {
            text.parse().with_context(|| format!("{name} is '{text}', not a number; usage: bench [rounds] [seconds]"))
        }
    };
    let (rounds, seconds) = (number("rounds", 5)?, number("seconds", 4)?);
    ensure!(rounds > 0 && seconds > 0, "there is nothing to measure in {rounds} rounds of {seconds} s");
    let wrk = std::env::var_os("TOLLGATE_WRK").map_or_else(|| PathBuf::from("wrk"), PathBuf::from);

    let stage = Stage::set().await?;
    stage.check().await?;
    let load = load::Load { program: wrk, seconds, token: stage.token.clone() };
    eprintln!("warming up, then {rounds} rounds of {seconds} s for each of {} listeners", Contender::ALL.len());
    stage.round(&load)?;
    let mut measured = Vec::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        measured.push(stage.round(&load)?);
    }
    let calls = calls::count(&stage.client, stage.ports.envoy_admin, stage.envoy.log(), || {
        stage.ask(Contender::Enforcer, true)
    })
    .await?;
    let report = Report { rounds: measured, seconds, calls };
    let file = report.write(&locate::root().join("target/bench"))?;
    println!("{report}\nraw numbers: {}", file.display());
    Ok(())
}

/// Everything that runs while we measure. Fields are dropped in this order: who asks before who answers.
struct Stage {
    envoy: Process,
    ports: Ports,
    client: reqwest::Client,
    token: String,
    _folder: TempDir,
    _gateway: Gateway,
}

impl Stage {
    /// A gateway, for its adapter, its token and its keys; and beside it the Envoy that is measured.
    async fn set() -> Result<Self> {
        let gateway = Gateway::with(Settings { workers: 1, ..Settings::default() }).await?;
        gateway.adapter.deploy(project::sample("petstore", &gateway.backend.url())?).await?;
        let token = gateway.token("").await?;
        let keys = gateway.client().get(gateway.secure_url("/.wellknown/jwks"));
        let keys = Answer::of(keys).await?;
        ensure!(keys.status == StatusCode::OK, "/.wellknown/jwks answers {} {}", keys.status, keys.body);

        let ports = Ports::free()?;
        let folder = TempDir::with_prefix("tollgate-bench-").context("making a temporary folder")?;
        let file = folder.path().join("envoy.json");
        let setup = Setup {
            ports: &ports,
            feed: gateway.ports.feed,
            certificates: &gateway.adapter.state().join("certificates"),
            module: &locate::module()?,
            issuer: &issuer(&token)?,
            keys: &keys.body,
        };
        std::fs::write(&file, setup.envoy()?.to_string()).context("writing Envoy's configuration")?;
        let mut command = std::process::Command::new(locate::envoy()?);
        command.arg("--config-path").arg(&file).args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "info",
        ]);
        let envoy = Process::spawn("the measured Envoy", &mut command, &folder.path().join("envoy.log"))?;
        Ok(Self { envoy, ports, client: tollgate_tests::http::client(1)?, token, _folder: folder, _gateway: gateway })
    }

    /// A comparison of filters that do not do their work would be worth nothing.
    async fn check(&self) -> Result<()> {
        for contender in Contender::ALL {
            for with_token in [true, false] {
                let expected = if with_token || contender == Contender::None { 200 } else { 401 };
                eventually("the measured Envoy answers as it should", async || {
                    let answer = self.ask(contender, with_token).await?;
                    let status = answer.status.as_u16();
                    ensure!(
                        status == expected,
                        "{}: {status} instead of {expected}: {}",
                        contender.name(),
                        answer.body
                    );
                    Ok(())
                })
                .await
                .with_context(|| tail(self.envoy.log(), 20))?;
            }
        }
        Ok(())
    }

    async fn ask(&self, contender: Contender, with_token: bool) -> Result<Answer> {
        let request = self.client.get(self.url(contender));
        Answer::of(if with_token { request.bearer_auth(&self.token) } else { request }).await
    }

    fn url(&self, contender: Contender) -> String {
        format!("http://localhost:{}{PATH}", contender.port(&self.ports))
    }

    fn round(&self, load: &load::Load) -> Result<Round> {
        Contender::ALL
            .into_iter()
            .map(|contender| {
                let url = format!("http://127.0.0.1:{}{PATH}", contender.port(&self.ports));
                Ok((contender, load.run(&url)?))
            })
            .collect()
    }
}

/// The `iss` of a token.
fn issuer(token: &str) -> Result<String> {
    let payload = token.split('.').nth(1).context("the token has no payload")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).context("decoding the token")?)?;
    Ok(claims.get("iss").and_then(Value::as_str).context("the token names no issuer")?.to_owned())
}
