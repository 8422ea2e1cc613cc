//! The usual attacks on signed tokens, tried on Envoy with signatures that are good wherever the attack allows it.
//! docs/parity.md lists the kinds; filters/enforce/src/decide/tests/attacks.rs decides more of each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{HS256Key, MACLike as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_model::Algorithm;
use tollgate_tests::adapter::{Keys, TokenService};
use tollgate_tests::http::{raw_request, send_raw};
use tollgate_tests::issuer::JwksServer;
use tollgate_tests::token::{Claims, KeyPair};
use tollgate_tests::{Gateway, Settings, locate};

use crate::apis::pets;
use crate::subscriptions::{ISSUER, token_service};

/// An issuer with a key on a curve.
const CURVE: &str = "https://curve.test";

/// A kind of attack, and a request that tries it.
struct Attack {
    kind: &'static str,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
}

fn attack(kind: &'static str, token: &str) -> Attack {
    at(kind, "", "authorization", format!("Bearer {token}"))
}

fn at(kind: &'static str, query: &str, header: &'static str, value: impl Into<Vec<u8>>) -> Attack {
    Attack { kind, path: format!("/pets/1.0.0/pet/5{query}"), headers: vec![(header, value.into())] }
}

impl Attack {
    async fn status(&self, gateway: &Gateway) -> Option<u16> {
        let headers: Vec<(&str, &[u8])> = self.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        send_raw(gateway.ports.http, &raw_request("GET", self.path.as_bytes(), &headers)).await.unwrap().status
    }
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims that are good for centuries, as text, so that members can be added twice.
fn payload(more: &str) -> String {
    format!(r#"{{"iss":"{ISSUER}","exp":32503680000,"keytype":"PRODUCTION"{more}}}"#)
}

/// A token whose signature is an HMAC with the issuer's public key, which everybody may have, as its secret.
fn hmac(key: &KeyPair) -> String {
    let secret = HS256Key::from_bytes(key.public_pem().unwrap().as_bytes());
    let claims = jwt_simple::prelude::Claims::create(jwt_simple::prelude::Duration::from_mins(10)).with_issuer(ISSUER);
    secret.with_key_id("shared").authenticate(claims).unwrap()
}

fn of_headers(key: &KeyPair, evil: &KeyPair, jwks: &JwksServer) -> Vec<Attack> {
    let by = |key: &KeyPair, header: Value| key.sign_raw(header.to_string().as_bytes(), payload("").as_bytes());
    let unsigned = |alg: &str| format!("{}.{}.", part(json!({"alg": alg}).to_string()), part(payload("")));
    let signed_as = |alg: &str| by(key, json!({"alg": alg, "kid": "shared"}));
    let mut attacks: Vec<Attack> = ["none", "None", "NONE", "nOnE"]
        .into_iter()
        .flat_map(|alg| [unsigned(alg), signed_as(alg)])
        .map(|token| attack("alg none, in any case", &token))
        .collect();
    let twice = key.sign_raw(br#"{"alg":"RS256","alg":"none","kid":"shared"}"#, payload("").as_bytes());
    let twice_claimed = key.sign_raw(br#"{"alg":"RS256","kid":"shared"}"#, payload(r#","exp":32503680001"#).as_bytes());
    let mut own = evil.jwk();
    own["kid"] = "shared".into();
    attacks.extend([
        attack("an HMAC with the public key as its secret", &hmac(key)),
        attack("an HMAC with the public key as its secret", &signed_as("HS256")),
        attack("a key in the header", &by(evil, json!({"alg": "RS256", "kid": "shared", "jwk": own}))),
        attack("a key in the header", &by(evil, json!({"alg": "RS256", "jwk": evil.jwk()}))),
        attack(
            "an address of keys in the header",
            &by(evil, json!({"alg": "RS256", "kid": "evil", "jku": jwks.url()})),
        ),
        attack(
            "an address of keys in the header",
            &by(evil, json!({"alg": "RS256", "kid": "evil", "x5u": jwks.url()})),
        ),
        attack("a key id that is a path", &by(evil, json!({"alg": "RS256", "kid": "../../../../../../dev/null"}))),
        attack("a key id that is a path", &by(evil, json!({"alg": "RS256", "kid": format!("{}#", jwks.url())}))),
        attack("a key id that is a query", &by(evil, json!({"alg": "RS256", "kid": "shared' OR '1'='1"}))),
        attack("critical extensions", &by(key, json!({"alg": "RS256", "kid": "shared", "crit": ["exp"]}))),
        attack(
            "critical extensions",
            &by(key, json!({"alg": "RS256", "kid": "shared", "crit": ["b64"], "b64": false})),
        ),
        attack("members that are there twice", &twice),
        attack("members that are there twice", &twice_claimed),
    ]);
    attacks
}

fn of_signatures_and_claims(key: &KeyPair, good: &str) -> Vec<Attack> {
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let usual = br#"{"alg":"RS256","kid":"shared"}"#;
    let saying = |payload: &[u8]| key.sign_raw(usual, payload);
    let curve = |byte: u8| {
        let claims = json!({"iss": CURVE, "exp": 32_503_680_000_u64}).to_string();
        format!("{}.{}.{}", part(r#"{"alg":"ES256","kid":"point"}"#), part(claims), part([byte; 64]))
    };
    // 256 bytes are 342 digits, of which the last has four stray bits.
    let last = char::from(good.as_bytes()[good.len() - 1] + 1);
    let huge = [
        r#""exp":1e400"#.to_owned(),
        r#""exp":99999999999999999999999999"#.to_owned(),
        format!(r#""exp":{}"#, "9".repeat(5_000)),
        r#""exp":-1"#.to_owned(),
    ];
    let mut attacks = vec![
        attack("an ECDSA signature of zeros", &curve(0)),
        attack("an ECDSA signature of zeros", &curve(0xff)),
        attack("a signature cut short", &format!("{signed}.{}", &signature[..signature.len() - 4])),
        attack("a signature cut short", &format!("{signed}.")),
        attack("base64url written otherwise", &format!("{good}=")),
        attack("base64url written otherwise", &format!("{good}==")),
        attack("base64url written otherwise", &format!("{}{last}", &good[..good.len() - 1])),
        attack("base64url written otherwise", &good.replace('-', "+").replace('_', "/")),
        attack("a token in a token", &saying(good.as_bytes())),
        attack("a token in a token", &saying(format!("\"{good}\"").as_bytes())),
    ];
    attacks.extend(
        huge.map(|exp| attack("huge numbers and dates", &saying(format!(r#"{{"iss":"{ISSUER}",{exp}}}"#).as_bytes()))),
    );
    let sub = [payload(r#","sub":""#).trim_end_matches('}').as_bytes(), b"\xff\"}"].concat();
    attacks.push(attack("text that is no UTF-8", &saying(&sub)));
    attacks
}

fn of_places(good: &str) -> Vec<Attack> {
    let bearer = format!("Bearer {good}");
    let mut twice = attack("two Authorization headers", good);
    twice.headers.push(("authorization", bearer.clone().into()));
    let mut second = at("two Authorization headers", "", "authorization", "Basic YTpi");
    second.headers.push(("authorization", bearer.clone().into()));
    let misplaced = "a token in the wrong place";
    vec![
        twice,
        second,
        at(misplaced, &format!("?access_token={good}"), "accept", "*/*"),
        at(misplaced, "", "cookie", format!("authorization={bearer}")),
        at(misplaced, "", "proxy-authorization", bearer.clone()),
        at(misplaced, "", "x-authorization", bearer),
        at(misplaced, "", "authorization", good),
        at(misplaced, "", "internal-key", good),
    ]
}

#[tokio::test]
async fn every_attack_of_the_list_is_refused_by_envoy() {
    let folder = TempDir::new().unwrap();
    let (key, evil) = (KeyPair::shared().unwrap(), KeyPair::generate("evil").unwrap());
    // The base point of P-256 is a point that is surely on it.
    let point = json!({"kty": "EC", "kid": "point", "crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"});
    let (curve, theirs) = (JwksServer::serving(vec![point]).await.unwrap(), JwksServer::start(&[&evil]).await.unwrap());
    let algorithms = vec![Algorithm::ES256];
    let service =
        TokenService { name: "Curve".to_owned(), issuer: CURVE.to_owned(), keys: Keys::Url(curve.url()), algorithms };
    let settings =
        Settings { token_services: vec![service], extra: token_service(&folder, false), ..Settings::default() };
    let gateway = Gateway::with(settings).await.unwrap();
    gateway.deploy(&pets(&gateway.backend), "/pets/1.0.0/health").await.unwrap();
    // What the attacks are made of is good, so each is refused for what it does.
    let made = key.sign_raw(br#"{"alg":"RS256","kid":"shared"}"#, payload("").as_bytes());
    let good = key.sign(Algorithm::RS256, &Claims::of(ISSUER));
    for token in [&made, &good] {
        assert_eq!(attack("none", token).status(&gateway).await, Some(200), "{token}");
    }
    gateway.backend.forget();
    let attacks = [of_headers(key, &evil, &theirs), of_signatures_and_claims(key, &made), of_places(&made)];
    let mut kinds = Vec::new();
    for attack in attacks.iter().flatten() {
        assert_eq!(attack.status(&gateway).await, Some(401), "{}: {:?}", attack.kind, attack.headers);
        kinds.push(attack.kind.to_owned());
    }
    assert_eq!((gateway.backend.count(), theirs.fetches()), (0, 0), "nobody asks a server that a token names");
    kinds.dedup();
    assert_eq!(kinds, locate::listed_in_parity("Attacks on tokens").unwrap());
}
