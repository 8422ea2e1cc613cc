//! Specifications of `Policies/`: which parameters a policy takes, and where it may be used.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use tollgate_gotemplate::Template;

use super::definition::{self, Rendered};
use crate::document::{Node, parse};
use crate::files::ProjectFiles;
use crate::model::Problems;
use crate::unsupported::did_you_mean;

/// Most bytes of a compiled expression.
const MAX_EXPRESSION: usize = 1 << 20;
const GATEWAY: &str = "ChoreoConnect";

/// The policies of a project, each read when it is first used.
pub(super) struct Library<'f> {
    files: &'f ProjectFiles,
    /// `None` where reading failed, which was reported.
    policies: BTreeMap<String, Option<Policy>>,
}

/// A specification with its definition.
struct Policy {
    file: String,
    flows: Vec<String>,
    attributes: Vec<Attribute>,
    definition_file: String,
    definition: Template,
}

struct Attribute {
    name: String,
    required: bool,
    expression: Option<Regex>,
    default: Option<Value>,
    allowed: Vec<String>,
}

impl<'f> Library<'f> {
    pub(super) fn new(files: &'f ProjectFiles) -> Self {
        Self { files, policies: BTreeMap::new() }
    }

    /// What the policy that an entry of a flow names does with its parameters.
    pub(super) fn render(&mut self, item: &Node<'_>, flow: &str, problems: &mut Problems) -> Option<Rendered> {
        let mut text = |key: &str| {
            let text = item.get(key).and_then(|node| node.text(problems)).filter(|text| !text.is_empty());
            if text.is_none() {
                item.error(problems, format!("there is no {key}"), "the policy cannot be found", &format!("add {key}"));
            }
            text
        };
        let (name, version) = (text("policyName")?, text("policyVersion")?);
        let key = format!("{name}_{version}");
        if !self.policies.contains_key(&key) {
            let policy = read(self.files, name, version, item, problems);
            self.policies.insert(key.clone(), policy);
        }
        let policy = self.policies.get(&key)?.as_ref()?;
        if !policy.flows.iter().any(|known| known == flow) {
            item.error(
                problems,
                format!("{name} is not for the {flow} flow"),
                &format!("applicableFlows of {} does not list it", policy.file),
                "move it to another flow",
            );
            return None;
        }
        let values = policy.values(name, item, problems)?;
        definition::render(&policy.definition, &policy.definition_file, &values, item, problems)
    }
}

impl Policy {
    /// The parameters with defaults filled in, if they are what the specification asks for.
    fn values(&self, name: &str, item: &Node<'_>, problems: &mut Problems) -> Option<Map<String, Value>> {
        let parameters = item.get("parameters");
        let place = parameters.as_ref().unwrap_or(item);
        let given = match &parameters {
            Some(parameters) => parameters.members(problems),
            None => Vec::new(),
        };
        let known = || self.attributes.iter().map(|attribute| attribute.name.as_str());
        for (key, node) in &given {
            if !known().any(|known| known == *key) {
                let fix = did_you_mean(key, known())
                    .map_or_else(|| "remove it".to_owned(), |close| format!("did you mean {close}?"));
                node.warn(problems, format!("{name} has no parameter {key}"), "it may have no effect", &fix);
            }
        }
        let mut values: Map<String, Value> = given
            .iter()
            .filter(|(_, node)| !node.value().is_null())
            .map(|(key, node)| ((*key).to_owned(), node.value().clone()))
            .collect();
        let mut complete = true;
        for attribute in &self.attributes {
            let node = place.get(&attribute.name).filter(|_| parameters.is_some());
            complete &= attribute.check(name, node.as_ref().unwrap_or(place), values.get(&attribute.name), problems);
            if let (false, Some(default)) = (values.contains_key(&attribute.name), &attribute.default) {
                values.insert(attribute.name.clone(), default.clone());
            }
        }
        complete.then_some(values)
    }
}

impl Attribute {
    fn check(&self, policy: &str, node: &Node<'_>, value: Option<&Value>, problems: &mut Problems) -> bool {
        let Some(value) = value else {
            let missing = self.required && self.default.is_none();
            if missing {
                node.error(
                    problems,
                    format!("{policy} needs the parameter {}", self.name),
                    "its specification says that it is required",
                    &format!("add {}", self.name),
                );
            }
            return !missing;
        };
        let Value::String(text) = value else { return true };
        if text.is_empty() && !self.required {
            return true;
        }
        if let Some(expression) = self.expression.as_ref().filter(|expression| !expression.is_match(text)) {
            node.error(
                problems,
                format!("the value of {} is not one that {policy} takes", self.name),
                &format!("its specification asks for {}", expression.as_str()),
                "write another value",
            );
            return false;
        }
        if !self.allowed.is_empty() && !self.allowed.contains(text) {
            let fix = format!("write one of {}", self.allowed.join(", "));
            node.warn(problems, format!("{} is none of the values that {policy} lists", self.name), "", &fix);
        }
        true
    }
}

/// Reads specification and definition.
fn read(files: &ProjectFiles, name: &str, version: &str, item: &Node<'_>, problems: &mut Problems) -> Option<Policy> {
    let candidates = ["yaml", "yml", "json"].map(|extension| format!("Policies/{name}_{version}.{extension}"));
    let Some((file, bytes)) = files.one_of(&candidates.each_ref().map(String::as_str), problems) else {
        item.error(
            problems,
            format!("the project has no policy {name} of version {version}"),
            &format!("there is no {}", candidates.first().map_or("", String::as_str)),
            "add the file, or correct policyName and policyVersion",
        );
        return None;
    };
    let document = parse(file, bytes, problems)?;
    let root = Node::root(file, &document);
    let Some(data) = root.get("data").filter(|data| data.value().is_object()) else {
        root.error(problems, "there is no data object", "it describes the policy", "export the policy again");
        return None;
    };
    for (key, expected) in [("name", name), ("version", version)] {
        let node = data.get(key);
        if node.as_ref().and_then(|node| node.text(problems)) != Some(expected) {
            let what = format!("{key} is not {expected}");
            node.unwrap_or_else(|| data.clone()).error(
                problems,
                what,
                "api.yaml and the file's name say so",
                "correct it",
            );
            return None;
        }
    }
    let texts = |key: &str, problems: &mut Problems| -> Vec<String> {
        let texts = data.get(key).map(|list| list.texts(problems)).unwrap_or_default();
        texts.into_iter().map(str::to_owned).collect()
    };
    if !texts("supportedGateways", problems).iter().any(|gateway| gateway == GATEWAY) {
        let why = "supportedGateways does not list ChoreoConnect";
        data.error(problems, format!("{name} is not for this gateway"), why, "use another policy");
        return None;
    }
    let kinds = texts("supportedApiTypes", problems);
    if !kinds.is_empty() && !kinds.iter().any(|kind| kind == "HTTP") {
        data.warn(
            problems,
            format!("{name} is not meant for APIs of type HTTP"),
            "supportedApiTypes does not list it",
            "",
        );
    }
    let definition_file = format!("Policies/{name}_{version}.gotmpl");
    Some(Policy {
        flows: texts("applicableFlows", problems),
        attributes: attributes(&data, problems)?,
        definition: definition::read(files, &definition_file, problems)?,
        definition_file,
        file: file.to_owned(),
    })
}

fn attributes(data: &Node<'_>, problems: &mut Problems) -> Option<Vec<Attribute>> {
    let list = data.get("policyAttributes").map(|list| list.items(problems)).unwrap_or_default();
    list.iter().map(|node| attribute(node, problems)).collect()
}

fn attribute(node: &Node<'_>, problems: &mut Problems) -> Option<Attribute> {
    let name = node.get("name").and_then(|name| name.text(problems))?.to_owned();
    let expression = match node.get("validationRegex").filter(|node| node.value() != "") {
        None => None,
        Some(expression) => Some(compile(&expression, problems)?),
    };
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let allowed = node.get("allowedValues").map(|list| list.items(problems)).unwrap_or_default();
    Some(Attribute {
        name,
        required: node.get("required").is_some_and(|node| node.boolean(problems) == Some(true)),
        expression,
        default: node.get("defaultValue").map(|node| node.value().clone()).filter(|value| scalar(value) && value != ""),
        allowed: allowed.iter().filter_map(|node| node.text(problems)).map(str::to_owned).collect(),
    })
}

/// Expressions are those of Go (RE2), which never take longer than the text is long; so are these.
fn compile(node: &Node<'_>, problems: &mut Problems) -> Option<Regex> {
    let text = node.text(problems)?;
    let compiled = RegexBuilder::new(text).size_limit(MAX_EXPRESSION).dfa_size_limit(MAX_EXPRESSION).build();
    if compiled.is_err() {
        let why = "values could not be checked";
        node.error(problems, "this is no regular expression that can be used", why, "correct it (syntax RE2)");
    }
    compiled.ok()
}
