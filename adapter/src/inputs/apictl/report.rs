//! What a deployment or a removal is answered with when it has succeeded: what was done, and what the gateways made of it.
//! apictl looks at the status only, so the body is for people and scripts.

use serde::Serialize;

use super::ApiItem;
use crate::model::gateways::{GatewayAnswer, Outcome};
use crate::model::{Problem, Problems};

/// The body.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// In a sentence.
    message: String,
    /// What is deployed now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    apis: Vec<ApiItem>,
    /// Connected gateways of the environments.
    gateways: Vec<GatewayAnswer>,
    /// What is accepted, but probably not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem>,
}

impl Report {
    pub(super) fn new(done: &str, apis: Vec<ApiItem>, gateways: Vec<GatewayAnswer>, warnings: Problems) -> Self {
        Self { message: format!("{done} {}", sentence(&gateways)), apis, gateways, warnings: warnings.into_vec() }
    }
}

fn sentence(gateways: &[GatewayAnswer]) -> String {
    let count = |state: Outcome| gateways.iter().filter(|gateway| gateway.state == state).count();
    let (all, pending, refused) = (gateways.len(), count(Outcome::Pending), count(Outcome::Refused));
    match (all, pending, refused) {
        (0, ..) => "No gateway of its environments is connected; those that connect later get it then.".to_owned(),
        (_, 0, 0) => format!("All connected gateways ({all}) have acknowledged it."),
        (_, _, 0) => format!("{pending} of {all} connected gateways have not acknowledged it yet."),
        (_, 0, _) => format!("{refused} of {all} connected gateways refuse it; see their reasons."),
        _ => format!("{refused} of {all} connected gateways refuse it, {pending} have not acknowledged it yet."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        use Outcome::{Acknowledged, Pending, Refused};
        for (states, expected) in [
            (&[][..], "No gateway of its environments is connected"),
            (&[Acknowledged, Acknowledged], "All connected gateways (2) have acknowledged it."),
            (&[Acknowledged, Pending], "1 of 2 connected gateways have not"),
            (&[Acknowledged, Refused], "1 of 2 connected gateways refuse it; see"),
            (&[Pending, Refused, Acknowledged], "1 of 3 connected gateways refuse it, 1 have not"),
        ] {
            let answer = |state: &Outcome| GatewayAnswer {
                name: "Default/a".to_owned(),
                environment: "Default".to_owned(),
                state: *state,
                reasons: Vec::new(),
            };
            let gateways: Vec<GatewayAnswer> = states.iter().map(answer).collect();
            assert!(sentence(&gateways).starts_with(expected), "{states:?}: {}", sentence(&gateways));
        }
    }
}
