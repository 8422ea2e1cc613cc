//! `scale [apis] [resources]`: how an adapter and an Envoy bear thousands of APIs that lie in a folder.
//!
//! Measured are the cold start (the adapter is started with an empty store, and Envoy beside it, until the gateway is ready),
//! how soon one more API is served when it is copied into the folder and when it is deployed over REST, and memory. At the
//! usual size the limits are checked.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tollgate_tests::http::Answer;
use tollgate_tests::{ApiProject, Gateway, Settings, within};

/// The size the limits are for.
const USUAL: (u32, u32) = (6000, 20);
const MAX_START: Duration = Duration::from_secs(30);
const MAX_CHANGE: Duration = Duration::from_secs(2);
const MAX_MEMORY: u64 = 1 << 30;
/// Changes that are measured of each kind.
const ROUNDS: u32 = 5;

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
        Some(text) => text.parse().with_context(|| format!("{name} is '{text}'; usage: scale [apis] [resources]")),
    };
    let size = (number("apis", USUAL.0)?, number("resources", USUAL.1)?);
    let artifacts = TempDir::with_prefix("tollgate-scale-").context("making a temporary folder")?;
    let apis = artifacts.path().join("apis");
    eprintln!("writing {} projects with {} resources each", size.0, size.1);
    for number in 0..size.0 {
        write(&apis.join(format!("api{number}")), &project(&format!("Api{number}x"), size.1))?;
    }
    let settings = Settings { artifacts: Some(artifacts.path().to_owned()), ..Settings::default() };
    let started = Instant::now();
    let mut gateway = Gateway::launch(settings).await?;
    let adapter = started.elapsed();
    gateway.wait_ready().await?;
    let start = started.elapsed();
    for number in [0, size.0 / 2, size.0.saturating_sub(1)] {
        let path = format!("/Api{number}x/1.0.0/r0/x");
        gateway.all_answer(&path, 8, |status| status == 502 || status == 503).await.context("an API is missing")?;
    }
    let after_start = memory(&gateway).await?;
    let copied = changes(&gateway, "Copied", size.1, async |_, project| {
        // As a careful user does it: under a hidden name first.
        let hidden = apis.join(format!(".{}", project.name()));
        write(&hidden, project)?;
        std::fs::rename(&hidden, apis.join(project.name())).context("renaming a project")
    })
    .await?;
    let deployed =
        changes(&gateway, "Posted", size.1, async |gateway, project| gateway.adapter.deploy(project.zip()?).await)
            .await?;
    let after_changes = memory(&gateway).await?;
    let envoy = gateway.envoy.stats("^server.memory_allocated$")?;
    println!("{} APIs with {} resources each", size.0, size.1);
    println!("adapter ready after     {:.1} s", adapter.as_secs_f64());
    println!("gateway ready after     {:.1} s", start.as_secs_f64());
    println!("copied API served after {}", shown(&copied));
    println!("posted API served after {}", shown(&deployed));
    println!("memory of the adapter   {} MiB, after the changes {} MiB", after_start >> 20, after_changes >> 20);
    println!("memory of Envoy         {} MiB", envoy.first().map_or(0, |(_, bytes)| bytes >> 20));
    if size == USUAL {
        let slowest = copied.iter().chain(&deployed).max().copied().unwrap_or_default();
        ensure!(start < MAX_START, "the start took longer than {MAX_START:?}");
        ensure!(slowest < MAX_CHANGE, "a change took longer than {MAX_CHANGE:?}");
        ensure!(after_changes < MAX_MEMORY, "the adapter takes more than {} MiB", MAX_MEMORY >> 20);
    }
    Ok(())
}

/// Makes new APIs in turn, and measures how long it takes until each is served.
async fn changes(
    gateway: &Gateway,
    prefix: &str,
    resources: u32,
    make: impl AsyncFn(&Gateway, &ApiProject) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let project = project(&format!("{prefix}{round}x"), resources);
        let path = format!("/{}/1.0.0/r0/x", project.name());
        let started = Instant::now();
        make(gateway, &project).await?;
        within(MAX_CHANGE.saturating_mul(5), "the new API is served", async || {
            gateway.all_answer(&path, 4, |status| status != 404).await
        })
        .await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times)
}

/// An API whose backend is not there: what is measured is the gateway.
fn project(name: &str, resources: u32) -> ApiProject {
    let project = ApiProject::new(name, "1.0.0", &format!("/{name}")).production("http://127.0.0.1:9/base");
    (0..resources).fold(project, |project, number| match number {
        0 => project.unsecured("GET", "/r0/{id}"),
        _ => project.scoped("GET", &format!("/r{number}/{{id}}"), &["read"]),
    })
}

fn write(folder: &Path, project: &ApiProject) -> Result<()> {
    for (file, text) in project.files() {
        let path = folder.join(file);
        let parent = path.parent().context("a file lies in a folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// What the adapter takes.
async fn memory(gateway: &Gateway) -> Result<u64> {
    let url = format!("http://127.0.0.1:{}/metrics", gateway.ports.admin);
    let page = Answer::of(gateway.client().get(url)).await?.body;
    let line = page.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.context("the adapter does not tell its memory")?.parse().context("the memory of the adapter")
}

fn shown(times: &[Duration]) -> String {
    let at = |position: usize| times.get(position).copied().unwrap_or_default().as_secs_f64();
    format!(
        "{:.2} s (median of {}), {:.2} s at most",
        at(times.len() / 2),
        times.len(),
        at(times.len().saturating_sub(1))
    )
}
