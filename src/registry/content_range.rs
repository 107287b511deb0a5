//! The two range headers of the blob upload, which look alike and are not.
//!
//! OCI distribution-spec 1.1, "Pushing a blob in chunks": both are written `<first>-<last>` without a unit,
//! both ends included. `Content-Range` says which bytes a request carries, `Range` which bytes the server has.

use std::str::FromStr;

/// Which bytes of the blob a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, which is carried too.
    pub last: u64,
}

/// What was not a `Content-Range` of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Content-Range {0:?} is not understood: expected <first>-<last> in bytes, as in 0-1023")]
pub struct InvalidContentRange(pub String);

impl ContentRange {
    /// The `length` bytes from `first` on; none when there are no bytes, which no range can say.
    pub fn of(first: u64, length: u64) -> Option<Self> {
        Some(Self { first, last: first.checked_add(length.checked_sub(1)?)? })
    }

    /// How many bytes it spans.
    pub fn length(&self) -> u64 {
        self.last - self.first + 1
    }
}

impl std::fmt::Display for ContentRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for ContentRange {
    type Err = InvalidContentRange;

    /// Digits only, and no wider than a length in u64 can be: `u64::from_str` alone would take `+1`.
    fn from_str(text: &str) -> Result<Self, InvalidContentRange> {
        let number =
            |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
        text.split_once('-')
            .and_then(|(first, last)| Some(Self { first: number(first)?, last: number(last)? }))
            .filter(|range| range.first <= range.last && range.last < u64::MAX)
            .ok_or_else(|| InvalidContentRange(text.chars().take(80).collect()))
    }
}

/// The `Range` a server with `offset` bytes answers.
///
/// Nothing at all and a single byte are both `0-0`: the header cannot say "nothing", and this is what the
/// reference implementation (distribution) sends. `Orbit-Upload-Offset` tells the two apart.
pub fn received_range(offset: u64) -> String {
    format!("0-{}", offset.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ends_as_included() {
        let range: ContentRange = "8-15".parse().unwrap();
        assert_eq!((range.first, range.last, range.length()), (8, 15, 8));
        assert_eq!("0-0".parse::<ContentRange>().unwrap().length(), 1);
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in
            ["", "-", "5", "5-", "-5", "5-4", "a-b", "+1-2", "1-+2", "bytes 0-9/10", "0-9/10", " 0-9", "0-9 ", "0--9"]
        {
            assert!(text.parse::<ContentRange>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn refuses_numbers_whose_length_would_overflow() {
        assert!(format!("0-{}", u64::MAX).parse::<ContentRange>().is_err());
        assert!("0-18446744073709551616".parse::<ContentRange>().is_err());
        assert_eq!(format!("0-{}", u64::MAX - 1).parse::<ContentRange>().unwrap().length(), u64::MAX);
    }

    #[test]
    fn spans_and_writes_what_it_reads() {
        assert_eq!(ContentRange::of(4, 4).unwrap().to_string(), "4-7");
        assert_eq!(ContentRange::of(4, 0), None);
        assert_eq!(ContentRange::of(u64::MAX, 2), None);
    }

    #[test]
    fn says_what_was_received() {
        assert_eq!(received_range(0), "0-0");
        assert_eq!(received_range(1), "0-0");
        assert_eq!(received_range(4096), "0-4095");
    }
}
