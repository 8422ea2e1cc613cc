//! Header policies.

use std::borrow::Cow;

use tollgate_model::{HeaderPolicy, Policies, RequestPolicy};

use crate::{Cx, Edits, Header, HeaderEdit};

/// Adds the changes to those that the request gets anyway, each on top of the ones before it.
pub(crate) fn edit_request(cx: &Cx, policies: &Policies, edits: &mut Edits) {
    for policy in &policies.request {
        match policy {
            RequestPolicy::Header(HeaderPolicy::Set { name, value }) => {
                set(cx, name, value.expose().as_bytes().to_vec(), edits);
            }
            RequestPolicy::Header(HeaderPolicy::Remove { name }) => remove(cx, name, edits),
            RequestPolicy::RenameHeader { from, to } => {
                if let Some(value) = current(cx, from, edits) {
                    remove(cx, from, edits);
                    set(cx, to, value, edits);
                }
            }
            _ => {}
        }
    }
}

/// Adds the changes to the response's headers.
pub(crate) fn edit_response(policies: &Policies, edits: &mut Edits) {
    edits.response_headers.extend(policies.response.iter().map(|policy| match policy {
        HeaderPolicy::Set { name, value } => {
            HeaderEdit::Set(Cow::Owned(name.clone()), value.expose().as_bytes().to_vec())
        }
        HeaderPolicy::Remove { name } => HeaderEdit::Remove(Cow::Owned(name.clone())),
    }));
}

fn set(cx: &Cx, name: &str, value: Vec<u8>, edits: &mut Edits) {
    // Setting replaces one value; of several, the others would stay.
    remove(cx, name, edits);
    edits.set.push((Cow::Owned(name.to_owned()), value));
}

fn remove(cx: &Cx, name: &str, edits: &mut Edits) {
    edits.set.retain(|(other, _)| other != name);
    edits.add.retain(|(other, _)| other != name);
    if cx.request.get(name) != Header::Absent && !edits.remove.iter().any(|other| other == name) {
        edits.remove.push(Cow::Owned(name.to_owned()));
    }
}

/// What the backend would get under that name. Several values are one list, as RFC 9110 §5.3 allows.
fn current(cx: &Cx, name: &str, edits: &Edits) -> Option<Vec<u8>> {
    if let Some((_, value)) = edits.set.iter().find(|(other, _)| other == name) {
        return Some(value.clone());
    }
    if edits.remove.iter().any(|other| other == name) {
        return None;
    }
    let values: Vec<&[u8]> = cx.request.all(name).collect();
    (!values.is_empty()).then(|| values.join(&b", "[..]))
}
