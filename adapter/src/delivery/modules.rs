//! The filter modules that there are, each with its hash. Read once: what is served under a hash cannot change meanwhile.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
pub use tollgate_model::contract::MODULES;

/// Most bytes of a module; ours have a few hundred thousand.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What every module begins with.
const MAGIC: &[u8] = b"\0asm";

/// One module.
#[derive(Clone)]
pub struct Module {
    /// Its name without an ending, which is the root id it answers to.
    pub name: String,
    /// The WebAssembly binary.
    pub bytes: Bytes,
    /// SHA-256 of it in hexadecimal digits.
    pub sha256: String,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("name", &self.name).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// Why a module cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// It cannot be read.
    #[error(
        "the module {} cannot be read ({source}); build it with `./just wasm`, or correct tollgate.module", path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is not a WebAssembly module; build one with `./just wasm`, or correct tollgate.module", .0.display())]
    NoModule(PathBuf),
}

impl Module {
    /// A module from its bytes.
    #[must_use]
    pub fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Self { name: name.to_owned(), bytes, sha256 }
    }

    /// A module from a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no module.
    pub fn load(name: &str, path: &Path) -> Result<Self, ModuleError> {
        let failed = |source| ModuleError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        let whole = u64::try_from(bytes.len()).is_ok_and(|length| length < MAX_BYTES);
        if !whole || !bytes.starts_with(MAGIC) {
            return Err(ModuleError::NoModule(path.to_owned()));
        }
        Ok(Self::new(name, bytes))
    }
}

/// All modules of one release.
#[derive(Debug, Clone, Default)]
pub struct Modules(Vec<Module>);

impl Modules {
    /// The enforcer, and those of the other modules that lie beside it.
    ///
    /// # Errors
    /// When the enforcer is not there, or one that is there cannot be used.
    pub fn beside(enforcer: &Path) -> Result<Self, ModuleError> {
        let folder = enforcer.parent().unwrap_or(Path::new(""));
        let mut modules = Vec::new();
        for name in MODULES {
            let path = if name == "enforcer" { enforcer.to_owned() } else { folder.join(format!("{name}.wasm")) };
            match Module::load(name, &path) {
                Ok(module) => modules.push(module),
                Err(ModuleError::Read { source, .. })
                    if name != "enforcer" && source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(modules))
    }

    /// All of them, in the order of [`MODULES`].
    pub fn iter(&self) -> impl Iterator<Item = &Module> {
        self.0.iter()
    }

    /// The one with that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Module> {
        self.0.iter().find(|module| module.name == name)
    }

    /// The one with that hash.
    #[must_use]
    pub fn with_hash(&self, sha256: &str) -> Option<&Module> {
        self.0.iter().find(|module| module.sha256 == sha256)
    }
}

impl FromIterator<Module> for Modules {
    fn from_iter<I: IntoIterator<Item = Module>>(modules: I) -> Self {
        Self(modules.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_beside_the_enforcer_and_by_their_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let enforcer = file("mine.wasm", b"\0asm whole");
        file("mediate.wasm", b"\0asm mediate");
        file("enforcer-trap.wasm", b"\0asm trap");
        let modules = Modules::beside(&enforcer).unwrap();
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["enforcer", "mediate"]);
        let mediate = modules.named("mediate").unwrap();
        assert_eq!(mediate.sha256, hex::encode(Sha256::digest(b"\0asm mediate")));
        assert_eq!(modules.with_hash(&mediate.sha256).map(|module| module.name.as_str()), Some("mediate"));
        assert!(modules.with_hash("").is_none() && modules.named("ratelimit").is_none());
    }

    #[test]
    fn what_is_no_module_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let enforcer = folder.path().join("enforcer.wasm");
        assert!(Modules::beside(&enforcer).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&enforcer, "<html>").unwrap();
        assert!(Modules::beside(&enforcer).unwrap_err().to_string().contains("is not a WebAssembly module"));
        std::fs::write(&enforcer, "\0asm").unwrap();
        std::fs::write(folder.path().join("authorize.wasm"), "").unwrap();
        let error = Modules::beside(&enforcer).unwrap_err().to_string();
        assert!(error.contains("authorize.wasm"), "{error}");
    }
}
