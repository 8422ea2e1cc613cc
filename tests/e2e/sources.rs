//! Where APIs come from: a folder and a Git repository that are followed, and what the adapter tells of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tollgate_tests::{ApiProject, Gateway, Settings, eventually, locate};

use crate::apis::{pets, probe};

pub(crate) async fn serves(gateway: &Gateway, path: &str, status: u16) {
    eventually(path, async || gateway.all_answer(path, 8, |found| found == status).await).await.unwrap();
}

pub(crate) async fn status_shows(gateway: &Gateway, pointer: &str, part: &str) {
    eventually("the status shows it", async || {
        let status = gateway.adapter.status().await?;
        let shown = status.pointer(pointer).map(ToString::to_string).unwrap_or_default();
        anyhow::ensure!(shown.contains(part), "no {part} at {pointer} of {status}");
        Ok(())
    })
    .await
    .unwrap();
}

pub(crate) fn write(folder: &Path, project: &ApiProject) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{}.zip", project.name())), project.zip().unwrap()).unwrap();
}

#[tokio::test]
async fn a_folder_is_followed_while_the_gateway_runs() {
    let artifacts = TempDir::new().unwrap();
    let apis = artifacts.path().join("apis");
    std::fs::create_dir_all(&apis).unwrap();
    let settings = Settings { artifacts: Some(artifacts.path().to_owned()), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    write(&apis, &probe(&gateway.backend, "/one"));
    write(&apis, &probe(&gateway.backend, "/two"));
    serves(&gateway, "/one/1.0.0/up", 200).await;
    serves(&gateway, "/two/1.0.0/up", 200).await;

    std::fs::write(apis.join("Probe-one.zip"), "half a zip").unwrap();
    status_shows(&gateway, "/refused/folder:Probe-one.zip", "zip").await;
    gateway.all_answer("/one/1.0.0/up", 16, |status| status == 200).await.expect("what was good stays");

    std::fs::remove_file(apis.join("Probe-two.zip")).unwrap();
    serves(&gateway, "/two/1.0.0/up", 404).await;
    gateway.all_answer("/one/1.0.0/up", 16, |status| status == 200).await.expect("what was good stays");
    status_shows(&gateway, "/deployments/0/origin", "Probe-one.zip").await;
}

/// A repository in a folder.
pub(crate) struct Remote(TempDir);

impl Remote {
    pub(crate) fn new() -> Self {
        let remote = Self(TempDir::new().unwrap());
        remote.git(&["init", "--quiet", "--initial-branch=main"]);
        remote
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Test", "-c", "user.email=test@example.com"]).args(arguments);
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        let output = command.current_dir(self.0.path()).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn commit(&self, arguments: &[&str]) {
        self.git(&["add", "--all"]);
        self.git(&[&["commit", "--quiet", "--message=x"], arguments].concat());
    }
}

#[tokio::test]
async fn a_git_repository_is_followed_and_survives_its_remote() {
    let backend = tollgate_tests::Backend::start().await.unwrap();
    let remote = Remote::new();
    let apis = remote.0.path().join("apis");
    write(&apis, &probe(&backend, "/one"));
    remote.commit(&[]);
    let extra = format!(
        "[adapter.sourceControl]\nenabled = true\npollInterval = 1\nretryInterval = 1\nrepository.URL = 'file://{}'\nrepository.branch = 'main'\n",
        remote.0.path().display()
    );
    let mut gateway = Gateway::with(Settings { extra, ..Settings::default() }).await.unwrap();
    gateway.all_answer("/one/1.0.0/up", 8, |status| status == 200).await.expect("from the start");

    std::fs::remove_file(apis.join("Probe-one.zip")).unwrap();
    write(&apis, &probe(&backend, "/two"));
    remote.commit(&[]);
    serves(&gateway, "/two/1.0.0/up", 200).await;
    serves(&gateway, "/one/1.0.0/up", 404).await;

    write(&apis, &probe(&backend, "/three"));
    remote.commit(&["--amend"]);
    serves(&gateway, "/three/1.0.0/up", 200).await;

    let (here, away) = (remote.0.path().join(".git"), remote.0.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    status_shows(&gateway, "/sources/git/error", "git fetch failed").await;
    gateway.adapter.kill().unwrap();
    gateway.adapter.start_again().await.unwrap();
    gateway.all_answer("/three/1.0.0/up", 16, |status| status == 200).await.expect("an adapter without its remote");
    std::fs::rename(&away, &here).unwrap();
    std::fs::remove_file(apis.join("Probe-two.zip")).unwrap();
    remote.commit(&[]);
    serves(&gateway, "/two/1.0.0/up", 404).await;
}

#[tokio::test]
async fn a_deploy_is_answered_when_the_gateway_has_taken_it() {
    let mut gateway = Gateway::start().await.unwrap();
    let deployed = gateway.adapter.try_deploy(pets(&gateway.backend).zip().unwrap(), false).await.unwrap();
    let body = deployed.json();
    assert_eq!((deployed.status, &body["gateways"][0]["state"]), (StatusCode::OK, &json!("acknowledged")), "{body}");
    assert_eq!((&body["gateways"][1], &body["apis"][0]["context"]), (&json!(null), &json!("/pets/1.0.0")), "{body}");
    // The worker that fetched it has it; the others follow within their tick.
    serves(&gateway, "/pets/1.0.0/health", 200).await;

    let status = Command::new(locate::adapter().unwrap())
        .args(["status", "--address", &format!("127.0.0.1:{}", gateway.ports.admin)])
        .output()
        .unwrap();
    let text = String::from_utf8(status.stdout).unwrap();
    assert!(text.contains("ready, up to date\n"), "{text}");
    assert!(text.contains("api Pets 1.0.0: localhost/pets/1.0.0 [Default] from rest\n"), "{text}");

    let path = "/apis?apiName=Pets&version=1.0.0&vhost=&environments=";
    let gone = tollgate_tests::http::Answer::of(gateway.adapter.rest(Method::DELETE, path)).await.unwrap();
    assert_eq!(gone.json()["gateways"][0]["state"], json!("acknowledged"), "{}", gone.body);
    serves(&gateway, "/pets/1.0.0/health", 404).await;

    gateway.envoy.kill().unwrap();
    eventually("the adapter has seen it go", async || {
        let status = gateway.adapter.status().await?;
        anyhow::ensure!(status["gateways"][0]["connected"] == json!(false), "{status}");
        Ok(())
    })
    .await
    .unwrap();
    let alone = gateway.adapter.try_deploy(pets(&gateway.backend).zip().unwrap(), false).await.unwrap();
    assert_eq!((alone.status, &alone.json()["gateways"]), (StatusCode::OK, &json!([])), "{}", alone.body);
    assert!(alone.json()["message"].as_str().unwrap().contains("No gateway"), "{}", alone.body);
    gateway.envoy.restart().unwrap();
    gateway.wait_ready().await.unwrap();
}

/// Whatever was answered with 200 is there after a kill, and nothing is there by halves.
#[tokio::test]
async fn an_adapter_that_is_killed_while_it_deploys_keeps_what_it_promised() {
    let mut gateway = Gateway::start().await.unwrap();
    let mut promised = BTreeSet::new();
    for round in 0..3 {
        let mut deploys = JoinSet::new();
        for number in 0..12 {
            let project = probe(&gateway.backend, &format!("/r{round}n{number}"));
            let archive = project.zip().unwrap();
            let file = reqwest::multipart::Part::bytes(archive).file_name("project.zip");
            let request = gateway.adapter.rest(Method::POST, "/apis?override=false");
            let request = request.multipart(reqwest::multipart::Form::new().part("file", file));
            deploys.spawn(async move { (project.name().to_owned(), request.send().await) });
        }
        // The kill falls between the first answer and the last ones, at a place that differs from round to round.
        for _ in 0..=round * 2 {
            let (name, answer) = deploys.join_next().await.unwrap().unwrap();
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            promised.insert(name);
        }
        gateway.adapter.kill().unwrap();
        while let Some(late) = deploys.join_next().await {
            let (name, answer) = late.unwrap();
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                promised.insert(name);
            }
        }
        gateway.adapter.start_again().await.unwrap();
        let status = gateway.adapter.status().await.unwrap();
        assert_eq!(status["refused"], json!({}), "nothing that is stored is broken");
        let listed = gateway.adapter.list().await.unwrap();
        let listed: BTreeSet<String> =
            listed["list"].as_array().unwrap().iter().map(|api| api["apiName"].as_str().unwrap().to_owned()).collect();
        assert!(promised.is_subset(&listed), "{promised:?} but {listed:?}");
        for name in &listed {
            let path = format!("/{}/1.0.0/up", name.trim_start_matches("Probe-"));
            serves(&gateway, &path, 200).await;
        }
    }
}
