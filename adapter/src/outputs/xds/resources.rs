//! A set of resources of one type, with a version that is their content: the same content has the same version in every
//! adapter process, so nothing is sent, or taken for new, that is not.

use std::sync::Arc;

use envoy_types::pb::google::protobuf::Any;
use sha2::{Digest, Sha256};

/// Characters of a version.
const VERSION_LENGTH: usize = 16;

/// Resources by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources {
    version: String,
    items: Vec<(String, Arc<Any>)>,
}

impl Resources {
    /// Resources whose encoding is the same whenever their content is.
    #[must_use]
    pub fn new(items: Vec<(String, Arc<Any>)>) -> Self {
        let mut hash = Sha256::new();
        for (name, item) in &items {
            add(&mut hash, name.as_bytes());
            add(&mut hash, &item.value);
        }
        Self { version: version(hash), items }
    }

    /// A resource whose encoding may differ (maps have no order), identified by what it is made of.
    #[must_use]
    pub fn made_of<'p>(name: String, item: Any, parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            add(&mut hash, part);
        }
        Self { version: version(hash), items: vec![(name, Arc::new(item))] }
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Those that `wanted` names.
    pub fn select(&self, wanted: impl Fn(&str) -> bool) -> Vec<Any> {
        self.items.iter().filter(|(name, _)| wanted(name)).map(|(_, item)| Any::clone(item)).collect()
    }
}

/// With its length, so that no two lists of parts look alike.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update(part.len().to_le_bytes());
    hash.update(part);
}

fn version(hash: Sha256) -> String {
    let mut text = hex::encode(hash.finalize());
    text.truncate(VERSION_LENGTH);
    text
}
