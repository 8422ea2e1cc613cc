//! Entry points of the fuzz targets: bytes from outside, through every decoder of this crate. Each asserts what must hold
//! for any input; a panic is a finding.
#![allow(clippy::panic, reason = "a failed assertion is how a fuzzer reports")]

mod keys;

use tollgate_model::{GraphQl, GraphQlArgument, GraphQlField, GraphQlType, Issuer, JwkSet};

use crate::graphql;
use crate::resource::{Reading, Template, is_plain, lenient};
use crate::token::{Claims, Jws, VerificationKey};
use crate::websocket::{Judgement, Lane, Step};

/// A token, from the raw text to its claims.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(jws) = Jws::parse(text) {
        assert!(text.starts_with(jws.signing_input));
        let _ = Claims::read(&jws.payload);
    }
    if let Ok(claims) = Claims::read(data) {
        let _ = Claims::of(&issuer(), claims, || text.to_owned());
    }
}

/// An API key, as any client may send it: nobody is known by a text that is not the one key there is.
pub fn api_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(keys::is_known(text), text == keys::KEY, "{text:?}");
}

fn issuer() -> Issuer {
    Issuer {
        audiences: vec!["a".to_owned()],
        claim_mapping: vec![("b".to_owned(), "sub".to_owned())],
        ..Issuer::named("", "")
    }
}

/// A key set, from JSON to verification keys.
pub fn jwks(data: &[u8]) {
    let Ok(set) = serde_json::from_slice::<JwkSet>(data) else { return };
    let (used, left_out) = VerificationKey::compile_set(&set);
    assert_eq!(used.len().saturating_add(left_out.len()), set.keys.len());
}

/// A path and a template: the first line is the template, the rest the path.
pub fn path(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (template, path) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Reading::Path(lenient_path) = lenient(path) {
        assert_eq!(lenient(&lenient_path), Reading::Path(lenient_path.clone()));
        assert!(!path.starts_with(b"/") || !is_plain(path) || lenient_path == path);
    }
    let Some(template) = std::str::from_utf8(template).ok().and_then(|text| Template::compile(text).ok()) else {
        return;
    };
    if let Some(captures) = template.matches(path) {
        let mut expanded = Vec::new();
        template.expand(&captures, &mut expanded);
        assert!(template.matches(&expanded).is_some(), "what a template makes of a path it matches again");
    }
}

/// What a module left for the next: whatever decodes is written back byte for byte.
pub fn evidence(data: &[u8]) {
    if let Ok(evidence) = crate::Evidence::decode(data) {
        assert_eq!(evidence.encode().as_deref(), Ok(data));
    }
}

/// Frames of a WebSocket: the first two bytes say how the rest is cut, and how many of them may pass. Every byte has its fate,
/// and the same one however it is cut.
pub fn websocket(data: &[u8]) {
    let Some((&[cut, left], bytes)) = data.split_first_chunk() else { return };
    let whole = fates(bytes, bytes.len().max(1), left);
    assert_eq!(whole, fates(bytes, usize::from(cut).saturating_add(1), left));
}

fn fates(bytes: &[u8], cut: usize, mut left: u8) -> Vec<Step> {
    let (mut lane, mut fates) = (Lane::default(), Vec::new());
    for mut piece in bytes.chunks(cut) {
        while !piece.is_empty() {
            let judge = || {
                let judgement = if left == 0 { Judgement::Drop } else { Judgement::Pass };
                left = left.saturating_sub(1);
                judgement
            };
            let (taken, fate) = match lane.read(piece, judge) {
                Step::Free(taken) => (taken, Step::Free(1)),
                Step::Counted(taken) => (taken, Step::Counted(1)),
                Step::Dropped(taken) => (taken, Step::Dropped(1)),
                Step::Wait => panic!("nobody said so"),
                Step::Broken => return fates,
            };
            assert!(taken > 0, "it gets on");
            fates.extend(std::iter::repeat_n(fate, taken));
            piece = piece.get(taken..).unwrap_or_default();
        }
    }
    fates
}

/// The body of a request to a GraphQL API, in both forms.
pub fn graphql(data: &[u8]) {
    let Ok(schema) = graphql::CompiledGraphQl::compile(&digest()) else { panic!("the schema is good") };
    for form in [graphql::Form::Json, graphql::Form::Raw] {
        let Ok(posted) = graphql::read(form, data) else { continue };
        let Ok(analysis) = graphql::analyse(&schema, &posted) else { continue };
        assert!(!analysis.fields.is_empty(), "a query asks for something");
        assert!(analysis.depth > 0);
        assert_eq!(graphql::analyse(&schema, &posted), Ok(analysis), "the same again");
    }
    let _ = graphql::check_url(data);
}

fn digest() -> GraphQl {
    let field = |name: &str, composite: Option<&str>, arguments: &[&str]| GraphQlField {
        name: name.to_owned(),
        composite: composite.map(str::to_owned),
        arguments: arguments.iter().map(|name| GraphQlArgument { name: (*name).to_owned(), required: false }).collect(),
        complexity: None,
    };
    let kind = |name: &str, possible: Option<&[&str]>, fields: Vec<GraphQlField>| GraphQlType {
        name: name.to_owned(),
        possible: possible.map(|list| list.iter().map(|name| (*name).to_owned()).collect()),
        fields,
    };
    let fields = || vec![field("name", None, &[]), field("friends", Some("Hero"), &["first", "last", "limit"])];
    GraphQl {
        query: "Query".to_owned(),
        mutation: Some("Mutation".to_owned()),
        subscription: None,
        types: vec![
            kind("Query", None, vec![field("hero", Some("Hero"), &["first"]), field("any", Some("Any"), &[])]),
            kind("Mutation", None, vec![field("make", Some("Human"), &["name"])]),
            kind("Hero", Some(&["Human"]), fields()),
            kind("Human", None, fields()),
            kind("Any", Some(&["Human"]), Vec::new()),
        ],
        operations: Vec::new(),
    }
}
