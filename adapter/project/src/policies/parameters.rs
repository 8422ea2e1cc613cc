//! The parameters of an action, and what is wrong with them.

use std::collections::BTreeMap;

use super::definition::Rendered;
use crate::document::Node;
use crate::model::Problems;
use crate::unsupported::did_you_mean;

/// Parameters of one action, checked as they are taken.
pub(super) struct Parameters<'p, 'v> {
    action: String,
    values: BTreeMap<String, Option<String>>,
    item: &'p Node<'v>,
    pub(super) problems: &'p mut Problems,
}

impl<'p, 'v> Parameters<'p, 'v> {
    /// Those of a definition that may have `known` parameters. One that it may not have is an error, since it would be ignored.
    pub(super) fn new(rendered: Rendered, known: &[&str], item: &'p Node<'v>, problems: &'p mut Problems) -> Self {
        let Rendered { action, parameters } = rendered;
        for name in parameters.keys().filter(|name| !known.contains(&name.as_str())) {
            let fix = did_you_mean(name, known.iter().copied()).map_or_else(
                || format!("{action} takes {}", known.join(", ")),
                |close| format!("did you mean {close}?"),
            );
            item.error(problems, format!("{action} has no parameter {name}"), "it would have no effect", &fix);
        }
        Self { action, values: parameters, item, problems }
    }

    /// A parameter that may be left out or empty.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_deref().filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(super) fn required(&mut self, name: &str) -> Option<String> {
        let value = self.optional(name).map(str::to_owned);
        if value.is_none() {
            let what = format!("{} needs {name}", self.action);
            self.item.error(self.problems, what, "the definition gives no value for it", "give one");
        }
        value
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str, value: &str) -> Option<bool> {
        match value {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong(name, "is neither true nor false", "write true or false"),
        }
    }

    /// A whole number that fits.
    pub(super) fn number(&mut self, name: &str) -> Option<u32> {
        let text = self.optional(name)?;
        match text.parse() {
            Ok(number) => Some(number),
            Err(_) => self.wrong(name, "is no whole number that can be used", "write a whole number"),
        }
    }

    /// Reports what is wrong with a value, without the value.
    pub(super) fn wrong<T>(&mut self, name: &str, what: &str, fix: &str) -> Option<T> {
        let what = format!("{name} of {} {what}", self.action);
        self.item.error(self.problems, what, "the policy cannot be applied", fix);
        None
    }
}
