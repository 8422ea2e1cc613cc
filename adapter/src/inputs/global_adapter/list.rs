//! The list of a global adapter, and the conversation in which it arrives: state of the world, of one type. Pure.
//!
//! Must never take over a part of a list: one with an entry that cannot be understood is refused as a whole.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc;
use prost::Message as _;

/// What is asked for.
pub const TYPE_URL: &str = "type.googleapis.com/wso2.discovery.ga.Api";
/// Most entries of a list.
const MAX_ENTRIES: usize = 50_000;
/// Longest UUID, in bytes. It travels in queries.
const MAX_UUID: usize = 128;
/// `google.rpc.Code.INVALID_ARGUMENT`.
const INVALID: i32 = 3;

/// The APIs to serve by their UUIDs, each with the UUIDs of its revisions.
pub type Listed = BTreeMap<String, BTreeSet<String>>;

/// An entry: `wso2.discovery.ga.Api`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Api {
    /// Of the API.
    #[prost(string, tag = "1")]
    pub api_uuid: String,
    /// Of a revision that is deployed.
    #[prost(string, tag = "2")]
    pub revision_uuid: String,
    /// Of its owner. Projects say it too.
    #[prost(string, tag = "3")]
    pub organization_uuid: String,
}

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is no list of APIs.
    #[error("{TYPE_URL} was asked for, and {0:?} came")]
    Type(String),
    /// Too much.
    #[error("{0} entries are more than {MAX_ENTRIES}")]
    TooMany(usize),
    /// An entry is none.
    #[error("entry {0} cannot be read as wso2.discovery.ga.Api")]
    Entry(usize),
    /// An entry does not say which API it is about.
    #[error("entry {0} has no usable apiUUID")]
    Nameless(usize),
}

/// What is said in a stream, and in the next one after it breaks off.
#[derive(Debug)]
pub struct Conversation {
    label: String,
    /// Of the last list that was taken over.
    version: String,
}

impl Conversation {
    /// One that asks on behalf of this label.
    #[must_use]
    pub const fn new(label: String) -> Self {
        Self { label, version: String::new() }
    }

    /// What a stream begins with.
    #[must_use]
    pub fn opening(&self) -> DiscoveryRequest {
        self.request("", None)
    }

    /// The list of an answer, and what is to be said to it: that it is taken over, or why not.
    pub fn hear(&mut self, answer: &DiscoveryResponse) -> (Result<Listed, ListError>, DiscoveryRequest) {
        let heard = read(answer);
        let error = match &heard {
            Ok(_) => {
                self.version.clone_from(&answer.version_info);
                None
            }
            Err(error) => Some(rpc::Status { code: INVALID, message: error.to_string(), ..rpc::Status::default() }),
        };
        (heard, self.request(&answer.nonce, error))
    }

    fn request(&self, nonce: &str, error_detail: Option<rpc::Status>) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: self.version.clone(),
            node: Some(Node { id: self.label.clone(), ..Node::default() }),
            type_url: TYPE_URL.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail,
            ..DiscoveryRequest::default()
        }
    }
}

/// The list of an answer.
fn read(answer: &DiscoveryResponse) -> Result<Listed, ListError> {
    if answer.type_url != TYPE_URL {
        let plain = answer.type_url.chars().filter(|character| !character.is_control());
        return Err(ListError::Type(plain.take(MAX_UUID).collect()));
    }
    if answer.resources.len() > MAX_ENTRIES {
        return Err(ListError::TooMany(answer.resources.len()));
    }
    let mut listed = Listed::new();
    for (at, resource) in answer.resources.iter().enumerate() {
        let api = entry(resource).ok_or(ListError::Entry(at))?;
        let uuid = api.api_uuid;
        if uuid.is_empty() || uuid.len() > MAX_UUID || uuid.chars().any(char::is_control) {
            return Err(ListError::Nameless(at));
        }
        listed.entry(uuid).or_default().insert(api.revision_uuid);
    }
    Ok(listed)
}

fn entry(resource: &Any) -> Option<Api> {
    (resource.type_url == TYPE_URL).then(|| Api::decode(resource.value.as_slice()).ok()).flatten()
}

/// APIs that are new in a list, or have other revisions than before.
#[must_use]
pub fn different(before: &Listed, now: &Listed) -> Vec<String> {
    now.iter().filter(|(uuid, revisions)| before.get(*uuid) != Some(revisions)).map(|(uuid, _)| uuid.clone()).collect()
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
