//! Access logs tell who called what, where that is wanted.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tollgate_tests::{ApiProject, Gateway, Settings, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn access_logs_show_what_was_decided() -> Result<()> {
    let folder = TempDir::new()?;
    let log = folder.path().join("access.log");
    let extra = format!(
        "[tollgate.usageRecords]\nenable = true\n[tollgate.accessLogs]\nenable = true\nlogfile = '{}'\n\
         format = '%RESPONSE_CODE% %FILTER_STATE(wasm.tollgate:PLAIN)%'\n",
        log.display()
    );
    let gateway = Gateway::with(Settings { extra, ..Settings::default() }).await?;
    let project =
        ApiProject::new("Used", "1.0.0", "/used").production(&gateway.backend.url()).secured("GET", "/items/{id}");
    gateway.deploy(&project, "/used/1.0.0/items/1").await?;
    let token = gateway.token("").await?;
    assert_eq!(gateway.get("/used/1.0.0/items/1", Some(&token)).await?.status, 200);
    assert_eq!(gateway.get("/used/1.0.0/items/1", None).await?.status, 401);
    let line = async |status: &str, outcome: &str| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let records = text.lines().filter_map(|line| line.strip_prefix(status)?.strip_prefix(' '));
        let mut parsed = records.filter_map(|record| serde_json::from_str::<Value>(record).ok());
        let found = parsed.find(|record| record["outcome"] == outcome && record["apiName"] == "Used");
        found.with_context(|| format!("no line of {status} {outcome} among {text}"))
    };
    eventually("both requests are logged with what was decided", async || {
        let forwarded = line("200", "forwarded").await?;
        ensure!(forwarded["resource"] == "/items/{id}" && forwarded["method"] == "GET", "{forwarded}");
        ensure!(forwarded["keyType"] == "PRODUCTION" && forwarded["application"].is_string(), "{forwarded}");
        let refused = line("401", "answered").await?;
        ensure!(refused["code"] == "900901" && refused["apiVersion"] == "1.0.0", "{refused}");
        Ok(())
    })
    .await
}
