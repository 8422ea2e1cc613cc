//! Base paths of all virtual hosts, for one look-up a request.

use std::rc::Rc;

use hashbrown::HashMap;
use tollgate_enforce::Unreadable;
use tollgate_model::keys::{self, MAX_BASE_PATH_SEGMENTS};

/// What came of looking for a base path.
pub(super) type FoundRoute = Result<Option<Rc<str>>, Unreadable>;
/// An API's id, or something that must be denied.
type Route = Result<Rc<str>, Unreadable>;

/// Base paths by their keys.
#[derive(Default)]
pub(super) struct Routes {
    all: HashMap<Box<[u8]>, Route>,
    /// Which keys came in which shard, so that a changed shard replaces its part.
    shards: HashMap<u16, Vec<Box<[u8]>>>,
    /// How many base paths have so many segments, beginning with one.
    depths: [u32; MAX_BASE_PATH_SEGMENTS],
}

impl Routes {
    pub(super) fn replace(&mut self, shard: u16, routes: impl Iterator<Item = (Box<[u8]>, Route)>) {
        for key in self.shards.remove(&shard).unwrap_or_default() {
            self.count(&key, u32::wrapping_sub);
            self.all.remove(&key);
        }
        let mut keys = Vec::new();
        for (key, route) in routes {
            self.count(&key, u32::wrapping_add);
            keys.push(key.clone());
            self.all.insert(key, route);
        }
        if !keys.is_empty() {
            self.shards.insert(shard, keys);
        }
    }

    /// A base path that has more segments than a look-up ever tries is never found.
    fn count(&mut self, key: &[u8], change: fn(u32, u32) -> u32) {
        let slashes = keys::base_path_of(key).iter().filter(|byte| **byte == b'/').count();
        if let Some(count) = self.depths.get_mut(slashes.saturating_sub(1)) {
            *count = change(*count, 1);
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> FoundRoute {
        self.all.get(key).cloned().transpose()
    }

    /// See [`tollgate_enforce::Directory::base_path_depths`].
    pub(super) fn depths(&self) -> u16 {
        self.depths.iter().rev().fold(0, |bits, count| bits << 1 | u16::from(*count > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, base_path: &str) -> (Box<[u8]>, Route) {
        (keys::route(host, base_path).into(), Ok(Rc::from(base_path)))
    }

    #[test]
    fn a_changed_shard_replaces_its_part() {
        let mut routes = Routes::default();
        routes.replace(1, [route("a", "/one"), route("a", "/one/two/three")].into_iter());
        routes.replace(2, [route("b", "/one/two")].into_iter());
        assert_eq!(routes.depths(), 0b111);
        let found = |routes: &Routes, host, path| routes.get(&keys::route(host, path)).unwrap().is_some();
        assert!(found(&routes, "a", "/one") && found(&routes, "b", "/one/two") && !found(&routes, "b", "/one"));
        routes.replace(1, [route("a", "/four")].into_iter());
        assert!(!found(&routes, "a", "/one") && found(&routes, "a", "/four") && found(&routes, "b", "/one/two"));
        assert_eq!(routes.depths(), 0b11);
        routes.replace(1, std::iter::empty());
        assert_eq!(routes.depths(), 0b10);
    }
}
