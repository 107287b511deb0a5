//! Label selectors: the shape and the meaning that they have everywhere in Kubernetes, with bounds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Selects objects by their labels; all of it has to match, and an empty selector matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels and the values they must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::label_map")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements on labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub match_expressions: Vec<Requirement>,
}

/// What is required of one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    "message": "In and NotIn need values, Exists and DoesNotExist take none"
}]))]
pub struct Requirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// What is required.
    pub operator: RequirementOperator,
    /// The values of In and NotIn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::label_values")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RequirementOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl LabelSelector {
    /// One that wants a label to have a value.
    pub fn label(key: &str, value: &str) -> Self {
        Self { match_labels: BTreeMap::from([(key.to_owned(), value.to_owned())]), match_expressions: Vec::new() }
    }

    /// Whether it selects an object with these labels.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels.get(&requirement.key)))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&String>) -> bool {
        match self.operator {
            RequirementOperator::In => value.is_some_and(|value| self.values.contains(value)),
            RequirementOperator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            RequirementOperator::Exists => value.is_some(),
            RequirementOperator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_means_what_it_means_in_kubernetes() {
        let labels = |text: &str| -> BTreeMap<String, String> { serde_yaml::from_str(text).unwrap() };
        let selects = |selector: &str, text: &str| {
            serde_yaml::from_str::<LabelSelector>(selector).unwrap().matches(&labels(text))
        };
        assert!(selects("{}", "{}"));
        assert!(selects("matchLabels: {a: x}", "{a: x, b: y}"));
        assert!(!selects("matchLabels: {a: x, b: z}", "{a: x, b: y}"));
        let expression = |operator: &str| format!("matchExpressions: [{{key: a, {operator}}}]");
        for (operator, with, with_other, without) in [
            ("operator: In, values: [x]", true, false, false),
            ("operator: NotIn, values: [x]", false, true, true),
            ("operator: Exists", true, true, false),
            ("operator: DoesNotExist", false, false, true),
        ] {
            let selector = expression(operator);
            assert_eq!(selects(&selector, "{a: x}"), with, "{operator}");
            assert_eq!(selects(&selector, "{a: z}"), with_other, "{operator}");
            assert_eq!(selects(&selector, "{}"), without, "{operator}");
        }
    }
}
