//! Deny conditions and keys of custom policies, as API Manager lists them and tells of them.

use serde_json::Value;
use tollgate_enforce::CompiledPolicy;
use tollgate_model::{CustomPolicy, DenyCondition};

use super::fact::{Fact, Id, Resource};
use super::mirror::{Change, Snapshot};
use super::object::{Object, ShapeError};
use super::policies::range;

/// What conditions are on, with the members that list them.
const KINDS: [(&str, &str); 4] =
    [("API", "api"), ("APPLICATION", "application"), ("USER", "user"), ("SUBSCRIPTION", "subscription")];

/// Reads the answer to `block`: finished keys by their kind, and conditions on addresses.
///
/// # Errors
/// When it is something else, which must not be taken for an answer that keeps nobody out.
pub fn block(answer: &Value, refused: &mut Vec<String>) -> Result<Snapshot, ShapeError> {
    let object = Object::of(answer)?;
    let members = || KINDS.iter().map(|(_, member)| *member).chain(["ip"]);
    if members().any(|member| object.get(member).is_some_and(|value| !value.is_array())) {
        return Err(ShapeError::Expected("a list of each kind"));
    }
    if !object.members().any(|(name, _)| members().any(|member| name.eq_ignore_ascii_case(member))) {
        return Err(ShapeError::Missing("every kind of condition"));
    }
    let mut snapshot = Snapshot::new();
    for (kind, member) in KINDS {
        for value in object.list(member) {
            match value.as_str().map(|key| condition(kind, key)) {
                Some(Ok((id, fact))) => drop(snapshot.insert(id.key, (fact, 0))),
                _ => refused.push(format!("block {member}: a text is expected")),
            }
        }
    }
    for value in object.list("ip") {
        match Object::of(value).and_then(address) {
            Ok(Some((id, fact))) => drop(snapshot.insert(id.key, (fact, 0))),
            Ok(None) => {}
            Err(error) => refused.push(format!("block ip: {error}")),
        }
    }
    Ok(snapshot)
}

fn condition(kind: &str, key: &str) -> Result<(Id, Fact), ShapeError> {
    if key.trim().is_empty() || key.contains('\0') {
        return Err(ShapeError::Unclear("conditionValue"));
    }
    let owned = key.to_owned();
    let condition = match kind {
        "API" => DenyCondition::Api { context: owned },
        "APPLICATION" => DenyCondition::Application { key: owned },
        "USER" => DenyCondition::User { key: owned },
        "SUBSCRIPTION" => DenyCondition::Subscription { key: owned },
        _ => return Err(ShapeError::Unclear("blockingCondition")),
    };
    Ok((Id::block(kind, key), Fact::Block(condition)))
}

/// An element of `ip`; nothing when it is switched off.
fn address(object: Object<'_>) -> Result<Option<(Id, Fact)>, ShapeError> {
    if object.flag("state") == Some(false) {
        return Ok(None);
    }
    let number = object.needed("id")?;
    addresses(&number, object, object.tenant()).map(Some)
}

/// Both ends belong to the range.
fn addresses(number: &str, object: Object<'_>, tenant: Option<String>) -> Result<(Id, Fact), ShapeError> {
    const WRONG: ShapeError = ShapeError::Unclear("fixedIp, or startingIp and endingIp,");
    let range = match (object.text("fixedIp"), object.text("startingIp"), object.text("endingIp")) {
        (Some(fixed), ..) => range(&fixed, &fixed),
        (None, Some(first), Some(last)) => range(&first, &last),
        _ => None,
    };
    let invert = object.flag("invert").unwrap_or(false);
    let condition = DenyCondition::Ip { range: range.ok_or(WRONG)?, invert, tenant };
    Ok((Id::block("IP", number), Fact::Block(condition)))
}

/// Reads news of a deny condition.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn block_event(payload: Object<'_>) -> Result<Change, ShapeError> {
    let kind = payload.needed("blockingCondition")?.to_ascii_uppercase();
    let holds = payload.flag("state").unwrap_or(false);
    let stamp = payload.stamp();
    let (id, fact) = if kind == "IP" || kind == "IPRANGE" {
        let number = payload.needed("id")?;
        if !holds {
            return Ok(Change::Remove { id: Id::block("IP", &number), incarnation: None, stamp });
        }
        let value = match payload.get("conditionValue") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or(Value::Null),
            Some(value) => value.clone(),
            None => Value::Null,
        };
        let object = Object::of(&value).map_err(|_| ShapeError::Unclear("conditionValue"))?;
        addresses(&number, object, payload.tenant())?
    } else {
        condition(&kind, &payload.needed("conditionValue")?)?
    };
    Ok(match holds {
        true => Change::Put { id, fact, stamp, partial: false },
        false => Change::Remove { id, incarnation: None, stamp },
    })
}

/// Reads the answer to `keyTemplates`.
///
/// # Errors
/// When it is no list.
pub fn key_templates(list: &[Value], refused: &mut Vec<String>) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for value in list {
        match value.as_str().map(template) {
            Some(Ok((id, fact))) => drop(snapshot.insert(id.key, (fact, 0))),
            Some(Err(error)) => refused.push(format!("keyTemplates: {error}")),
            None => refused.push("keyTemplates: a text is expected".to_owned()),
        }
    }
    snapshot
}

fn template(text: &str) -> Result<(Id, Fact), ShapeError> {
    // What it allows is counted by the Traffic Manager.
    let policy = CustomPolicy { name: text.to_owned(), template: text.to_owned(), limits: Vec::new(), shadow: false };
    if text.trim().is_empty() || CompiledPolicy::try_from(policy.clone()).is_err() {
        return Err(ShapeError::Unclear("keyTemplateValue"));
    }
    Ok((Id::new(Resource::KeyTemplates, text), Fact::KeyTemplate(policy)))
}

/// Reads news of the key of a custom policy.
///
/// # Errors
/// What is missing, or cannot be understood.
pub fn template_event(payload: Object<'_>) -> Result<Change, ShapeError> {
    let text = payload.needed("keyTemplateValue")?;
    let stamp = payload.stamp();
    match payload.needed("keyTemplateState")?.to_ascii_lowercase().as_str() {
        "add" => template(&text).map(|(id, fact)| Change::Put { id, fact, stamp, partial: false }),
        "remove" => Ok(Change::Remove { id: Id::new(Resource::KeyTemplates, &text), incarnation: None, stamp }),
        _ => Err(ShapeError::Unclear("keyTemplateState")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_listed() {
        let answer = json!({
            "api": ["/pizza/1.0.0"], "application": ["alice:Web"], "user": ["bob@carbon.super"], "custom": ["x"],
            "subscription": ["/pizza/1.0.0:1.0.0:alice-Web:PRODUCTION"],
            "ip": [
                {"Type": "IP", "Id": 4, "FixedIp": "10.0.0.1", "Invert": true, "tenantDomain": "carbon.super", "state": "true"},
                {"type": "IPRANGE", "id": 5, "startingIp": "10.0.0.1", "endingIp": "10.0.0.9", "invert": false},
                {"type": "IP", "id": 6, "fixedIp": "10.0.0.1", "state": false},
                {"type": "IP", "id": 7, "fixedIp": "moon"},
            ],
        });
        let mut refused = Vec::new();
        let snapshot = block(&answer, &mut refused).unwrap();
        assert_eq!((snapshot.len(), refused.len()), (6, 1), "{refused:?}");
        let Fact::Block(DenyCondition::Ip { invert, tenant, .. }) = &snapshot[&Id::block("IP", "4").key].0 else {
            panic!()
        };
        assert!(*invert && tenant.as_deref() == Some("carbon.super"));
        for empty in [json!({"api": null}), json!({"IP": [], "custom": []})] {
            assert!(block(&empty, &mut refused).unwrap().is_empty(), "{empty}");
        }
        for other in [json!([]), json!({}), json!({"error": "later"}), json!({"api": 5, "ip": []}), json!({"ip": {}})] {
            assert!(block(&other, &mut refused).is_err(), "{other}");
        }
    }

    #[track_caller]
    fn event(payload: &Value) -> Result<(Id, bool), ShapeError> {
        let payload = Object::of(payload).unwrap();
        let change =
            if payload.get("blockingCondition").is_some() { block_event(payload) } else { template_event(payload) };
        change.map(|change| match change {
            Change::Put { id, .. } => (id, true),
            Change::Remove { id, .. } => (id, false),
        })
    }

    #[test]
    fn conditions_come_and_go() {
        let api = |state: &str| json!({"id": 1, "blockingCondition": "API", "conditionValue": "/a/1", "state": state});
        assert_eq!(event(&api("true")), Ok((Id::block("API", "/a/1"), true)));
        assert_eq!(event(&api("false")), Ok((Id::block("API", "/a/1"), false)));
        let subscription = json!({"blockingCondition": "SUBSCRIPTION", "conditionValue": "k", "state": "true"});
        assert_eq!(event(&subscription), Ok((Id::block("SUBSCRIPTION", "k"), true)));
        let ip = |value: Value, state: &str| json!({"id": 7, "blockingCondition": "IPRANGE", "conditionValue": value, "state": state});
        let range = r#"{"startingIp":"10.0.0.1","endingIp":"10.0.0.2","invert":false}"#;
        assert_eq!(event(&ip(json!(range), "true")), Ok((Id::block("IP", "7"), true)));
        assert_eq!(event(&ip(json!("gone already"), "false")), Ok((Id::block("IP", "7"), false)));
        assert_eq!(event(&ip(json!("{"), "true")), Err(ShapeError::Unclear("conditionValue")));
        let unknown = json!({"blockingCondition": "MOON", "conditionValue": "k", "state": "true"});
        assert_eq!(event(&unknown), Err(ShapeError::Unclear("blockingCondition")));
    }

    #[test]
    fn templates_come_and_go() {
        let of = |text: &str, state: &str| event(&json!({"keyTemplateValue": text, "keyTemplateState": state}));
        let id = Id::new(Resource::KeyTemplates, "$userId:$apiContext");
        assert_eq!(of("$userId:$apiContext", "add"), Ok((id.clone(), true)));
        assert_eq!(of("$userId:$apiContext", "remove"), Ok((id, false)));
        assert_eq!(of("$userId", "change"), Err(ShapeError::Unclear("keyTemplateState")));
        let mut refused = Vec::new();
        assert_eq!(key_templates(&[json!("$userId"), json!(5)], &mut refused).len(), 1);
        assert_eq!(refused.len(), 1);
    }
}
