//! Files as streams.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::unavailable;
use crate::image_harbor::{ByteStream, HarborError, content::exactly};

/// Bytes read at once: large enough that the trip to a thread that may block is cheap.
const CHUNK: usize = 256 << 10;

/// A file and its size in bytes, if it is there.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let size = file.metadata()?.len();
            Ok(Some((file, size)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Exactly the bytes of a range that lies within the file; `short` is the error if it ends before that all the same.
pub(super) fn stream(
    mut file: File,
    range: Range<u64>,
    store: String,
    short: impl Fn(u64) -> HarborError + Send + 'static,
) -> ByteStream {
    let length = range.end - range.start;
    // Only moves the position: nothing is read yet.
    if let Err(error) = file.seek(SeekFrom::Start(range.start)) {
        return stream::iter([Err(unavailable(&store, "reading a file", &error))]).boxed();
    }
    let file = tokio::fs::File::from_std(file).take(length);
    let bytes = ReaderStream::with_capacity(file, CHUNK)
        .map_err(move |error| unavailable(&store, "reading a file", &error))
        .boxed();
    exactly(length, bytes, short)
}
