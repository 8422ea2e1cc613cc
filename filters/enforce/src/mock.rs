//! Mocked operations: the answer is one of the examples of the API's definition (RFC 7240 `Prefer`, and `Accept`).
//!
//! Differs from Choreo Connect where that is a mistake: the best `Accept` element counts and not the last one, quality
//! values are honoured, and names of examples may have capitals.

use std::borrow::Cow;

use tollgate_model::{Mock, MockContent, MockResponse};

use crate::rejection::Rejection;
use crate::{Cx, Header, Reply};

/// Marks an answer that no backend gave.
const MARK: (&str, &str) = ("x-amz-function-error", "Choreo-Connect: Added this header in MockAPI request.");
/// Most elements of `prefer` and `accept` that are looked at.
const MAX_ELEMENTS: usize = 32;

/// What the client would rather have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Preference<'p> {
    code: Option<&'p str>,
    example: Option<&'p str>,
}

/// Answers from the examples.
pub(crate) fn answer(cx: &Cx, mock: &Mock) -> Result<Reply, Rejection> {
    let prefer = text(cx, "prefer");
    let preference = Preference::parse(prefer.unwrap_or_default());
    let (response, status) = preference.response(mock)?;
    let accept = text(cx, "accept").filter(|accept| !accept.trim().is_empty());
    let content = choose_content(response, accept).ok_or_else(|| {
        let list: Vec<&str> = accept.unwrap_or_default().split(',').map(media_range).collect();
        Rejection::NotMocked(format!("Accept type [{}] is not supported for this resource", list.join(", ")))
    })?;
    let body = match preference.example {
        Some(name) => content.examples.iter().find(|example| example.name == name).ok_or_else(|| {
            Rejection::NotMocked(format!("Example preference {name} is not supported for this resource"))
        })?,
        None => content.examples.first().ok_or(Rejection::NotMocked(String::new()))?,
    };
    let mut headers = vec![(Cow::Borrowed("content-type"), content.content_type.clone())];
    let own = response.headers.iter().filter(|(name, value)| is_sendable(name, value));
    headers.extend(own.map(|(name, value)| (Cow::Owned(name.to_ascii_lowercase()), value.clone())));
    headers.push((Cow::Borrowed(MARK.0), MARK.1.to_owned()));
    Ok(Reply { status, headers, body: body.body.clone().into_bytes(), details: "tollgate_mock", record: None })
}

fn text<'c>(cx: &Cx<'c>, name: &str) -> Option<&'c str> {
    match cx.request.get(name) {
        Header::One(value) => std::str::from_utf8(value).ok(),
        Header::Absent | Header::Many => None,
    }
}

impl<'p> Preference<'p> {
    /// `code=404, example=missing`; what is not of this form is no preference.
    fn parse(header: &'p str) -> Self {
        let mut preference = Self::default();
        for element in header.split(',').take(MAX_ELEMENTS) {
            let Some((name, value)) = element.split_once('=') else { continue };
            let value = value.trim();
            if value.contains('=') {
                continue;
            }
            match name.trim() {
                name if name.eq_ignore_ascii_case("code") => preference.code = Some(value),
                name if name.eq_ignore_ascii_case("example") => preference.example = Some(value),
                _ => {}
            }
        }
        preference
    }

    /// The response that is preferred, and the status to send it with.
    fn response<'m>(&self, mock: &'m Mock) -> Result<(&'m MockResponse, u16), Rejection> {
        let by_code = |code: &str| mock.responses.iter().find(|response| response.code.eq_ignore_ascii_case(code));
        let Some(code) = self.code else {
            let response = by_code("default").or(mock.responses.first()).ok_or(Rejection::NotMocked(String::new()))?;
            return Ok((response, response.code.replace(['x', 'X'], "0").parse().unwrap_or(200)));
        };
        let status = (code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit())).then(|| code.parse().ok());
        let status = status.flatten().filter(|status| (200..600).contains(status)).ok_or(Rejection::BadPreference)?;
        let range = |digits: usize| code.get(..digits).map(|digits| format!("{digits:x<3}"));
        let response =
            by_code(code).or_else(|| by_code(&range(2)?)).or_else(|| by_code(&range(1)?)).ok_or_else(|| {
                Rejection::NotMocked(format!("Preferred code {code} is not supported for this resource."))
            })?;
        Ok((response, status))
    }
}

/// The content that fits `Accept` best; without one, JSON if there is any, else the first.
fn choose_content<'m>(response: &'m MockResponse, accept: Option<&str>) -> Option<&'m MockContent> {
    let all = &response.content;
    let Some(accept) = accept else {
        return all.iter().find(|content| content.content_type == "application/json").or(all.first());
    };
    let mut best: Option<(u16, &MockContent)> = None;
    for element in accept.split(',').take(MAX_ELEMENTS) {
        let (range, quality) = (media_range(element), quality(element));
        let better = quality > best.map_or(0, |(best, _)| best);
        if let Some(content) = all.iter().find(|content| better && fits(&content.content_type, range)) {
            best = Some((quality, content));
        }
    }
    best.map(|(_, content)| content)
}

/// An element of `Accept` without its parameters.
fn media_range(element: &str) -> &str {
    element.split(';').next().unwrap_or(element).trim()
}

/// Quality of an element in thousandths; 1000 when it has none, 0 when it cannot be read.
fn quality(element: &str) -> u16 {
    let parameter = element.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    let Some(text) = parameter else { return 1000 };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match (whole, format!("{fraction:0<3}").parse::<u16>()) {
        ("1", _) => 1000,
        ("0", Ok(thousandths)) if thousandths < 1000 => thousandths,
        _ => 0,
    }
}

/// Whether a media type lies in a range such as `text/*`.
fn fits(content_type: &str, range: &str) -> bool {
    match range.split_once('/') {
        Some(("*", "*")) => true,
        Some((kind, "*")) => content_type.split('/').next().is_some_and(|ours| ours.eq_ignore_ascii_case(kind)),
        _ => range == "*" || media_range(content_type).eq_ignore_ascii_case(range),
    }
}

/// Whether a header of a definition can be sent: a token for a name, printable text for a value, and nothing that frames
/// the message.
fn is_sendable(name: &str, value: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let framing = ["connection", "content-length", "content-type", "transfer-encoding"];
    !name.is_empty()
        && name.bytes().all(token)
        && !value.chars().any(char::is_control)
        && !framing.iter().any(|framing| name.eq_ignore_ascii_case(framing))
}

#[cfg(test)]
mod tests;
