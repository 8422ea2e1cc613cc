//! Whether Envoy knows the way to the adapter at all. In a mesh the cluster's name is somebody's guess at what another system
//! writes, so a wrong one must be told by its name, counted, and forgotten as soon as it is there.

use crate::metrics::{CLUSTER_MISSING, Metrics};
use crate::{Abi, Level};

/// What is known of the way, by the last call.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    missing: bool,
}

impl Reach {
    /// A call was taken by Envoy, or not. Said once for every time that it begins and ends, and counted every time.
    pub(crate) fn tried(&mut self, abi: &dyn Abi, metrics: &Metrics, cluster: &str, taken: bool) {
        if !taken {
            metrics.increment(CLUSTER_MISSING);
        }
        match (self.missing, taken) {
            (false, false) => abi.log(Level::Error, &missing(cluster)),
            (true, true) => abi.log(Level::Info, &format!("the cluster {cluster} of the adapter is there")),
            (false, true) | (true, false) => {}
        }
        self.missing = !taken;
    }
}

fn missing(cluster: &str) -> String {
    format!(
        "this Envoy has no cluster {cluster}, or nobody is behind it: the adapter cannot be asked, and without a snapshot every \
         request is refused. `cluster` of the plugin's configuration must be a name that /clusters of Envoy's admin interface lists; \
         it is looked for again and again"
    )
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::fake::FakeEnvoy;

    #[test]
    fn a_missing_cluster_is_named_once_and_counted_every_time() {
        let host = FakeEnvoy::shared_rc();
        let metrics = Metrics::new(Rc::clone(&host) as Rc<dyn Abi>);
        let mut reach = Reach::default();
        for taken in [true, false, false, true, true, false] {
            reach.tried(host.as_ref(), &metrics, "outbound|8081||adapter", taken);
        }
        let logged = host.lines.borrow();
        let named = logged.iter().filter(|line| line.contains("no cluster outbound|8081||adapter")).count();
        assert_eq!((named, logged.iter().filter(|line| line.contains("is there")).count()), (2, 1), "{logged:?}");
        assert_eq!(host.counters.borrow().get(CLUSTER_MISSING), Some(&3));
    }
}
