//! What differs from cluster to cluster: `${orbit:NAME}` and `${orbit:NAME:=default}` in texts, put in at delivery.
//!
//! Only values are looked at, never keys, and of a Secret neither `data` nor `stringData`: those are somebody's bytes.
//! What is put in is not looked at again. A dollar sign before it makes it plain text: `$${orbit:NAME}` becomes
//! `${orbit:NAME}`.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde_json::Value;

const OPEN: &str = "${orbit:";
const MAX_NAME: usize = 63;
/// More than a cluster stores of one object.
const MAX_GROWTH: usize = 2 << 20;
/// More are counted, not listed.
const MAX_LISTED: usize = 10;

/// A place in an object that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where, as in `$.spec.template.spec.containers[0].image`.
    pub path: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// Why a place cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The cluster has no such variable, and there is no default.
    #[error("the cluster has no variable {0}")]
    Unknown(String),
    /// It does not end, or its name is none.
    #[error("{0:?} is no variable: ${{orbit:NAME}} or ${{orbit:NAME:=default}} is, its name of A to Z, 0 to 9 and _")]
    Malformed(String),
}

/// Why an object cannot be delivered to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariablesError {
    /// These places cannot be filled.
    #[error("{}; set them in spec.variables of the EphemeralCluster, or give a default", list(.0))]
    Gaps(Vec<Gap>),
    /// With its variables the object is too large.
    #[error("with the cluster's variables the object grows by more than {} MiB", MAX_GROWTH >> 20)]
    TooLarge,
}

fn list(gaps: &[Gap]) -> String {
    let mut listed: Vec<_> = gaps.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    if gaps.len() > MAX_LISTED {
        listed.push(format!("{} more", gaps.len() - MAX_LISTED));
    }
    listed.join("; ")
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Whether a text can name a variable: `[A-Z_][A-Z0-9_]{0,62}`.
pub fn is_name(text: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    text.len() <= MAX_NAME
        && text.bytes().next().is_some_and(|byte| is_first(&byte))
        && text.bytes().all(|byte| is_first(&byte) || byte.is_ascii_digit())
}

/// Puts a cluster's variables into an object.
///
/// # Errors
/// Every place that cannot be filled. The object is then of no use.
pub fn substitute(object: &mut Value, variables: &BTreeMap<String, String>) -> Result<(), VariablesError> {
    let is_secret = object["apiVersion"] == "v1" && object["kind"] == "Secret";
    let mut filler = Filler { variables, path: "$".to_owned(), gaps: Vec::new(), growth: 0 };
    if let Value::Object(fields) = object {
        for (key, value) in fields {
            if !(is_secret && (key == "data" || key == "stringData")) {
                filler.at_key(key, value);
            }
        }
    }
    if filler.growth > MAX_GROWTH {
        return Err(VariablesError::TooLarge);
    }
    match filler.gaps.is_empty() {
        true => Ok(()),
        false => Err(VariablesError::Gaps(filler.gaps)),
    }
}

struct Filler<'a> {
    variables: &'a BTreeMap<String, String>,
    path: String,
    gaps: Vec<Gap>,
    growth: usize,
}

impl Filler<'_> {
    fn walk(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if text.contains(OPEN) => *text = self.fill(text),
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.below(|path| write!(path, "[{index}]"), item);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.at_key(key, value);
                }
            }
            _ => {}
        }
    }

    fn at_key(&mut self, key: &str, value: &mut Value) {
        let is_plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        self.below(|path| if is_plain { write!(path, ".{key}") } else { write!(path, "[{key:?}]") }, value);
    }

    fn below(&mut self, step: impl FnOnce(&mut String) -> fmt::Result, value: &mut Value) {
        let length = self.path.len();
        step(&mut self.path).expect("a String takes all that is written to it");
        self.walk(value);
        self.path.truncate(length);
    }

    fn fill(&mut self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(OPEN) {
            let (before, from) = rest.split_at(start);
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str(OPEN);
                rest = &from[OPEN.len()..];
                continue;
            }
            filled.push_str(before);
            let end = from.find('}').unwrap_or(from.len());
            rest = from.get(end + 1..).unwrap_or_default();
            match value(self.variables, &from[OPEN.len()..end], end < from.len()) {
                Ok(value) => {
                    self.growth = self.growth.saturating_add(value.len());
                    // Past the bound nobody will look at it.
                    if self.growth <= MAX_GROWTH {
                        filled.push_str(value);
                    }
                }
                Err(problem) => self.gaps.push(Gap { path: self.path.clone(), problem }),
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// What stands for the inside of a place.
fn value<'a>(variables: &'a BTreeMap<String, String>, inside: &'a str, is_closed: bool) -> Result<&'a str, Problem> {
    let (name, default) = match inside.split_once(":=") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_closed || !is_name(name) {
        let shown: String = inside.chars().take(40).collect();
        let end = if is_closed { "}" } else { "" };
        return Err(Problem::Malformed(format!("{OPEN}{shown}{end}")));
    }
    variables.get(name).map(String::as_str).or(default).ok_or_else(|| Problem::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn filled(mut object: Value) -> Value {
        substitute(&mut object, &variables()).unwrap();
        object
    }

    fn problem(mut object: Value) -> String {
        substitute(&mut object, &variables()).unwrap_err().to_string()
    }

    fn variables() -> BTreeMap<String, String> {
        [("REGION", "eu-1"), ("TRICK", "${orbit:REGION}"), ("EMPTY", ""), ("YES", "yes")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn variables_are_put_into_texts() {
        for (text, expected) in [
            ("${orbit:REGION}", "eu-1"),
            ("https://${orbit:REGION}.example/${orbit:REGION}", "https://eu-1.example/eu-1"),
            ("${orbit:ZONE:=a}", "a"),
            ("${orbit:ZONE:=}", ""),
            ("${orbit:REGION:=a}", "eu-1"),
            ("${orbit:EMPTY:=a}", ""),
            ("${orbit:ZONE:=${x}", "${x"),
            ("${orbit:TRICK}", "${orbit:REGION}"),
            ("$${orbit:REGION}", "${orbit:REGION}"),
            ("$$${orbit:REGION}", "$${orbit:REGION}"),
            ("$${orbit:x", "${orbit:x"),
            ("${REGION} $(REGION) $orbit:REGION", "${REGION} $(REGION) $orbit:REGION"),
            ("ä${orbit:REGION}ö", "äeu-1ö"),
        ] {
            assert_eq!(filled(json!({"a": [{"b": text}]})), json!({"a": [{"b": expected}]}), "{text}");
        }
        assert_eq!(filled(json!({"a": "${orbit:YES}"})), json!({"a": "yes"}), "it stays a text");
    }

    #[test]
    fn keys_and_the_data_of_secrets_are_left_alone() {
        let object = json!({"${orbit:REGION}": 1, "b": 2});
        assert_eq!(filled(object.clone()), object);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "${orbit:REGION}"},
            "data": {"a": "${orbit:REGION}"}, "stringData": {"a": "${orbit:nobody}"},
        });
        let mut expected = secret.clone();
        expected["metadata"]["name"] = json!("eu-1");
        assert_eq!(filled(secret), expected);
        let other = json!({"apiVersion": "example.com/v1", "kind": "Secret", "data": "${orbit:REGION}"});
        assert_eq!(filled(other)["data"], "eu-1");
    }

    #[test]
    fn every_gap_is_named_with_its_place() {
        let object = json!({
            "metadata": {"annotations": {"example.com/zone": "${orbit:ZONE}"}},
            "spec": {"containers": [{"env": [{"value": "${orbit:A}-${orbit:REGION}-${orbit:B}"}]}]},
        });
        assert_eq!(
            problem(object),
            "$.metadata.annotations[\"example.com/zone\"]: the cluster has no variable ZONE; \
             $.spec.containers[0].env[0].value: the cluster has no variable A; \
             $.spec.containers[0].env[0].value: the cluster has no variable B; \
             set them in spec.variables of the EphemeralCluster, or give a default"
        );
        let many = json!({"a": vec!["${orbit:ZONE}"; 12]});
        assert!(problem(many).contains("$.a[9]: the cluster has no variable ZONE; 2 more; set them"));
    }

    #[test]
    fn what_is_no_variable_is_told() {
        for (text, shown) in [
            ("${orbit:region}", "${orbit:region}"),
            ("${orbit:}", "${orbit:}"),
            ("${orbit:A B}", "${orbit:A B}"),
            ("${orbit:REGION", "${orbit:REGION"),
            ("${orbit:9}", "${orbit:9}"),
        ] {
            let problem = problem(json!({"a": text}));
            assert!(problem.starts_with(&format!("$.a: {shown:?} is no variable: ${{orbit:NAME}} or")), "{problem}");
        }
        assert!(is_name(&"A".repeat(63)) && !is_name(&"A".repeat(64)));
        assert!(is_name("_A9") && !is_name("9A") && !is_name("Ä"));
    }

    #[test]
    fn growth_is_bounded() {
        let variables = BTreeMap::from([("A".to_owned(), "x".repeat(1 << 20))]);
        let mut object = json!({"a": "${orbit:A}${orbit:A}"});
        assert_eq!(substitute(&mut object, &variables), Ok(()));
        let mut object = json!({"a": "${orbit:A}".repeat(1000)});
        assert_eq!(substitute(&mut object, &variables), Err(VariablesError::TooLarge));
    }
}
