//! What others wrote, on a terminal.

/// A text without what would move a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
