//! `adapter push-filters`: what `docker push` would do for the filter modules.

use std::path::PathBuf;

use clap::Args;

use super::{print, runtime};
use crate::delivery::{Image, ImageFormat, Modules, Registry};

/// What can be said about it.
#[derive(Debug, Args)]
pub(super) struct PushCommand {
    /// What the names of the images begin with; each ends with the name of its module.
    #[arg(value_name = "registry.example/tollgate")]
    repository: String,
    /// Tag of the images.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// The enforcer; the modules that lie beside it are pushed too.
    #[arg(long, value_name = "enforcer.wasm", default_value = "enforcer.wasm")]
    wasm: PathBuf,
    /// Form of the images.
    #[arg(long, value_enum, default_value_t)]
    format: ImageFormat,
    /// Speaks plain HTTP with the registry.
    #[arg(long)]
    plain_http: bool,
    /// PEM file of a further authority to trust.
    #[arg(long, value_name = "ca.pem")]
    authority: Option<PathBuf>,
}

impl PushCommand {
    pub(super) fn run(&self) -> Result<(), String> {
        let modules = Modules::beside(&self.wasm).map_err(|error| error.to_string())?;
        let registry = Registry::new(self.plain_http, self.authority.as_deref()).map_err(|error| error.to_string())?;
        let runtime = runtime()?;
        for module in modules.iter() {
            let image = Image::of(module, self.format).map_err(|error| error.to_string())?;
            let reference = format!("{}/{}:{}", self.repository, module.name, self.tag);
            runtime.block_on(registry.push(&image, &reference)).map_err(|error| error.to_string())?;
            print(&format!(
                "oci://{reference}\n  image sha256 {}\n  module sha256 {}\n",
                image.sha256(),
                module.sha256
            ))?;
        }
        Ok(())
    }
}
