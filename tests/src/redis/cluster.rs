//! Three masters that share the slots of a Redis Cluster.

use anyhow::{Result, ensure};

use super::RedisServer;
use crate::eventually;
use crate::ports::Port;

/// The first and the last slot of each.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// A running cluster.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// Where they talk to each other.
    _buses: Vec<Port>,
}

impl RedisCluster {
    /// Starts one, and waits until every node knows that all slots are served.
    ///
    /// # Errors
    /// When Redis is not installed, or the nodes do not find each other.
    pub async fn start() -> Result<Self> {
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for (first, last) in SLOTS {
            let bus = Port::free()?;
            let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
            let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
            arguments.push(bus.number().to_string());
            let node = RedisServer::with(None, arguments).await?;
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await?;
            nodes.push(node);
            buses.push(bus);
        }
        if let Some(first) = nodes.first() {
            for (node, bus) in nodes.iter().zip(&buses).skip(1) {
                let (port, bus) = (node.port().to_string(), bus.number().to_string());
                first.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await?;
            }
        }
        for node in &nodes {
            eventually("the cluster is whole", async || {
                let info = node.command(&["CLUSTER", "INFO"]).await?;
                ensure!(info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3"), "{info}");
                Ok(())
            })
            .await?;
        }
        Ok(Self { nodes, _buses: buses })
    }

    /// Where the nodes are.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// How many keys each node holds.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn keys(&self) -> Result<Vec<u64>> {
        let mut keys = Vec::new();
        for node in &self.nodes {
            keys.push(node.command(&["DBSIZE"]).await?.parse()?);
        }
        Ok(keys)
    }
}
