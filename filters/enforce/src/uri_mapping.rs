//! `x-uri-mapping` of a WebSocket channel: the backend path that its handshakes go to, with parameters of the channel put
//! into path and query as `{uri.var.<name>}`.
//!
//! Must never decode what a client sent: a value goes to the backend in the encoding it came in, and cannot end the query
//! parameter it is put into.

use crate::Invalid;
use crate::resource::Captures;

const OPEN: &str = "{uri.var.";
/// Longest mapping.
const MAX_LENGTH: usize = 2_048;
/// Most query parameters of a mapping.
const MAX_QUERY: usize = 32;

/// A compiled mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriMapping {
    path: Vec<Piece>,
    query: Vec<(Vec<u8>, Vec<Piece>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    /// Position among the parameters of the channel's template.
    Parameter(usize),
}

impl UriMapping {
    /// Compiles a mapping for a channel of that path template.
    ///
    /// # Errors
    /// When it is no path, is too long, or names a parameter that the channel does not have.
    pub fn compile(mapping: &str, template: &str) -> Result<Self, Invalid> {
        let invalid = |why: String| Invalid(format!("x-uri-mapping {mapping:?}: {why}"));
        if mapping.len() > MAX_LENGTH {
            return Err(invalid("is too long".to_owned()));
        }
        if mapping.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#' || byte == b'\\') {
            return Err(invalid("holds a character that no path holds".to_owned()));
        }
        let names = parameters(template);
        let (path, query) = mapping.split_once('?').unwrap_or((mapping, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(invalid("has a dot segment".to_owned()));
        }
        let query: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
        if query.len() > MAX_QUERY {
            return Err(invalid("has too many query parameters".to_owned()));
        }
        let query = query.into_iter().map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if name.is_empty() || name.contains(['{', '}']) {
                return Err("has a query parameter without a plain name".to_owned());
            }
            Ok((name.as_bytes().to_vec(), pieces(value, &names)?))
        });
        Ok(Self {
            path: pieces(path, &names).map_err(invalid)?,
            query: query.collect::<Result<_, String>>().map_err(invalid)?,
        })
    }

    /// Appends the path and the query: the client's parameters, then those of the mapping, which replace the client's.
    /// `query` is the client's with its question mark, or nothing.
    pub(crate) fn expand(&self, captures: &Captures, query: &[u8], out: &mut Vec<u8>) {
        out.push(b'/');
        for piece in &self.path {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Parameter(position) => out.extend_from_slice(captures.parameter(*position)),
            }
        }
        if self.query.is_empty() {
            out.extend_from_slice(query);
            return;
        }
        let mut separator = b'?';
        let query = query.strip_prefix(b"?").unwrap_or(query);
        for part in query.split(|byte| *byte == b'&').filter(|part| !part.is_empty() && !self.replaces(part)) {
            out.push(std::mem::replace(&mut separator, b'&'));
            out.extend_from_slice(part);
        }
        for (name, value) in &self.query {
            out.push(std::mem::replace(&mut separator, b'&'));
            out.extend_from_slice(name);
            out.push(b'=');
            for piece in value {
                match piece {
                    Piece::Literal(text) => out.extend_from_slice(text),
                    Piece::Parameter(position) => push_value(captures.parameter(*position), out),
                }
            }
        }
    }

    /// Whether a query parameter of the client has the name of one of the mapping, however it is spelt.
    fn replaces(&self, part: &[u8]) -> bool {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        let name = decoded(name);
        self.query.iter().any(|(own, _)| decoded(own) == name)
    }
}

/// Names of a template's parameters in order.
fn parameters(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        names.push(name);
        rest = behind;
    }
    names
}

fn pieces(text: &str, names: &[&str]) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        push_literal(before, &mut found)?;
        let (name, behind) = after.split_once('}').ok_or("has braces that do not match")?;
        let position = names.iter().position(|own| *own == name);
        found.push(Piece::Parameter(position.ok_or_else(|| format!("the channel has no parameter {name:?}"))?));
        rest = behind;
    }
    push_literal(rest, &mut found)?;
    Ok(found)
}

fn push_literal(text: &str, pieces: &mut Vec<Piece>) -> Result<(), String> {
    if text.contains(['{', '}']) {
        return Err("has a placeholder that is not {uri.var.<name>}".to_owned());
    }
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.as_bytes().to_vec()));
    }
    Ok(())
}

/// Appends a part of a path as (a part of) the value of a query parameter: what is plain in one may separate in the other.
fn push_value(value: &[u8], out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~%".contains(byte) {
            out.push(*byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The name of a query parameter as servers read it.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = (*first == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let byte = hex.and_then(|(digits, _)| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (byte, hex) {
            (Some(byte), Some((_, behind))) => {
                out.push(byte);
                rest = behind;
            }
            _ => out.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resource::Template;

    #[track_caller]
    fn check(template: &str, mapping: &str, path: &str, query: &str, expected: &str) {
        let mapping = UriMapping::compile(mapping, template).unwrap();
        let template = Template::compile(template).unwrap();
        let mut out = Vec::new();
        mapping.expand(&template.matches(path.as_bytes()).unwrap(), query.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn parameters_go_into_path_and_query() {
        check("/rooms/{id}", "/chat/{uri.var.id}/in", "/rooms/5", "", "/chat/5/in");
        check("/rooms/{id}", "chat/{uri.var.id}", "/rooms/a%20b", "?x=1&y", "/chat/a%20b?x=1&y");
        check("/{a}/{b}", "/{uri.var.b}/{uri.var.a}", "/1/2", "", "/2/1");
        check("/rooms/{id}", "/chat?room={uri.var.id}&v=1", "/rooms/5", "", "/chat?room=5&v=1");
        check("/rooms/{id}", "/chat?room=r-{uri.var.id}", "/rooms/5", "?x=1", "/chat?x=1&room=r-5");
        check("/rooms/{id}.json", "/{uri.var.id}", "/rooms/5.json", "", "/5");
        check("/*", "/all", "/anything", "?a=b", "/all?a=b");
        check("/rooms/{id}", "/", "/rooms/5", "", "/");
    }

    #[test]
    fn a_client_neither_replaces_nor_adds_to_what_the_mapping_says() {
        let mapping = "/chat?room={uri.var.id}";
        check("/rooms/{id}", mapping, "/rooms/5", "?room=6&x=1", "/chat?x=1&room=5");
        check("/rooms/{id}", mapping, "/rooms/5", "?%72oom=6&&room", "/chat?room=5");
        check("/rooms/{id}", mapping, "/rooms/5&admin=1", "", "/chat?room=5%26admin%3D1");
        check("/rooms/{id}", mapping, "/rooms/a+b", "", "/chat?room=a%2Bb");
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for (mapping, why) in [
            ("/{uri.var.other}", "no parameter \"other\""),
            ("/{id}", "not {uri.var.<name>}"),
            ("/{uri.var.id", "do not match"),
            ("/a?{uri.var.id}=1", "plain name"),
            ("/a?=1", "plain name"),
            ("/a b", "no path holds"),
            ("/a#b", "no path holds"),
            ("/../a", "dot segment"),
        ] {
            let Err(Invalid(text)) = UriMapping::compile(mapping, "/rooms/{id}") else { panic!("{mapping} is taken") };
            assert!(text.contains(why), "{text}");
        }
        assert!(UriMapping::compile(&"/a".repeat(2_000), "/").is_err());
        assert!(UriMapping::compile(&format!("/?{}", "a=1&".repeat(33)), "/").is_err());
    }

    proptest! {
        #[test]
        fn a_value_stays_one_value(value in "[!-.0-~]{1,20}", query in "(\\?[ -~]{0,20})?") {
            let template = Template::compile("/rooms/{id}").unwrap();
            let path = format!("/rooms/{value}");
            let Some(captures) = template.matches(path.as_bytes()) else { return Ok(()) };
            let mut out = Vec::new();
            UriMapping::compile("/c?room={uri.var.id}", "/rooms/{id}").unwrap().expand(&captures, query.as_bytes(), &mut out);
            let out = String::from_utf8(out).unwrap();
            let rooms = out.split_once('?').unwrap().1.split('&').filter(|part| part.starts_with("room="));
            prop_assert_eq!(rooms.count(), 1);
        }

        #[test]
        fn any_text_is_a_mapping_or_an_error(mapping: String, template: String) {
            let _ = UriMapping::compile(&mapping, &template);
        }
    }
}
