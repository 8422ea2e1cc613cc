//! What backends are told of a caller: the claims of Choreo Connect.
//!
//! Must never let a claim of the caller's credential take the place of one of the gateway's own.

use serde_json::{Map, Value};
use tollgate_enforce::Caller;
use tollgate_enforce::token::KeyType;
use tollgate_model::Api;

/// `iss` of every token.
pub(super) const ISSUER: &str = "wso2.org/products/am";
/// Claims of a credential that say something of the credential itself, or that the gateway says in its own words.
const LEFT_OUT: [&str; 9] = ["iss", "aud", "exp", "nbf", "iat", "jti", "application", "tierInfo", "subscribedAPIs"];

/// All claims but `iss`, `exp`, `iat` and `jti`.
pub(super) fn claims(dialect: &str, api: &Api, caller: &Caller) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, value) in &caller.claims {
        if !LEFT_OUT.contains(&name.as_str()) {
            claims.insert(name.clone(), unfolded(value));
        }
    }
    if !claims.contains_key("organizations") {
        claims.insert("organizations".to_owned(), Value::from(vec![api.organization.clone()]));
    }
    let application = &caller.application;
    let key_type = match caller.key_type {
        KeyType::Sandbox => "SANDBOX",
        KeyType::Production | KeyType::Unknown => "PRODUCTION",
    };
    let own = [
        ("subscriber", application.subscriber.as_str()),
        ("applicationid", &application.uuid),
        ("applicationUUId", &application.uuid),
        ("applicationname", &application.name),
        ("applicationtier", &application.tier),
        ("apiname", &api.name),
        ("apicontext", &api.base_path),
        ("version", &api.version),
        ("tier", &caller.tier),
        ("keytype", key_type),
        ("usertype", "Application_User"),
        ("enduser", caller.subject.as_deref().unwrap_or_default()),
        ("enduserTenantId", "0"),
    ];
    for (name, value) in own {
        let name = format!("{dialect}{name}");
        if value.is_empty() {
            // Not even the caller's credential may say it then.
            claims.remove(&name);
        } else {
            claims.insert(name, Value::from(value));
        }
    }
    let attributes = application.attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    claims.insert(format!("{dialect}applicationAttributes"), Value::Object(attributes.collect()));
    claims
}

/// Texts that hold a JSON object or list become what they hold.
fn unfolded(value: &Value) -> Value {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    let folded = (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'));
    let inner = if folded { serde_json::from_str(text).ok() } else { None };
    inner.unwrap_or_else(|| value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_model::Application;

    use super::*;
    use crate::outputs::backend_jwt::tests::api;

    fn caller(claims: Value, subject: Option<&str>) -> Caller {
        Caller {
            subject: subject.map(ToOwned::to_owned),
            claims: claims.as_object().unwrap().clone(),
            key_type: KeyType::Sandbox,
            application: Application {
                uuid: "uuid".to_owned(),
                id: 7,
                name: "Web".to_owned(),
                subscriber: "alice".to_owned(),
                tier: "50PerMin".to_owned(),
                attributes: [("color".to_owned(), "red".to_owned())].into(),
                ..Application::default()
            },
            tier: "Gold".to_owned(),
        }
    }

    #[test]
    fn says_what_the_original_says() {
        let token = json!({
            "iss": "i", "aud": "a", "exp": 1, "nbf": 1, "iat": 1, "jti": "j", "application": {}, "tierInfo": {},
            "subscribedAPIs": [], "sub": "bob", "keytype": "SANDBOX", "scope": "read", "azp": "key",
            "address": "{\"city\": \"Colombo\"}", "roles": "[\"a\", \"b\"]", "broken": "{city}", "number": 7,
        });
        let api = api();
        let expected = json!({
            "sub": "bob", "keytype": "SANDBOX", "scope": "read", "azp": "key", "address": {"city": "Colombo"},
            "roles": ["a", "b"], "broken": "{city}", "number": 7, "organizations": [api.organization],
            "http://d/subscriber": "alice", "http://d/applicationid": "uuid", "http://d/applicationUUId": "uuid",
            "http://d/applicationname": "Web", "http://d/applicationtier": "50PerMin", "http://d/apiname": api.name,
            "http://d/apicontext": api.base_path, "http://d/version": api.version, "http://d/tier": "Gold",
            "http://d/keytype": "SANDBOX", "http://d/usertype": "Application_User", "http://d/enduser": "bob",
            "http://d/enduserTenantId": "0", "http://d/applicationAttributes": {"color": "red"},
        });
        assert_eq!(Value::Object(claims("http://d/", &api, &caller(token, Some("bob")))), expected);
    }

    #[test]
    fn a_credential_cannot_speak_for_the_gateway() {
        let token = json!({
            "http://d/subscriber": "mallory", "http://d/applicationAttributes": "x", "http://d/enduser": "root",
            "organizations": ["own"],
        });
        let claims = claims("http://d/", &api(), &caller(token, None));
        assert_eq!(claims["http://d/subscriber"], "alice");
        assert_eq!(claims["http://d/applicationAttributes"], json!({"color": "red"}));
        assert_eq!(claims.get("http://d/enduser"), None);
        assert_eq!(claims["organizations"], json!(["own"]));
    }

    #[test]
    fn a_dialect_may_be_empty() {
        let claims = claims("", &api(), &caller(json!({"version": "9", "keytype": "X"}), Some("bob")));
        assert_eq!((&claims["version"], &claims["keytype"]), (&json!(api().version), &json!("SANDBOX")));
    }
}
