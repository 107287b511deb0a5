//! Files as streams.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::io::ReaderStream;

use super::{SMALL, unavailable};
use crate::image_harbor::{
    ByteStream, HarborError,
    content::{exactly, stream_of},
};

/// Bytes read at once: large enough that the trip to a thread that may block is cheap.
const CHUNK: usize = 256 << 10;

/// A file that was opened: so far as it is small, it is read already.
pub(super) enum Opened {
    Small(Bytes),
    File { file: File, size: u64 },
}

/// A file, if it is there.
pub(super) fn open(path: &Path) -> io::Result<Option<Opened>> {
    match File::open(path) {
        Ok(mut file) => {
            let size = file.metadata()?.len();
            if size > SMALL {
                return Ok(Some(Opened::File { file, size }));
            }
            let mut content = Vec::with_capacity(size as usize);
            if file.by_ref().take(size).read_to_end(&mut content)? as u64 != size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Some(Opened::Small(content.into())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Opened {
    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Small(content) => content.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Exactly the bytes of a range that lies within the file; `short` is the error if it ends before that all the same.
    pub(super) fn stream(
        self,
        range: Range<u64>,
        store: String,
        short: impl Fn(u64) -> HarborError + Send + 'static,
    ) -> ByteStream {
        let mut file = match self {
            Self::Small(content) => return stream_of(content.slice(range.start as usize..range.end as usize)),
            Self::File { file, .. } => file,
        };
        let length = range.end - range.start;
        // Only moves the position: nothing is read yet.
        if let Err(error) = file.seek(SeekFrom::Start(range.start)) {
            return stream::iter([Err(unavailable(&store, "reading a file", &error))]).boxed();
        }
        let file = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), length);
        let bytes = ReaderStream::with_capacity(file, CHUNK)
            .map_err(move |error| unavailable(&store, "reading a file", &error))
            .boxed();
        exactly(length, bytes, short)
    }
}
