//! YAML documents by the objects they are, and how they differ.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::TextDiff;

/// How long the shortest difference is looked for; after that any will do. Two texts without a common line take the
/// square of their lengths.
const WITHIN: Duration = Duration::from_millis(500);
/// Lines that are shown around a change.
const CONTEXT: usize = 3;
/// Where `kubectl apply` keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What there is to compare, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Documents {
    /// Kubernetes objects.
    Objects(Vec<Object>),
    /// Files of a chart, by path.
    Files(BTreeMap<String, String>),
}

/// A Kubernetes object as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Kind, group and name: what stays the same from version to version, and from environment to environment.
    name: String,
    namespace: Option<String>,
    text: String,
    secret: bool,
}

/// An object or a file that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `Deployment.apps/web`, or a path.
    pub name: String,
    /// Which sides have it.
    pub kind: ChangeKind,
    /// As a unified diff, without the lines that name its sides.
    pub diff: String,
}

/// Which sides have what is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// Only the second.
    Added,
    /// Only the first.
    Removed,
    /// Both.
    Changed,
}

impl Object {
    /// Kind, group and name, as in `Deployment.apps/web`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace that it says.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether it is a Secret, of which [`Self::shown`] leaves out what it keeps.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// Its text, word for word; of a Secret without what it keeps.
    pub fn shown(&self) -> Cow<'_, str> {
        if self.secret { masked(self, None, "").into() } else { self.text.as_str().into() }
    }
}

/// The objects of a YAML stream. The text of each is kept as it is: reading and writing it again could change it.
pub fn objects(yaml: &str) -> Result<Vec<Object>, serde_yaml::Error> {
    let mut documents = vec![String::new()];
    for line in yaml.lines() {
        if line == "---" {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let mut objects = Vec::new();
    for text in documents {
        let read: Value = serde_yaml::from_str(&text)?;
        if !read.is_object() {
            continue;
        }
        let field = |path: &str| read.pointer(path).and_then(Value::as_str);
        let kind = field("/kind").unwrap_or("?");
        let group = field("/apiVersion").and_then(|version| version.split_once('/')).map(|(group, _)| group);
        let kind = group.map_or_else(|| kind.to_owned(), |group| format!("{kind}.{group}"));
        let name = field("/metadata/name").unwrap_or("?");
        objects.push(Object {
            name: format!("{kind}/{name}"),
            namespace: field("/metadata/namespace").map(str::to_owned),
            secret: kind == "Secret",
            text,
        });
    }
    Ok(objects)
}

/// What is different between the two; or why they cannot be compared.
pub fn compare(a: &Documents, b: &Documents) -> Result<Vec<Change>, String> {
    let (a, b) = match (a, b) {
        (Documents::Files(a), Documents::Files(b)) => (a.clone(), b.clone()),
        (Documents::Objects(a), Documents::Objects(b)) => by_name(a, b),
        _ => {
            return Err("a chart that is not rendered cannot be compared with objects: build orbit-renderer \
                        (make renderer), or name it with --renderer"
                .to_owned());
        }
    };
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    Ok(names.into_iter().filter_map(|name| change(name, a.get(name), b.get(name))).collect())
}

/// The objects of both sides under the same names: without their namespaces, which the same object does not have
/// everywhere, unless a side has it in several.
fn by_name(a: &[Object], b: &[Object]) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let several = |objects: &[Object]| -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        objects.iter().filter(|object| !seen.insert(&object.name)).map(|object| object.name.clone()).collect()
    };
    let several: BTreeSet<String> = several(a).into_iter().chain(several(b)).collect();
    let name = |object: &Object| match &object.namespace {
        Some(namespace) if several.contains(&object.name) => format!("{} in {namespace}", object.name),
        _ => object.name.clone(),
    };
    let texts = |objects: &[Object], others: &[Object], side: &str| {
        let text = |object: &Object| {
            let other = others.iter().find(|other| name(other) == name(object));
            if object.secret { masked(object, other, side) } else { object.text.clone() }
        };
        objects.iter().map(|object| (name(object), text(object))).collect()
    };
    (texts(a, b, "before"), texts(b, a, "after"))
}

/// A Secret without what it keeps; whether that is different is still seen.
fn masked(object: &Object, other: Option<&Object>, side: &str) -> String {
    let read = |object: &Object| serde_yaml::from_str::<Value>(&object.text).unwrap_or_default();
    let (mut secret, other) = (read(object), other.map(read));
    // kubectl apply keeps all of it once more.
    if let Some(copy) = secret.pointer_mut("/metadata/annotations").and_then(|all| all.get_mut(LAST_APPLIED)) {
        *copy = "***".into();
    }
    for field in ["data", "stringData"] {
        let Some(Value::Object(entries)) = secret.get_mut(field) else { continue };
        for (key, value) in entries {
            let theirs = other.as_ref().and_then(|other| other.get(field)?.get(key));
            *value = match theirs {
                Some(theirs) if theirs != value => format!("*** ({side})").into(),
                _ => "***".into(),
            };
        }
    }
    serde_yaml::to_string(&secret).unwrap_or_default()
}

fn change(name: &str, a: Option<&String>, b: Option<&String>) -> Option<Change> {
    let kind = match (a, b) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        (Some(a), Some(b)) if a == b => return None,
        _ => ChangeKind::Changed,
    };
    let (a, b) = (a.map_or("", String::as_str), b.map_or("", String::as_str));
    let diff = TextDiff::configure().timeout(WITHIN).diff_lines(a, b);
    let diff = diff.unified_diff().context_radius(CONTEXT).to_string();
    Some(Change { name: name.to_owned(), kind, diff })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const SERVICE: &str =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: NAMESPACE\nspec:\n  ports: [PORT]\n";

    fn service(namespace: &str, port: &str) -> String {
        SERVICE.replace("NAMESPACE", namespace).replace("PORT", port)
    }

    fn compared(a: &str, b: &str) -> Vec<Change> {
        let documents = |yaml: &str| Documents::Objects(objects(yaml).unwrap());
        compare(&documents(a), &documents(b)).unwrap()
    }

    #[test]
    fn objects_are_the_same_in_another_namespace_and_api_version() {
        let (a, b) = (service("shop-dev", "80"), service("shop-prod", "80"));
        assert_eq!(compared(&a, &a), []);
        let changes = compared(&a, &b);
        assert_eq!((changes.len(), changes[0].name.as_str(), changes[0].kind), (1, "Service/web", ChangeKind::Changed));
        assert!(changes[0].diff.contains("-  namespace: shop-dev\n+  namespace: shop-prod\n"), "{}", changes[0].diff);
        let scaler =
            |version: &str| format!("apiVersion: autoscaling/{version}\nkind: Scaler\nmetadata: {{name: web}}\n");
        assert_eq!(compared(&scaler("v1"), &scaler("v2"))[0].name, "Scaler.autoscaling/web");
    }

    #[test]
    fn objects_come_and_go() {
        let two = format!(
            "{}---\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{a: |-\n    ---\n  b}}\n",
            service("shop", "80")
        );
        let two = two.replace("{a: |-\n    ---\n  b}", "{a: b}");
        let changes = compared(&two, &service("shop", "80"));
        assert_eq!((changes[0].name.as_str(), changes[0].kind), ("ConfigMap/web", ChangeKind::Removed));
        let changes = compared("", &service("shop", "80"));
        assert_eq!((changes[0].name.as_str(), changes[0].kind), ("Service/web", ChangeKind::Added));
    }

    #[test]
    fn what_is_in_several_namespaces_is_told_apart() {
        let both = |port: &str| format!("{}---\n{}", service("one", "80"), service("two", port));
        let changes = compared(&both("80"), &both("81"));
        assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["Service/web in two"]);
    }

    #[test]
    fn what_secrets_keep_is_not_shown() {
        let secret = |password: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData: {{user: web, password: {password}}}\n"
            )
        };
        let changes = compared(&secret("hunter2"), &secret("hunter3"));
        let diff = &changes[0].diff;
        assert!(
            diff.contains("-  password: '*** (before)'")
                || diff.contains("-  password: \"*** (before)\"")
                || diff.contains("-  password: *** (before)"),
            "{diff}"
        );
        assert!(diff.contains("*** (after)") && !diff.contains("hunter"), "{diff}");
        assert_eq!(compared(&secret("hunter2"), &secret("hunter2")), []);
    }

    #[test]
    fn objects_are_shown_word_for_word_but_for_what_secrets_keep() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: web\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"a\":\"hunter2\"}}'\ndata: {a: aHVudGVyMg==}\n";
        let yaml = format!("# a note\n{}---\n{secret}", service("shop", "80"));
        let found = objects(&yaml).unwrap();
        assert_eq!((found[0].name(), found[0].namespace()), ("Service/web", Some("shop")));
        assert_eq!(found[0].shown(), format!("# a note\n{}", service("shop", "80")));
        let shown = found[1].shown();
        assert!(found[1].is_secret() && shown.contains("a: '***'"), "{shown}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
    }

    #[test]
    fn a_chart_is_not_compared_with_objects() {
        let files = Documents::Files(BTreeMap::from([("values.yaml".to_owned(), "a: 1\n".to_owned())]));
        assert!(compare(&files, &Documents::Objects(Vec::new())).unwrap_err().contains("--renderer"));
        assert_eq!(compare(&files, &files), Ok(Vec::new()));
    }
}
