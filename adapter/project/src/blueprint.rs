//! A checked API before it is put on a virtual host: everything a [`Deployment`] needs but the host's name.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_model::{Api, Backend, Interceptor, Interceptors, NamedEndpoint, Operation, RequestPolicy, Resource};

use super::interceptors::{InterceptorPlan, InterceptorPlans};
use super::names;
use super::policies::PolicyService;
use super::resources::ResourcePlan;
use super::upstream::Upstream;
use crate::model::{Cluster, Deployment, Endpoint};

/// An API that can be deployed on any virtual host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blueprint {
    /// The API without host, backends and resources.
    pub api: Api,
    /// Whether backends speak HTTP/2.
    pub http2: bool,
    /// Production backend.
    pub production: Option<Upstream>,
    /// Sandbox backend.
    pub sandbox: Option<Upstream>,
    /// Backends to which interceptors may send requests.
    pub endpoints: Vec<(String, Upstream)>,
    /// Resources.
    pub resources: Vec<ResourcePlan>,
    /// What policies of operations call.
    pub services: Vec<PolicyService>,
}

const PRODUCTION: &str = "clusterProd";
const SANDBOX: &str = "clusterSand";
const NAMED: &str = "xwso2cluster";
const INTERCEPTOR: &str = "interceptor";

impl Blueprint {
    /// The API on that host, in these environments.
    #[must_use]
    pub fn on(&self, virtual_host: &str, environments: BTreeSet<String>) -> Deployment {
        let mut clusters = Clusters { blueprint: self, virtual_host, list: Vec::new() };
        let (production, sandbox) = clusters.pair(self.production.as_ref(), self.sandbox.as_ref(), None);
        let resources = self
            .resources
            .iter()
            .map(|plan| {
                let own = names::resource_id(&plan.template);
                let (production, sandbox) = clusters.pair(plan.production.as_ref(), plan.sandbox.as_ref(), Some(&own));
                Resource {
                    template: plan.template.clone(),
                    production,
                    sandbox,
                    uri_mapping: plan.uri_mapping.clone(),
                    operations: clusters.intercepted(plan),
                }
            })
            .collect();
        clusters.services();
        let named = self.endpoints.iter().map(|(name, upstream)| NamedEndpoint {
            name: name.clone(),
            backend: clusters.backend(upstream, &format!("{name}_{NAMED}"), None),
        });
        let endpoints = named.collect();
        let clusters = clusters.list;
        let api = Api {
            virtual_host: virtual_host.to_owned(),
            production,
            sandbox,
            endpoints,
            resources,
            ..self.api.clone()
        };
        let api_type = api.kind.name().to_owned();
        Deployment { variant: String::new(), context: api.base_path.clone(), api, api_type, environments, clusters }
    }
}

struct Clusters<'b> {
    blueprint: &'b Blueprint,
    virtual_host: &'b str,
    list: Vec<Cluster>,
}

impl Clusters<'_> {
    /// Backends of one level. Sandbox shares production's cluster when both have the same addresses.
    fn pair(
        &mut self,
        production: Option<&Upstream>,
        sandbox: Option<&Upstream>,
        resource: Option<&str>,
    ) -> (Option<Backend>, Option<Backend>) {
        let first = production.map(|upstream| self.backend(upstream, PRODUCTION, resource));
        let second = sandbox.map(|upstream| match (&first, production) {
            (Some(first), Some(production)) if same_cluster(production, upstream) => {
                backend(first.cluster.clone(), upstream)
            }
            _ => self.backend(upstream, SANDBOX, resource),
        });
        (first, second)
    }

    fn name(&self, prefix: &str) -> String {
        let api = &self.blueprint.api;
        let title = api.name.replace(' ', "");
        format!("{}_{prefix}_{}_{title}{}", api.organization, self.virtual_host, api.version)
    }

    /// The operation with the names of clusters in the place of their prefixes.
    fn with_clusters(&self, plan: &Operation) -> Operation {
        let mut operation = plan.clone();
        for policy in operation.policies.iter_mut().flat_map(|policies| &mut policies.request) {
            if let RequestPolicy::Opa(policy) = policy {
                policy.cluster = self.name(&policy.cluster);
            }
        }
        operation
    }

    fn services(&mut self) {
        for service in &self.blueprint.services {
            self.list.push(Cluster {
                endpoints: vec![service.endpoint.clone()],
                circuit_breakers: service.circuit_breakers,
                ..Cluster::named(&self.name(&service.prefix))
            });
        }
    }

    fn backend(&mut self, upstream: &Upstream, prefix: &str, resource: Option<&str>) -> Backend {
        let mut name = self.name(prefix);
        if let Some(resource) = resource {
            name.push_str(&format!("_{resource}0"));
        }
        self.list.push(Cluster {
            name: name.clone(),
            endpoints: upstream.endpoints.clone(),
            http2: self.blueprint.http2,
            circuit_breakers: upstream.tuning.circuit_breakers,
            lambda: upstream.lambda.clone(),
            connect_timeout: None,
        });
        backend(name, upstream)
    }

    /// The operations with their interceptors.
    fn intercepted(&mut self, plan: &ResourcePlan) -> Vec<Operation> {
        let operations = plan.operations.iter().map(|operation| {
            let operation = self.with_clusters(operation);
            let interceptors = match plan.interceptors.get(&operation.method) {
                Some(InterceptorPlans { request, response }) => Interceptors {
                    request: request.as_ref().map(|service| self.interceptor(service)),
                    response: response.as_ref().map(|service| self.interceptor(service)),
                },
                None => operation.interceptors.clone(),
            };
            Operation { interceptors, ..operation }
        });
        operations.collect()
    }

    /// One cluster a service, however many operations it serves.
    fn interceptor(&mut self, plan: &InterceptorPlan) -> Interceptor {
        let Endpoint { host, port, tls, discovery, .. } = &plan.endpoint;
        let service = names::resource_id(&format!("{tls} {host} {port} {discovery:?} {}", plan.connect_ms));
        let cluster = format!("{}_{service}", self.name(INTERCEPTOR));
        if !self.list.iter().any(|held| held.name == cluster) {
            self.list.push(Cluster {
                endpoints: vec![plan.endpoint.clone()],
                connect_timeout: Some(Duration::from_millis(plan.connect_ms.into())),
                ..Cluster::named(&cluster)
            });
        }
        Interceptor {
            cluster,
            authority: plan.authority.clone(),
            timeout_ms: plan.timeout_ms,
            includes: plan.includes.clone(),
        }
    }
}

fn same_cluster(a: &Upstream, b: &Upstream) -> bool {
    a.endpoints == b.endpoints && a.lambda == b.lambda && a.tuning.circuit_breakers == b.tuning.circuit_breakers
}

fn backend(cluster: String, upstream: &Upstream) -> Backend {
    Backend {
        cluster,
        base_path: upstream.base_path.clone(),
        timeout_ms: upstream.tuning.timeout_ms,
        retry: upstream.tuning.retry.clone(),
        authorization: upstream.authorization.clone(),
    }
}
