//! What a Traffic Manager has decided, made ready: its conditions compiled.

use serde::Deserialize;
use tollgate_model::{DecidedGroup, Decisions};

use super::conditions::{Conditions, Traits};
use crate::Timestamp;

/// What was decided about one throttle key.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Decisions")]
pub struct CompiledDecisions {
    until: Option<u64>,
    groups: Vec<Group>,
    rest: Option<Group>,
}

#[derive(Debug)]
struct Group {
    until: u64,
    any_of: Vec<Conditions>,
}

impl TryFrom<Decisions> for CompiledDecisions {
    type Error = String;

    /// # Errors
    /// Names the pattern that is none.
    fn try_from(decisions: Decisions) -> Result<Self, String> {
        let Decisions { until, groups, rest } = decisions;
        let groups = groups.iter().map(Group::compile).collect::<Result<_, _>>()?;
        Ok(Self { until, groups, rest: rest.as_ref().map(Group::compile).transpose()? })
    }
}

impl Group {
    fn compile(group: &DecidedGroup) -> Result<Self, String> {
        let any_of = group.conditions.iter().map(|all| Conditions::compile(all)).collect::<Result<_, _>>()?;
        Ok(Self { until: group.until, any_of })
    }

    fn is_for(&self, request: &dyn Traits) -> bool {
        self.any_of.iter().any(|all| all.hold(request))
    }
}

impl CompiledDecisions {
    /// Until when a request is to be refused, whoever sends it.
    pub(crate) fn for_all(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.map(Timestamp).filter(|until| *until > now)
    }

    /// The same, for one whose condition groups count: the first group that the request belongs to says; a request that
    /// belongs to none is held to what was decided about the rest.
    pub(crate) fn for_one(&self, request: &dyn Traits, now: Timestamp) -> Option<Timestamp> {
        let own = self.groups.iter().find(|group| group.is_for(request));
        let rest = || self.rest.as_ref().filter(|rest| !rest.is_for(request));
        let conditional = own.or_else(rest).map(|group| Timestamp(group.until)).filter(|until| *until > now);
        conditional.max(self.for_all(now))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::IpAddr;

    use tollgate_model::{Condition, ConditionKind};

    use super::*;

    struct Plan(&'static str);

    impl Traits for Plan {
        fn client(&self) -> Option<IpAddr> {
            None
        }

        fn header(&self, name: &str) -> Option<Cow<'_, str>> {
            (name == "x-plan").then_some(Cow::Borrowed(self.0))
        }

        fn query(&self, _: &str) -> Option<Cow<'_, str>> {
            None
        }

        fn claim(&self, _: &str) -> Option<Cow<'_, str>> {
            None
        }
    }

    fn group(until: u64, plans: &[&str]) -> DecidedGroup {
        let condition = |pattern: &&str| Condition {
            of: ConditionKind::Header { name: "x-plan".to_owned(), pattern: (*pattern).to_owned() },
            invert: false,
        };
        DecidedGroup { number: 1, until, conditions: plans.iter().map(|plan| vec![condition(plan)]).collect() }
    }

    #[test]
    fn groups_say_about_their_own_and_the_rest_about_all_others() {
        let decisions = Decisions {
            until: None,
            groups: vec![group(20, &["^gold$", "^silver$"])],
            rest: Some(group(30, &["^gold$", "^silver$", "^free$"])),
        };
        let only_all = Decisions { until: Some(40), ..Decisions::default() };
        let both = Decisions { until: Some(40), ..decisions.clone() };
        for (decisions, plan, now, until) in [
            (&decisions, "gold", 10, Some(20)),
            (&decisions, "silver", 19, Some(20)),
            (&decisions, "gold", 20, None),
            // In a group that has quota left.
            (&decisions, "free", 10, None),
            (&decisions, "bronze", 10, Some(30)),
            (&decisions, "bronze", 30, None),
            (&only_all, "bronze", 39, Some(40)),
            (&only_all, "bronze", 40, None),
            (&both, "gold", 10, Some(40)),
        ] {
            let compiled = CompiledDecisions::try_from(decisions.clone()).unwrap();
            assert_eq!(compiled.for_one(&Plan(plan), Timestamp(now)), until.map(Timestamp), "{plan} at {now}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_said() {
        let decisions = Decisions { groups: vec![group(1, &["("])], ..Decisions::default() };
        assert!(CompiledDecisions::try_from(decisions).unwrap_err().contains('('));
    }
}
