//! Which bytes of a blob a request asks for (RFC 9110, 14.2).

use std::ops::Range;

/// What a `Range` header asks for of so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All of them: nothing else was said, or nothing that is understood, which is to be ignored.
    All,
    /// A part of them.
    Part(Range<u64>),
    /// Only bytes that are not there.
    None,
}

impl Asked {
    /// What `header` asks for of `size` bytes. Several ranges at once are ignored, as any server may.
    pub fn of(header: Option<&str>, size: u64) -> Self {
        let Some(range) = header.and_then(|header| header.strip_prefix("bytes=")) else { return Self::All };
        let Some((first, last)) = range.trim().split_once('-') else { return Self::All };
        match (number(first), number(last)) {
            (Some(Some(first)), Some(last)) => {
                if last.is_some_and(|last| last < first) {
                    return Self::All;
                }
                // The end that is asked for is included, and may lie beyond the last byte.
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                if first < end { Self::Part(first..end) } else { Self::None }
            }
            // The last so many bytes.
            (Some(None), Some(Some(count))) => {
                if count == 0 || size == 0 {
                    Self::None
                } else {
                    Self::Part(size.saturating_sub(count)..size)
                }
            }
            _ => Self::All,
        }
    }
}

/// A number or nothing; none if it is something else. One that is larger than any blob is the largest there is.
fn number(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    text.bytes().all(|b| b.is_ascii_digit()).then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-4", Asked::Part(0..5)),
            ("bytes=4-", Asked::Part(4..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-30", Asked::Part(0..10)),
            ("bytes=9-100", Asked::Part(9..10)),
            ("bytes=0-18446744073709551615", Asked::Part(0..10)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..10)),
            ("bytes=-99999999999999999999999", Asked::Part(0..10)),
            ("bytes=99999999999999999999999-", Asked::None),
            ("bytes=10-", Asked::None),
            ("bytes=10-20", Asked::None),
            ("bytes=-0", Asked::None),
            ("bytes=4-2", Asked::All),
            ("bytes=-", Asked::All),
            ("bytes=a-b", Asked::All),
            ("bytes=+1-2", Asked::All),
            ("bytes=0-1,4-5", Asked::All),
            ("items=0-1", Asked::All),
        ] {
            assert_eq!(Asked::of(Some(header), 10), expected, "{header}");
        }
        assert_eq!(Asked::of(None, 10), Asked::All);
        assert_eq!(Asked::of(Some("bytes=0-"), 0), Asked::None);
        assert_eq!(Asked::of(Some("bytes=-1"), 0), Asked::None);
    }
}
