//! Definitions of `Policies/`: Go templates that give YAML, which names an action and its parameters.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tollgate_gotemplate::{Template, TemplateError};

use crate::document::Node;
use crate::files::ProjectFiles;
use crate::model::Problems;
use crate::unsupported::did_you_mean;

/// What a definition says when it is rendered. Values are texts as they are written: `1.10` stays that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rendered {
    /// What to do.
    pub(super) action: String,
    /// With what.
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    definition: Rendered,
}

/// Reads a definition.
pub(super) fn read(files: &ProjectFiles, file: &str, problems: &mut Problems) -> Option<Template> {
    let Some(bytes) = files.get(file) else {
        let why = "a specification alone does nothing; definitions for other gateways (.j2) do not count";
        problems.error((file, ""), "the file is missing", why, "add it");
        return None;
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.error((file, ""), "the file is not UTF-8", "it cannot be read", "save it as UTF-8");
        return None;
    };
    Template::parse(text)
        .inspect_err(|error| {
            let why = "definitions are Go templates (text/template)";
            problems.error(
                (file, ""),
                format!("the template cannot be read: {error}"),
                why,
                "correct it at that place",
            );
        })
        .ok()
}

/// Renders it with these values for the policy at `item`.
pub(super) fn render(
    template: &Template,
    file: &str,
    values: &Map<String, Value>,
    item: &Node<'_>,
    problems: &mut Problems,
) -> Option<Rendered> {
    let text = match template.render(&Value::Object(values.clone())) {
        Ok(text) => text,
        Err(error) => {
            report(&error, file, values, item, problems);
            return None;
        }
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 16, max_documents: 1, max_nodes: 1_000, max_aliases: 0, max_anchors: 0 },
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Document>(&text, options) {
        Ok(document) => Some(document.definition),
        // What the error says may quote a value, so only the place is told.
        Err(error) => {
            let place = error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column()));
            item.error(
                problems,
                format!("{file} gives no definition{} with these parameters", place.unwrap_or_default()),
                "it must give YAML: definition, with an action and parameters that are texts",
                "see whether a value holds quotes or characters that mean something in YAML",
            );
            None
        }
    }
}

fn report(error: &TemplateError, file: &str, values: &Map<String, Value>, item: &Node<'_>, problems: &mut Problems) {
    let Some(missing) = &error.missing else {
        let why = "the policy cannot be applied";
        item.error(
            problems,
            format!("{file} cannot be rendered: {error}"),
            why,
            "correct the definition or the parameters",
        );
        return;
    };
    let fix = did_you_mean(missing, values.keys().map(String::as_str))
        .map_or_else(|| format!("add the parameter {missing}"), |close| format!("did you mean {missing} by {close}?"));
    let place = format!("line {}, column {}", error.at.line, error.at.column);
    item.error(problems, format!("{file} needs the parameter {missing} ({place})"), "it is not given", &fix);
}
