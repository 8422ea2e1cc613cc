//! Where a deployment comes from. Must never decide what is served; it says who may replace or remove it.

use std::sync::Arc;

use serde::Serialize;

/// Where a deployment comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "source")]
pub enum Origin {
    /// The REST API; the adapter stores it.
    #[default]
    Rest,
    /// A project below the artifacts directory.
    Folder(ProjectOrigin),
    /// A project of the Git repository.
    Git(ProjectOrigin),
    /// An API of API Manager, by its UUID.
    ApiManager(ProjectOrigin),
}

/// A project that is kept elsewhere and read again at every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectOrigin {
    /// Its folder or zip.
    pub project: Arc<str>,
    /// The commit it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Arc<str>>,
}

impl Origin {
    /// Whether the adapter's own store keeps it.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        matches!(self, Self::Rest)
    }

    /// Whether both are the same project of the same source, in whatever revision.
    #[must_use]
    pub fn is_project_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder(one), Self::Folder(other))
            | (Self::Git(one), Self::Git(other))
            | (Self::ApiManager(one), Self::ApiManager(other)) => one.project == other.project,
            _ => false,
        }
    }

    /// In words, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Rest => "the REST API".to_owned(),
            Self::Folder(origin) => format!("the project {} of the artifacts directory", origin.project),
            Self::Git(origin) => format!("the project {} of the Git repository", origin.project),
            Self::ApiManager(origin) => format!("the API {} of API Manager", origin.project),
        }
    }
}
