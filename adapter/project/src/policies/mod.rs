//! Operation policies: `operationPolicies` of api.yaml, with the specifications and definitions of `Policies/`, to plain data.
//!
//! A policy that cannot be applied exactly as it is written refuses the project. Must never put values of parameters into a
//! problem: they may be credentials.

mod action;
mod definition;
mod opa;
mod parameters;
mod specification;

use std::collections::BTreeMap;

use tollgate_model::{Policies, RequestPolicy};

use self::action::Action;
pub use self::opa::PolicyService;
use self::specification::Library;
use super::document::Node;
use super::files::ProjectFiles;
use super::interceptors::InterceptorPlans;
use super::options::CompileOptions;
use super::resources::ResourcePlan;
use crate::model::Problems;

/// Most policies of one operation and flow.
const MAX_POLICIES: usize = 32;
/// Most policies of an operation that ask a service, since a request waits for one after the other.
const MAX_AGENTS: usize = 3;

/// The policies of an API, before they are joined with the operations of its definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    operations: Vec<PlannedOperation>,
    /// What they call.
    pub services: Vec<PolicyService>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PlannedOperation {
    file: String,
    pointer: String,
    method: String,
    target: String,
    policies: Policies,
    interceptors: InterceptorPlans,
}

/// Reads the policies of all operations under `data` of api.yaml.
pub fn read(files: &ProjectFiles, data: &Node<'_>, options: &CompileOptions, problems: &mut Problems) -> Planned {
    let mut planned = Planned::default();
    let mut library = Library::new(files);
    for operation in data.get("operations").map(|list| list.items(problems)).unwrap_or_default() {
        let Some(flows) = operation.get("operationPolicies") else { continue };
        let interceptor_timeout_ms = options.interceptor_timeout_ms;
        let services = &mut planned.services;
        let mut reader = Reader { library: &mut library, services, interceptor_timeout_ms, problems };
        let (policies, interceptors) = reader.operation(&flows, &operation);
        if policies.is_empty() && interceptors.is_empty() {
            continue;
        }
        let mut text = |key: &str| match operation.get(key).and_then(|node| node.text(problems)) {
            Some(text) => text.to_owned(),
            None => {
                operation.error(
                    problems,
                    format!("the operation has policies and no {key}"),
                    "nobody can tell which operation of the definition they belong to",
                    &format!("add {key}"),
                );
                String::new()
            }
        };
        let (method, target) = (text("verb").to_ascii_uppercase(), text("target"));
        let (file, pointer) = operation.at();
        let (file, pointer) = (file.to_owned(), pointer.to_owned());
        planned.operations.push(PlannedOperation { file, pointer, method, target, policies, interceptors });
    }
    planned
}

impl Planned {
    /// Whether any request is shown to an interceptor.
    #[must_use]
    pub fn intercepts_requests(&self) -> bool {
        self.operations.iter().any(|operation| operation.interceptors.request.is_some())
    }

    /// Gives the policies to the operations of the definition: same path but for slashes at its ends, same method.
    pub fn join(&self, resources: &mut [ResourcePlan], problems: &mut Problems) {
        let mut taken: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for planned in &self.operations {
            let at = (planned.file.as_str(), planned.pointer.as_str());
            let target = planned.target.trim_matches('/');
            let name = format!("{} {}", planned.method, planned.target);
            if let Some(other) = taken.insert((target, &planned.method), &planned.pointer) {
                let what = format!("{other} has policies for {name} as well");
                problems.error(at, what, "only one of the two could count", "join the two operations");
                continue;
            }
            let resource = resources.iter_mut().find(|resource| {
                resource.template.trim_matches('/') == target
                    && resource.operations.iter().any(|operation| operation.method == planned.method)
            });
            let Some(resource) = resource else {
                problems.error(
                    at,
                    format!("the definition has no operation {name}"),
                    "its policies would not be applied",
                    "add the operation to the definition, or remove it here",
                );
                continue;
            };
            check_variables(at, &planned.policies, &resource.template, problems);
            if !planned.interceptors.is_empty() {
                // A policy goes before the extensions of the definition.
                let plans = resource.interceptors.entry(planned.method.clone()).or_default();
                let InterceptorPlans { request, response } = planned.interceptors.clone();
                plans.request = request.or(plans.request.take());
                plans.response = response.or(plans.response.take());
            }
            if planned.policies.is_empty() {
                continue;
            }
            for operation in resource.operations.iter_mut().filter(|operation| operation.method == planned.method) {
                operation.policies = Some(planned.policies.clone());
            }
        }
    }
}

/// The parameters that a rewritten path names must be those of the resource.
fn check_variables(at: (&str, &str), policies: &Policies, template: &str, problems: &mut Problems) {
    for policy in &policies.request {
        let RequestPolicy::RewritePath { path, .. } = policy else { continue };
        for name in action::variables(path) {
            let parameter = format!("{{{name}}}");
            let why = match template.matches(parameter.as_str()).count() {
                0 => "has no such parameter",
                1 => continue,
                _ => "has it more than once",
            };
            problems.error(
                at,
                format!("the rewritten path {path} names {{uri.var.{name}}}, and {template} {why}"),
                "the path could not be made",
                "name a parameter of the path",
            );
        }
    }
}

struct Reader<'r, 'f> {
    library: &'r mut Library<'f>,
    services: &'r mut Vec<PolicyService>,
    interceptor_timeout_ms: u32,
    problems: &'r mut Problems,
}

impl Reader<'_, '_> {
    fn operation(&mut self, flows: &Node<'_>, operation: &Node<'_>) -> (Policies, InterceptorPlans) {
        let (mut policies, mut interceptors) = (Policies::default(), InterceptorPlans::default());
        for (flow, list) in flows.members(self.problems) {
            if list.value().is_null() || list.value().as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            let items = list.items(self.problems);
            if items.len() > MAX_POLICIES {
                let what = format!("there are {} policies", items.len());
                list.error(self.problems, what, "an operation has at most 32 in a flow", "use fewer");
                continue;
            }
            match flow {
                "request" | "response" => {
                    let actions = self.flow(flow, &items, operation);
                    sort(flow, actions, &mut policies, &mut interceptors);
                }
                "fault" => list.warn(
                    self.problems,
                    "policies of the fault flow are not run",
                    "gateways of this kind have no fault flow, and never had",
                    "remove them",
                ),
                other => list.error(
                    self.problems,
                    format!("{other} is no flow"),
                    "its policies would not be applied",
                    "write request or response",
                ),
            }
        }
        (policies, interceptors)
    }

    fn flow(&mut self, flow: &str, items: &[Node<'_>], operation: &Node<'_>) -> Vec<Action> {
        let mut actions: Vec<Action> = Vec::new();
        let mut agents: usize = 0;
        for item in items {
            let Some(rendered) = self.library.render(item, flow, self.problems) else { continue };
            let interceptor_timeout_ms = self.interceptor_timeout_ms;
            let services = &mut *self.services;
            let context = action::Context { flow, item, operation, services, interceptor_timeout_ms };
            let Some(action) = action::read(rendered, context, self.problems) else { continue };
            agents = agents.saturating_add(usize::from(action.asks()));
            if action.is_single() && actions.iter().any(|other| other.kind() == action.kind()) {
                item.warn(
                    self.problems,
                    "this policy is not applied, because an earlier one does the same",
                    "only the first of its kind counts",
                    "remove it",
                );
                continue;
            }
            if agents > MAX_AGENTS {
                let why = "a request waits for one after the other, and may ask only so often";
                item.error(self.problems, "there are too many OPA policies", why, "use at most 3");
                continue;
            }
            actions.push(action);
        }
        actions
    }
}

fn sort(flow: &str, actions: Vec<Action>, policies: &mut Policies, interceptors: &mut InterceptorPlans) {
    for action in actions {
        match action {
            Action::Request(policy) => policies.request.push(policy),
            Action::Response(policy) => policies.response.push(policy),
            Action::Intercept(plan) if flow == "request" => interceptors.request = Some(*plan),
            Action::Intercept(plan) => interceptors.response = Some(*plan),
        }
    }
}

#[cfg(test)]
mod tests;
