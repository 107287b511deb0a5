//! Results that are long enough to be read by another program.

use std::io::{self, ErrorKind, Write};

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
pub fn print(bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes.as_ref()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
