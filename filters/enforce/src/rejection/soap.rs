//! Rejections as SOAP faults, for callers who speak SOAP and gateways that are told to (`adapter.soapErrorInXMLEnabled`).
//!
//! Must never write text into a fault that is not escaped: descriptions may hold what a client sent.

use std::fmt::Write;

use super::Rejection;
use super::render::CHALLENGE;
use crate::{Header, HeaderMap, Reply};

/// A version of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// <https://www.w3.org/TR/2000/NOTE-SOAP-20000508/>
    V1_1,
    /// <https://www.w3.org/TR/soap12-part1/>
    V1_2,
}

impl Version {
    /// The version that the request speaks, if any: 1.1 is XML with a `SOAPAction`, 1.2 has a media type of its own.
    pub(super) fn of(request: &HeaderMap) -> Option<Self> {
        let Header::One(media_type) = request.get("content-type") else { return None };
        let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/soap+xml") {
            return Some(Self::V1_2);
        }
        let xml = essence.eq_ignore_ascii_case(b"text/xml") && request.get("soapaction") != Header::Absent;
        xml.then_some(Self::V1_1)
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::V1_1 => "text/xml",
            Self::V1_2 => "application/soap+xml",
        }
    }
}

/// The fault, with the status that the refusal has in any case.
pub(super) fn fault(rejection: &Rejection, version: Version) -> Reply {
    let entry = rejection.entry();
    let message = escaped(entry.message);
    let detail = escaped(&format!("{}:{}", entry.code, rejection.description()));
    let body = match version {
        Version::V1_1 => format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>\
             <soapenv:Fault><faultcode>soapenv:Server</faultcode><faultstring>{message}</faultstring>\
             <detail>{detail}</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        ),
        Version::V1_2 => format!(
            "<soapenv:Envelope xmlns:soapenv=\"http://www.w3.org/2003/05/soap-envelope\"><soapenv:Body>\
             <soapenv:Fault><soapenv:Code><soapenv:Value>soapenv:Receiver</soapenv:Value></soapenv:Code>\
             <soapenv:Reason><soapenv:Text xml:lang=\"en\">{message}</soapenv:Text></soapenv:Reason>\
             <soapenv:Detail>{detail}</soapenv:Detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        ),
    };
    let mut headers = vec![("content-type".into(), version.content_type().to_owned())];
    if entry.challenge {
        headers.push(("www-authenticate".into(), CHALLENGE.to_owned()));
    }
    Reply { status: entry.status, headers, body: body.into_bytes(), details: entry.details, record: None }
}

/// Text as XML takes it. What is not ASCII is written as a reference, so that no reader has to guess the encoding, and
/// what XML 1.0 has no place for as a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | ' '..='~' => out.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push_str("&#xfffd;"),
            // Writing to a String cannot fail.
            _ => drop(write!(out, "&#x{:x};", u32::from(character))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn speaks(headers: &[(&str, &str)], expected: Option<Version>) {
        let request = HeaderMap::parse(HeaderMap::encode(headers)).unwrap();
        assert_eq!(Version::of(&request), expected, "{headers:?}");
    }

    #[test]
    fn versions_are_told_apart() {
        speaks(&[("content-type", "text/xml"), ("soapaction", "")], Some(Version::V1_1));
        speaks(&[("content-type", "Text/XML; charset=utf-8"), ("soapaction", "\"a\"")], Some(Version::V1_1));
        speaks(&[("content-type", "text/xml")], None);
        speaks(&[("content-type", "text/xmlish"), ("soapaction", "")], None);
        speaks(&[("content-type", "application/soap+xml")], Some(Version::V1_2));
        speaks(&[("content-type", "application/soap+xml;action=\"a\"")], Some(Version::V1_2));
        speaks(&[("content-type", "application/json"), ("soapaction", "")], None);
        speaks(&[("content-type", "text/xml"), ("content-type", "text/xml"), ("soapaction", "")], None);
        speaks(&[], None);
    }

    #[test]
    fn faults_of_both_versions() {
        let scope = Rejection::ScopeMissing("/a&b".to_owned());
        let reply = fault(&scope, Version::V1_1);
        assert_eq!(reply.status, 403);
        assert_eq!(reply.headers[0], ("content-type".into(), "text/xml".to_owned()));
        assert_eq!(reply.headers[1].0, "www-authenticate");
        assert_eq!(
            String::from_utf8(reply.body).unwrap(),
            "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><soapenv:Fault>\
             <faultcode>soapenv:Server</faultcode><faultstring>The access token does not allow you to access the requested \
             resource</faultstring><detail>900910:User is NOT authorized to access the Resource: /a&amp;b. Scope validation \
             failed.</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        );
        let reply = fault(&Rejection::NotFound, Version::V1_2);
        assert_eq!((reply.status, reply.headers.len()), (404, 1));
        assert_eq!(
            String::from_utf8(reply.body).unwrap(),
            "<soapenv:Envelope xmlns:soapenv=\"http://www.w3.org/2003/05/soap-envelope\"><soapenv:Body><soapenv:Fault>\
             <soapenv:Code><soapenv:Value>soapenv:Receiver</soapenv:Value></soapenv:Code><soapenv:Reason><soapenv:Text \
             xml:lang=\"en\">Not Found</soapenv:Text></soapenv:Reason><soapenv:Detail>404:The requested resource is not \
             available.</soapenv:Detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
        );
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text: String) {
            let escaped = escaped(&text);
            prop_assert!(escaped.bytes().all(|byte| !b"<>\"".contains(&byte) && (byte == b'\n' || byte == b'\t' || (b' '..=b'~').contains(&byte))));
            prop_assert!(escaped.split('&').skip(1).all(|rest| rest.contains(';')));
        }
    }
}
