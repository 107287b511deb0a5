//! How two sides differ: a pure function of what is known of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    image::{self, ImageChange, Setting},
    manifests::{self, Change},
    side::{Content, Side},
};
use crate::release::ApplicationKey;

/// How two sides of an application differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The application.
    #[serde(flatten)]
    pub key: ApplicationKey,
    /// One side.
    pub a: Compared,
    /// The other.
    pub b: Compared,
    /// Whether nothing that could be compared is different.
    pub same: bool,
    /// The values, by path.
    pub values: Section<Setting>,
    /// The objects, or the charts' files.
    pub objects: Section<Change>,
    /// The images.
    pub images: Vec<ImageChange>,
}

/// A side, and what it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// What was asked for.
    #[serde(flatten)]
    pub side: Side,
    /// The version that an environment has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
}

/// One aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Section<T> {
    /// What is different.
    pub changes: Vec<T>,
    /// Why it could not be compared, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

impl<T> Section<T> {
    fn of(compared: Result<Vec<T>, String>) -> Self {
        match compared {
            Ok(changes) => Self { changes, not_compared: None },
            Err(reason) => Self { changes: Vec::new(), not_compared: Some(reason) },
        }
    }
}

impl Difference {
    /// How `b` differs from `a`.
    pub fn between(key: &ApplicationKey, a: &Content, b: &Content) -> Self {
        let values = both(&a.values, &b.values);
        let values = Section::of(values.and_then(|(a, b)| Ok(image::settings(&paths(a)?, &paths(b)?))));
        let objects = both(&a.objects, &b.objects).and_then(|(a, b)| manifests::compare(a, b));
        let objects = Section::of(objects);
        let images = image::compare(&a.images, &b.images);
        let same = values.changes.is_empty() && objects.changes.is_empty() && images.is_empty();
        Self { key: key.clone(), a: Compared::of(a), b: Compared::of(b), same, values, objects, images }
    }
}

impl Compared {
    fn of(content: &Content) -> Self {
        let rendered = match content.side {
            Side::Environment(_) => content.version.clone(),
            Side::Version(_) => None,
        };
        Self { side: content.side.clone(), rendered }
    }
}

fn both<'a, T>(a: &'a Result<T, String>, b: &'a Result<T, String>) -> Result<(&'a T, &'a T), String> {
    Ok((a.as_ref().map_err(Clone::clone)?, b.as_ref().map_err(Clone::clone)?))
}

/// Bytes of all paths together: of values as people write them, thousands.
const MAX_PATHS: usize = 4 << 20;

/// What is at the end of every path, as in `image.tag` and `tolerations[0].key`; or that there is too much of it. A long
/// name over a long list has the length of both, multiplied.
fn paths(value: &Value) -> Result<BTreeMap<String, String>, String> {
    fn walk(path: &str, value: &Value, room: &mut usize, found: &mut BTreeMap<String, String>) -> Option<()> {
        *room = room.checked_sub(path.len())?;
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let plain = !name.is_empty() && !name.contains(['.', '[', ']', '"']);
                    let name = if plain { name.clone() } else { Value::from(name.as_str()).to_string() };
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    walk(&path, value, room, found)?;
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (position, value) in items.iter().enumerate() {
                    walk(&format!("{path}[{position}]"), value, room, found)?;
                }
            }
            // No values at all are not a value.
            _ if path.is_empty() => {}
            // As JSON: "1" is not 1.
            end => drop(found.insert(path.to_owned(), end.to_string())),
        }
        Some(())
    }
    let (mut room, mut found) = (MAX_PATHS, BTreeMap::new());
    walk("", value, &mut room, &mut found).ok_or("the values are too many, or their names too long")?;
    Ok(found)
}

/// Values laid over a chart's own, as Helm does: maps are joined, all else is replaced, and null takes away.
pub fn laid_over(own: Value, over: &Map<String, Value>) -> Value {
    let Value::Object(mut own) = own else { return Value::Object(over.clone()) };
    for (name, value) in over {
        match (own.get_mut(name), value) {
            (_, Value::Null) => drop(own.remove(name)),
            (Some(held @ Value::Object(_)), Value::Object(over)) => *held = laid_over(held.take(), over),
            _ => drop(own.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(own)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_name_over_a_long_list_is_not_compared() {
        let long = json!({"k".repeat(30_000): vec![0; 400_000]});
        assert!(paths(&long).is_err());
        assert!(paths(&json!({"list": vec![0; 10_000]})).is_ok());
    }
    use crate::comparison::manifests::Documents;

    fn content(values: Value) -> Content {
        Content {
            side: Side::Version("1.4.0".into()),
            version: Some("1.4.0".into()),
            values: Ok(values),
            objects: Ok(Documents::Objects(Vec::new())),
            images: BTreeMap::new(),
        }
    }

    fn key() -> ApplicationKey {
        ApplicationKey::new("shop", "web")
    }

    #[test]
    fn values_are_compared_path_by_path() {
        let a = content(json!({"image": {"tag": "1"}, "replicas": 1, "ports": [80], "gone": {}, "a.b": 1}));
        let b = content(json!({"image": {"tag": "2"}, "replicas": "1", "ports": [80, 81], "a.b": 2}));
        let difference = Difference::between(&key(), &a, &b);
        let changes: Vec<_> = difference
            .values
            .changes
            .iter()
            .map(|change| (change.name.as_str(), change.a.as_deref(), change.b.as_deref()))
            .collect();
        assert_eq!(
            changes,
            [
                ("\"a.b\"", Some("1"), Some("2")),
                ("gone", Some("{}"), None),
                ("image.tag", Some("\"1\""), Some("\"2\"")),
                ("ports[1]", None, Some("81")),
                ("replicas", Some("1"), Some("\"1\"")),
            ]
        );
        assert!(!difference.same && Difference::between(&key(), &a, &a).same);
    }

    #[test]
    fn what_is_not_known_is_no_difference_and_said() {
        let unknown = Content { values: Err("nobody knows".into()), ..content(json!({})) };
        let difference = Difference::between(&key(), &content(json!({"a": 1})), &unknown);
        assert_eq!((difference.same, difference.values.not_compared.as_deref()), (true, Some("nobody knows")));
    }

    #[test]
    fn overrides_are_laid_over_as_helm_does() {
        let own = json!({"image": {"tag": "1", "registry": "r"}, "ports": [1, 2], "probe": {"path": "/"}});
        let over = json!({"image": {"tag": "2"}, "ports": [3], "probe": null, "new": {"a": 1}});
        assert_eq!(
            laid_over(own, over.as_object().unwrap()),
            json!({"image": {"tag": "2", "registry": "r"}, "ports": [3], "new": {"a": 1}})
        );
    }
}
