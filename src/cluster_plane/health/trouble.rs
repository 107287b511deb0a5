//! What keeps a workload from running, in the cluster's own words.

/// More than a condition should carry of one pod.
const MAX_MESSAGE: usize = 400;

/// What keeps a workload from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// One CamelCase word: Kubernetes' own where it has one.
    pub reason: String,
    /// What is wrong: one line, and the same one for as long as the trouble lasts.
    pub message: String,
    /// The container it is about, if it is one.
    pub container: Option<String>,
}

impl Trouble {
    pub(super) fn new(reason: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self { reason: reason.into(), message: one_line(message.as_ref()), container: None }
    }

    pub(super) fn of_container(self, name: impl Into<String>) -> Self {
        Self { container: Some(name.into()), ..self }
    }
}

/// A text of somebody else's as one line of bounded length.
pub(in crate::cluster_plane) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > MAX_MESSAGE {
            break;
        }
    }
    if line.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|&end| line.is_char_boundary(end)).unwrap_or_default();
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_of_bounded_length() {
        assert_eq!(one_line("a\n  b\u{1b}[31m\tc "), "a b [31m c");
        let long = one_line(&"ä".repeat(1000));
        assert!(long.len() <= MAX_MESSAGE + '…'.len_utf8() && long.ends_with("ä…"));
        assert_eq!(one_line(&"word ".repeat(1000)).lines().count(), 1);
    }
}
