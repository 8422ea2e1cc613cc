//! The usual attacks on signed tokens. Each is refused, whether or not its signature would be good.

use super::*;
use crate::token::{Jws, SignatureVerifier, Verdict, VerificationKey};
use tollgate_model::Algorithm;

/// A token of these exact texts, with a signature that the tests' verifier takes for good.
fn raw(header: &str, payload: &str) -> String {
    [header, payload, "known"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

fn payload() -> String {
    claims(json!({})).to_string()
}

fn sent(token: &str) -> String {
    let bearer = format!("Bearer {token}");
    outcome(&TestDirectory::new(api()), "GET /pets/1.0/pet/5", &[("authorization", &bearer)])
}

#[test]
fn the_helper_makes_a_good_token() {
    assert!(sent(&raw(r#"{"alg":"RS256","kid":"known"}"#, &payload())).starts_with("->"));
}

#[test]
fn headers_that_lie() {
    for header in [
        r#"{"alg":"none","kid":"known"}"#,
        r#"{"alg":"None","kid":"known"}"#,
        r#"{"alg":"NONE","kid":"known"}"#,
        r#"{"alg":"nOnE","kid":"known"}"#,
        r#"{"alg":"","kid":"known"}"#,
        r#"{"alg":"HS256","kid":"known"}"#,
        r#"{"alg":"HS512","kid":"known"}"#,
        r#"{"alg":"rs256","kid":"known"}"#,
        r#"{"alg":"RS256 ","kid":"known"}"#,
        r#"{"alg":["RS256"],"kid":"known"}"#,
        r#"{"alg":null,"kid":"known"}"#,
        r#"{"kid":"known"}"#,
        r#"{"alg":"RS256","alg":"none","kid":"known"}"#,
        r#"{"alg":"RS256","kid":"known","kid":"other"}"#,
        r#"{"alg":"RS256","kid":"known","crit":[]}"#,
        r#"{"alg":"RS256","kid":"known","crit":["exp"]}"#,
        r#"{"alg":"RS256","kid":"known","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"RS256","kid":7}"#,
        "[]",
        "null",
        "",
    ] {
        let outcome = sent(&raw(header, &payload()));
        assert!(outcome.starts_with("401 "), "{header}: {outcome}");
    }
}

/// A key for RSA is none for a curve, so the issuer is asked for one that is.
#[test]
fn keys_of_another_type() {
    for algorithm in ["ES256", "ES384", "EdDSA"] {
        assert_eq!(sent(&raw(&json!({"alg": algorithm, "kid": "known"}).to_string(), &payload())), "? known");
    }
}

/// Keys and addresses of keys in the token itself are never looked at: the only question is for the issuer's own keys.
#[test]
fn keys_that_a_token_brings_along() {
    for extra in [
        r#""jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}"#,
        r#""jku":"https://evil.example/jwks""#,
        r#""x5u":"https://evil.example/cert""#,
        r#""x5c":["MIIB"]"#,
    ] {
        let outcome = sent(&raw(&format!(r#"{{"alg":"RS256","kid":"evil",{extra}}}"#), &payload()));
        assert_eq!(outcome, "? evil", "{extra}");
    }
}

#[test]
fn key_ids_are_names_and_nothing_else() {
    for kid in ["../../dev/null", "known\u{0}", "known' OR '1'='1", "KNOWN", " known", "file:///etc/passwd", ""] {
        let header = json!({"alg": "RS256", "kid": kid}).to_string();
        assert_eq!(sent(&raw(&header, &payload())), format!("? {kid}"));
    }
}

#[test]
fn payloads_that_mislead() {
    let iss = r#""iss":"https://issuer.example""#;
    for payload in [
        format!(r#"{{{iss},"exp":1,"exp":99999999999}}"#),
        format!(r#"{{{iss},{iss},"exp":99999999999}}"#),
        format!(r#"{{{iss},"exp":99999999999,"scope":"a","scope":"b"}}"#),
        format!(r#"{{{iss},"exp":1e400}}"#),
        format!(r#"{{{iss},"exp":1e300}}"#),
        format!(r#"{{{iss},"exp":99999999999999999999999999}}"#),
        format!(r#"{{{iss},"exp":-1}}"#),
        format!(r#"{{{iss},"exp":"99999999999"}}"#),
        format!(r#"{{{iss},"exp":true}}"#),
        format!(r#"{{{iss},"exp":99999999999,"nbf":1e300}}"#),
        format!(r#"{{{iss},"exp":99999999999,"nbf":9223372036854775807}}"#),
        format!(r#"{{{iss},"exp":99999999999,"iat":99999999999}}"#),
        format!(r#"{{{iss},"exp":99999999999}} "#).replace("} ", "}}"),
        r#"{"iss":["https://issuer.example"],"exp":99999999999}"#.to_owned(),
        r#"{"iss":"https://issuer.example/","exp":99999999999}"#.to_owned(),
        r#"{"iss":"https://issuer.example\u0000","exp":99999999999}"#.to_owned(),
        r#"{"iss":"","exp":99999999999}"#.to_owned(),
        // A token in a token.
        raw(r#"{"alg":"RS256","kid":"known"}"#, &self::payload()),
        "[".repeat(10_000),
        String::new(),
    ] {
        let outcome = sent(&raw(r#"{"alg":"RS256","kid":"known"}"#, &payload));
        assert_eq!(outcome, INVALID, "{payload:.100}");
    }
    let invalid_utf8 = [&br#"{"alg":"RS256","kid":"known"}"#[..], b"{\"iss\":\"\xff\",\"exp\":9}", b"known"]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    assert_eq!(sent(&invalid_utf8), INVALID);
}

/// A token has one form only, so nobody can make a second one of it that a list of revoked ones does not know.
#[test]
fn every_other_spelling_is_refused() {
    // 5 bytes are 7 digits, of which the last has stray bits.
    let good = raw(r#"{"alg":"RS256","kid":"known"}"#, &payload());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(signature.len(), 7);
    for spelling in [
        format!("{good}="),
        format!("{signed}.{}9", &signature[..6]),
        format!("{signed}.{}", &signature[..6]),
        format!("{signed}.{signature}AA"),
        format!("{signed}.+/{signature}"),
        format!("{signed}."),
        format!("{signed}.%20{signature}"),
    ] {
        let outcome = sent(&spelling);
        assert!(outcome.starts_with("401 900901"), "{spelling}: {outcome}");
    }
    // Cut, stretched or doubled parts are no token at all.
    for spelling in [signed.to_owned(), format!("{good}.x"), format!("{good},{good}"), format!(".{good}")] {
        assert_eq!(sent(&spelling), NO_CREDENTIALS, "{spelling}");
    }
}

#[test]
fn tokens_in_the_wrong_place() {
    let good = raw(r#"{"alg":"RS256","kid":"known"}"#, &payload());
    let bearer = format!("Bearer {good}");
    for (line, headers) in [
        (format!("GET /pets/1.0/pet/5?access_token={good}"), vec![]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("cookie", format!("authorization={bearer}"))]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("x-authorization", bearer.clone())]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("proxy-authorization", bearer.clone())]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("authorization", good.clone())]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("authorization", format!("{bearer}, Basic YTpi"))]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("authorization", bearer.clone()), ("authorization", String::new())]),
        ("GET /pets/1.0/pet/5".to_owned(), vec![("internal-key", good.clone())]),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let outcome = outcome(&TestDirectory::new(api()), &line, &headers);
        assert!(outcome.starts_with("401 900901"), "{line} {headers:?}: {outcome}");
    }
}

/// CVE-2022-21449: a signature of zeros.
#[test]
fn signatures_of_zeros() {
    let x = Some(URL_SAFE_NO_PAD.encode([7; 32]));
    let key = tollgate_model::Jwk {
        kty: "EC".to_owned(),
        crv: Some("P-256".to_owned()),
        x: x.clone(),
        y: x,
        ..Default::default()
    };
    let (keys, _) = VerificationKey::compile_set(&JwkSet { keys: vec![key] });
    let zeros = URL_SAFE_NO_PAD.encode([0; 64]);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
    let token = format!("{header}.{}.{zeros}", URL_SAFE_NO_PAD.encode(payload()));
    let verdict = crate::token::PortableVerifier.verify(&keys[0], Algorithm::ES256, &Jws::parse(&token).unwrap());
    assert_eq!(verdict, Verdict::Invalid);
}
