//! How projects name a service of Consul: `consul([dc1,dc2].[namespace].service.[tag1,tag2],https://default:443)`.
//!
//! Short forms leave out the namespace, or all but the service. Must never take what it does not understand.

use crate::model::Service;

/// Most datacenters, and most tags, of a service.
const MAX_LIST: usize = 32;
/// Most bytes of a name.
const MAX_NAME: usize = 128;
/// How it is written.
pub(super) const CONSUL_FORM: &str = "write consul([dc1,dc2].namespace.service.[tag1,tag2],https://default:443), or shorter consul(service,https://default:443)";

/// Whether a backend's URL names a service of Consul instead.
pub(super) fn is_consul(text: &str) -> bool {
    text.trim().strip_prefix("consul").is_some_and(|rest| rest.trim_start().starts_with('('))
}

/// The service, and the URL of the default.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<(Service, &str), String> {
    let inner = text.trim().strip_prefix("consul").map(str::trim).and_then(|rest| rest.strip_prefix('('));
    let Some(inner) = inner.and_then(|rest| rest.strip_suffix(')')) else {
        return Err("names a service of Consul and does not end with a parenthesis".to_owned());
    };
    // Lists have commas too, a URL rather not.
    let Some((query, default)) = inner.rsplit_once(',').filter(|(_, default)| default.contains("://")) else {
        return Err("names a service of Consul without a default after it".to_owned());
    };
    Ok((service(query)?, default.trim()))
}

fn service(query: &str) -> Result<Service, String> {
    let parts = split(query)?;
    let (datacenters, namespace, name, tags) = match parts.as_slice() {
        [name] => ("*", "*", *name, "*"),
        [datacenters, name, tags] => (*datacenters, "*", *name, *tags),
        [datacenters, namespace, name, tags] => (*datacenters, *namespace, *name, *tags),
        other => {
            let count = other.len();
            return Err(format!("names a service of Consul by {count} parts; it has 1, 3 or 4, divided by dots"));
        }
    };
    let datacenters = list(datacenters, "datacenters")?;
    let tags = list(tags, "tags")?;
    let namespace = match list(namespace, "namespaces")?.as_slice() {
        [] | [None] => None,
        [Some(one)] => Some(one.clone()),
        _ => return Err("names several namespaces; a service of Consul is in one".to_owned()),
    };
    let Some(name) = name_of(name) else { return Err("names no service of Consul, or not by its name".to_owned()) };
    Ok(Service {
        datacenters: if datacenters.is_empty() { vec![None] } else { datacenters },
        namespace,
        name,
        // One that is any tag makes the others idle.
        tags: tags.into_iter().collect::<Option<_>>().unwrap_or_default(),
    })
}

/// Splits at dots that are not in brackets.
fn split(query: &str) -> Result<Vec<&str>, String> {
    let mut inside = false;
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, character) in query.char_indices() {
        match character {
            '.' if !inside => {
                parts.push(query.get(start..at).unwrap_or_default());
                start = at.saturating_add(1);
            }
            '[' | ']' if (character == '[') == inside => {
                return Err("names a service of Consul with a bracket that has no other".to_owned());
            }
            '[' | ']' => inside = !inside,
            _ => {}
        }
    }
    if inside {
        return Err("names a service of Consul with a bracket that is not closed".to_owned());
    }
    parts.push(query.get(start..).unwrap_or_default());
    Ok(parts)
}

/// Names with commas, in brackets or without; `None` stands for `*`. Empty brackets say nothing.
fn list(text: &str, what: &str) -> Result<Vec<Option<String>>, String> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.unwrap_or(text).trim();
    if inner.is_empty() && text.starts_with('[') {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for item in inner.split(',') {
        let item = match item.trim() {
            "*" => None,
            item => Some(name_of(item).ok_or_else(|| format!("names {what} of Consul, of which one is no name"))?),
        };
        if !found.contains(&item) {
            found.push(item);
        }
        if found.len() > MAX_LIST {
            return Err(format!("names more than {MAX_LIST} {what} of Consul"));
        }
    }
    Ok(found)
}

fn name_of(text: &str) -> Option<String> {
    let text = text.trim();
    let good = |character: char| !character.is_control() && !"[](),/*?#%\\".contains(character);
    (!text.is_empty() && text.len() <= MAX_NAME && text.chars().all(good)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The service as it is shown, and the default.
    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        assert!(is_consul(text), "{text}");
        let found = parse(text).map(|(service, default)| (service.to_string(), default));
        match (found, expected) {
            (Ok((service, default)), Ok(expected)) => assert_eq!((service.as_str(), default), expected, "{text}"),
            (Err(what), Err(part)) => assert!(what.contains(part), "{text}: {what}"),
            (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn services() {
        let default = "http://10.0.0.9:80";
        for (query, service) in [
            ("[east,west].prod.pets.[v1,v2]", "[east,west].[prod].pets.[v1,v2]"),
            ("[east,west].[prod].pets.[v1,v2]", "[east,west].[prod].pets.[v1,v2]"),
            ("[east, west ]. prod . pets . [ v1 ] ", "[east,west].[prod].pets.[v1]"),
            ("[east].pets.[v1]", "[east].pets.[v1]"),
            ("east.pets.v1", "[east].pets.[v1]"),
            ("east,west.pets.v1,v2", "[east,west].pets.[v1,v2]"),
            ("[the east].pet shop.[v 1]", "[the east].pet shop.[v 1]"),
            (" pets ", "[*].pets.[*]"),
            ("[].prod.pets.[]", "[*].[prod].pets.[*]"),
            ("[*].*.pets.[*]", "[*].pets.[*]"),
            ("[east,*].[].pets.[v1,*]", "[east,*].pets.[*]"),
            ("[east,east].pets.[v1.2,v1.2]", "[east].pets.[v1.2]"),
        ] {
            check(&format!("consul({query},{default})"), Ok((service, default)));
            check(&format!("  consul ( {query} , {default} ) "), Ok((service, default)));
        }
    }

    #[test]
    fn what_names_no_service() {
        for (text, part) in [
            ("consul(pets,http://a:1", "parenthesis"),
            ("consul(pets)", "without a default"),
            ("consul()", "without a default"),
            ("consul([a].pets.[b,c])", "without a default"),
            ("consul(,http://a:1)", "names no service"),
            ("consul(*,http://a:1)", "names no service"),
            ("consul([pets],http://a:1)", "names no service"),
            ("consul(a/b,http://a:1)", "names no service"),
            ("consul(east.pets,http://a:1)", "by 2 parts"),
            ("consul([].a.b.c.[*],http://a:1)", "by 5 parts"),
            ("consul([east.pets.[v1],http://a:1)", "no other"),
            ("consul(east].pets.[v1],http://a:1)", "no other"),
            ("consul([east].pets.[v1,http://a:1)", "not closed"),
            ("consul([east,].pets.[v1],http://a:1)", "datacenters"),
            ("consul(.pets.[v1],http://a:1)", "datacenters"),
            ("consul([east].pets.[a,,b],http://a:1)", "tags"),
            ("consul([east].[a,b].pets.[c],http://a:1)", "several namespaces"),
        ] {
            check(text, Err(part));
        }
        let many: Vec<String> = (0..33).map(|number| format!("dc{number}")).collect();
        check(&format!("consul([{}].pets.[*],http://a:1)", many.join(",")), Err("more than 32"));
        check(&format!("consul({},http://a:1)", "x".repeat(129)), Err("names no service"));
    }

    #[test]
    fn what_is_not_meant_for_consul() {
        for text in ["", "consul", " consul", "http://consul/", "consuls(a,http://b)", "xconsul(a,http://b)"] {
            assert!(!is_consul(text), "{text}");
        }
    }
}
