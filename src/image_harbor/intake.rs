//! The gate that every blob passes: what comes is compared with what was announced.

use super::HarborError;
use crate::digest::{Digest, Hasher};

/// Hashes and counts the bytes of a blob on their way in.
pub(super) struct Intake {
    expected: Digest,
    expected_size: Option<u64>,
    hasher: Hasher,
    size: u64,
}

impl Intake {
    pub(super) fn new(expected: Digest, expected_size: Option<u64>) -> Self {
        Self { expected, expected_size, hasher: Hasher::new(), size: 0 }
    }

    /// Takes the next bytes, unless they exceed what was announced.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), HarborError> {
        self.size += bytes.len() as u64;
        if let Some(expected_size) = self.expected_size.filter(|expected| self.size > *expected) {
            return Err(HarborError::TooLong { expected: self.expected, expected_size });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// The size in bytes of what came, if it is what was announced.
    pub(super) fn finish(self) -> Result<u64, HarborError> {
        let Self { expected, expected_size, hasher, size } = self;
        let actual = hasher.finish();
        if actual == expected {
            announced(expected, expected_size, size)
        } else {
            Err(HarborError::Mismatch { expected, expected_size, actual, actual_size: size })
        }
    }
}

/// The size of a blob whose digest is known to be right, if it is the one that was announced (where one was).
pub(super) fn announced(digest: Digest, expected_size: Option<u64>, size: u64) -> Result<u64, HarborError> {
    match expected_size {
        Some(expected) if expected != size => {
            Err(HarborError::Mismatch { expected: digest, expected_size, actual: digest, actual_size: size })
        }
        _ => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(announced: Digest, size: Option<u64>, chunks: &[&str]) -> Result<u64, HarborError> {
        let mut intake = Intake::new(announced, size);
        for chunk in chunks {
            intake.take(chunk.as_bytes())?;
        }
        intake.finish()
    }

    #[test]
    fn what_was_announced_passes() {
        assert_eq!(pass(Digest::of("orbit"), None, &["or", "", "bit"]).unwrap(), 5);
        assert_eq!(pass(Digest::of("orbit"), Some(5), &["orbit"]).unwrap(), 5);
        assert_eq!(pass(Digest::of(""), Some(0), &[]).unwrap(), 0);
    }

    #[test]
    fn other_bytes_do_not() {
        let error = pass(Digest::of("orbit"), None, &["orbyt"]).unwrap_err();
        assert!(matches!(error, HarborError::Mismatch { actual, actual_size: 5, .. } if actual == Digest::of("orbyt")));
    }

    #[test]
    fn a_wrong_size_does_not_even_with_the_right_digest() {
        let error = pass(Digest::of("orbit"), Some(6), &["orbit"]).unwrap_err();
        assert!(matches!(error, HarborError::Mismatch { expected_size: Some(6), actual_size: 5, .. }), "{error}");
    }

    #[test]
    fn the_first_byte_too_many_is_refused() {
        let mut intake = Intake::new(Digest::of("orbit"), Some(5));
        intake.take(b"orbit").unwrap();
        assert!(matches!(intake.take(b"!"), Err(HarborError::TooLong { expected_size: 5, .. })));
    }
}
