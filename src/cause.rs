//! What an error was caused by.

use std::{error::Error, io};

/// The error of a kind that this one was caused by, however often it was wrapped on the way. An `io::Error` does not name
/// what it carries as its source.
pub fn carried<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}
