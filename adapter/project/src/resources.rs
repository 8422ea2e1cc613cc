//! Paths of a definition and their operations: who may call them, and where the answer comes from.

use std::collections::BTreeMap;

use tollgate_model::{Interceptors, Operation};

use super::definition::Frame;
use super::dialect::Dialect;
use super::document::Node;
use super::duplicates;
use super::endpoints::{from_extension, from_servers};
use super::interceptors::InterceptorPlans;
use super::lambda;
use super::mock::Mocks;
use super::options::CompileOptions;
use super::security::{Schemes, disabled};
use super::template;
use super::throttling;
use super::unsupported::{did_you_mean, refuse};
use super::upstream::Upstream;
use super::vendor::{self, Level};
use crate::model::Problems;

/// Most resources of an API.
pub(super) const MAX_RESOURCES: usize = 5_000;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const PATH_ITEM: [&str; 5] = ["summary", "description", "parameters", "servers", "$ref"];

/// A resource with backends that are not clusters yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePlan {
    /// Path template below the base path.
    pub template: String,
    /// Its own production backend.
    pub production: Option<Upstream>,
    /// Its own sandbox backend.
    pub sandbox: Option<Upstream>,
    /// Where the handshakes of a channel go.
    pub uri_mapping: Option<String>,
    /// One entry a method.
    pub operations: Vec<Operation>,
    /// Interceptors of those operations that have some, by method.
    pub interceptors: BTreeMap<String, InterceptorPlans>,
}

/// Reads the resources of a definition.
#[derive(Debug)]
pub struct Resources<'d, 'v> {
    schemes: Schemes<'v>,
    mocks: Option<Mocks<'v>>,
    frame: Frame<'d>,
    definition: &'d Node<'v>,
    options: &'d CompileOptions,
}

impl<'d, 'v> Resources<'d, 'v> {
    /// Those of that definition.
    #[must_use]
    pub fn new(definition: &'d Node<'v>, dialect: Dialect, frame: Frame<'d>, options: &'d CompileOptions) -> Self {
        let schemes = Schemes::new(definition.clone(), dialect, frame.security);
        let mocks = frame.mocked.then(|| Mocks::new(definition.clone(), dialect));
        Self { schemes, mocks, frame, definition, options }
    }

    /// The backend that an extension among the members of `node` names; none in a mocked API.
    pub fn endpoints(&self, node: &Node<'v>, key: &str, problems: &mut Problems) -> Option<Upstream> {
        let named = node.get(key).filter(|_| !self.frame.mocked)?;
        from_extension(&named, self.definition, self.options, problems)
    }

    /// Reads `paths`.
    pub fn read(&self, problems: &mut Problems) -> Vec<ResourcePlan> {
        let paths = self.definition.get("paths").map(|paths| paths.members(problems)).unwrap_or_default();
        if paths.len() > MAX_RESOURCES {
            self.definition.error(
                problems,
                format!("there are {} paths", paths.len()),
                "an API has at most 5000",
                "split the API",
            );
            return Vec::new();
        }
        let open = disabled(self.definition, problems).unwrap_or(false);
        let general = self.interceptors(self.definition, &InterceptorPlans::default(), problems);
        let mut plans: Vec<ResourcePlan> = Vec::with_capacity(paths.len());
        let mut taken = template::Taken::default();
        for (path, node) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let template = match template::check(path) {
                Ok(template) => template,
                Err(what) => {
                    node.error(
                        problems,
                        format!("the path {what}"),
                        "no request could be matched with it",
                        "correct the path",
                    );
                    continue;
                }
            };
            let Some(node) = self.path_item(node, problems) else { continue };
            let mut plan = self.resource(template, &node, (open, &general), problems);
            let declared = plan.operations.len();
            duplicates::settle(&node, &mut taken, &mut plan, &mut plans, problems);
            if declared == 0 || !plan.operations.is_empty() {
                plans.push(plan);
            }
        }
        if plans.is_empty() && !problems.has_errors() {
            self.definition.error(
                problems,
                "there are no paths",
                "an API without resources serves nothing",
                "add paths",
            );
        }
        plans
    }

    /// The path item, or the one of the same document that it refers to.
    fn path_item(&self, node: &Node<'v>, problems: &mut Problems) -> Option<Node<'v>> {
        let Some(reference) = node.get("$ref") else { return Some(node.clone()) };
        let found = self.definition.referred(reference.text(problems)?).filter(|found| found.get("$ref").is_none());
        if found.is_none() {
            refuse(&reference, "a path that refers to another document or to another reference", problems);
        }
        found
    }

    /// Those of that level, or else those of the one above it. In a mocked API there is nothing to intercept.
    fn interceptors(&self, node: &Node<'v>, above: &InterceptorPlans, problems: &mut Problems) -> InterceptorPlans {
        if self.frame.mocked {
            InterceptorPlans::warn_unused(node, problems);
            return InterceptorPlans::default();
        }
        InterceptorPlans::read(node, above, self.options, problems)
    }

    /// `above` is what the definition says for all its paths.
    fn resource(
        &self,
        template: String,
        node: &Node<'v>,
        above: (bool, &InterceptorPlans),
        problems: &mut Problems,
    ) -> ResourcePlan {
        vendor::check(node, Level::Path, problems);
        let open = disabled(node, problems).unwrap_or(above.0);
        let general = self.interceptors(node, above.1, problems);
        let (mut operations, mut interceptors) = (Vec::new(), BTreeMap::new());
        let mut nodes = Vec::new();
        for (key, member) in node.members(problems) {
            if METHODS.contains(&key) {
                vendor::check(&member, Level::Operation, problems);
                let security = self.schemes.of(&member, open, problems);
                let mock = self.mocks.as_ref().map(|mocks| mocks.of(&member, problems));
                if self.frame.lambda.is_none() && !self.frame.mocked {
                    lambda::check_unused(&member, problems);
                }
                let own = self.interceptors(&member, &general, problems);
                if !own.is_empty() {
                    interceptors.insert(key.to_ascii_uppercase(), own);
                }
                nodes.push(member.clone());
                operations.push(Operation {
                    method: key.to_ascii_uppercase(),
                    security,
                    tier: throttling::of(&member, problems),
                    cost: throttling::cost(&member, problems),
                    mock,
                    interceptors: Interceptors::default(),
                    policies: None,
                });
            } else if key == "connect" {
                let why = "a request that opens a tunnel has no path";
                member.warn(problems, "the operation connect is not served", why, "remove it");
            } else if !key.starts_with("x-") && !PATH_ITEM.contains(&key) {
                let fix = did_you_mean(key, METHODS.into_iter().chain(PATH_ITEM)).unwrap_or("a method in lower case");
                member.error(
                    problems,
                    format!("{key} is no method"),
                    "it would not be served",
                    &format!("did you mean {fix}?"),
                );
            }
        }
        let servers = node
            .get("servers")
            .filter(|_| self.frame.servers && !self.frame.mocked)
            .and_then(|servers| from_servers(&servers, problems).upstream);
        let function = self.frame.lambda.and_then(|lambda| lambda.upstream(node, &nodes, problems));
        if function.is_some() {
            // A function is not told apart by the kind of key.
            let (production, sandbox) = (function.clone(), function);
            return ResourcePlan { template, production, sandbox, uri_mapping: None, operations, interceptors };
        }
        ResourcePlan {
            template,
            production: self.endpoints(node, "x-wso2-production-endpoints", problems).or(servers),
            sandbox: self.endpoints(node, "x-wso2-sandbox-endpoints", problems),
            uri_mapping: None,
            operations,
            interceptors,
        }
    }
}
