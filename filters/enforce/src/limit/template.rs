//! Keys of custom policies: text with variables, compiled once, filled in for each request.

use std::net::IpAddr;

/// Longest key that is made; a longer one is cut, so that what clients send cannot make counters grow without bound.
const MAX_KEY: usize = 1024;

/// A key with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What may stand in a key, by the names of API Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    ResourceKey,
    UserId,
    ApiContext,
    ApiVersion,
    AppTenant,
    ApiTenant,
    AppId,
    ClientIp,
}

/// Longer names first: `$apiContext` begins with no other, but names may be added.
const VARIABLES: [(&str, Variable); 8] = [
    ("$resourceKey", Variable::ResourceKey),
    ("$apiContext", Variable::ApiContext),
    ("$apiVersion", Variable::ApiVersion),
    ("$appTenant", Variable::AppTenant),
    ("$apiTenant", Variable::ApiTenant),
    ("$clientIp", Variable::ClientIp),
    ("$userId", Variable::UserId),
    ("$appId", Variable::AppId),
];

/// What variables stand for in one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'v> {
    pub(crate) resource_key: &'v str,
    pub(crate) user: &'v str,
    pub(crate) context: &'v str,
    pub(crate) version: &'v str,
    pub(crate) application_tenant: &'v str,
    pub(crate) api_tenant: &'v str,
    pub(crate) application: &'v str,
    pub(crate) client: Option<IpAddr>,
}

impl KeyTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Names the variable that does not exist. Properties that were set by the original's own filters
    /// (`$customProperty.`) have no counterpart.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            let found = VARIABLES.iter().find_map(|(name, variable)| {
                after.strip_prefix(name.trim_start_matches('$')).map(|after| (*variable, after))
            });
            let Some((variable, after)) = found else {
                let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
                return Err(format!("${name} is no variable of a key template"));
            };
            parts.push(Part::Variable(variable));
            rest = after;
        }
        push_text(&mut parts, rest);
        Ok(Self { parts })
    }

    /// Whether it names the client's address, which costs a host call to find out.
    pub(crate) fn needs_client(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable(Variable::ClientIp)))
    }

    /// Fills it in.
    pub(crate) fn fill(&self, values: &Values) -> String {
        let mut key = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Variable(variable) => variable.write(values, &mut key),
            }
        }
        if key.len() > MAX_KEY {
            let end = (0..=MAX_KEY).rev().find(|at| key.is_char_boundary(*at)).unwrap_or(0);
            key.truncate(end);
        }
        key
    }
}

impl Variable {
    fn write(self, values: &Values, key: &mut String) {
        let text = match self {
            Self::ResourceKey => values.resource_key,
            Self::UserId => values.user,
            Self::ApiContext => values.context,
            Self::ApiVersion => values.version,
            Self::AppTenant => values.application_tenant,
            Self::ApiTenant => values.api_tenant,
            Self::AppId => values.application,
            // As the original writes it: the address as one decimal number.
            Self::ClientIp => {
                let number = values.client.map(|client| match client.to_canonical() {
                    IpAddr::V4(address) => u128::from(u32::from(address)),
                    IpAddr::V6(address) => u128::from(address),
                });
                return number.into_iter().for_each(|number| key.push_str(&number.to_string()));
            }
        };
        key.push_str(text);
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: Values = Values {
        resource_key: "/p/1/1/x:GET",
        user: "alice@carbon.super",
        context: "/p/1",
        version: "1",
        application_tenant: "carbon.super",
        api_tenant: "t.example",
        application: "7",
        client: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1))),
    };

    #[test]
    fn variables_are_filled_in() {
        for (template, key) in [
            ("$userId:$apiContext:$apiVersion", "alice@carbon.super:/p/1:1"),
            ("$resourceKey", "/p/1/1/x:GET"),
            ("x$appTenant-$apiTenant$appId", "xcarbon.super-t.example7"),
            ("$clientIp", "167772161"),
            ("fixed", "fixed"),
            ("", ""),
        ] {
            assert_eq!(KeyTemplate::parse(template).unwrap().fill(&VALUES), key, "{template}");
        }
    }

    #[test]
    fn unknown_variables_are_named() {
        for (template, name) in [("$userid", "$userid"), ("a$customProperty.x", "$customProperty.x"), ("$", "$ ")] {
            let error = KeyTemplate::parse(template).unwrap_err();
            assert!(error.contains(name.trim()), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}", user in ".{0,3000}") {
            if let Ok(template) = KeyTemplate::parse(&text) {
                let key = template.fill(&Values { user: &user, ..VALUES });
                prop_assert!(key.len() <= MAX_KEY);
            }
        }
    }
}
