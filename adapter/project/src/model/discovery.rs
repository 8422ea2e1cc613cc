//! Backends that are found through a registry of services instead of being named: what an API asks for, and what is known.
//! Must never do I/O.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tollgate_model::Secret;

use super::{Cluster, Endpoint};

/// A service of a registry, as an API asks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Where it is looked for; `None` is the datacenter of the registry that is asked. At least one.
    pub datacenters: Vec<Option<String>>,
    /// Its namespace; the registry's default when absent.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// An instance needs one of them; every instance will do when there is none.
    pub tags: Vec<String>,
}

/// The way it is written in a project.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let datacenters: Vec<&str> = self.datacenters.iter().map(|one| one.as_deref().unwrap_or("*")).collect();
        let tags = if self.tags.is_empty() { "*".to_owned() } else { self.tags.join(",") };
        write!(f, "[{}].", datacenters.join(","))?;
        if let Some(namespace) = &self.namespace {
            write!(f, "[{namespace}].")?;
        }
        write!(f, "{}.[{tags}]", self.name)
    }
}

/// Where an instance of a service listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Healthy instances of services; one without any is not there.
pub type Instances = BTreeMap<Service, Arc<[Instance]>>;

/// How instances that stand in for an endpoint are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Whose instances.
    pub service: Service,
    /// Where requests go while none is known.
    pub default: Instance,
    /// As whom instances are spoken to, when they are in a service mesh.
    pub mesh: Option<Arc<Mesh>>,
}

/// The gateway's place in a service mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// PEM of the gateway's certificate and those that issued it.
    pub certificate: String,
    /// PEM of its key.
    pub key: Secret,
    /// PEM of the authorities of the mesh.
    pub authorities: String,
    /// The part of identities that all have: `spiffe://<domain>/...`.
    pub trust_domain: String,
}

impl Endpoint {
    /// Host and port as the project writes them: by these the endpoint is recognised over TLS, wherever it was found.
    #[must_use]
    pub fn authority(&self) -> (&str, u16) {
        self.discovery.as_ref().map_or((&self.host, self.port), |found| (&found.default.host, found.default.port))
    }

    /// The mesh that it is in, with the service that it must prove to be.
    #[must_use]
    pub fn mesh(&self) -> Option<(&Mesh, &Service)> {
        let discovery = self.discovery.as_deref()?;
        Some((discovery.mesh.as_deref()?, &discovery.service))
    }

    fn member_of(&self, mesh: Option<&Arc<Mesh>>) -> Self {
        let (Some(mesh), Some(discovery)) = (mesh, &self.discovery) else { return self.clone() };
        let discovery = Discovery { mesh: Some(Arc::clone(mesh)), ..Discovery::clone(discovery) };
        Self { tls: true, discovery: Some(Arc::new(discovery)), ..self.clone() }
    }
}

impl Cluster {
    /// The cluster with the instances that are known in the place of the endpoints they stand in for. In a mesh they are
    /// spoken to as its members.
    #[must_use]
    pub fn resolved(&self, known: &Instances, mesh: Option<&Arc<Mesh>>) -> Cow<'_, Self> {
        let instances = |endpoint: &Endpoint| known.get(&endpoint.discovery.as_ref()?.service).cloned();
        if self.endpoints.iter().all(|endpoint| instances(endpoint).is_none()) {
            return Cow::Borrowed(self);
        }
        let mut endpoints = Vec::new();
        for endpoint in &self.endpoints {
            match instances(endpoint) {
                None => endpoints.push(endpoint.clone()),
                Some(instances) => {
                    let endpoint = endpoint.member_of(mesh);
                    endpoints.extend(instances.iter().map(|instance| Endpoint {
                        host: instance.host.clone(),
                        port: instance.port,
                        ..endpoint.clone()
                    }));
                }
            }
        }
        Cow::Owned(Self { endpoints, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> Service {
        Service { datacenters: vec![None], namespace: None, name: name.to_owned(), tags: Vec::new() }
    }

    fn endpoint(name: Option<&str>, port: u16, priority: u32) -> Endpoint {
        let default = Instance { host: "default".to_owned(), port };
        let discovery = name.map(|name| Arc::new(Discovery { service: service(name), default, mesh: None }));
        Endpoint { host: "default".to_owned(), port, tls: true, trusted_ca: None, priority, discovery }
    }

    #[test]
    fn instances_stand_in_for_their_endpoint_and_no_other() {
        let mut cluster = Cluster::named("c");
        cluster.endpoints = vec![endpoint(Some("found"), 1, 0), endpoint(Some("lost"), 2, 1), endpoint(None, 3, 2)];
        assert!(matches!(cluster.resolved(&Instances::new(), None), Cow::Borrowed(_)));

        let instance = |host: &str| Instance { host: host.to_owned(), port: 9 };
        let known = Instances::from([
            (service("found"), Arc::from([instance("10.0.0.1"), instance("10.0.0.2")])),
            (service("other"), Arc::from([instance("10.0.0.3")])),
        ]);
        let resolved = cluster.resolved(&known, None).into_owned();
        let shown = resolved.endpoints.iter().map(|one| (one.host.as_str(), one.port, one.priority, one.authority()));
        let expected = [
            ("10.0.0.1", 9, 0, ("default", 1)),
            ("10.0.0.2", 9, 0, ("default", 1)),
            ("default", 2, 1, ("default", 2)),
            ("default", 3, 2, ("default", 3)),
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert!(resolved.endpoints.iter().all(|one| one.tls && one.mesh().is_none()));

        let mesh = Arc::new(Mesh {
            certificate: "CERT".to_owned(),
            key: Secret::from("hush".to_owned()),
            authorities: "ROOTS".to_owned(),
            trust_domain: "a.consul".to_owned(),
        });
        cluster.endpoints[0].tls = false;
        let resolved = cluster.resolved(&known, Some(&mesh)).into_owned();
        let members: Vec<_> =
            resolved.endpoints.iter().map(|one| (one.tls, one.mesh().map(|(_, to)| to.name.as_str()))).collect();
        assert_eq!(members, [(true, Some("found")), (true, Some("found")), (true, None), (true, None)]);
        assert!(!format!("{resolved:?}").contains("hush"));
    }

    #[test]
    fn a_service_is_shown_as_it_is_written() {
        let full = Service {
            datacenters: vec![Some("dc1".to_owned()), None],
            namespace: Some("ns".to_owned()),
            name: "pets".to_owned(),
            tags: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(full.to_string(), "[dc1,*].[ns].pets.[a,b]");
        assert_eq!(service("pets").to_string(), "[*].pets.[*]");
    }
}
