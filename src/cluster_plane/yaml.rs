//! Reads YAML from outside into JSON: bounded, without aliases, and with the scalars that Go's YAML sees in them.
//!
//! Manifests are written and otherwise read by Go programs, whose YAML is that of 1.1 (`yes` is true, `0644` is 420,
//! a date is a string; sigs.k8s.io/yaml on go.yaml.in/yaml/v2). So scalars are resolved by those rules. What readers of
//! the two versions would understand differently beyond that, is refused rather than guessed.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};

/// How deeply documents may be nested. Kubernetes' own objects stay below 30.
const MAX_DEPTH: usize = 100;
/// Where YAML 1.1 breaks lines and 1.2 does not.
const OLD_LINE_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// A document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its place among the documents that are not empty, from 1.
    pub number: usize,
    /// The line it starts in, from 1.
    pub line: usize,
    /// What it says.
    pub value: Value,
}

/// Why a text cannot be read. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

/// The documents in a text; empty ones are left out.
///
/// # Errors
/// What is no YAML, is nested too deeply, or uses what is not understood alike everywhere: aliases, tags, merge keys,
/// keys that are there twice.
pub fn documents(text: &str) -> Result<Vec<Document>, YamlError> {
    if let Some(at) = text.find(OLD_LINE_BREAKS) {
        let before = &text[..at];
        return Err(YamlError {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|&c| c != '\n').count() + 1,
            problem: "a line break of YAML 1.1 (U+0085, U+2028 or U+2029): write it as an escape in double quotes",
        });
    }
    let mut found = Vec::new();
    let mut tree = Tree::default();
    let mut line = 1;
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(malformed)?;
        match event {
            Event::DocumentStart(..) => line = span.start.line() + 1,
            Event::DocumentEnd => {
                if let Some(value) = tree.take().filter(|value| !value.is_null()) {
                    found.push(Document { number: found.len() + 1, line, value });
                }
            }
            event => tree.accept(event).map_err(|problem| at(span, problem))?,
        }
    }
    Ok(found)
}

fn malformed(error: ScanError) -> YamlError {
    let at = error.marker();
    YamlError { line: at.line(), column: at.col() + 1, problem: "this is no YAML" }
}

fn at(span: Span, problem: &'static str) -> YamlError {
    YamlError { line: span.start.line(), column: span.start.col() + 1, problem }
}

/// A document while it is read.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Value>,
}

/// A collection that has not ended.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

impl Tree {
    fn take(&mut self) -> Option<Value> {
        self.open.clear();
        self.root.take()
    }

    fn accept(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::SequenceStart(_, anchor, tag) => {
                refuse_decoration(anchor, tag.as_deref())?;
                self.open(Open::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_decoration(anchor, tag.as_deref())?;
                self.open(Open::Map(Map::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items)) => self.put(Value::Array(items)),
                Some(Open::Map(entries, _)) => self.put(Value::Object(entries)),
                None => Ok(()),
            },
            Event::Scalar(text, style, anchor, tag) => {
                refuse_decoration(anchor, tag.as_deref())?;
                if style != ScalarStyle::Plain {
                    return self.put(Value::String(text.into_owned()));
                }
                if text == "<<" && self.awaits_key() {
                    return Err("a merge key: write out what it stands for");
                }
                self.put(plain(&text)?)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => Err("an alias: write out what it stands for"),
            _ => Ok(()),
        }
    }

    fn open(&mut self, collection: Open) -> Result<(), &'static str> {
        if self.awaits_key() {
            return Err("a key that is no text");
        }
        if self.open.len() == MAX_DEPTH {
            return Err("this is nested more than 100 levels deep");
        }
        self.open.push(collection);
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(_, None)))
    }

    fn put(&mut self, value: Value) -> Result<(), &'static str> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(entries, key)) => match key.take() {
                Some(key) => {
                    entries.insert(key, value);
                }
                None => {
                    let name = key_text(value)?;
                    if entries.contains_key(&name) {
                        return Err("a key that is there twice");
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

fn refuse_decoration(anchor: usize, tag: Option<&Tag>) -> Result<(), &'static str> {
    match (anchor, tag) {
        (0, None) => Ok(()),
        (0, Some(_)) => Err("a tag: write the value without it"),
        _ => Err("an anchor: write out what its aliases stand for"),
    }
}

fn key_text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err("a key that is no text"),
    }
}

/// What a scalar without quotes is.
fn plain(text: &str) -> Result<Value, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err("a number that JSON does not have"),
        _ => match text.as_bytes()[0] {
            b'0'..=b'9' | b'+' | b'-' | b'.' => number(text)?.map_or_else(|| Value::String(text.into()), Value::Number),
            _ => Value::String(text.into()),
        },
    })
}

fn number(text: &str) -> Result<Option<Number>, &'static str> {
    // A leading dot makes a float or a string, in which an underscore is none of a number's.
    let digits = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(number) = integer(&digits) {
        return Ok(Some(number));
    }
    if !is_float(&digits) {
        return Ok(None);
    }
    let value: f64 = digits.parse().map_err(|_| "this is no YAML")?;
    match value.is_finite() {
        true => Ok(Some(whole(value).unwrap_or(Number::from_f64(value).ok_or("this is no number")?))),
        // Go's reader takes what does not fit for a string.
        false => Ok(None),
    }
}

/// Integers as Go's `strconv.ParseInt` with base 0 knows them: decimal, `0x`, `0o`, `0b`, and octal after a mere `0`.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    match negative {
        true => 0i64.checked_sub_unsigned(size).map(Number::from),
        // Go parses what has a plus sign as a signed number only.
        false if text.starts_with('+') => i64::try_from(size).ok().map(Number::from),
        false => Some(Number::from(size)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(before)
        && digits(after)
        && !(before.is_empty() && after.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// Go writes floats without a fraction as integers, and the API server reads integer fields from nothing else.
fn whole(value: f64) -> Option<Number> {
    // 2^53: up to here a float is exactly one integer.
    (value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0).then(|| Number::from(value as i64))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        let mut documents = documents(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(documents.len(), 1, "{text:?}");
        documents.remove(0).value
    }

    fn problem(text: &str) -> String {
        documents(text).unwrap_err().to_string()
    }

    #[test]
    fn scalars_are_what_go_takes_them_for() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("\"yes\"", json!("yes")),
            ("'on'", json!("on")),
            ("0644", json!(420)),
            ("\"0644\"", json!("0644")),
            ("0o14", json!(12)),
            ("0x1F", json!(31)),
            ("-0b11", json!(-3)),
            ("0899", json!(899)),
            ("1_000", json!(1000)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(18446744073709551615u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("0xffffffffffffffffff", json!("0xffffffffffffffffff")),
            ("1e3", json!(1000)),
            ("1e+06", json!(1000000)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("1e", json!("1e")),
            ("1.2.3", json!("1.2.3")),
            ("-x", json!("-x")),
            ("2001-01-01", json!("2001-01-01")),
            ("12:30:45", json!("12:30:45")),
            ("null", Value::Null),
            ("nUll", json!("nUll")),
            ("<<", json!("<<")),
            ("|\n  yes\n", json!("yes\n")),
        ] {
            let read = read(&format!("a: {text}"));
            assert_eq!(read, json!({"a": value}), "{text}");
        }
    }

    #[test]
    fn keys_become_text() {
        assert_eq!(read("1: a\ntrue: b\n\"yes\": c\n"), json!({"1": "a", "true": "b", "yes": "c"}));
        assert_eq!(read("? long\n: a\n"), json!({"long": "a"}));
    }

    #[test]
    fn documents_are_told_apart_and_located() {
        let documents = documents("---\n# nothing\n---\na: 1\n---\n\n---\nb: [1, {c: d}]\n...\n").unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!((documents[0].number, documents[0].line, &documents[0].value), (1, 4, &json!({"a": 1})));
        assert_eq!((documents[1].number, &documents[1].value), (2, &json!({"b": [1, {"c": "d"}]})));
    }

    #[test]
    fn what_is_understood_in_two_ways_is_refused() {
        assert!(problem("a: &x 1\nb: *x\n").starts_with("line 1, column 7: an anchor"));
        assert!(problem("a: !!binary aGk=").contains("a tag"));
        assert!(problem("<<: {a: b}").contains("merge key"));
        assert!(problem("a: 1\nb: 2\na: 3\n").starts_with("line 3, column 1: a key that is there twice"));
        assert!(problem("1: a\n\"1\": b\n").contains("twice"));
        assert!(problem("[a, b]: c").contains("a key that is no text"));
        assert!(problem("~: c").contains("a key that is no text"));
        assert!(problem("a: .inf").contains("JSON"));
        assert!(problem("a: |\n  x\u{2028}  y\n").starts_with("line 2, column 4"));
    }

    #[test]
    fn errors_show_nothing_of_the_text() {
        for text in ["token: \"hunter2", "hunter2: hunter2: hunter2", "a: [hunter2", "a: *hunter2", "- hunter2\nb"] {
            let problem = problem(text);
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(documents(&nested(100)).is_ok());
        assert!(problem(&nested(101)).contains("100 levels"));
        assert!(documents(&nested(100_000)).is_err());
    }
}
