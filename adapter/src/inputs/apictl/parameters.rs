//! Query parameters and the login body: their rules, and the numbers and texts with which a broken rule is reported.

use std::collections::BTreeMap;

use serde_json::Value;

use tollgate_project::names;

/// Most parameters that are looked at.
const MAX_PARAMETERS: usize = 64;

/// A broken rule. The numbers are those of the original's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// 601 type, 602 required, 603 too long, 604 too short, 605 pattern, 608 too large, 609 too small.
    pub code: u16,
    /// What and where.
    pub message: String,
}

/// The parameters of a query string; the last of a name counts.
#[derive(Debug, Default)]
pub struct Query(BTreeMap<String, String>);

/// The rules of a text.
#[derive(Debug, Clone, Copy)]
struct Rule {
    shortest: usize,
    longest: usize,
    pattern: &'static str,
    allowed: fn(&str) -> bool,
}

const API_NAME: Rule = Rule {
    shortest: 3,
    longest: 255,
    pattern: "^[a-zA-Z0-9_~.-]*$",
    allowed: |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_~.-".contains(&byte)),
};
const VERSION: Rule = Rule {
    shortest: 1,
    longest: 15,
    pattern: "^[a-zA-Z0-9_.-]*$",
    allowed: |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)),
};
const VIRTUAL_HOST: Rule = Rule {
    shortest: 0,
    longest: 255,
    pattern: "a host name, *, *.<host name> or <host name>.*",
    allowed: |text| names::virtual_host(text).is_ok(),
};
const ENVIRONMENTS: Rule = Rule { shortest: 0, longest: 255, pattern: "", allowed: |_| true };
const TYPE: Rule = Rule {
    shortest: 0,
    longest: 9,
    pattern: "^[a-zA-Z:]*$",
    allowed: |text| text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b':'),
};
const CREDENTIAL: Rule = Rule {
    shortest: 0,
    longest: 100,
    pattern: "^[a-zA-Z0-9_~.@-]*$",
    allowed: |text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_~.@-".contains(&byte)),
};

impl Query {
    /// Reads a query string.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()).take(MAX_PARAMETERS) {
            found.insert(name.into_owned(), value.into_owned());
        }
        Self(found)
    }

    /// `apiName` of a removal.
    ///
    /// # Errors
    /// When it is missing or breaks a rule.
    pub fn api_name(&self) -> Result<String, Invalid> {
        self.required("apiName", API_NAME)
    }

    /// `version` of a removal.
    ///
    /// # Errors
    /// When it is missing or breaks a rule.
    pub fn version(&self) -> Result<String, Invalid> {
        self.required("version", VERSION)
    }

    /// `vhost` of a removal in lower case; apictl sends an empty one for "all".
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn virtual_host(&self) -> Result<Option<String>, Invalid> {
        Ok(self.optional("vhost", VIRTUAL_HOST)?.map(|host| host.to_ascii_lowercase()))
    }

    /// `environments` of a removal, separated by colons; apictl sends an empty text for "all".
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn environments(&self) -> Result<Vec<String>, Invalid> {
        let text = self.optional("environments", ENVIRONMENTS)?.unwrap_or_default();
        Ok(text.split(':').filter(|one| !one.is_empty()).map(str::to_owned).collect())
    }

    /// The API type in `query=type:<type>`, in upper case.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn api_type(&self) -> Result<Option<String>, Invalid> {
        let Some(text) = self.optional("query", TYPE)? else { return Ok(None) };
        Ok(text.split_once(':').filter(|(key, _)| *key == "type").map(|(_, kind)| kind.to_ascii_uppercase()))
    }

    /// `limit` of a list.
    ///
    /// # Errors
    /// When it is no number or breaks a rule.
    pub fn limit(&self) -> Result<Option<usize>, Invalid> {
        let Some(text) = self.0.get("limit").filter(|text| !text.is_empty()) else { return Ok(None) };
        let fail = |code: u16, what: String| Err(Invalid { code, message: format!("limit in query {what}") });
        match text.parse::<i64>() {
            Err(_) => fail(601, format!("must be of type int64: {text:?}")),
            Ok(number) if number < 1 => fail(609, "should be greater than or equal to 1".to_owned()),
            Ok(number) if number > 100_000_000 => fail(608, "should be less than or equal to 1e+08".to_owned()),
            Ok(number) => Ok(usize::try_from(number).ok()),
        }
    }

    /// `override` of a deployment. Everything that does not mean yes means no.
    #[must_use]
    pub fn overwrite(&self) -> bool {
        const YES: [&str; 10] = ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
        self.0.get("override").is_some_and(|text| YES.contains(&text.to_ascii_lowercase().as_str()))
    }

    fn required(&self, name: &str, rule: Rule) -> Result<String, Invalid> {
        self.optional(name, rule)?.ok_or_else(|| missing(name, "query"))
    }

    fn optional(&self, name: &str, rule: Rule) -> Result<Option<String>, Invalid> {
        let Some(text) = self.0.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        check(name, "query", text, rule)?;
        Ok(Some(text.clone()))
    }
}

/// Name and password of a login body.
///
/// # Errors
/// When one is missing or breaks a rule.
pub fn credentials(body: &Value) -> Result<(String, String), Invalid> {
    let member = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Err(missing(name, "body")),
        Some(Value::String(text)) => check(name, "body", text, CREDENTIAL).map(|()| text.clone()),
        Some(_) => Err(Invalid { code: 601, message: format!("{name} in body must be of type string") }),
    };
    Ok((member("username")?, member("password")?))
}

/// A login without a body.
pub fn no_credentials() -> Invalid {
    missing("credentials", "body")
}

fn missing(name: &str, place: &str) -> Invalid {
    Invalid { code: 602, message: format!("{name} in {place} is required") }
}

fn check(name: &str, place: &str, text: &str, rule: Rule) -> Result<(), Invalid> {
    let fail = |code: u16, what: String| Err(Invalid { code, message: format!("{name} in {place} {what}") });
    let length = text.chars().count();
    if length < rule.shortest {
        return fail(604, format!("should be at least {} chars long", rule.shortest));
    }
    if length > rule.longest {
        return fail(603, format!("should be at most {} chars long", rule.longest));
    }
    if (rule.allowed)(text) { Ok(()) } else { fail(605, format!("should match '{}'", rule.pattern)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries() {
        let long = "x".repeat(256);
        for (raw, code) in [
            ("apiName=Pets&version=1.0.0", None),
            ("apiName=Pets&version=1.0.0&vhost=&environments=", None),
            ("apiName=Pets&version=1.0.0&vhost=*.wso2.com&environments=a:b", None),
            ("version=1.0.0", Some(602)),
            ("apiName=&version=1.0.0", Some(602)),
            ("apiName=ab&version=1.0.0", Some(604)),
            ("apiName=a%20b&version=1.0.0", Some(605)),
            ("apiName=Pets&version=1.0.0.0.0.0.0.0.0", Some(603)),
            ("apiName=Pets&version=a/b", Some(605)),
            ("apiName=Pets&version=1&vhost=a:80", Some(605)),
            (&format!("apiName={long}&version=1"), Some(603)),
            (&format!("apiName=Pets&version=1&environments={long}"), Some(603)),
        ] {
            let query = Query::parse(raw);
            let outcome = (|| {
                query.api_name()?;
                query.version()?;
                query.virtual_host()?;
                query.environments().map(|_| ())
            })();
            assert_eq!(outcome.err().map(|invalid| invalid.code), code, "{raw}");
        }
        let all = Query::parse("vhost=LOCALHOST&environments=Default:Europe:");
        assert_eq!(all.virtual_host(), Ok(Some("localhost".to_owned())));
        assert_eq!(all.environments(), Ok(vec!["Default".to_owned(), "Europe".to_owned()]));
    }

    #[test]
    fn lists() {
        for (raw, api_type, limit) in [
            ("", Ok(None), Ok(None)),
            ("query=type:http&limit=25", Ok(Some("HTTP")), Ok(Some(25))),
            ("query=&limit=", Ok(None), Ok(None)),
            ("query=name:x", Ok(None), Ok(None)),
            ("query=type:h1", Err(605), Ok(None)),
            ("query=type:graphql", Err(603), Ok(None)),
            ("limit=0", Ok(None), Err(609)),
            ("limit=100000001", Ok(None), Err(608)),
            ("limit=ten", Ok(None), Err(601)),
        ] {
            let query = Query::parse(raw);
            assert_eq!(query.api_type().map_err(|e| e.code), api_type.map(|kind| kind.map(str::to_owned)), "{raw}");
            assert_eq!(query.limit().map_err(|e| e.code), limit, "{raw}");
        }
    }

    #[test]
    fn overriding() {
        for (raw, yes) in [
            ("override=true", true),
            ("override=1", true),
            ("override=TRUE", true),
            ("override=enabled", true),
            ("override=false&override=true", true),
            ("override=true&override=no", false),
            ("override=false", false),
            ("override=", false),
            ("", false),
            ("overwrite=true", false),
        ] {
            assert_eq!(Query::parse(raw).overwrite(), yes, "{raw}");
        }
    }

    #[test]
    fn logins() {
        for (body, code) in [
            (json!({"username": "admin", "password": "a@b.c~_-1"}), None),
            (json!({"password": "x"}), Some(602)),
            (json!({"username": "admin", "password": null}), Some(602)),
            (json!({"username": "admin", "password": 1}), Some(601)),
            (json!({"username": "a b", "password": "x"}), Some(605)),
            (json!({"username": "x".repeat(101), "password": "x"}), Some(603)),
            (json!([]), Some(602)),
        ] {
            assert_eq!(credentials(&body).err().map(|invalid| invalid.code), code, "{body}");
        }
    }
}
