//! log_config.toml is followed while everything runs.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tollgate_tests::{Gateway, eventually};

/// Sends a request, and says whether the access log has a line that begins like this.
async fn is_logged(gateway: &Gateway, log: &Path, begin: &str) -> Result<()> {
    gateway.get("/nowhere", None).await?;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    ensure!(text.lines().any(|line| line.starts_with(begin)), "no line of {} begins with {begin}", log.display());
    Ok(())
}

#[tokio::test]
async fn access_logs_change_while_the_gateway_serves() -> Result<()> {
    let gateway = Gateway::start().await?;
    let folder = TempDir::new()?;
    let (one, two) = (folder.path().join("one.log"), folder.path().join("two.log"));
    let config = gateway.adapter.log().with_file_name("log_config.toml");
    let write = |file: &Path, format: &str| {
        let text = format!("[accessLogs]\nenable = true\nlogfile = '{}'\nformat = '{format}'\n", file.display());
        std::fs::write(&config, text).with_context(|| format!("writing {}", config.display()))
    };
    write(&one, "first %RESPONSE_CODE%")?;
    eventually("requests are logged", async || is_logged(&gateway, &one, "first 404").await).await?;
    write(&two, "%broken")?;
    eventually("the broken edit is reported", async || {
        let status = gateway.adapter.status().await?.to_string();
        ensure!(status.contains("cannot read the format"), "{status}");
        Ok(())
    })
    .await?;
    std::fs::write(&one, "")?;
    eventually("the last good form stays", async || is_logged(&gateway, &one, "first 404").await).await?;
    write(&two, "second %RESPONSE_CODE%")?;
    eventually("requests are logged anew", async || is_logged(&gateway, &two, "second 404").await).await
}
