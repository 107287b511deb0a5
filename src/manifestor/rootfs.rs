//! Finds a file in an image's layers, as the file system would show it: upper layers over lower ones.
//!
//! OCI image-spec, layer.md: whiteouts hide what lower layers have, symbolic links lead elsewhere. Nothing is unpacked;
//! layers are read from the top down as streams, and no further than the file. A layer holds no path twice (same
//! document), so the first hit is the only one.

use std::pin::Pin;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use futures::TryStreamExt;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio_tar::EntryType;
use tokio_util::io::StreamReader;

use super::layer::{LayerReader, clean};
use crate::{
    digest::Digest,
    image_harbor::{HarborError, ImageHarbor},
};

/// A layer as the manifest names it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Layer {
    pub digest: Digest,
    #[serde(default)]
    pub size: u64,
}

/// Why a file's content is not known.
pub(super) enum FileError {
    /// The store failed: trying again can help.
    Harbor(HarborError),
    /// The image does not have it, or holds nonsense.
    Image(String),
}

/// Links that are followed, as the kernel bounds them (path_resolution(7)), only sooner.
const MAX_LINKS: usize = 8;
/// A layer may inflate to this many times its size and the floor below. Beyond, it is taken for a bomb.
const MAX_INFLATION: u64 = 200;
const INFLATION_FLOOR: u64 = 64 * 1024 * 1024;

/// What one layer says about a path.
enum View {
    /// It has the file.
    Content(Vec<u8>),
    /// The path leads to another one.
    Moved(String),
    /// It hides the path: lower layers do not matter.
    Hidden,
    /// It says nothing.
    Silent,
}

/// The content of the regular file `path`, which must not be longer than `max` bytes.
pub(super) async fn read_file(
    harbor: &dyn ImageHarbor,
    layers: &[Layer],
    path: &str,
    max: u64,
) -> Result<Vec<u8>, FileError> {
    let missing = || FileError::Image(format!("the image has no file /{path}"));
    let mut target = clean(path);
    'links: for _ in 0..=MAX_LINKS {
        for layer in layers.iter().rev() {
            match look(harbor, layer, &target, max).await? {
                View::Content(content) => return Ok(content),
                View::Moved(to) => {
                    target = to;
                    continue 'links;
                }
                View::Hidden => return Err(missing()),
                View::Silent => {}
            }
        }
        return Err(missing());
    }
    Err(FileError::Image(format!("/{path} of the image is a link that leads through more than {MAX_LINKS} others")))
}

async fn look(harbor: &dyn ImageHarbor, layer: &Layer, target: &str, max: u64) -> Result<View, FileError> {
    // A failing store must not pass for a damaged layer: its error travels inside the io::Error.
    let bytes = harbor.read(&layer.digest, None).await.map_err(FileError::Harbor)?.map_err(std::io::Error::other);
    let limit = layer.size.saturating_mul(MAX_INFLATION).saturating_add(INFLATION_FLOOR);
    let outcome = async {
        let mut stream = inflate(StreamReader::new(bytes)).await?.take(limit);
        let view = search(LayerReader::new(&mut stream), target, max).await;
        if stream.limit() == 0 {
            return Err(std::io::Error::other(format!(
                "it inflates to more than {limit} bytes, far beyond its {} compressed ones",
                layer.size
            )));
        }
        view
    };
    outcome.await.map_err(|e| match e.downcast::<HarborError>() {
        Ok(e) => FileError::Harbor(e),
        Err(e) => FileError::Image(format!("the layer {} cannot be read: {e}", layer.digest)),
    })
}

/// By the first bytes, for a media type may say anything.
async fn inflate<R: AsyncRead + Send + 'static>(stream: R) -> std::io::Result<Pin<Box<dyn AsyncRead + Send>>> {
    let mut stream = BufReader::with_capacity(64 * 1024, Box::pin(stream));
    let start = stream.fill_buf().await?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let mut gzip = GzipDecoder::new(stream);
        gzip.multiple_members(true);
        Ok(Box::pin(gzip))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut zstd = ZstdDecoder::new(stream);
        zstd.multiple_members(true);
        Ok(Box::pin(zstd))
    } else {
        Ok(Box::pin(stream))
    }
}

/// Whiteouts are remembered to the layer's end: they hide what is below, never what this layer has itself.
async fn search<R: AsyncRead + Unpin>(mut layer: LayerReader<R>, target: &str, max: u64) -> std::io::Result<View> {
    let mut hidden = false;
    while let Some(member) = layer.next().await? {
        if member.path == target {
            return Ok(match member.kind {
                EntryType::Regular | EntryType::Continuous => View::Content(layer.content(&member, max).await?),
                EntryType::Symlink => View::Moved(resolve(target, &member.link)),
                EntryType::Link => View::Moved(clean(&member.link)),
                _ => View::Hidden,
            });
        }
        let (directory, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
        if name == ".wh..wh..opq" {
            hidden |= directory.is_empty() || below(target, directory).is_some();
        } else if let Some(name) = name.strip_prefix(".wh.") {
            let gone = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            hidden |= gone == target || below(target, &gone).is_some();
        } else if let Some(rest) = below(target, &member.path) {
            match member.kind {
                EntryType::Directory => {}
                EntryType::Symlink => {
                    return Ok(View::Moved(clean(&format!("{}/{rest}", resolve(&member.path, &member.link)))));
                }
                _ => return Ok(View::Hidden),
            }
        }
    }
    Ok(if hidden { View::Hidden } else { View::Silent })
}

/// Where a symbolic link at `path` leads.
fn resolve(path: &str, link: &str) -> String {
    if link.starts_with('/') {
        return clean(link);
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    clean(&format!("{directory}/{link}"))
}

/// What of `path` lies below `directory`.
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    path.strip_prefix(directory)?.strip_prefix('/')
}
