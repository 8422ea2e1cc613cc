//! How filter modules leave the adapter's machine: as bytes under their hash, and as images in a registry.
//!
//! Must never hand out bytes under a hash that is not theirs.

mod image;
mod modules;
mod push;

pub use image::{Blob, Image, ImageFormat};
pub use modules::{MODULES, Module, ModuleError, Modules};
pub use push::{PushError, Registry};
