//! What cannot be seen from rates: calls between Envoy and the module, memory, and how long starts and changes take.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tollgate_tests::locate;

use crate::arena::{Arena, Tokens};
use crate::calls::{self, Calls};
use crate::contender::Contender;

/// Changes that are timed.
const CHANGES: u32 = 20;
/// Starts that are timed.
const STARTS: u32 = 5;

/// Figures of the module.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inside {
    /// Calls of a request that is authenticated and nothing else.
    pub authn_calls: Calls,
    /// Calls of a request with everything.
    pub full_calls: Calls,
    /// Bytes of the module.
    pub module_bytes: u64,
    /// Milliseconds from a change leaving the adapter until it is enforced, in the order in which they were made.
    pub propagation_ms: Vec<f64>,
    /// Milliseconds in which Envoy accepts a configuration with the module, less those without it.
    pub vm_start_ms: Vec<f64>,
    /// Bytes that one more worker takes, less those without a filter.
    pub worker_bytes: i64,
}

/// Measures all of it.
pub async fn measure(arena: &Arena, tokens: &Tokens) -> Result<Inside> {
    let mut inside =
        Inside { module_bytes: locate::module()?.metadata().context("the module")?.len(), ..Inside::default() };
    for (contender, calls) in [(Contender::Authn, &mut inside.authn_calls), (Contender::Full, &mut inside.full_calls)] {
        let ask = || arena.ask(contender, Some(&tokens.warm));
        *calls = calls::count(arena.client(), arena.admin, arena.log(), ask).await?;
    }
    for number in 0..CHANGES {
        let took = arena.propagation(&tokens.warm, number % 2 == 0).await?;
        inside.propagation_ms.push(milliseconds(took));
    }
    inside.vm_start_ms = vm_start(tokens)?;
    inside.worker_bytes = worker_bytes(tokens).await?;
    Ok(inside)
}

/// Envoy starts a copy of the VM to see whether it accepts the configuration.
fn vm_start(tokens: &Tokens) -> Result<Vec<f64>> {
    let folder = tempfile::TempDir::with_prefix("tollgate-bench-").context("making a temporary folder")?;
    let module = locate::module()?;
    let ports: Vec<u16> = Contender::ALL.iter().map(|_| 0).collect();
    let setup = crate::filters::Setup {
        direct: &ports,
        proxied: &ports,
        admin: 0,
        feed: 1,
        authorization: 1,
        backend: 1,
        module: &module,
        jwks: &tokens.jwks,
        token: &tokens.warm,
    };
    let validate = |contender| -> Result<Duration> {
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, setup.bootstrap(&[contender])?.to_string()).context("writing Envoy's configuration")?;
        let start = Instant::now();
        let mut command = Command::new(locate::envoy()?);
        let output = command.args(["--mode", "validate", "--config-path"]).arg(&file).output();
        let output = output.context("starting Envoy")?;
        ensure!(output.status.success(), "Envoy refuses: {}", String::from_utf8_lossy(&output.stderr));
        Ok(start.elapsed())
    };
    (0..STARTS)
        .map(|_| {
            let without = milliseconds(validate(Contender::None)?);
            Ok(milliseconds(validate(Contender::Full)?) - without)
        })
        .collect()
}

async fn worker_bytes(tokens: &Tokens) -> Result<i64> {
    let grown = async |contender| -> Result<i64> {
        let one = Arena::set(&[contender], tokens, 1).await?.resident()?;
        let three = Arena::set(&[contender], tokens, 3).await?.resident()?;
        let difference = i64::try_from(three)?.saturating_sub(i64::try_from(one)?);
        Ok(difference / 2)
    };
    Ok(grown(Contender::Full).await?.saturating_sub(grown(Contender::None).await?))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
