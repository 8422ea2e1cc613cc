//! Paths of a definition that match the same requests, such as `/pet` and `/pet/`: only one of them is served. Where both are
//! served alike the project is taken, as in the original; where they differ, nobody can tell which rules were meant.

use super::document::Node;
use super::resources::ResourcePlan;
use super::template::Taken;
use crate::model::Problems;

/// Takes the operations of a new plan, and drops what earlier plans serve already.
pub fn settle(
    node: &Node<'_>,
    taken: &mut Taken,
    plan: &mut ResourcePlan,
    earlier: &mut [ResourcePlan],
    problems: &mut Problems,
) {
    let methods: Vec<String> = plan.operations.iter().map(|operation| operation.method.clone()).collect();
    for method in methods {
        let Some(first) = taken.take(&plan.template, &method) else { continue };
        let what = format!("{method} {} matches the same requests as {first}", plan.template);
        let other = earlier.iter_mut().find(|other| other.template == first);
        match other.filter(|other| alike(other, plan, &method)) {
            Some(other) => {
                let why = "both are served alike, and only one of them can be";
                node.warn(problems, what, why, "keep one of the two paths");
                // The backend is told the form of the one that is kept; without a slash it is tried first.
                let second_is_kept = other.template.ends_with('/') && !plan.template.ends_with('/');
                drop_method(if second_is_kept { other } else { plan }, &method);
            }
            None => node.error(
                problems,
                what,
                "only one of them could be served, and they differ in who may call them or in what becomes of a call",
                "keep one of the two paths",
            ),
        }
    }
}

fn drop_method(plan: &mut ResourcePlan, method: &str) {
    plan.operations.retain(|operation| operation.method != method);
    plan.interceptors.remove(method);
}

/// Whether a request is treated the same by both.
fn alike(one: &ResourcePlan, other: &ResourcePlan, method: &str) -> bool {
    let operation = |plan: &ResourcePlan| plan.operations.iter().find(|operation| operation.method == method).cloned();
    operation(one).is_some_and(|found| operation(other) == Some(found))
        && one.interceptors.get(method) == other.interceptors.get(method)
        && (&one.production, &one.sandbox, &one.uri_mapping) == (&other.production, &other.sandbox, &other.uri_mapping)
}
