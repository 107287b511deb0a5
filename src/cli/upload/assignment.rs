//! `KEY=VALUE`, on the command line and in files.

use std::{collections::BTreeMap, str::FromStr};

/// One entry. The value may be empty and may hold `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Left of the first `=`.
    pub key: String,
    /// Right of it, as it is: no quotes are removed and nothing is expanded.
    pub value: String,
}

impl FromStr for Assignment {
    type Err = String;

    // The text is not repeated: a line of a file may be a secret that somebody put in the wrong place.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !key.contains(char::is_whitespace) => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            Some(_) => Err("the key left of = is empty or holds white space".to_owned()),
            None => Err("KEY=VALUE is expected, but there is no =".to_owned()),
        }
    }
}

/// The entries of a file: one a line.
pub fn parse_file(text: &str) -> anyhow::Result<Vec<Assignment>> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(index, line)| line.parse().map_err(|problem| anyhow::anyhow!("line {}: {problem}", index + 1)))
        .collect()
}

/// The entries by key; a key given twice is a mistake that would otherwise hide one of its values.
pub fn to_map(entries: Vec<Assignment>) -> anyhow::Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for Assignment { key, value } in entries {
        if map.contains_key(&key) {
            anyhow::bail!("{key} is given twice");
        }
        map.insert(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> Assignment {
        Assignment { key: key.into(), value: value.into() }
    }

    #[test]
    fn splits_at_the_first_sign() {
        assert_eq!("A=b=c".parse(), Ok(entry("A", "b=c")));
        assert_eq!("A=".parse(), Ok(entry("A", "")));
        for text in ["", "A", "=b", "A B=c"] {
            assert!(text.parse::<Assignment>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn reads_a_file_of_lines() {
        let entries = parse_file("\u{feff}# levels\r\nLOG_LEVEL=info\r\n\n  # more\nQUOTED=\"a b\" \n").unwrap();
        assert_eq!(entries, [entry("LOG_LEVEL", "info"), entry("QUOTED", "\"a b\" ")]);
        assert!(parse_file("A=1\nnonsense\n").unwrap_err().to_string().starts_with("line 2:"));
    }

    #[test]
    fn refuses_a_key_given_twice() {
        assert!(to_map(vec![entry("A", "1"), entry("A", "2")]).is_err());
        assert_eq!(to_map(vec![entry("A", "1"), entry("B", "2")]).unwrap().len(), 2);
    }
}
