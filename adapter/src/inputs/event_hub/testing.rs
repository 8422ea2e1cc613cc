//! What tests of several parts need.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_model::Secret;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::settings::EventHubSettings;
use crate::broker::BrokerSettings;
use crate::inputs::global_adapter::GlobalAdapterSettings;
use crate::inputs::project::{ProjectFiles, directory};
use crate::tls::Trust;

/// Folder of a project that is good.
const PETSTORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/projects/petstore");

/// A project that is good.
pub fn petstore() -> ProjectFiles {
    directory::read(PETSTORE.as_ref(), PETSTORE.as_ref()).unwrap()
}

/// The same as API Manager packs it, under another name and context.
pub fn petstore_zip(name: &str) -> Vec<u8> {
    let files = petstore();
    let entries: Vec<(&str, Vec<u8>)> = files
        .paths()
        .filter(|path| !path.starts_with("deployment_environments"))
        .map(|path| {
            let text = String::from_utf8(files.get(path).unwrap().to_vec()).unwrap();
            let text = text.replace("SwaggerPetstore", name).replace("/petstore", &format!("/{}", name.to_lowercase()));
            (path, text.into_bytes())
        })
        .collect();
    zip(&entries.iter().map(|(path, contents)| (*path, contents.as_slice())).collect::<Vec<_>>())
}

/// An archive.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(contents).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An API of an archive.
#[derive(Clone)]
pub struct Api {
    pub uuid: String,
    pub revision: String,
    /// Environments with their virtual hosts.
    pub places: Vec<(String, String)>,
    pub project: Vec<u8>,
}

/// An archive as API Manager hands it out.
pub fn artifacts(apis: &[Api]) -> Vec<u8> {
    let file = |api: &Api| format!("{}-{}.zip", api.uuid, api.revision);
    let listed = apis.iter().map(|api| {
        let places = api.places.iter().map(|(name, host)| json!({"name": name, "vhost": host}));
        json!({"apiFile": file(api), "environments": places.collect::<Vec<Value>>(), "organizationId": "carbon.super"})
    });
    let listed = json!({"type": "deployments", "data": {"deployments": listed.collect::<Vec<Value>>()}}).to_string();
    let names: Vec<String> = apis.iter().map(file).collect();
    let mut files: Vec<(&str, &[u8])> = vec![("deployments.json", listed.as_bytes())];
    files.extend(names.iter().zip(apis).map(|(name, api)| (name.as_str(), api.project.as_slice())));
    zip(&files)
}

/// One that is never called.
pub fn global_adapter() -> GlobalAdapterSettings {
    let (url, label) = ("https://127.0.0.1:1/".parse().unwrap(), "west".to_owned());
    GlobalAdapterSettings { url, certificate_name: None, label, retry: Duration::from_millis(100) }
}

/// Of an API Manager at that address, whose broker cannot be reached.
pub fn settings(url: &str, folder: &Path) -> EventHubSettings {
    EventHubSettings {
        url: url.parse().unwrap(),
        username: "admin".to_owned(),
        password: Secret::from("hush".to_owned()),
        tenant: "carbon.super".to_owned(),
        environments: vec!["Default".to_owned()],
        trust: Trust::System,
        retry: Duration::from_millis(100),
        timeout: Duration::from_millis(400),
        workers: 4,
        queue: 100,
        pause: Duration::from_millis(100),
        reconcile: Duration::from_secs(300),
        report_revisions: false,
        broker: BrokerSettings { endpoints: vec!["amqp://127.0.0.1:1".parse().unwrap()], trust: Trust::System },
        global_adapter: None,
        store: folder.join("control-plane.redb"),
    }
}
