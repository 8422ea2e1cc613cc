//! A module as an image of a container registry, in the two forms that hosts of WebAssembly take: `compat`, a Docker image of
//! one layer with the file `plugin.wasm`, and `artifact`, with layers of WebAssembly's own media types.
//! <https://github.com/solo-io/wasm/tree/master/spec>
//!
//! Must be reproducible: the digest is written into manifests by whoever renders them, without asking a registry.

use std::io;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Module;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";
/// Annotation with the name of a layer's file.
const TITLE: &str = "org.opencontainers.image.title";

/// The form of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageFormat {
    /// A Docker image whose only layer holds the file `plugin.wasm`; every registry takes it.
    #[default]
    Compat,
    /// An OCI artifact of the media types of WebAssembly.
    Artifact,
}

/// Bytes of a registry, known by their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What they are.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
    /// `sha256:` and their SHA-256 in hexadecimal digits.
    pub digest: String,
}

impl Blob {
    fn new(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        Self { media_type, bytes, digest }
    }

    fn descriptor(&self, title: Option<&str>) -> OciDescriptor {
        OciDescriptor {
            media_type: self.media_type.to_owned(),
            digest: self.digest.clone(),
            size: i64::try_from(self.bytes.len()).unwrap_or(i64::MAX),
            annotations: title.map(|title| [(TITLE.to_owned(), title.to_owned())].into()),
            ..OciDescriptor::default()
        }
    }
}

/// An image: its manifest, and what that names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Configuration and layers.
    pub blobs: Vec<Blob>,
    /// The manifest; its digest is the image's.
    pub manifest: Blob,
}

impl Image {
    /// The image of a module.
    ///
    /// # Errors
    /// When the archive cannot be written, which is in memory.
    pub fn of(module: &Module, format: ImageFormat) -> io::Result<Self> {
        match format {
            ImageFormat::Compat => Self::compat(module),
            ImageFormat::Artifact => Self::artifact(module),
        }
    }

    /// The SHA-256 by which proxies check the image: that of its manifest, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.manifest.digest.trim_start_matches("sha256:")
    }

    fn compat(module: &Module) -> io::Result<Self> {
        let archive = archive(&[("plugin.wasm", &module.bytes), ("runtime-config.json", &runtime_config(module)?)])?;
        let difference = format!("sha256:{}", hex::encode(Sha256::digest(&archive)));
        let config = json!({
            "architecture": "wasm",
            "os": "wasip1",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [difference] },
        });
        let config = Blob::new(DOCKER_CONFIG, serde_json::to_vec(&config)?);
        let layer = Blob::new(DOCKER_LAYER, compressed(&archive)?);
        Self::assemble(DOCKER_MANIFEST, config, vec![(layer, None)])
    }

    /// Istio wants exactly these two layers.
    fn artifact(module: &Module) -> io::Result<Self> {
        let config = Blob::new(EMPTY_CONFIG, Bytes::from_static(b"{}"));
        let runtime = Blob::new(WASM_CONFIG, runtime_config(module)?);
        let content = Blob::new(WASM_CONTENT, module.bytes.clone());
        Self::assemble(MANIFEST, config, vec![(runtime, Some("runtime-config.json")), (content, Some("plugin.wasm"))])
    }

    fn assemble(media_type: &'static str, config: Blob, layers: Vec<(Blob, Option<&'static str>)>) -> io::Result<Self> {
        let manifest = OciImageManifest {
            media_type: Some(media_type.to_owned()),
            artifact_type: (media_type == MANIFEST).then(|| WASM_CONFIG.to_owned()),
            config: config.descriptor(None),
            layers: layers.iter().map(|(layer, title)| layer.descriptor(*title)).collect(),
            ..OciImageManifest::default()
        };
        let manifest = Blob::new(media_type, serde_json::to_vec(&manifest)?);
        let blobs = std::iter::once(config).chain(layers.into_iter().map(|(layer, _)| layer)).collect();
        Ok(Self { blobs, manifest })
    }
}

/// What a host is told of the module: its interface, and the root id it answers to.
fn runtime_config(module: &Module) -> io::Result<Vec<u8>> {
    let config = json!({
        "type": "envoy_proxy",
        "abiVersions": ["v0-2-1"],
        "config": { "rootIds": [module.name] },
    });
    Ok(serde_json::to_vec(&config)?)
}

/// A tar archive in which nothing says when and where it was made.
fn archive(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len()).map_err(io::Error::other)?);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, name, *bytes)?;
    }
    archive.into_inner()
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    io::Write::write_all(&mut out, bytes)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::Value;

    use super::*;

    fn module() -> Module {
        Module::new("enforcer", &b"\0asm\x01\0\0\0 and so on"[..])
    }

    fn manifest(image: &Image) -> Value {
        serde_json::from_slice(&image.manifest.bytes).unwrap()
    }

    #[test]
    fn every_blob_is_named_by_its_digest_and_size() {
        for format in [ImageFormat::Compat, ImageFormat::Artifact] {
            let image = Image::of(&module(), format).unwrap();
            let manifest = manifest(&image);
            let layers = manifest["layers"].as_array().unwrap();
            let named: Vec<&Value> = std::iter::once(&manifest["config"]).chain(layers).collect();
            assert_eq!(named.len(), image.blobs.len());
            for (named, blob) in named.into_iter().zip(&image.blobs) {
                assert_eq!(named["digest"], format!("sha256:{}", hex::encode(Sha256::digest(&blob.bytes))));
                assert_eq!(named["size"], blob.bytes.len());
                assert_eq!(named["mediaType"], blob.media_type);
            }
            assert_eq!(manifest["mediaType"], image.manifest.media_type);
            assert_eq!(image.sha256(), hex::encode(Sha256::digest(&image.manifest.bytes)));
            assert_eq!(Image::of(&module(), format).unwrap(), image, "not reproducible");
        }
    }

    #[test]
    fn the_last_layer_of_compat_holds_the_module() {
        let image = Image::of(&module(), ImageFormat::Compat).unwrap();
        let layer = image.blobs.last().unwrap();
        assert_eq!((image.blobs.len(), layer.media_type), (2, DOCKER_LAYER));
        let mut archive = Vec::new();
        flate2::read::GzDecoder::new(layer.bytes.as_ref()).read_to_end(&mut archive).unwrap();
        let config: Value = serde_json::from_slice(&image.blobs[0].bytes).unwrap();
        let difference = format!("sha256:{}", hex::encode(Sha256::digest(&archive)));
        assert_eq!(config["rootfs"]["diff_ids"][0], difference);
        let mut found = Vec::new();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            found.push((entry.path().unwrap().display().to_string(), bytes));
        }
        assert_eq!(found[0], ("plugin.wasm".to_owned(), module().bytes.to_vec()));
        let runtime: Value = serde_json::from_slice(&found[1].1).unwrap();
        assert_eq!(
            (found[1].0.as_str(), &runtime["config"]["rootIds"][0]),
            ("runtime-config.json", &"enforcer".into())
        );
    }

    #[test]
    fn an_artifact_has_two_layers_and_one_is_the_module_itself() {
        let image = Image::of(&module(), ImageFormat::Artifact).unwrap();
        let layers: Vec<(&str, &Bytes)> =
            image.blobs.iter().skip(1).map(|blob| (blob.media_type, &blob.bytes)).collect();
        assert_eq!(layers.len(), 2);
        assert!(layers.contains(&(WASM_CONTENT, &module().bytes)), "{layers:?}");
        assert_eq!(manifest(&image)["artifactType"], WASM_CONFIG);
    }
}
