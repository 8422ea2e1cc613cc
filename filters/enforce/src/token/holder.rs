//! What a self-contained token says of the application it was given to, and of the application's plans.
//!
//! Nothing of this lets anybody in, so parts of an unexpected form count as absent.

use tollgate_model::{Application, GraphQlLimits, SpikeArrest, Tier};

use super::json::{Json, Object};

/// The `application` and `tierInfo` claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// The application.
    pub application: Option<Application>,
    /// Plans by their names.
    pub tiers: Vec<Tier>,
}

impl Holder {
    /// Reads the claims; `None` when there are none.
    pub(super) fn read(claims: &Object) -> Option<Box<Self>> {
        let application = claims.get("application").and_then(Json::as_object).map(application);
        let tiers: Vec<Tier> = claims.get("tierInfo").and_then(Json::as_object).map(tiers).unwrap_or_default();
        (application.is_some() || !tiers.is_empty()).then(|| Box::new(Self { application, tiers }))
    }

    /// Bytes that it takes, but for its texts.
    pub(super) fn lists(&self) -> usize {
        size_of::<Self>().saturating_add(self.tiers.len().saturating_mul(size_of::<Tier>()))
    }
}

fn application(claim: &Object) -> Application {
    let text = |name: &str| claim.text(name).unwrap_or_default().to_owned();
    let id = claim.get("id").and_then(|id| match id.as_number() {
        Some(number) => number.as_i64(),
        None => id.as_text()?.parse().ok(),
    });
    Application {
        uuid: text("uuid"),
        id: id.unwrap_or(-1),
        name: text("name"),
        subscriber: text("owner"),
        tier: text("tier"),
        ..Application::default()
    }
}

fn tiers(claim: &Object) -> Vec<Tier> {
    let tier = |(name, info): (&str, &Json)| {
        let number = |member: &str| {
            let number = info.get(member).and_then(Json::as_number).and_then(|number| number.as_u64());
            number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
        };
        let seconds = match info.get("spikeArrestUnit").and_then(Json::as_text).unwrap_or_default() {
            "sec" | "second" | "s" => Some(1),
            "min" | "minute" | "m" => Some(60),
            "hour" | "hours" | "h" => Some(3_600),
            "day" | "days" | "d" => Some(86_400),
            _ => None,
        };
        Tier {
            stop_on_quota_reach: info.get("stopOnQuotaReach").and_then(Json::as_bool).unwrap_or(true),
            spike_arrest: number("spikeArrestLimit")
                .zip(seconds)
                .map(|(requests, seconds)| SpikeArrest { requests, seconds }),
            graphql: GraphQlLimits {
                max_depth: number("graphQLMaxDepth"),
                max_complexity: number("graphQLMaxComplexity"),
            },
            ..Tier::named(name)
        }
    };
    claim.members().map(tier).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(claims: Value) -> Option<Box<Holder>> {
        Holder::read(&Object::read(claims.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn reads_what_a_portal_writes() {
        let holder = read(json!({
            "application": {"id": 4, "uuid": "u", "name": "Web", "tier": "50PerMin", "owner": "alice", "tierQuotaType": null},
            "tierInfo": {"Gold": {
                "tierQuotaType": "requestCount", "stopOnQuotaReach": false, "spikeArrestLimit": 5, "spikeArrestUnit": "sec",
                "graphQLMaxDepth": 3, "graphQLMaxComplexity": 0,
            }},
        }));
        let holder = holder.unwrap();
        let application = holder.application.unwrap();
        assert_eq!((application.id, application.name.as_str(), application.subscriber.as_str()), (4, "Web", "alice"));
        let [gold] = holder.tiers.as_slice() else { panic!("{:?}", holder.tiers) };
        assert_eq!((gold.name.as_str(), gold.stop_on_quota_reach), ("Gold", false));
        assert_eq!(gold.spike_arrest, Some(SpikeArrest { requests: 5, seconds: 1 }));
        assert_eq!(gold.graphql, GraphQlLimits { max_depth: Some(3), max_complexity: None });
    }

    #[test]
    fn what_has_another_form_counts_as_absent() {
        assert_eq!(read(json!({})), None);
        assert_eq!(read(json!({"application": "Web", "tierInfo": [1]})), None);
        assert_eq!(read(json!({"application": {"id": "7", "uuid": 1}})).unwrap().application.unwrap().id, 7);
        assert!(read(json!({"tierInfo": {"Gold": 1}})).unwrap().tiers[0].stop_on_quota_reach);
    }
}
