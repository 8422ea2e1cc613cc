//! `graphql-complexity.yaml`: what single fields weigh.

use std::collections::BTreeSet;

use tollgate_model::GraphQl;

use super::super::document::Node;
use super::super::unsupported::did_you_mean;
use crate::model::Problems;

/// Writes the weights into the digest.
pub fn apply(root: &Node<'_>, graphql: &mut GraphQl, problems: &mut Problems) {
    if let Some(kind) = root.get("type")
        && kind.text(problems).is_some_and(|text| text != "graphql-complexity")
    {
        kind.error(problems, "the document does not hold complexities", "", "write type: graphql-complexity");
    }
    let Some(list) = root.get("data").and_then(|data| data.get("list")).or_else(|| root.get("list")) else {
        root.warn(problems, "there is no data.list", "every field weighs 1", "add data.list, or remove the file");
        return;
    };
    let mut seen = BTreeSet::new();
    for entry in list.items(problems) {
        let text = |key: &str, problems: &mut Problems| match entry.get(key) {
            Some(node) => node.text(problems),
            None => {
                entry.error(
                    problems,
                    format!("the entry has no {key}"),
                    "nobody can tell what weighs so much",
                    "add it",
                );
                None
            }
        };
        let (kind, field) = (text("type", problems), text("field", problems));
        let value = value(&entry, problems);
        let (Some(kind), Some(field), Some(value)) = (kind, field, value) else { continue };
        if !seen.insert((kind, field)) {
            entry.warn(problems, format!("{kind}.{field} is listed twice"), "the later entry counts", "remove one");
        }
        set(graphql, &entry, (kind, field), value, problems);
    }
}

fn value(entry: &Node<'_>, problems: &mut Problems) -> Option<u32> {
    let Some(node) = entry.get("complexityValue") else {
        entry.error(problems, "the entry has no complexityValue", "nobody can tell what the field weighs", "add it");
        return None;
    };
    let number = node.number(problems)?;
    let value = u32::try_from(number).ok();
    if value.is_none() {
        node.error(problems, format!("{number} is too great"), "weights are 32-bit numbers", "write a smaller one");
    }
    value
}

/// A field that the schema does not have is no error: API Manager keeps weights of fields that were removed.
fn set(graphql: &mut GraphQl, entry: &Node<'_>, (kind, field): (&str, &str), value: u32, problems: &mut Problems) {
    const WHY: &str = "the weight has no effect";
    let Some(found) = graphql.types.iter_mut().find(|one| one.name == kind) else {
        let fix = did_you_mean(kind, graphql.types.iter().map(|one| one.name.as_str()))
            .map_or_else(|| "remove the entry".to_owned(), |close| format!("did you mean {close}?"));
        entry.warn(problems, format!("the schema has no type {kind} with fields"), WHY, &fix);
        return;
    };
    let Some(known) = found.fields.iter_mut().find(|one| one.name == field) else {
        let fix = did_you_mean(field, found.fields.iter().map(|one| one.name.as_str()))
            .map_or_else(|| "remove the entry".to_owned(), |close| format!("did you mean {close}?"));
        entry.warn(problems, format!("the type {kind} has no field {field}"), WHY, &fix);
        return;
    };
    known.complexity = Some(value);
}
