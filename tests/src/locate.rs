//! Finds the programs and modules that are put to the test. What is missing is an error that says how to get it; nothing
//! is ever skipped.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The points of a list in docs/parity.md: what the tests that show it must hold, no more and no less.
///
/// # Errors
/// When there is no such list.
pub fn listed_in_parity(heading: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join("docs/parity.md")).context("reading docs/parity.md")?;
    let (_, list) = page.split_once(&format!("\n## {heading}\n")).context("docs/parity.md has no such heading")?;
    let list = list.split("\n## ").next().unwrap_or_default();
    Ok(list.lines().filter_map(|line| line.strip_prefix("- ").map(str::to_owned)).collect())
}

/// The adapter: `TOLLGATE_ADAPTER`, or the one that `cargo build` makes.
///
/// # Errors
/// When there is none.
pub fn adapter() -> Result<PathBuf> {
    file("the adapter", "TOLLGATE_ADAPTER", &root().join("target/debug/adapter"), "./just build")
}

/// The enforcer module: `TOLLGATE_WASM`, or the one that `./just wasm` makes.
///
/// # Errors
/// When there is none.
pub fn module() -> Result<PathBuf> {
    file("the enforcer module", "TOLLGATE_WASM", &root().join("target/wasm/enforcer.wasm"), "./just wasm")
}

/// The enforcer module built with `trap-injection`: `TOLLGATE_TRAP_WASM`, or the one that `./just wasm-trap` makes.
///
/// # Errors
/// When there is none.
pub fn trap_module() -> Result<PathBuf> {
    let usual = root().join("target/wasm/enforcer-trap.wasm");
    file("the enforcer module with trap injection", "TOLLGATE_TRAP_WASM", &usual, "./just wasm-trap")
}

/// Envoy: `ENVOY`, or the first `envoy` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn envoy() -> Result<PathBuf> {
    program("Envoy", "ENVOY", "envoy", "./just envoy")
}

/// etcd: `ETCD`, or the first `etcd` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn etcd() -> Result<PathBuf> {
    program("etcd", "ETCD", "etcd", "apt-get install etcd-server")
}

/// A RabbitMQ server: `RABBITMQ_SERVER`, or the first `rabbitmq-server` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn rabbitmq() -> Result<PathBuf> {
    program("RabbitMQ", "RABBITMQ_SERVER", "rabbitmq-server", "apt-get install rabbitmq-server")
}

/// The port mapper of Erlang, without which no RabbitMQ starts: `EPMD`, or the first `epmd` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn epmd() -> Result<PathBuf> {
    program("the port mapper of Erlang", "EPMD", "epmd", "apt-get install rabbitmq-server")
}

/// A Redis server: `REDIS_SERVER`, or the first `redis-server` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn redis() -> Result<PathBuf> {
    program("Redis", "REDIS_SERVER", "redis-server", "apt-get install redis-server")
}

/// A container registry: `REGISTRY`, or the first `docker-registry` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn registry() -> Result<PathBuf> {
    program("a container registry", "REGISTRY", "docker-registry", "apt-get install docker-registry")
}

/// Helm: `HELM`, or the first `helm` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn helm() -> Result<PathBuf> {
    program("Helm", "HELM", "helm", "toolchain/helm")
}

/// An SSH server: `SSHD`, or the first `sshd` on `PATH`.
///
/// # Errors
/// When there is none.
pub fn sshd() -> Result<PathBuf> {
    program("an SSH server", "SSHD", "sshd", "toolchain/sshd")
}

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn program(what: &str, variable: &str, name: &str, recipe: &str) -> Result<PathBuf> {
    if std::env::var_os(variable).is_none() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Some(found) = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()) {
            return Ok(found);
        }
    }
    file(what, variable, Path::new(name), recipe)
}

fn file(what: &str, variable: &str, usual: &Path, recipe: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| usual.to_owned(), PathBuf::from);
    if !path.is_file() {
        bail!("{what} is not at {}. Run `{recipe}`, or set {variable} to where it is", path.display());
    }
    Ok(path)
}
