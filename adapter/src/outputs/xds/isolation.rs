//! Keeps a cluster that a gateway refuses from keeping the others back.
//!
//! Envoy answers a response as a whole, and at best names what it refused. What it names is left out from then on, or stays
//! in its last good version; if it names nothing, what is new is tried in halves until the bad one is found. Pure; must
//! never leave out a resource that was not refused for longer than such a search takes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::resources::{Resource, Resources};

/// Most characters of a reason that are kept with a resource.
const MAX_REASON: usize = 512;

/// What a gateway took and refused of one type.
#[derive(Debug)]
pub struct Isolation {
    good: Arc<Resources>,
    refused: BTreeMap<String, Refusal>,
    /// Groups of names that hold a bad one. The last is on trial, the others wait.
    suspects: Vec<Vec<String>>,
}

/// Why a resource is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The version that was refused.
    pub version: String,
    /// Whose resource it is.
    pub owner: Option<String>,
    /// Envoy's words.
    pub reason: String,
}

impl Default for Isolation {
    fn default() -> Self {
        Self { good: Arc::new(Resources::new(Vec::new())), refused: BTreeMap::new(), suspects: Vec::new() }
    }
}

impl Isolation {
    /// What of the published resources the gateway is to have. A resource that changed is given another chance.
    pub fn view(&mut self, published: &Arc<Resources>) -> Arc<Resources> {
        self.refused.retain(|name, refusal| published.get(name).is_some_and(|now| now.version() == refusal.version));
        let waiting = self.suspects.split_last().map(|(_, waiting)| waiting).unwrap_or_default();
        if self.refused.is_empty() && waiting.is_empty() {
            return Arc::clone(published);
        }
        let out: HashSet<&str> = waiting.iter().flatten().chain(self.refused.keys()).map(String::as_str).collect();
        let mut items = Vec::new();
        let mut withheld = BTreeSet::new();
        for item in published.iter() {
            match (out.contains(item.name()), self.good.get(item.name())) {
                (false, _) => items.push(Arc::clone(item)),
                (true, Some(good)) => items.push(Arc::clone(good)),
                (true, None) => {
                    withheld.insert(item.name().to_owned());
                }
            }
        }
        Arc::new(Resources::without(items, withheld))
    }

    /// The gateway took these.
    pub fn accepted(&mut self, sent: &Arc<Resources>) {
        self.good = Arc::clone(sent);
        self.suspects.pop();
    }

    /// The gateway refused these as a whole. Gives the names of those that are left out because of it.
    pub fn rejected(&mut self, sent: &Arc<Resources>, error: &str) -> Vec<String> {
        let is_new =
            |item: &&Arc<Resource>| self.good.get(item.name()).is_none_or(|good| good.version() != item.version());
        let new: Vec<&Arc<Resource>> = sent.iter().filter(is_new).collect();
        let words: HashSet<&str> = error.split(is_between_words).collect();
        let named: Vec<&Arc<Resource>> = new.iter().filter(|item| words.contains(item.name())).copied().collect();
        if !named.is_empty() {
            return named.into_iter().map(|item| self.refuse(item, error)).collect();
        }
        self.suspects.pop();
        match new.as_slice() {
            // Nothing that was added is to blame.
            [] => Vec::new(),
            [bad] => vec![self.refuse(bad, error)],
            several => {
                let (first, second) = several.split_at(several.len().div_ceil(2));
                let names = |half: &[&Arc<Resource>]| half.iter().map(|item| item.name().to_owned()).collect();
                self.suspects.extend([names(second), names(first)]);
                Vec::new()
            }
        }
    }

    /// Whether a search is under way.
    #[must_use]
    pub const fn is_searching(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// What is left out, by name.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<String, Refusal> {
        &self.refused
    }

    fn refuse(&mut self, item: &Resource, error: &str) -> String {
        let is_word = |start: &usize| {
            let before = error.get(..*start).and_then(|text| text.chars().next_back());
            let after = error.get(*start..).and_then(|text| text.strip_prefix(item.name())?.chars().next());
            before.is_none_or(is_between_words) && after.is_none_or(is_between_words)
        };
        let start = error.match_indices(item.name()).map(|(start, _)| start).find(is_word);
        let from = start.and_then(|start| error.get(start..)).unwrap_or(error);
        let refusal = Refusal {
            version: item.version().to_owned(),
            owner: item.owner().map(str::to_owned),
            reason: from.chars().take(MAX_REASON).collect(),
        };
        self.refused.insert(item.name().to_owned(), refusal);
        item.name().to_owned()
    }
}

/// Names of clusters hold none of these: `Error adding/updating cluster(s) one: why, other: why`.
fn is_between_words(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | ',' | ';' | '\'' | '"' | '`' | '(' | ')' | '[' | ']')
}

#[cfg(test)]
mod tests;
