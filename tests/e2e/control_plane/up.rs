//! `just up-with-apim`, by which users try a gateway under an API Manager that runs already.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::task::spawn_blocking;
use tollgate_tests::apim::{Acknowledgement, ApiManager, KeyManager, Operation, PASSWORD, RESIDENT};
use tollgate_tests::http::{Answer, client};
use tollgate_tests::{Backend, Topics, eventually, locate};

use super::{ISSUER, NOT_SUBSCRIBED, OK, PET, PETS, pets, token};
use crate::tour::Running;

/// What the recipe runs once all is built.
fn recipe(arguments: &[(&str, &str)]) -> String {
    let justfile = std::fs::read_to_string(locate::root().join("justfile")).unwrap();
    let mut lines = justfile.lines().skip_while(|line| !line.starts_with("up-with-apim "));
    let head = lines.next().unwrap();
    let mut line = lines.next().unwrap().trim().trim_start_matches('@').to_owned();
    for (name, value) in arguments {
        assert!(head.contains(name), "{name} is no parameter: {head}");
        line = line.replace(&format!("{{{{ {name} }}}}"), value);
    }
    assert!(!line.contains("{{"), "{line}");
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_recipe_starts_serves_what_is_published_to_whoever_subscribes() {
    let topics = Topics::shared().await.unwrap();
    let apim = ApiManager::start(&topics.url()).await.unwrap();
    let backend = Backend::start().await.unwrap();
    // As the real one has it: its keys are behind its own certificate, which nobody here trusts.
    let keys = json!({"jwks_endpoint": apim.jwks_url()});
    apim.silently(Operation::key_manager(RESIDENT, KeyManager::of(ISSUER, &keys))).unwrap();

    let (url, broker) = (apim.url(), topics.url());
    let arguments =
        [("url", url.as_str()), ("broker", &broker), ("environment", "Default"), ("arguments", "--free-ports")];
    let line = format!("exec {}", recipe(&arguments));
    let started = spawn_blocking(move || {
        let mut command = Command::new("bash");
        command.args(["-c", &line]).current_dir(locate::root()).env("cp_admin_pwd", PASSWORD);
        let mut up = Running::start(&mut command);
        let printed = up.printed();
        (up, printed)
    });
    let (mut up, printed) = started.await.unwrap();
    let after = |word: &str| {
        let line = printed.iter().find_map(|line| line.strip_prefix(word)).context(format!("{printed:#?}"));
        line.unwrap().trim().to_owned()
    };
    let gateway = after("Gateway").split_whitespace().next().unwrap().to_owned();
    let client = client(0).unwrap();
    let web = token("web-key", "web");
    let answers = async |(status, code): (u16, &str)| {
        let answered = async || {
            let answer = Answer::of(client.get(format!("{gateway}{PET}")).bearer_auth(&web)).await?;
            ensure!(answer.status == status && answer.body.contains(code), "{} {}", answer.status, answer.body);
            Ok(())
        };
        eventually(&format!("{PET} answers {status} {code}"), answered).await.unwrap();
    };

    apim.perform(Operation::publish(pets(&backend.url(), 1))).unwrap();
    apim.perform(Operation::deploy(PETS, &["Default"])).unwrap();
    answers(NOT_SUBSCRIBED).await;
    apim.perform(Operation::application("web")).unwrap();
    apim.perform(Operation::keys("web", "web-key", RESIDENT)).unwrap();
    apim.perform(Operation::subscribe("web", PETS)).unwrap();
    answers(OK).await;
    let acknowledged = async || {
        let told = apim.acknowledged();
        ensure!(told.iter().any(|told| matches!(told, Acknowledgement::Deployed { revision: 1, .. })), "{told:?}");
        Ok(())
    };
    eventually("API Manager is told what is served", acknowledged).await.unwrap();
    let status = after("Status");
    let live = async || {
        let output = Command::new("bash").args(["-c", &status]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && text.contains("live"), "{text}");
        Ok(())
    };
    eventually("the printed command says that it is live", live).await.unwrap();

    let ended = spawn_blocking(move || up.interrupt()).await.unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(apim.complaints(), Vec::<String>::new());
}

#[test]
fn without_a_password_it_says_what_to_set() {
    let mut up = Command::new(env!("CARGO_BIN_EXE_up"));
    up.args(["--api-manager", "https://localhost:1/", "amqp://localhost:1", "Default"]).env_remove("cp_admin_pwd");
    let output = up.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("cp_admin_pwd"), "{said}");
}
