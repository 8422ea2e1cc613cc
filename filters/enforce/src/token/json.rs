//! JSON as tokens have it: texts stay where they are, and no member appears twice, at any depth, because of two members of one
//! name somebody else might read the other (RFC 8725 §2.4). Depth is bounded by the parser.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'t, str>),
    List(Vec<Json<'t>>),
    Object(Object<'t>),
}

/// The members of an object, by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object<'t>(Vec<(Cow<'t, str>, Json<'t>)>);

impl<'t> Object<'t> {
    /// The object that these bytes are.
    pub(super) fn read(bytes: &'t [u8]) -> serde_json::Result<Self> {
        // Looked at once, and not text by text.
        let text = simdutf8::basic::from_utf8(bytes).map_err(serde_json::Error::custom)?;
        match serde_json::from_str(text)? {
            Json::Object(members) => Ok(members),
            _ => Err(serde_json::Error::custom("not an object")),
        }
    }

    /// The value of a member. Null is not absent.
    pub(super) fn get(&self, name: &str) -> Option<&Json<'t>> {
        self.0.get(self.find(name).ok()?).map(|(_, value)| value)
    }

    /// The text of a member, if it is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Gives a member another name, in place of whichever has that.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let Ok(place) = self.find(from) else { return };
        let (_, value) = self.0.remove(place);
        match self.find(to) {
            Ok(place) => self.0.get_mut(place).into_iter().for_each(|(_, old)| *old = value.clone()),
            Err(place) => self.0.insert(place, (Cow::Owned(to.to_owned()), value)),
        }
    }

    /// All of them.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Json<'t>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| order(other, name))
    }

    /// None when a name appears twice.
    fn of(mut members: Vec<(Cow<'t, str>, Json<'t>)>) -> Option<Self> {
        members.sort_unstable_by(|(one, _), (other, _)| order(one, other));
        let twice = members.iter().zip(members.iter().skip(1)).any(|((one, _), (other, _))| one == other);
        (!twice).then_some(Self(members))
    }
}

/// By length first, which tells most names apart.
fn order(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl<'t> Json<'t> {
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) const fn as_object(&self) -> Option<&Object<'t>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    pub(super) const fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub(super) const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(bool) = self { Some(*bool) } else { None }
    }

    /// A member, of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        // As many as tokens usually have.
        let mut list = Vec::with_capacity(16);
        while let Some((Name(name), value)) = members.next_entry()? {
            list.push((name, value));
        }
        Object::of(list).map(Json::Object).ok_or_else(|| A::Error::custom("a member appears twice"))
    }
}

/// A member's name.
struct Name<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_appear_once() {
        for (text, accepted) in [
            (r#"{"a":1,"b":[{"a":null}],"c":"\u0061","d":1.5,"e":true,"f":-1}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"b":2,"a":1}"#, false),
            (r#"{"a":1,"\u0061":1}"#, false),
            (r#"{"x":[{"a":1,"a":2}]}"#, false),
            ("[]", false),
            ("{} {}", false),
            ("", false),
        ] {
            assert_eq!(Object::read(text.as_bytes()).is_ok(), accepted, "{text}");
        }
        assert!(Object::read(format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200)).as_bytes()).is_err());
    }

    #[test]
    fn members_are_renamed() {
        for (from, to, expected) in [
            ("b", "z", r#"{"a":1,"c":3,"z":2}"#),
            ("c", "a", r#"{"a":3,"b":2}"#),
            ("a", "a", r#"{"a":1,"b":2,"c":3}"#),
            ("x", "a", r#"{"a":1,"b":2,"c":3}"#),
        ] {
            let mut object = Object::read(br#"{"a":1,"b":2,"c":3}"#).unwrap();
            object.rename(from, to);
            assert_eq!(object, Object::read(expected.as_bytes()).unwrap(), "{from} to {to}");
        }
    }

    fn plain(json: &Json) -> Value {
        match json {
            Json::Null => Value::Null,
            Json::Bool(bool) => Value::Bool(*bool),
            Json::Number(number) => Value::Number(number.clone()),
            Json::Text(text) => Value::String(text.to_string()),
            Json::List(list) => list.iter().map(plain).collect(),
            Json::Object(object) => object.members().map(|(name, value)| (name.to_owned(), plain(value))).collect(),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// What is read is what any other reader reads.
        #[test]
        fn reads_what_everybody_reads(members in prop::collection::btree_map(".*", json(), 0..40)) {
            let value: Value = members.into_iter().collect();
            let text = value.to_string();
            let expected: Value = serde_json::from_str(&text).unwrap();
            let object = Object::read(text.as_bytes()).unwrap();
            for (name, value) in expected.as_object().unwrap() {
                let read = object.get(name).map(plain);
                prop_assert_eq!(read.as_ref(), Some(value));
            }
            prop_assert_eq!(plain(&Json::Object(object)), expected);
        }
    }
}
