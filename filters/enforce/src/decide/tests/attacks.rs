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
    for algorithm in ["ES256", "ES384", "ES512", "EdDSA"] {
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

/// CVE-2022-21449: a signature of zeros, which everything fits when nobody looks at the range.
#[test]
fn signatures_of_zeros() {
    for (algorithm, crv, length) in
        [(Algorithm::ES256, "P-256", 32), (Algorithm::ES384, "P-384", 48), (Algorithm::ES512, "P-521", 66)]
    {
        // The generator of each curve is a point that is surely on it.
        let (x, y) = generator(crv);
        let key = tollgate_model::Jwk {
            kty: "EC".to_owned(),
            crv: Some(crv.to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(x)),
            y: Some(URL_SAFE_NO_PAD.encode(y)),
            ..Default::default()
        };
        let (keys, left_out) = VerificationKey::compile_set(&JwkSet { keys: vec![key] });
        assert_eq!(left_out, []);
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm.name()}).to_string());
        for byte in [0, 0xff] {
            let signature = URL_SAFE_NO_PAD.encode(vec![byte; length * 2]);
            let token = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(payload()));
            let verdict = crate::token::PortableVerifier.verify(&keys[0], algorithm, &Jws::parse(&token).unwrap());
            assert_eq!(verdict, Verdict::Invalid, "{algorithm:?} {byte}");
        }
    }
}

/// A kind of attack, and a request that tries it.
struct Attack {
    kind: &'static str,
    directory: TestDirectory,
    path: String,
    headers: Vec<(&'static str, String)>,
}

fn attack(kind: &'static str, token: &str) -> Attack {
    at(kind, "", "authorization", format!("Bearer {token}"))
}

fn at(kind: &'static str, query: &str, header: &'static str, value: String) -> Attack {
    let directory = TestDirectory::new(api());
    Attack { kind, directory, path: format!("/pets/1.0/pet/5{query}"), headers: vec![(header, value)] }
}

impl Attack {
    /// What becomes of it, once the issuer has shown all keys that it has.
    fn outcome(&self) -> String {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let request = request(&format!("GET {}", self.path), &headers);
        let mut answers = Answers::default();
        let mut decision = decide_with(&self.directory, &request, &answers);
        if let Decision::Ask(question) = decision {
            answers.add(question, Answer::Keys(self.directory.issuer.issuer.keys.clone()));
            decision = decide_with(&self.directory, &request, &answers);
        }
        describe(decision)
    }
}

/// A signature of zeros for a key on a curve, with signatures that are really checked.
fn zeros() -> Attack {
    let (x, y) = generator("P-256");
    let key = tollgate_model::Jwk {
        kty: "EC".to_owned(),
        kid: Some("known".to_owned()),
        crv: Some("P-256".to_owned()),
        x: Some(URL_SAFE_NO_PAD.encode(x)),
        y: Some(URL_SAFE_NO_PAD.encode(y)),
        ..Default::default()
    };
    let signed =
        [r#"{"alg":"ES256","kid":"known"}"#.to_owned(), payload()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut attack = attack("an ECDSA signature of zeros", &format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])));
    let issuer = tollgate_model::Issuer { keys: JwkSet { keys: vec![key] }, ..crate::testing::issuer() };
    attack.directory.issuer = std::rc::Rc::new(crate::CompiledIssuer::compile(issuer).0);
    attack.directory.real_signatures = true;
    attack
}

/// One of each kind in docs/parity.md. tests/e2e/attacks.rs tries them on Envoy, with real signatures.
fn attacks() -> Vec<Attack> {
    const USUAL: &str = r#"{"alg":"RS256","kid":"known"}"#;
    let good = raw(USUAL, &payload());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let header = |header: &str| raw(header, &payload());
    let claims = |payload: &str| raw(USUAL, payload);
    let invalid_utf8 =
        [USUAL.as_bytes(), b"{\"iss\":\"https://issuer.example\",\"exp\":99999999999,\"sub\":\"\xff\"}", b"known"];
    let mut twice = attack("two Authorization headers", &good);
    twice.headers.push(("authorization", format!("Bearer {good}")));
    let misplaced = "a token in the wrong place";
    vec![
        attack("alg none, in any case", &header(r#"{"alg":"none","kid":"known"}"#)),
        attack("alg none, in any case", &header(r#"{"alg":"nOnE","kid":"known"}"#)),
        attack("an HMAC with the public key as its secret", &header(r#"{"alg":"HS256","kid":"known"}"#)),
        attack(
            "a key in the header",
            &header(r#"{"alg":"RS256","kid":"evil","jwk":{"kty":"RSA","n":"AQ","e":"AQAB"}}"#),
        ),
        attack(
            "an address of keys in the header",
            &header(r#"{"alg":"RS256","kid":"evil","jku":"https://evil.example/jwks"}"#),
        ),
        attack(
            "an address of keys in the header",
            &header(r#"{"alg":"RS256","kid":"evil","x5u":"https://evil.example/cert"}"#),
        ),
        attack("a key id that is a path", &header(r#"{"alg":"RS256","kid":"../../../../dev/null"}"#)),
        attack("a key id that is a query", &header(r#"{"alg":"RS256","kid":"known' OR '1'='1"}"#)),
        attack("critical extensions", &header(r#"{"alg":"RS256","kid":"known","b64":false,"crit":["b64"]}"#)),
        attack("members that are there twice", &header(r#"{"alg":"RS256","alg":"none","kid":"known"}"#)),
        attack(
            "members that are there twice",
            &claims(r#"{"iss":"https://issuer.example","exp":1,"exp":99999999999}"#),
        ),
        zeros(),
        attack("a signature cut short", &format!("{signed}.{}", &signature[..4])),
        attack("a signature cut short", &format!("{signed}.")),
        attack("base64url written otherwise", &format!("{good}=")),
        attack("base64url written otherwise", &format!("{signed}.{}9", &signature[..6])),
        attack("a token in a token", &claims(&good)),
        attack("huge numbers and dates", &claims(r#"{"iss":"https://issuer.example","exp":1e400}"#)),
        attack(
            "huge numbers and dates",
            &claims(r#"{"iss":"https://issuer.example","exp":99999999999999999999999999}"#),
        ),
        attack("text that is no UTF-8", &invalid_utf8.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")),
        twice,
        at(misplaced, &format!("?access_token={good}"), "accept", "*/*".to_owned()),
        at(misplaced, "", "cookie", format!("authorization=Bearer {good}")),
        at(misplaced, "", "proxy-authorization", format!("Bearer {good}")),
        at(misplaced, "", "authorization", good.clone()),
        at(misplaced, "", "internal-key", good.clone()),
    ]
}

#[test]
fn every_attack_of_the_list_is_refused() {
    let mut kinds = Vec::new();
    for attack in attacks() {
        let outcome = attack.outcome();
        assert!(outcome.starts_with("401 900901"), "{}: {outcome}", attack.kind);
        kinds.push(attack.kind.to_owned());
    }
    kinds.dedup();
    assert_eq!(kinds, crate::testing::listed_in_parity("Attacks on tokens"));
}

/// Coordinates of the base point (FIPS 186-4, appendix D.1.2).
fn generator(crv: &str) -> (Vec<u8>, Vec<u8>) {
    let (x, y) = match crv {
        "P-256" => (
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
            "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        ),
        "P-384" => (
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ),
        _ => (
            "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
            "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
        ),
    };
    [x, y]
        .map(|hex| (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect())
        .into()
}
