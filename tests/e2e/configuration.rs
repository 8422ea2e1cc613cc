//! The bootstrap that is shipped as a file: Envoy accepts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tollgate_tests::locate;

/// Variables of the bootstrap beside the paths of certificates.
const ADDRESSES: [(&str, &str); 6] = [
    ("ROUTER_ADMIN_HOST", "127.0.0.1"),
    ("ROUTER_LABEL", "Default"),
    ("HOSTNAME", "gateway-1"),
    ("ADAPTER_PORT", "18000"),
    ("ENFORCER_PORT", "8081"),
    ("TOLLGATE_PUBLIC_PORT", "9001"),
];
const PATHS: [&str; 3] = ["ROUTER_PUBLIC_CERT_PATH", "ROUTER_PRIVATE_KEY_PATH", "ADAPTER_CA_CERT_PATH"];

/// A self-signed certificate and its key, which Envoy reads when it validates.
struct Pair {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    fn generate() -> Result<Self> {
        let folder = TempDir::new()?;
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (folder.path().join("router.pem"), folder.path().join("router.key"));
        std::fs::write(&certificate, pair.cert.pem())?;
        std::fs::write(&key, pair.signing_key.serialize_pem())?;
        Ok(Self { _folder: folder, certificate, key })
    }
}

/// `adapter bootstrap` for an adapter at `host`, with nothing of our own environment.
fn bootstrap(host: &str, pair: &Pair) -> Result<Command> {
    let mut command = Command::new(locate::adapter()?);
    command.arg("bootstrap").env_clear().envs(ADDRESSES).env("ADAPTER_HOST", host);
    command.envs(PATHS.into_iter().zip([&pair.certificate, &pair.key, &pair.certificate]));
    Ok(command)
}

#[test]
fn envoy_accepts_the_bootstrap_for_names_and_addresses() -> Result<()> {
    let pair = Pair::generate()?;
    for host in ["adapter.example", "127.0.0.1", "::1"] {
        let printed = bootstrap(host, &pair)?.output()?;
        ensure!(printed.status.success(), "{host}: {}", String::from_utf8_lossy(&printed.stderr));
        let file = TempDir::new()?;
        let path = file.path().join("envoy.yaml");
        std::fs::write(&path, &printed.stdout)?;
        let verdict =
            Command::new(locate::envoy()?).args(["--mode", "validate", "--config-path"]).arg(&path).output()?;
        ensure!(verdict.status.success(), "{host}: {}", String::from_utf8_lossy(&verdict.stderr));
    }
    Ok(())
}

#[test]
fn every_placeholder_of_the_bootstrap_is_documented() -> Result<()> {
    let folder: &Path = &locate::root().join("envoy-config");
    let (template, page) =
        (std::fs::read_to_string(folder.join("bootstrap.yaml"))?, std::fs::read_to_string(folder.join("README.md"))?);
    let names: Vec<&str> = template.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in envoy-config/README.md");
    }
    Ok(())
}
