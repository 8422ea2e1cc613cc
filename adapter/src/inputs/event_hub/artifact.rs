//! The archive in which API Manager hands out APIs: `deployments.json`, perhaps `env_properties.json`, and one project an API.
//! Whatever is wrong with one API concerns that API alone; a broken archive is an error, and says nothing about any API.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use super::object::{Object, ShapeError};
use crate::inputs::project::archive::MAX_ARCHIVE_BYTES;

const DEPLOYMENTS: &str = "deployments.json";
const PROPERTIES: &str = "env_properties.json";
/// Most bytes of either.
const MAX_JSON: usize = 64 << 20;
/// Most files.
const MAX_FILES: usize = 50_000;
/// Most bytes of all projects together. They are archives themselves, so packing them makes them no smaller.
const MAX_PROJECTS: usize = 1 << 30;
/// Longest name of a project's file.
const MAX_NAME: usize = 255;
/// Length of a UUID.
const UUID: usize = 36;

/// A revision of an API, and where it is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Of the API.
    pub uuid: String,
    /// UUID of the revision.
    pub revision: String,
    /// Owner of the API; empty when it is not said.
    pub organization: String,
    /// Environments of this adapter, each with its virtual host.
    pub environments: BTreeMap<String, String>,
    /// What takes the place of the backends, by environment.
    pub endpoints: BTreeMap<String, Endpoints>,
    /// Tells projects apart.
    pub digest: String,
}

/// What takes the place of the backends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// URL for production keys.
    pub production: Option<String>,
    /// URL for sandbox keys.
    pub sandbox: Option<String>,
}

impl Artifact {
    /// Its name in the store.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.uuid, self.revision)
    }
}

/// An API of an archive.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is said of it.
    pub artifact: Artifact,
    /// Its project, or why there is none.
    pub project: Result<Bytes, String>,
}

/// Why an archive cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, or not a whole one.
    #[error("the archive cannot be read ({0})")]
    Zip(#[from] zip::result::ZipError),
    /// The system failed.
    #[error("the archive cannot be read ({0})")]
    Io(#[from] std::io::Error),
    /// Too much.
    #[error("{0} is too large")]
    TooLarge(String),
    /// Not what it should be.
    #[error("{0}: {1}")]
    Shape(&'static str, ShapeError),
    /// No JSON.
    #[error("{0} is no JSON ({1})")]
    Json(&'static str, serde_json::Error),
}

/// Reads an archive for these environments. What is deployed to none of them is left out.
///
/// # Errors
/// Why nothing of it can be believed.
pub fn read(bytes: &[u8], environments: &[String]) -> Result<Vec<Item>, ArchiveError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    if archive.len() > MAX_FILES {
        return Err(ArchiveError::TooLarge("the number of its files".to_owned()));
    }
    // Names have no case, and only files at the root count.
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..archive.len() {
        if let Some(Ok(name)) = archive.name_for_index(at) {
            names.insert(name.to_lowercase(), at);
        }
    }
    let properties = match names.get(PROPERTIES) {
        Some(at) => properties(&json(PROPERTIES, &file(&mut archive, *at, MAX_JSON)?)?)?,
        None => Properties::new(),
    };
    let at = *names.get(DEPLOYMENTS).ok_or(ArchiveError::Shape(DEPLOYMENTS, ShapeError::Missing("the file")))?;
    let listed = json(DEPLOYMENTS, &file(&mut archive, at, MAX_JSON)?)?;
    let (mut items, mut room) = (Vec::new(), MAX_PROJECTS);
    for (name, mut artifact) in deployments(&listed, environments)? {
        let project = match names.get(&name.to_lowercase()) {
            Some(at) => file(&mut archive, *at, MAX_ARCHIVE_BYTES).map(Bytes::from).map_err(|error| error.to_string()),
            None => Err(format!("{name} is not in the archive")),
        };
        if let Ok(project) = &project {
            artifact.digest = hex::encode(Sha256::digest(project));
            room = room.checked_sub(project.len()).ok_or(ArchiveError::TooLarge("all projects together".to_owned()))?;
        }
        let named: BTreeSet<&String> = artifact.environments.keys().collect();
        let own = properties.get(&artifact.uuid).into_iter().flatten();
        artifact.endpoints =
            own.filter(|(name, _)| named.contains(name)).map(|(name, one)| (name.clone(), one.clone())).collect();
        items.push(Item { artifact, project });
    }
    Ok(items)
}

fn file(archive: &mut ZipArchive<Cursor<&[u8]>>, at: usize, limit: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut entry = archive.by_index(at)?;
    let mut contents = Vec::new();
    entry.by_ref().take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut contents)?;
    if contents.len() >= limit {
        let name = String::from_utf8_lossy(entry.name_raw())
            .chars()
            .filter(|character| !character.is_control())
            .take(MAX_NAME)
            .collect();
        return Err(ArchiveError::TooLarge(name));
    }
    Ok(contents)
}

fn json(name: &'static str, bytes: &[u8]) -> Result<Value, ArchiveError> {
    serde_json::from_slice(bytes).map_err(|error| ArchiveError::Json(name, error))
}

/// Files with what is said of them. One that is said twice is deployed in all those places.
fn deployments(listed: &Value, environments: &[String]) -> Result<BTreeMap<String, Artifact>, ArchiveError> {
    let wrong = |error| ArchiveError::Shape(DEPLOYMENTS, error);
    let data = Object::of(listed).map_err(wrong)?.object("data").ok_or(wrong(ShapeError::Missing("data")))?;
    if data.get("deployments").and_then(Value::as_array).is_none() {
        return Err(wrong(ShapeError::Missing("data.deployments")));
    }
    let mut found: BTreeMap<String, Artifact> = BTreeMap::new();
    for value in data.list("deployments") {
        let object = Object::of(value).map_err(wrong)?;
        let name = object.needed("apiFile").map_err(wrong)?;
        let (uuid, revision) = identify(&name);
        if uuid.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(wrong(ShapeError::Unclear("apiFile")));
        }
        // Whoever says nothing of places does not say that there are none.
        if object.get("environments").and_then(Value::as_array).is_none() {
            return Err(wrong(ShapeError::Missing("environments")));
        }
        let mut placed = BTreeMap::new();
        for value in object.list("environments") {
            let environment = Object::of(value).map_err(wrong)?;
            let label = environment.needed("name").map_err(wrong)?;
            if environments.contains(&label) {
                placed.insert(label, environment.text("vhost").unwrap_or_default());
            }
        }
        if placed.is_empty() {
            continue;
        }
        let organization = || object.text("organizationId").unwrap_or_default();
        let fresh = || Artifact { uuid, revision, organization: organization(), ..Artifact::default() };
        found.entry(name).or_insert_with(fresh).environments.extend(placed);
    }
    Ok(found)
}

/// `<UUID of the API>-<UUID of the revision>.zip`.
fn identify(file: &str) -> (String, String) {
    let stem = file.strip_suffix(".zip").unwrap_or(file);
    let parts = match (stem.get(..UUID), stem.get(UUID..).and_then(|rest| rest.strip_prefix('-'))) {
        (Some(uuid), Some(revision)) => Some((uuid, revision)),
        _ => stem.rsplit_once('-'),
    };
    let (uuid, revision) = parts.unwrap_or((stem, ""));
    (uuid.to_owned(), revision.to_owned())
}

/// What takes the place of backends, by API and environment.
type Properties = BTreeMap<String, BTreeMap<String, Endpoints>>;

fn properties(value: &Value) -> Result<Properties, ArchiveError> {
    let wrong = |error| ArchiveError::Shape(PROPERTIES, error);
    let object = Object::of(value).map_err(wrong)?;
    let apis = object.get("apis").map(Object::of).transpose().map_err(wrong)?;
    let mut properties = Properties::new();
    for (uuid, value) in apis.iter().flat_map(Object::members) {
        for (environment, value) in Object::of(value).map_err(wrong)?.members() {
            // Every environment by itself: what one leaves out is not that of another.
            let configs = Object::of(value).map_err(wrong)?.object("configs");
            let url = |name| configs.and_then(|configs| configs.text(name));
            let endpoints = Endpoints { production: url("productionEndpoint"), sandbox: url("sandboxEndpoint") };
            properties.entry(uuid.clone()).or_default().insert(environment.clone(), endpoints);
        }
    }
    Ok(properties)
}

#[cfg(test)]
#[path = "artifact_tests.rs"]
mod tests;
