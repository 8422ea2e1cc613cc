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

/// What passes between the enforcer and the backend is in Envoy's log while it is switched on, and no secret is.
#[tokio::test]
async fn messages_are_logged_whole_but_for_secrets() -> Result<()> {
    let gateway = Gateway::start().await?;
    let project = tollgate_tests::ApiProject::new("Wire", "1.0.0", "/wire")
        .production(&gateway.backend.url())
        .unsecured("POST", "/x")
        .secured("GET", "/x");
    gateway.deploy(&project, "/wire/1.0.0/x").await?;
    let config = gateway.adapter.log().with_file_name("log_config.toml");
    std::fs::write(&config, "[wireLogs]\nenable = true\ninclude = ['Headers', 'Body']\n")?;
    let token = gateway.token("").await?;
    let send = async || -> Result<String> {
        let request = gateway.request(reqwest::Method::POST, "/wire/1.0.0/x?user=hush-query");
        let request = request
            .header("x-plain", "seen\tit")
            .header("referer", "http://a/?hush-query")
            .header("x-api-key", "hush-header")
            .bearer_auth("hush-token");
        tollgate_tests::http::Answer::of(request.body("first\nsecond")).await?;
        gateway.get("/wire/1.0.0/x", Some(&token)).await?;
        Ok(std::fs::read_to_string(gateway.envoy.log())?)
    };
    let lines = [
        "[wirelog] >> request headers >> :path: /x?***",
        "[wirelog] >> request headers >> x-plain: seen\\x09it",
        "[wirelog] >> request headers >> referer: http://a/?***",
        "[wirelog] >> request headers >> x-api-key: ***",
        "[wirelog] >> request headers >> authorization: ***",
        "[wirelog] >> request body >> first\\x0asecond",
        "[wirelog] << response headers << :status: 200",
        "[wirelog] << response body << {",
    ];
    let log = eventually("messages are logged", async || {
        let log = send().await?;
        let missing: Vec<_> = lines.iter().filter(|line| !log.contains(**line)).collect();
        let found: Vec<&str> = log.lines().filter(|line| line.contains("wirelog")).collect();
        ensure!(missing.is_empty(), "the log lacks {missing:?}: {found:#?}");
        Ok(log)
    })
    .await?;
    for secret in ["hush-query", "hush-header", "hush-token", token.as_str()] {
        // The backend tells headers back in its body, which is logged as it is.
        let headers = log.lines().filter(|line| line.contains(" headers >> ") || line.contains(" headers << "));
        ensure!(headers.clone().all(|line| !line.contains(secret)), "a header shows {secret}");
    }
    std::fs::write(&config, "")?;
    eventually("nothing is logged any more", async || {
        let before = send().await?.matches("[wirelog]").count();
        ensure!(send().await?.matches("[wirelog]").count() == before, "messages are still logged");
        Ok(())
    })
    .await
}
