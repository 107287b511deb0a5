//! The objects that an artifact asks for, from its final YAML.

use std::{collections::BTreeMap, fmt};

use kube::core::GroupVersionKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::yaml::{self, YamlError};

/// More objects than any overlay should need; each is a request to a cluster.
pub const MAX_OBJECTS: usize = 10_000;
/// What the renderer may give.
const MAX_SIZE: usize = 32 << 20;
/// The longest name that an API server takes.
const MAX_NAME: usize = 253;
/// What only an API server says of an object. Sent back, it is refused or means something else.
const SERVER_SIDE: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// Which object of a cluster: the same in every version of its API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// Its API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for what has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectId {
    /// Whether an object can be called that. Not everything that a cluster says is.
    pub fn is_possible(&self) -> bool {
        let is_bounded = |part: &str| part.len() <= MAX_NAME;
        is_bounded(&self.group) && is_bounded(&self.kind) && is_bounded(&self.namespace) && is_path_segment(&self.name)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        write!(f, " {}", self.name)?;
        if !self.namespace.is_empty() {
            write!(f, " in namespace {}", self.namespace)?;
        }
        Ok(())
    }
}

/// An object as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredObject {
    /// Which.
    pub id: ObjectId,
    /// The version of its API, without the group.
    pub version: String,
    /// All of it, as a mapping with apiVersion, kind and metadata.
    pub value: Value,
}

impl DesiredObject {
    /// Group, version and kind.
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind::gvk(&self.id.group, &self.version, &self.id.kind)
    }
}

/// Why the objects of an artifact cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectsError {
    /// It is too much.
    #[error("the manifests are of {0} bytes; at most {MAX_SIZE} are allowed: divide the overlay")]
    TooLarge(usize),
    /// There are too many.
    #[error("the manifests hold {0} objects; at most {MAX_OBJECTS} are allowed: divide the overlay")]
    TooMany(usize),
    /// It is no YAML.
    #[error("the manifests cannot be read: {0}")]
    Malformed(#[from] YamlError),
    /// A document is no object that could be applied.
    #[error("document {document} of the manifests (line {line}): {problem}")]
    Document {
        /// Which, from 1.
        document: usize,
        /// Where it starts, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// An object is there twice.
    #[error("{id} is in the manifests twice, as documents {first} and {second}: rename one or remove it")]
    Twice {
        /// Which.
        id: ObjectId,
        /// The document it is in.
        first: usize,
        /// The other document it is in.
        second: usize,
    },
}

/// The objects in an artifact's final YAML, in its order.
///
/// # Errors
/// What is too much, is no YAML, or holds a document that is not one object with a name of its own.
pub fn read(manifests: &str) -> Result<Vec<DesiredObject>, ObjectsError> {
    if manifests.len() > MAX_SIZE {
        return Err(ObjectsError::TooLarge(manifests.len()));
    }
    let documents = yaml::documents(manifests)?;
    if documents.len() > MAX_OBJECTS {
        return Err(ObjectsError::TooMany(documents.len()));
    }
    let mut seen: BTreeMap<ObjectId, usize> = BTreeMap::new();
    let mut objects = Vec::with_capacity(documents.len());
    for yaml::Document { number, line, value } in documents {
        let object = object(value).map_err(|problem| ObjectsError::Document { document: number, line, problem })?;
        if let Some(first) = seen.insert(object.id.clone(), number) {
            return Err(ObjectsError::Twice { id: object.id, first, second: number });
        }
        objects.push(object);
    }
    Ok(objects)
}

fn object(mut value: Value) -> Result<DesiredObject, String> {
    let fields = value.as_object_mut().ok_or("it is no mapping, and so no Kubernetes object")?;
    let text = |fields: &Map<String, Value>, field: &str| fields.get(field)?.as_str().map(str::to_owned);
    let api_version = text(fields, "apiVersion").filter(|text| !text.is_empty()).ok_or("it has no apiVersion")?;
    let kind = text(fields, "kind").filter(|text| !text.is_empty()).ok_or("it has no kind")?;
    if kind.ends_with("List") && fields.contains_key("items") {
        return Err(format!("it is a {kind}: make a document of each of its items"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    for (what, part) in [("apiVersion", group), ("apiVersion", version), ("kind", &kind)] {
        // They become a part of a path.
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
            return Err(format!("its {what} holds what none can: {}", shown(part)));
        }
    }
    if version.is_empty() {
        return Err(format!("its apiVersion {} names no version", shown(&api_version)));
    }
    let (group, version) = (group.to_owned(), version.to_owned());
    let called = format!("the {kind}");
    let metadata = fields
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| format!("{called} has no metadata.name"))?;
    let name = text(metadata, "name").filter(|name| !name.is_empty()).ok_or_else(|| {
        match metadata.contains_key("generateName") {
            true => {
                format!("{called} has metadata.generateName, and would be another one each time: give metadata.name")
            }
            false => format!("{called} has no metadata.name"),
        }
    })?;
    let namespace = text(metadata, "namespace").unwrap_or_default();
    for (what, part) in [("metadata.name", &name), ("metadata.namespace", &namespace)] {
        if !is_path_segment(part) {
            return Err(format!("the {what} of {called} cannot be a name: {}", shown(part)));
        }
    }
    for field in SERVER_SIDE {
        metadata.remove(field);
    }
    fields.remove("status");
    Ok(DesiredObject { id: ObjectId { group, kind, namespace, name }, version, value })
}

/// What the API server takes for a part of a path.
fn is_path_segment(name: &str) -> bool {
    name.len() <= MAX_NAME && name != "." && name != ".." && !name.contains(['/', '%', '\0', '\n', '?', '#'])
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    const TWO: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n  namespace: shop\ndata:\n  a: \"yes\"\n\
                       ---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  creationTimestamp: null\n  name: web\n\
                       spec:\n  replicas: 3\nstatus: {}\n";

    fn problem(manifests: &str) -> String {
        read(manifests).unwrap_err().to_string()
    }

    #[test]
    fn objects_come_with_their_identity() {
        let objects = read(TWO).unwrap();
        assert_eq!(objects[0].id.to_string(), "ConfigMap web in namespace shop");
        assert_eq!(objects[0].value["data"]["a"], "yes");
        assert_eq!(objects[1].id.to_string(), "Deployment.apps web");
        assert_eq!(objects[1].gvk(), GroupVersionKind::gvk("apps", "v1", "Deployment"));
        let value = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3},
        });
        assert_eq!(objects[1].value, value, "what only an API server says is left out");
    }

    #[test]
    fn identity_is_kept_as_json() {
        let id =
            ObjectId { group: String::new(), kind: "Service".into(), namespace: "shop".into(), name: "web".into() };
        let text = serde_json::to_value(&id).unwrap();
        assert_eq!(text, json!({"kind": "Service", "namespace": "shop", "name": "web"}));
        assert_eq!(serde_json::from_value::<ObjectId>(text).unwrap(), id);
    }

    #[test]
    fn nothing_asks_for_nothing() {
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("---\n# empty\n"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_object_is_named_by_its_document() {
        let second = |text: &str| problem(&format!("{TWO}---\n{text}"));
        for (text, message) in [
            ("- a", "it is no mapping"),
            ("kind: A\nmetadata: {name: a}", "it has no apiVersion"),
            ("apiVersion: v1\nmetadata: {name: a}", "it has no kind"),
            ("apiVersion: v1\nkind: List\nitems: []", "it is a List: make a document of each of its items"),
            ("apiVersion: v1\nkind: Pod", "the Pod has no metadata.name"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}", "the Pod has metadata.generateName"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: a/b}", "the metadata.name of the Pod cannot be a name"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: ..}", "the metadata.name of the Pod cannot be a name"),
            ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b%2F}", "the metadata.namespace of the Pod"),
            ("apiVersion: a/b/c\nkind: Pod\nmetadata: {name: a}", "its apiVersion holds what none can: \"b/c\""),
            ("apiVersion: apps/\nkind: Pod\nmetadata: {name: a}", "its apiVersion \"apps/\" names no version"),
            ("apiVersion: v1?a\nkind: Pod\nmetadata: {name: a}", "its apiVersion holds what none can"),
            ("apiVersion: v1\nkind: ../x\nmetadata: {name: a}", "its kind holds what none can"),
        ] {
            let problem = second(text);
            assert!(problem.starts_with("document 3 of the manifests (line 18): "), "{problem}");
            assert!(problem.contains(message), "{problem}");
        }
    }

    #[test]
    fn an_object_is_there_once_in_whatever_version() {
        let twice = "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata:\n  name: web\n";
        assert_eq!(
            problem(&format!("{TWO}---\n{twice}")),
            "Deployment.apps web is in the manifests twice, as documents 2 and 3: rename one or remove it"
        );
    }

    #[test]
    fn there_are_bounds() {
        let map = |i: usize| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{i}}}\n");
        let many = |count: usize| (0..count).map(map).collect::<Vec<_>>().join("---\n");
        assert_eq!(read(&many(MAX_OBJECTS)).unwrap().len(), MAX_OBJECTS);
        assert!(problem(&many(MAX_OBJECTS + 1)).contains("10001 objects"));
        assert!(problem(&" ".repeat(MAX_SIZE + 1)).contains("divide the overlay"));
    }
}
