//! Walks a layer's tar stream with bounds on everything that its author controls.
//!
//! Only what finding a file needs is understood: names (POSIX, GNU and PAX), kinds and link targets. An extension
//! header of hostile length is an error, never an allocation.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// The longest extension header, in bytes: paths end at 4 KiB, PAX records of xattrs are somewhat longer.
const MAX_EXTENSION: u64 = 1024 * 1024;

/// A member of a layer.
pub(super) struct Member {
    /// Its path, relative to the root directory, without `.` and doubled slashes.
    pub path: String,
    /// What it is.
    pub kind: EntryType,
    /// What it links to, when it is a link.
    pub link: String,
    /// Bytes of its content.
    pub size: u64,
}

/// A layer being read.
pub(super) struct LayerReader<R> {
    stream: R,
    /// Bytes before the next header: what is left of the current member, and its padding.
    rest: u64,
}

#[derive(Default)]
struct Extensions {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<R: AsyncRead + Unpin> LayerReader<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, rest: 0 }
    }

    /// The next member, or none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip().await?;
            let Some(header) = self.header().await? else { return Ok(None) };
            let kind = header.entry_type();
            let size = header.raw_entry_size().map_err(|_| invalid("a file of it has no size"))?;
            match kind {
                EntryType::GNULongName => extensions.path = Some(text(&self.extension(size).await?)),
                EntryType::GNULongLink => extensions.link = Some(text(&self.extension(size).await?)),
                EntryType::XHeader => extensions.read_pax(&self.extension(size).await?)?,
                EntryType::XGlobalHeader => self.rest = padded(size)?,
                _ => {
                    let size = extensions.size.unwrap_or(size);
                    self.rest = padded(size)?;
                    let path = extensions.path.unwrap_or_else(|| text(&header.path_bytes()));
                    let link = extensions
                        .link
                        .unwrap_or_else(|| header.link_name_bytes().map(|l| text(&l)).unwrap_or_default());
                    return Ok(Some(Member { path: clean(&path), kind, link, size }));
                }
            }
        }
    }

    /// The current member's content, which must not be longer than `max` bytes.
    pub(super) async fn content(&mut self, member: &Member, max: u64) -> io::Result<Vec<u8>> {
        if member.size > max {
            return Err(invalid(format!("{} has {} bytes, more than {max}", member.path, member.size)));
        }
        self.take(member.size).await
    }

    async fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.stream.read(&mut block[filled..]).await? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(invalid("it ends in the middle of a header")),
                n => filled += n,
            }
        }
        if header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let block = header.as_bytes();
        let sum = block
            .iter()
            .enumerate()
            .fold(0_u32, |sum, (i, b)| sum + if (148..156).contains(&i) { u32::from(b' ') } else { u32::from(*b) });
        // The crate's own errors quote the header, which may be anything.
        if header.cksum().ok() != Some(sum) {
            return Err(invalid("it is no tar archive: a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    async fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(invalid(format!("a header of it has {size} bytes, more than {MAX_EXTENSION}")));
        }
        self.rest = padded(size)?;
        self.take(size).await
    }

    /// `size` bytes of what `rest` counts. The caller has bounded them.
    async fn take(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.stream).take(size).read_to_end(&mut bytes).await? as u64;
        self.rest = self.rest.saturating_sub(read);
        if read < size {
            return Err(invalid("it ends in the middle of a file"));
        }
        Ok(bytes)
    }

    async fn skip(&mut self) -> io::Result<()> {
        let skipped = tokio::io::copy(&mut (&mut self.stream).take(self.rest), &mut tokio::io::sink()).await?;
        if skipped < self.rest {
            return Err(invalid("it ends in the middle of a file"));
        }
        self.rest = 0;
        Ok(())
    }
}

impl Extensions {
    /// `length key=value\n`, one after the other (pax(1), "pax Extended Header").
    fn read_pax(&mut self, mut records: &[u8]) -> io::Result<()> {
        let malformed = || invalid("it has a malformed PAX header");
        while !records.is_empty() {
            let space = records.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
            let length: usize =
                std::str::from_utf8(&records[..space]).ok().and_then(|n| n.parse().ok()).ok_or_else(malformed)?;
            let record = records.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(malformed)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.path = Some(text(value)),
                b"linkpath" => self.link = Some(text(value)),
                b"size" => self.size = Some(text(value).parse().map_err(|_| malformed())?),
                _ => {}
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn padded(size: u64) -> io::Result<u64> {
    size.checked_next_multiple_of(BLOCK).ok_or_else(|| invalid("a file of it has an impossible size"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// Relative to the root directory, `..` at the root staying there as the kernel has it.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
