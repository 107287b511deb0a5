//! Writes YAML that every reader understands alike.
//!
//! YAML 1.1 readers (Helm's among them) and 1.2 readers disagree on what `yes`, `0644`, `1e3` and `null` are. So every
//! string is double-quoted, as are keys that are more than a plain word, and what is not printable is escaped.

use serde_json::Value;

/// An entry of a mapping, with what there is to say about it.
pub(super) struct Entry {
    pub comment: String,
    pub key: &'static str,
    pub value: Node,
}

/// A commented value.
pub(super) enum Node {
    /// A mapping whose entries have comments of their own.
    Map(Vec<Entry>),
    /// Anything else.
    Value(Value),
}

/// Shorthand for an entry with a plain value.
pub(super) fn entry(key: &'static str, comment: impl Into<String>, value: impl Into<Value>) -> Entry {
    Entry { comment: comment.into(), key, value: Node::Value(value.into()) }
}

/// Shorthand for an entry with entries of its own.
pub(super) fn map(key: &'static str, comment: impl Into<String>, entries: Vec<Entry>) -> Entry {
    Entry { comment: comment.into(), key, value: Node::Map(entries) }
}

/// The commented mapping as a YAML document.
pub(super) fn document(entries: &[Entry]) -> String {
    let mut out = String::new();
    write_entries(&mut out, entries, 0);
    out
}

fn write_entries(out: &mut String, entries: &[Entry], indent: usize) {
    for (i, entry) in entries.iter().enumerate() {
        if indent == 0 && i > 0 {
            out.push('\n');
        }
        // A comment may quote the image: only its own line breaks end a line.
        for line in entry.comment.split('\n').filter(|line| !line.is_empty()) {
            let line: String = line.chars().map(|c| if is_printable(c) { c } else { '?' }).collect();
            push_line(out, indent, &format!("# {line}"));
        }
        match &entry.value {
            Node::Map(entries) => {
                push_line(out, indent, &format!("{}:", key(entry.key)));
                write_entries(out, entries, indent + 2);
            }
            Node::Value(value) => write_pair(out, entry.key, value, indent, ""),
        }
    }
}

fn write_pair(out: &mut String, name: &str, value: &Value, indent: usize, prefix: &str) {
    let name = format!("{prefix}{}:", key(name));
    match value {
        Value::Object(map) if !map.is_empty() => {
            push_line(out, indent, &name);
            write_block(out, value, indent + prefix.len() + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            push_line(out, indent, &name);
            write_block(out, value, indent + prefix.len() + 2);
        }
        _ => push_line(out, indent, &format!("{name} {}", scalar(value))),
    }
}

fn write_block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                write_pair(out, name, value, indent, "");
            }
        }
        Value::Array(list) => {
            for item in list {
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        for (i, (name, value)) in map.iter().enumerate() {
                            match i {
                                0 => write_pair(out, name, value, indent, "- "),
                                _ => write_pair(out, name, value, indent + 2, ""),
                            }
                        }
                    }
                    Value::Array(nested) if !nested.is_empty() => {
                        push_line(out, indent, "-");
                        write_block(out, item, indent + 2);
                    }
                    _ => push_line(out, indent, &format!("- {}", scalar(item))),
                }
            }
        }
        _ => push_line(out, indent, &scalar(value)),
    }
}

fn push_line(out: &mut String, indent: usize, line: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(line);
    out.push('\n');
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        // Empty collections, numbers, booleans and null are the same in JSON and YAML.
        other => other.to_string(),
    }
}

/// A key as it is where no reader takes it for anything but a word, else quoted.
fn key(name: &str) -> String {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];
    let plain = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && !WORDS.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { quoted(name) }
}

/// A string between double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) <= 0xFFFF => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// What YAML 1.1 calls printable, without the characters that some reader takes for a line break or byte order mark.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{A0}'..='\u{2027}' | '\u{202A}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}'
        | '\u{FF00}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFD}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_reads_what_was_written() {
        let value = serde_json::json!({
            "yes": "no", "a": ["0644", "", 5, true, {}, [], [["x"]], {"b": [{"c": 1, "d": "\u{2028}\u{85}\u{7f}\0é🙂"}]}],
            "- *&": " x ", "empty": {}, "n": null, "1e3": "{{ .Values }}",
        });
        let text = document(&[entry("values", "a comment\nof\u{2028}two lines", value.clone())]);
        let read: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read["values"], value, "{text}");
    }
}
