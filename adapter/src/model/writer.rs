//! The one way to change the [`World`]: every change is made on a copy and published whole, so that no reader ever sees
//! half of it. Must never block: changes are computed before they are applied.

use std::sync::Arc;

use tokio::sync::watch;

use super::World;

/// Publishes worlds. Clones write to the same world, one change at a time.
#[derive(Debug, Clone)]
pub struct WorldWriter {
    sender: watch::Sender<Arc<World>>,
}

impl WorldWriter {
    /// A writer whose first published world is `world`.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { sender: watch::Sender::new(Arc::new(world)) }
    }

    /// Applies `change` to a copy of the world and publishes the result. Gives the revision of that world.
    pub fn update(&self, change: impl FnOnce(&mut World)) -> u64 {
        let mut revision = 0;
        self.sender.send_modify(|shared| {
            let mut world = World::clone(shared);
            change(&mut world);
            world.revision = shared.revision.wrapping_add(1);
            revision = world.revision;
            *shared = Arc::new(world);
        });
        revision
    }

    /// The world as it is now.
    #[must_use]
    pub fn current(&self) -> Arc<World> {
        Arc::clone(&self.sender.borrow())
    }

    /// A receiver that sees this world and every later one (the latest wins).
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<World>> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_published_whole_and_never_alters_an_older_world() {
        let writer = WorldWriter::new(World::default());
        let mut seen = writer.watch();
        let before = writer.current();
        writer.clone().update(|world| {
            world.environments.insert("Default".to_owned(), "localhost".to_owned());
            world.settings.forward_authorization = true;
        });
        assert!(seen.has_changed().unwrap());
        let after = Arc::clone(&seen.borrow_and_update());
        assert!(before.environments.is_empty());
        assert_eq!(after.environments.len(), 1);
        assert!(after.settings.forward_authorization);
    }
}
