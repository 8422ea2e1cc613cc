//! API projects as apictl sends them: made from a sample folder, or built from nothing.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::locate;

/// The backend that the sample projects name.
const SAMPLE_BACKEND: &str = "http://127.0.0.1:8080";

/// The archive of `tests/projects/<name>`, with the sample backend replaced by `backend` (a URL without a path).
///
/// # Errors
/// When the folder cannot be read.
pub fn sample(name: &str, backend: &str) -> Result<Vec<u8>> {
    sample_with(name, backend, &[])
}

/// The same, with further texts replaced by others.
///
/// # Errors
/// When the folder cannot be read.
pub fn sample_with(name: &str, backend: &str, replaced: &[(&str, &str)]) -> Result<Vec<u8>> {
    let folder = locate::root().join("tests/projects").join(name);
    let mut files = BTreeMap::new();
    read_folder(&folder, name, &mut files)?;
    for content in files.values_mut() {
        if let Ok(text) = std::str::from_utf8(content) {
            let text = text.replace(SAMPLE_BACKEND, backend);
            // Swagger 2 writes the host without a scheme.
            let [sample, real] =
                [SAMPLE_BACKEND, backend].map(|url| url.split_once("://").map_or(url, |(_, host)| host));
            let text = text.replace(sample, real);
            *content = replaced.iter().fold(text, |text, (from, to)| text.replace(from, to)).into_bytes();
        }
    }
    archive(&files)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let context = || format!("reading the sample project {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().with_context(context)?.is_dir() {
            read_folder(&entry.path(), &name, files)?;
        } else {
            files.insert(name, std::fs::read(entry.path()).with_context(context)?);
        }
    }
    Ok(())
}

/// The archive of these files.
///
/// # Errors
/// When it cannot be written.
pub fn archive(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        // Archives in an archive are small enough, and thousands of them take long to make smaller.
        let method = if name.ends_with(".zip") { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name.as_str(), options).context("adding a file to the archive")?;
        zip.write_all(content).context("writing to the archive")?;
    }
    Ok(zip.finish().context("closing the archive")?.into_inner())
}

/// An API project of type HTTP with an OpenAPI 3 definition.
#[derive(Debug, Clone)]
pub struct ApiProject {
    name: String,
    version: String,
    context: String,
    api: Map<String, Value>,
    definition: Map<String, Value>,
    paths: Map<String, Value>,
    more: BTreeMap<String, String>,
}

impl ApiProject {
    /// An API without resources; its base path is `<context>/<version>`.
    #[must_use]
    pub fn new(name: &str, version: &str, context: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            context: context.to_owned(),
            api: Map::new(),
            definition: Map::new(),
            paths: Map::new(),
            more: BTreeMap::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its context, without the version.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Sets a member of `data` in api.yaml.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.api.insert(member.to_owned(), value.into());
        self
    }

    /// Sets a top-level member of the OpenAPI definition.
    #[must_use]
    pub fn with_extension(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.definition.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: &str) -> Self {
        self.more.insert(path.to_owned(), content.to_owned());
        self
    }

    /// An operation that asks for what this `security` of OpenAPI says.
    #[must_use]
    pub fn asking(self, method: &str, path: &str, security: &Value) -> Self {
        self.operation(method, path, json!({ "security": security }))
    }

    /// The backend of production keys.
    #[must_use]
    pub fn production(self, url: &str) -> Self {
        self.with_extension("x-wso2-production-endpoints", json!({ "urls": [url] }))
    }

    /// The backend of sandbox keys.
    #[must_use]
    pub fn sandbox(self, url: &str) -> Self {
        self.with_extension("x-wso2-sandbox-endpoints", json!({ "urls": [url] }))
    }

    /// An operation that needs a token.
    #[must_use]
    pub fn secured(self, method: &str, path: &str) -> Self {
        self.operation(method, path, json!({ "security": [{ "default": [] }] }))
    }

    /// An operation that needs a token, with further members.
    #[must_use]
    pub fn secured_with(self, method: &str, path: &str, mut members: Value) -> Self {
        if let Some(members) = members.as_object_mut() {
            members.insert("security".to_owned(), json!([{ "default": [] }]));
        }
        self.operation(method, path, members)
    }

    /// An operation that needs a token with one of these scopes.
    #[must_use]
    pub fn scoped(self, method: &str, path: &str, scopes: &[&str]) -> Self {
        self.operation(method, path, json!({ "security": [{ "default": scopes }] }))
    }

    /// An operation that anyone may call.
    #[must_use]
    pub fn unsecured(self, method: &str, path: &str) -> Self {
        self.operation(method, path, json!({ "x-wso2-disable-security": true }))
    }

    /// An operation that anyone may call, with further members.
    #[must_use]
    pub fn unsecured_with(self, method: &str, path: &str, mut members: Value) -> Self {
        if let Some(members) = members.as_object_mut() {
            members.insert("x-wso2-disable-security".to_owned(), true.into());
        }
        self.operation(method, path, members)
    }

    fn operation(mut self, method: &str, path: &str, mut operation: Value) -> Self {
        if let Some(operation) = operation.as_object_mut() {
            operation.entry("responses").or_insert_with(|| json!({ "200": { "description": "ok" } }));
            let parameters = parameters(path);
            if !parameters.is_empty() {
                operation.insert("parameters".to_owned(), Value::Array(parameters));
            }
        }
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.to_lowercase(), operation);
        }
        self
    }

    /// The archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn zip(&self) -> Result<Vec<u8>> {
        let folder = format!("{}-{}", self.name, self.version);
        let own = self.files().into_iter().map(|(name, text)| (name.to_owned(), text));
        let files = own.chain(self.more.clone());
        archive(&files.map(|(name, text)| (format!("{folder}/{name}"), text.into_bytes())).collect())
    }

    /// Its metadata and its definition by their paths.
    #[must_use]
    pub fn files(&self) -> [(&'static str, String); 2] {
        let files = [("api.yaml", self.api_yaml()), ("Definitions/swagger.yaml", self.definition())];
        // JSON is YAML, and needs no second library.
        files.map(|(name, json)| (name, json.to_string()))
    }

    fn api_yaml(&self) -> Value {
        let mut data = json!({
            "name": self.name, "version": self.version, "context": self.context,
            "type": "HTTP", "lifeCycleStatus": "PUBLISHED", "provider": "admin",
        });
        if let Some(data) = data.as_object_mut() {
            data.extend(self.api.clone());
        }
        json!({ "type": "api", "version": "v4.1.0", "data": data })
    }

    fn definition(&self) -> Value {
        let flow = json!({ "authorizationUrl": "https://test.example/authorize", "scopes": self.scopes() });
        let mut definition = json!({
            "openapi": "3.0.1",
            "info": { "title": self.name, "version": self.version },
            "paths": self.paths,
            "components": { "securitySchemes": { "default": { "type": "oauth2", "flows": { "implicit": flow } } } },
        });
        if let Some(definition) = definition.as_object_mut() {
            definition.extend(self.definition.clone());
        }
        definition
    }

    fn scopes(&self) -> Value {
        let operations = self.paths.values().filter_map(Value::as_object).flat_map(|item| item.values());
        let scopes = operations.filter_map(|operation| operation.pointer("/security/0/default")?.as_array()).flatten();
        scopes.filter_map(Value::as_str).map(|scope| (scope.to_owned(), json!(scope))).collect::<Map<_, _>>().into()
    }
}

fn parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}
