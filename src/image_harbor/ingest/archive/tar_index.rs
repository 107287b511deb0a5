//! Where in a tar file its entries lie.
//!
//! The index is built from the bytes as they pass, in one go with hashing them, and keeps paths, offsets and sizes only.
//! `astral-tokio-tar` parses the headers; walking from header to header is done here, because its reader takes extension
//! headers of any size into memory and an upload may claim gigabytes for a name.

use std::collections::BTreeMap;

use tokio_tar::{EntryType, Header};

use super::super::{Limits, inflate::MAGIC};

const BLOCK: usize = 512;
/// Bytes of a path and of an extension header that carries one. Linux's PATH_MAX is 4096.
const PATH_MAX: usize = 4096;
const EXTENSION_MAX: u64 = 64 * 1024;
/// Symbolic links that are followed from one to the next.
const HOPS_MAX: usize = 8;

/// A file in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    pub offset: u64,
    pub size: u64,
    /// Its first bytes, zero-padded: they tell how it is compressed.
    pub head: [u8; MAGIC],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(File),
    /// A symbolic link, with its target's path from the archive's root.
    Link(String),
}

/// Files and links by their path, without a leading `./`.
#[derive(Debug, Default)]
pub(super) struct TarIndex {
    entries: BTreeMap<String, Entry>,
}

impl TarIndex {
    /// The file at a path, links followed.
    pub(super) fn file(&self, path: &str) -> Result<Option<File>, String> {
        let mut at = normalized(path)?;
        for _ in 0..HOPS_MAX {
            match self.entries.get(&at) {
                None => return Ok(None),
                Some(Entry::File(file)) => return Ok(Some(*file)),
                Some(Entry::Link(target)) => at.clone_from(target),
            }
        }
        Err(format!("the entry {path:?} is a symbolic link that leads in a circle"))
    }

    /// Some paths, to tell what an archive without an image is instead.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// A path as the index has it. Paths that lead out of the archive are refused although nothing is ever unpacked: no
/// tool that saves images writes them.
fn normalized(path: &str) -> Result<String, String> {
    let shown = || path.chars().take(200).collect::<String>();
    if path.starts_with('/') {
        return Err(format!(
            "the entry {:?} has an absolute path: save the image again with docker or podman save",
            shown()
        ));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => {
                return Err(format!(
                    "the entry {:?} leads out of the archive: save the image again with docker or podman save",
                    shown()
                ));
            }
            ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Builds a [`TarIndex`] from bytes that are handed over piece by piece, cut anywhere.
#[derive(Debug)]
pub(super) struct Indexer {
    limits: Limits,
    index: TarIndex,
    at: u64,
    state: State,
    /// What extension headers said of the entry to come.
    overrides: Overrides,
    entries: usize,
    path_bytes: u64,
}

#[derive(Debug)]
enum State {
    Header {
        bytes: Box<[u8; BLOCK]>,
        filled: usize,
    },
    Extension {
        kind: Extension,
        body: Vec<u8>,
        missing: u64,
        padding: u64,
    },
    /// Passing by a file's bytes, collecting its first ones.
    Content {
        path: Option<String>,
        file: File,
        seen: u64,
        padded: u64,
    },
    /// After the end-of-archive marker.
    End,
}

#[derive(Debug, Clone, Copy)]
enum Extension {
    GnuPath,
    GnuLink,
    Pax,
    /// Global PAX headers (git archive writes one) say nothing that matters here.
    Ignored,
}

#[derive(Debug, Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Indexer {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            index: TarIndex::default(),
            at: 0,
            state: State::header(),
            overrides: Overrides::default(),
            entries: 0,
            path_bytes: 0,
        }
    }

    /// Takes the next bytes. A fault is a sentence; nothing is to be handed over after it.
    pub(super) fn update(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                State::End => bytes.len(),
                State::Header { bytes: header, filled } => {
                    let used = bytes.len().min(BLOCK - *filled);
                    header[*filled..*filled + used].copy_from_slice(&bytes[..used]);
                    *filled += used;
                    used
                }
                State::Extension { body, missing, padding, .. } => {
                    let wanted = (bytes.len() as u64).min(*missing) as usize;
                    body.extend_from_slice(&bytes[..wanted]);
                    *missing -= wanted as u64;
                    let skipped = ((bytes.len() - wanted) as u64).min(*padding);
                    *padding -= skipped;
                    wanted + skipped as usize
                }
                State::Content { file, seen, padded, .. } => {
                    let used = (bytes.len() as u64).min(*padded - *seen) as usize;
                    let wanted = (file.size.min(MAGIC as u64).saturating_sub(*seen) as usize).min(used);
                    let from = (*seen).min(MAGIC as u64) as usize;
                    file.head[from..from + wanted].copy_from_slice(&bytes[..wanted]);
                    *seen += used as u64;
                    used
                }
            };
            self.at += used as u64;
            bytes = &bytes[used..];
            self.advance()?;
        }
        Ok(())
    }

    /// The index, once all bytes have been handed over.
    pub(super) fn finish(self) -> Result<TarIndex, String> {
        match self.state {
            State::Header { filled: 0, .. } if self.overrides.is_empty() => Ok(self.index),
            State::End => Ok(self.index),
            State::Content { path: Some(path), file, seen, .. } => Err(format!(
                "the archive ends within the entry {path:?}, after {} of its {} bytes: it is truncated, send it again",
                seen.min(file.size),
                file.size
            )),
            _ => Err(format!("the archive ends within a header at byte {}: it is truncated, send it again", self.at)),
        }
    }

    /// Leaves a state that has all its bytes.
    fn advance(&mut self) -> Result<(), String> {
        match &mut self.state {
            State::Header { bytes, filled: BLOCK } => {
                let header = Header::from_byte_slice(&bytes[..]).clone();
                self.state = self.header(&header)?;
                // An entry without content has no bytes to wait for.
                self.advance()
            }
            State::Extension { kind, body, missing: 0, padding: 0 } => {
                let (kind, body) = (*kind, std::mem::take(body));
                self.overrides.take(kind, body)?;
                self.state = State::header();
                Ok(())
            }
            State::Content { path, file, seen, padded } if seen == padded => {
                let (path, file) = (path.take(), *file);
                if let Some(path) = path {
                    self.insert(path, Entry::File(file))?;
                }
                self.state = State::header();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn header(&mut self, header: &Header) -> Result<State, String> {
        let start = self.at - BLOCK as u64;
        let bytes = header.as_bytes();
        if bytes.iter().all(|b| *b == 0) {
            return if self.overrides.is_empty() {
                Ok(State::End)
            } else {
                Err(format!("the archive ends after the extension header before byte {start}: it is damaged"))
            };
        }
        let damaged = || match start {
            0 => "this is no tar archive: give what docker save writes, or an OCI layout as a tar file".to_owned(),
            _ => format!("there is no tar header at byte {start}: the archive is damaged, send it again"),
        };
        let sum = bytes.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(damaged());
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(format!("the archive has more than {} entries, which is the limit", self.limits.entries));
        }
        let size = header.raw_entry_size().map_err(|_| damaged())?;
        let kind = header.entry_type();
        let extension = match kind {
            EntryType::GNULongName => Some(Extension::GnuPath),
            EntryType::GNULongLink => Some(Extension::GnuLink),
            EntryType::XHeader => Some(Extension::Pax),
            EntryType::XGlobalHeader => Some(Extension::Ignored),
            _ => None,
        };
        if let Some(kind) = extension {
            if size > EXTENSION_MAX {
                return Err(format!(
                    "the extension header at byte {start} claims {size} bytes: it is damaged or hostile"
                ));
            }
            return Ok(State::Extension { kind, body: Vec::new(), missing: size, padding: padding(size) });
        }
        let overrides = std::mem::take(&mut self.overrides);
        let path = text(overrides.path.unwrap_or_else(|| header.path_bytes().into_owned()), start)?;
        let size = overrides.size.unwrap_or(size);
        let padded = size.checked_add(padding(size)).filter(|padded| self.at.checked_add(*padded).is_some());
        let padded = padded.ok_or_else(damaged)?;
        let file = File { offset: self.at, size, head: [0; MAGIC] };
        let content = |path| Ok(State::Content { path, file, seen: 0, padded });
        if overrides.sparse || kind == EntryType::GNUSparse {
            return Err(format!("the entry {path:?} is a sparse file: write the archive without tar's --sparse"));
        }
        match kind {
            EntryType::Directory => {
                normalized(&path)?;
                content(None)
            }
            // Very old writers mark directories by the slash only.
            EntryType::Regular | EntryType::Continuous if path.ends_with('/') => {
                normalized(&path)?;
                content(None)
            }
            EntryType::Regular | EntryType::Continuous => {
                let path = normalized(&path)?;
                content(Some(path))
            }
            EntryType::Symlink => {
                let from = normalized(&path)?;
                let target = overrides.link.or_else(|| header.link_name_bytes().map(|l| l.into_owned()));
                let target = text(target.unwrap_or_default(), start)?;
                let target = link_target(&from, &target)?;
                self.insert(from, Entry::Link(target))?;
                content(None)
            }
            EntryType::Link => {
                Err(format!("the entry {path:?} is a hard link: write the archive with docker or podman save"))
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                Err(format!("the entry {path:?} is a device or pipe, which no image archive holds"))
            }
            other => Err(format!(
                "the entry {path:?} is of the unknown type {:?}: write the archive with docker or podman save",
                char::from(other.as_byte())
            )),
        }
    }

    fn insert(&mut self, path: String, entry: Entry) -> Result<(), String> {
        let link = if let Entry::Link(target) = &entry { target.len() } else { 0 };
        self.path_bytes += (path.len() + link) as u64;
        if self.path_bytes > self.limits.paths {
            return Err(format!("the archive's paths take more than {} bytes, which is the limit", self.limits.paths));
        }
        // One name with two contents: which of them was meant depends on who reads it.
        match self.index.entries.insert(path.clone(), entry) {
            Some(_) => Err(format!("the entry {path:?} is there twice: save the image again into a new file")),
            None => Ok(()),
        }
    }
}

impl State {
    fn header() -> Self {
        Self::Header { bytes: Box::new([0; BLOCK]), filled: 0 }
    }
}

impl Overrides {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none() && self.size.is_none() && !self.sparse
    }

    fn take(&mut self, kind: Extension, mut body: Vec<u8>) -> Result<(), String> {
        let mut until_nul = || {
            body.truncate(body.iter().position(|b| *b == 0).unwrap_or(body.len()));
            Some(std::mem::take(&mut body))
        };
        match kind {
            Extension::GnuPath => self.path = until_nul(),
            Extension::GnuLink => self.link = until_nul(),
            Extension::Pax => {
                for (key, value) in
                    pax_records(&body).ok_or("an extension (PAX) header is damaged: send the archive again")?
                {
                    match key {
                        b"path" => self.path = Some(value.to_vec()),
                        b"linkpath" => self.link = Some(value.to_vec()),
                        b"size" => {
                            let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                            self.size = Some(size.ok_or("an extension (PAX) header gives no number as size")?);
                        }
                        key => self.sparse |= key.starts_with(b"GNU.sparse."),
                    }
                }
            }
            Extension::Ignored => {}
        }
        Ok(())
    }
}

/// The records `<length> <key>=<value>\n` of a PAX header (POSIX.1-2017, pax, "pax Extended Header").
fn pax_records(mut body: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let space = body.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
        let record = body.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|b| *b == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        body = &body[length..];
    }
    Some(records)
}

fn text(bytes: Vec<u8>, start: u64) -> Result<String, String> {
    if bytes.len() > PATH_MAX {
        return Err(format!("the entry at byte {start} has a path of {} bytes, {PATH_MAX} are allowed", bytes.len()));
    }
    String::from_utf8(bytes).map_err(|_| format!("the entry at byte {start} has a path that is no UTF-8"))
}

/// A link's target from the archive's root: targets are relative to the link's folder.
fn link_target(from: &str, target: &str) -> Result<String, String> {
    let outside = |_| format!("the entry {from:?} is a symbolic link to {target:?}, which is outside of the archive");
    if target.starts_with('/') {
        return Err(outside(String::new()));
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    normalized(&format!("{}{target}", if folder.is_empty() { String::new() } else { format!("{folder}/") }))
        .map_err(outside)
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}
