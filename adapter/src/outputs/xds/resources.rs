//! Resources of one type. Every version is made of content: the same content has the same version in every adapter process,
//! so nothing is sent, or taken for new, that is not.

use std::collections::BTreeSet;
use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use sha2::{Digest, Sha256};

/// Characters of a version.
const VERSION_LENGTH: usize = 16;

/// One resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    name: String,
    version: String,
    body: Any,
    /// Whose it is, if it is not the gateway's own.
    owner: Option<String>,
}

impl Resource {
    /// A resource whose encoding is the same whenever its content is.
    #[must_use]
    pub fn new(name: String, body: Any) -> Self {
        let version = version([name.as_bytes(), &body.value]);
        Self { name, version, body, owner: None }
    }

    /// A resource whose encoding may differ (maps have no order), identified by what it is made of.
    #[must_use]
    pub fn made_of<'p>(name: String, body: Any, parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        Self { version: version(parts), name, body, owner: None }
    }

    /// The same resource with an owner, to whom a refusal is attributed.
    #[must_use]
    pub fn owned_by(self, owner: String) -> Self {
        Self { owner: Some(owner), ..self }
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

    /// Its content.
    #[must_use]
    pub const fn body(&self) -> &Any {
        &self.body
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

/// Resources in the order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    version: String,
    items: Vec<Arc<Resource>>,
    withheld: BTreeSet<String>,
}

impl Resources {
    /// All there are.
    #[must_use]
    pub fn new(items: Vec<Arc<Resource>>) -> Self {
        Self::without(items, BTreeSet::new())
    }

    /// All but those `withheld`, which exist, but stay with the gateway as they are.
    #[must_use]
    pub fn without(mut items: Vec<Arc<Resource>>, withheld: BTreeSet<String>) -> Self {
        items.sort_by(|one, other| one.name.cmp(&other.name));
        let parts = items.iter().flat_map(|item| [item.name.as_bytes(), item.version.as_bytes()]);
        // Something that stays as it is, and the same thing gone, are not the same.
        let withheld_parts = withheld.iter().flat_map(|name| [name.as_bytes(), b""]);
        Self { version: version(parts.chain(withheld_parts)), items, withheld }
    }

    /// The version of the set.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The resource of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        let position = self.items.binary_search_by(|item| item.name.as_str().cmp(name)).ok()?;
        self.items.get(position)
    }

    /// Whether it is not here and yet not gone.
    #[must_use]
    pub fn withholds(&self, name: &str) -> bool {
        self.withheld.contains(name)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Resource>> {
        self.items.iter()
    }
}

/// Parts are hashed with their length, so that no two lists of parts look alike.
fn version<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(VERSION_LENGTH);
    text
}
