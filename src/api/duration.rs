//! Lengths of time as users write them, as in `90s`, `10m` or `1h30m`.

use std::{borrow::Cow, fmt, time::Duration};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, kept as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    text: Cow<'static, str>,
    length: Duration,
}

impl Span {
    /// So many minutes, for defaults.
    pub const fn minutes(minutes: u64, text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), length: Duration::from_secs(minutes * 60) }
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        self.length
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let length = if text.is_empty() { Ok(SignedDuration::ZERO) } else { text.parse::<SignedDuration>() };
        let length = length.ok().and_then(|length| Duration::try_from(length).ok());
        let length = length.ok_or_else(|| de::Error::custom(format!("{text:?} is no length of time, as in 1h30m")))?;
        Ok(Self { text: text.into(), length })
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 16, "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"})
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_kept_as_written() {
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("90s", 90), ("0s", 0), ("", 0)] {
            let span: Span = serde_json::from_value(text.into()).unwrap();
            assert_eq!(span.length().as_secs(), seconds, "{text:?}");
            assert_eq!(serde_json::to_value(&span).unwrap(), text);
        }
        for text in ["-1h", "soon", "1"] {
            assert!(serde_json::from_value::<Span>(text.into()).is_err(), "{text:?}");
        }
        assert_eq!(serde_json::to_value(Span::minutes(10, "10m")).unwrap(), "10m");
    }
}
