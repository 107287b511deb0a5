//! Where two versions of an object differ, for whoever has to decide what is to become of both: a pure function.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Differences that are told at most.
const MAX_TOLD: usize = 200;
/// What a user writes of an object.
const WRITTEN: [&str; 3] = ["/spec", "/metadata/labels", "/metadata/annotations"];

/// Something that is different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// Where, as in `spec.values.replicas` or `spec.patches[0].patch`.
    pub path: String,
    /// What you sent; nothing where you have nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yours: Option<Value>,
    /// What is there now; nothing where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Value>,
}

/// Where what a user sent of an object differs from what is there.
pub fn between(yours: &Value, theirs: &Value) -> Vec<Changed> {
    let mut changed = Vec::new();
    for pointer in WRITTEN {
        let path = pointer.trim_start_matches('/').replace('/', ".");
        compare(&path, yours.pointer(pointer), theirs.pointer(pointer), &mut changed);
    }
    changed
}

fn compare(path: &str, yours: Option<&Value>, theirs: Option<&Value>, changed: &mut Vec<Changed>) {
    // Before the next path is made: there may be many, and each as long as a user likes.
    if changed.len() >= MAX_TOLD {
        return;
    }
    // What is not written and what is written as nothing are the same to the API server.
    let (yours, theirs) = (yours.filter(|value| !value.is_null()), theirs.filter(|value| !value.is_null()));
    match (yours, theirs) {
        (yours, theirs) if yours == theirs => {}
        (Some(Value::Object(mine)), Some(Value::Object(others))) => {
            for (name, value) in mine {
                compare(&under(path, name), Some(value), others.get(name), changed);
            }
            for (name, value) in others.iter().filter(|(name, _)| !mine.contains_key(*name)) {
                compare(&under(path, name), None, Some(value), changed);
            }
        }
        (Some(Value::Array(mine)), Some(Value::Array(others))) => {
            for position in 0..mine.len().max(others.len()) {
                compare(&format!("{path}[{position}]"), mine.get(position), others.get(position), changed);
            }
        }
        (yours, theirs) => {
            changed.push(Changed { path: path.to_owned(), yours: yours.cloned(), theirs: theirs.cloned() });
        }
    }
}

fn under(path: &str, name: &str) -> String {
    if !name.is_empty() && !name.contains(['.', '[', ']', '"']) {
        return format!("{path}.{name}");
    }
    format!("{path}.{}", Value::from(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_name_over_a_long_list_takes_no_more_than_is_told() {
        let name = "k".repeat(30_000);
        let (yours, theirs) = (vec![json!(0); 400_000], json!([]));
        let changed = between(&json!({"spec": {name.as_str(): yours}}), &json!({"spec": {name.as_str(): theirs}}));
        assert_eq!(changed.len(), MAX_TOLD);
    }

    #[test]
    fn what_a_user_writes_is_compared_field_by_field() {
        let yours = json!({
            "metadata": {"resourceVersion": "1", "labels": {"team": "a"}, "annotations": {"orbit.k8or.io/x": "1"}},
            "spec": {"version": "1.4.0", "values": {"replicas": 2, "same": [1, 2]}, "patches": [{"patch": "a"}], "null": null},
            "status": {"ready": true},
        });
        let theirs = json!({
            "metadata": {"resourceVersion": "2", "labels": {"team": "a"}, "annotations": {"orbit.k8or.io/x": "2"}},
            "spec": {"version": "1.4.0", "values": {"replicas": 3, "same": [1, 2]}, "patches": [{"patch": "a"}, {"patch": "b"}], "suspend": true},
            "status": {"ready": false},
        });
        let of = |path: &str, yours: Option<Value>, theirs: Option<Value>| Changed { path: path.into(), yours, theirs };
        assert_eq!(
            between(&yours, &theirs),
            [
                of("spec.patches[1]", None, Some(json!({"patch": "b"}))),
                of("spec.values.replicas", Some(json!(2)), Some(json!(3))),
                of("spec.suspend", None, Some(json!(true))),
                of("metadata.annotations.\"orbit.k8or.io/x\"", Some(json!("1")), Some(json!("2"))),
            ]
        );
        assert_eq!(between(&yours, &yours), []);
    }

    #[test]
    fn an_object_without_what_the_other_has_differs_in_all_of_it() {
        let changed = between(&json!({}), &json!({"spec": {"a": 1}}));
        assert_eq!(changed, [Changed { path: "spec".into(), yours: None, theirs: Some(json!({"a": 1})) }]);
    }
}
