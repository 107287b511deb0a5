//! Pieces of OpenAPI schema that types alone cannot say.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A JSON object whose shape is somebody else's (a chart's values).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemalessObject(pub serde_json::Map<String, serde_json::Value>);

impl JsonSchema for SchemalessObject {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SchemalessObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Up to 256 configuration entries of up to 32 KiB each; 64 KiB together, which a CEL rule says.
pub fn config_map(_: &mut SchemaGenerator) -> Schema {
    string_map(256, 32_768)
}

/// Up to 64 short entries, as labels are.
pub fn short_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, 256)
}

/// Up to 64 short texts by names that manifests can give: see `cluster_plane::variables`.
pub fn variables(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = short_map(generator);
    let rule = serde_json::json!([{
        "rule": "self.all(name, name.matches('^[A-Z_][A-Z0-9_]{0,62}$'))",
        "message": "a variable is named with A to Z, 0 to 9 and _, at most 63 of them and no digit first, as in REGION",
    }]);
    schema.insert("x-kubernetes-validations".to_owned(), rule);
    schema
}

/// Labels: up to 64, values of at most 63 characters.
pub fn label_map(_: &mut SchemaGenerator) -> Schema {
    string_map(64, 63)
}

fn string_map(max_properties: u32, max_length: u32) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": max_properties,
        "additionalProperties": {"type": "string", "maxLength": max_length},
    })
}

/// A point in time that may be left out, as RFC 3339 writes it. The plane can compute with none beyond the year 9999, and
/// one near its end may be beyond it in another time zone.
pub fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": 64,
        "nullable": true,
        "x-kubernetes-validations": [{
            "rule": "self < timestamp('9999-01-01T00:00:00Z')",
            "message": "times are before the year 9999: leave out what has no end",
        }],
    })
}

/// Words of a command line.
pub fn command_line(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 4096}})
}

/// Names of environments: DNS labels of at most 20 characters, each once.
pub fn environments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"},
    })
}

/// Whole Kubernetes manifests as text.
pub fn manifests(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 32, "items": {"type": "string", "maxLength": 65_536}})
}

/// Values of a label.
pub fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": {"type": "string", "maxLength": 63}})
}
