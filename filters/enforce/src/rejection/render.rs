//! Turns a rejection into the reply a client sees.

use serde::Serialize;

use super::Rejection;
use crate::Reply;

/// Sent with every refusal that has to do with who calls (the original sends it with 403 and 503 as well).
pub(super) const CHALLENGE: &str =
    r#"Bearer realm="Choreo Connect", error="invalid_token", error_description="The provided token is invalid""#;

/// What comes before it where certificates count as well.
const CERTIFICATE_CHALLENGE: &str = r#"Mutual SSL realm="Choreo Connect" "#;

/// Tells the client that a certificate counts as well, if it is told anything.
pub(crate) fn challenge_for_certificate(reply: &mut Reply) {
    for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name == "www-authenticate") {
        value.insert_str(0, CERTIFICATE_CHALLENGE);
    }
}

/// Bytes that most bodies have at most, so that few have to grow.
const USUAL_BODY: usize = 256;

/// Members in the order in which Choreo Connect writes them.
#[derive(Serialize)]
struct Body<'b> {
    error_message: &'b str,
    code: &'b str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_description: &'b str,
}

pub(super) fn json(rejection: &Rejection) -> Reply {
    let entry = rejection.entry();
    let description = rejection.description();
    let body = Body { error_message: entry.message, code: entry.code, error_description: &description };
    let mut headers = vec![("content-type".into(), "application/json".to_owned())];
    if entry.challenge {
        headers.push(("www-authenticate".into(), CHALLENGE.to_owned()));
    }
    let mut bytes = Vec::with_capacity(USUAL_BODY);
    // Three strings, which cannot fail; were they ever to, a body that is cut off still refuses.
    let _ = serde_json::to_writer(&mut bytes, &body);
    Reply { status: entry.status, headers, body: bytes, details: entry.details, record: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::{BadCredentials, CATALOGUE};

    #[track_caller]
    fn check(rejection: &Rejection, status: u16, challenge: bool, body: &str) {
        let reply = rejection.reply();
        assert_eq!(reply.status, status);
        assert_eq!(String::from_utf8(reply.body).unwrap(), body);
        let challenges = reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").count();
        assert_eq!(challenges, usize::from(challenge));
    }

    #[test]
    fn throttled_clients_learn_when_to_come_back() {
        use crate::Timestamp;
        use crate::rejection::Level;
        for (level, code) in [
            (Level::Api, "900800"),
            (Level::Resource, "900802"),
            (Level::Application, "900803"),
            (Level::Subscription, "900804"),
            (Level::Custom, "900806"),
        ] {
            assert_eq!(Rejection::Throttled(level, Timestamp(0)).entry().code, code);
            // An end that looks a little late is that of the second before it.
            for (until, date) in [(100, "Fri, 15 Jan 2027 08:00:00 GMT"), (101, "Fri, 15 Jan 2027 08:00:01 GMT")] {
                let reply = Rejection::Throttled(level, Timestamp(1_800_000_000_000 + until)).reply();
                let retry = reply.headers.iter().find(|(name, _)| *name == "retry-after");
                assert_eq!((reply.status, retry.map(|(_, value)| value.as_str())), (429, Some(date)));
            }
        }
        assert_eq!(Rejection::Throttled(Level::Api, Timestamp(u64::MAX)).reply().status, 429);
    }

    #[test]
    fn bodies_of_the_original() {
        check(
            &Rejection::NoCredentials,
            401,
            true,
            r#"{"error_message":"Invalid Credentials","code":"900901","error_description":"Make sure you have provided the correct security credentials"}"#,
        );
        check(
            &Rejection::InvalidCredentials(BadCredentials::NotAToken),
            401,
            true,
            r#"{"error_message":"Invalid Credentials","code":"900901","error_description":"Not a JWT token. Failed to decode the token header. Make sure you have provided the correct security credentials"}"#,
        );
        check(
            &Rejection::NotFound,
            404,
            false,
            r#"{"error_message":"Not Found","code":"404","error_description":"The requested resource is not available."}"#,
        );
        check(
            &Rejection::ScopeMissing("/a/{\"b\"}".to_owned()),
            403,
            true,
            r#"{"error_message":"The access token does not allow you to access the requested resource","code":"900910","error_description":"User is NOT authorized to access the Resource: /a/{\"b\"}. Scope validation failed."}"#,
        );
    }

    #[test]
    fn catalogue_is_ordered_and_unambiguous() {
        let keys: Vec<(u32, &str)> =
            CATALOGUE.iter().map(|entry| (entry.code.parse().unwrap(), entry.details)).collect();
        assert!(keys.is_sorted_by_key(|(code, _)| *code));
        for (position, (_, details)) in keys.iter().enumerate() {
            assert!(keys.iter().skip(position + 1).all(|(_, other)| other != details), "{details} twice");
        }
    }
}
