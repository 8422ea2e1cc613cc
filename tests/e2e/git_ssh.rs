//! A Git repository behind SSH: OpenSSH's server, which lets in one key.

use tollgate_tests::{Backend, Gateway, Settings, SshServer};

use crate::apis::probe;
use crate::sources::{Remote, serves, write};

#[tokio::test]
async fn a_repository_behind_ssh_is_followed_with_a_key() {
    let backend = Backend::start().await.unwrap();
    let server = SshServer::start().await.unwrap();
    let remote = Remote::new();
    let apis = remote.folder().join("apis");
    write(&apis, &probe(&backend, "/one"));
    remote.commit(&[]);
    let gateway = Gateway::with(settings(&server, &remote, "client", "known_hosts")).await.unwrap();
    gateway.all_answer("/one/1.0.0/up", 8, |status| status == 200).await.expect("from the start");

    std::fs::remove_file(apis.join("Probe-one.zip")).unwrap();
    write(&apis, &probe(&backend, "/two"));
    remote.commit(&[]);
    serves(&gateway, "/two/1.0.0/up", 200).await;
    serves(&gateway, "/one/1.0.0/up", 404).await;
}

/// A key that the server does not know, and a server whose key is not the known one: without its projects there is no start.
#[tokio::test]
async fn nobody_is_taken_for_somebody_else() {
    let backend = Backend::start().await.unwrap();
    let server = SshServer::start().await.unwrap();
    let remote = Remote::new();
    write(&remote.folder().join("apis"), &probe(&backend, "/one"));
    remote.commit(&[]);
    for (key, known, part) in
        [("stranger", "known_hosts", "Permission denied"), ("client", "other_hosts", "Host key verification failed")]
    {
        let mut settings = settings(&server, &remote, key, known);
        settings.extra = settings.extra.replace("retryInterval = 1\n", "maxRetryCount = 0\n");
        let error = Gateway::with(settings).await.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(part), "{key} {known}: {error}");
    }
}

fn settings(server: &SshServer, remote: &Remote, key: &str, known: &str) -> Settings {
    let extra = format!(
        "[adapter.sourceControl]\nenabled = true\npollInterval = 1\nretryInterval = 1\n[adapter.sourceControl.repository]\n\
         URL = '{}'\nbranch = 'main'\nSSHKeyFile = '{}'\nSSHKnownHostsFile = '{}'\n",
        server.url(remote.folder()),
        server.file(key).display(),
        server.file(known).display(),
    );
    Settings { extra, ..Settings::default() }
}
