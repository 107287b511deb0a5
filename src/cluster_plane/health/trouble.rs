//! What keeps a workload from running, in the cluster's own words.

/// More than a condition should carry of one pod.
const MAX_MESSAGE: usize = 400;

/// What a condition takes; Kubernetes' own reasons have some thirty letters.
const MAX_REASON: usize = 64;

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
    pub(in crate::cluster_plane) fn new(reason: impl AsRef<str>, message: impl AsRef<str>) -> Self {
        Self { reason: word(reason.as_ref()), message: one_line(message.as_ref()), container: None }
    }

    pub(super) fn of_container(self, name: impl AsRef<str>) -> Self {
        Self { container: Some(one_line(name.as_ref())), ..self }
    }
}

/// A reason of somebody else's as one that a condition takes.
fn word(reason: &str) -> String {
    let word: String = reason.chars().filter(char::is_ascii_alphanumeric).take(MAX_REASON).collect();
    if word.starts_with(|first: char| first.is_ascii_alphabetic()) { word } else { "Unknown".to_owned() }
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

    #[test]
    fn a_reason_is_a_word_whatever_the_cluster_says() {
        assert_eq!(Trouble::new("ImagePullBackOff", "").reason, "ImagePullBackOff");
        assert_eq!(Trouble::new("Evicted: no\n room", "").reason, "Evictednoroom");
        assert_eq!(Trouble::new("", "").reason, "Unknown");
        assert_eq!(Trouble::new("x".repeat(1 << 20), "").reason.len(), MAX_REASON);
    }
}
