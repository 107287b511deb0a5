//! Users by name, found in an image's layers.

use std::{io::Write, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, TryStreamExt};
use orbit_plane::{
    digest::Digest,
    image_harbor::{ByteStream, HarborError, ImageHarbor, LocalHarbor, StagedChunk, Stored, store_bytes},
    manifestor::{ImageConfig, ManifestorError, RunAs, read_image_config, resolve_user},
};
use serde_json::json;
use tempfile::TempDir;
use tokio_tar::{EntryType, Header};

/// A local Harbor that gives its blobs in small pieces; a listed one breaks off in the middle.
#[derive(Debug)]
struct Piecemeal {
    harbor: LocalHarbor,
    _folder: TempDir,
    broken: Option<Digest>,
}

impl Piecemeal {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { harbor: LocalHarbor::open(folder.path().join("harbor")).await.unwrap(), _folder: folder, broken: None }
    }

    async fn put(&self, bytes: impl Into<Bytes>) -> Digest {
        store_bytes(&self.harbor, bytes).await.unwrap()
    }

    /// An image of these layers, the lowest first.
    async fn image(&self, layers: Vec<Vec<u8>>) -> Digest {
        let mut descriptors = Vec::new();
        for layer in layers {
            let size = layer.len();
            descriptors.push(json!({"size": size, "digest": self.put(layer).await, "mediaType": "whatever"}));
        }
        self.put(json!({"schemaVersion": 2, "layers": descriptors}).to_string()).await
    }
}

#[async_trait]
impl ImageHarbor for Piecemeal {
    fn name(&self) -> String {
        self.harbor.name()
    }

    async fn stat(&self, digest: &Digest) -> Result<Option<u64>, HarborError> {
        self.harbor.stat(digest).await
    }

    async fn read(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<ByteStream, HarborError> {
        let bytes: Vec<Bytes> = self.harbor.read(digest, range).await?.try_collect().await?;
        let bytes = bytes.concat();
        let broken = self.broken == Some(*digest);
        let length = if broken { bytes.len() / 2 } else { bytes.len() };
        // Small pieces, so that every boundary falls somewhere awkward.
        let mut pieces: Vec<_> = bytes[..length].chunks(100).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        if broken {
            pieces.push(Err(HarborError::Unavailable { store: self.name(), message: "gone".into() }));
        }
        Ok(futures::stream::iter(pieces).boxed())
    }

    async fn store(&self, digest: &Digest, size: Option<u64>, bytes: ByteStream) -> Result<Stored, HarborError> {
        self.harbor.store(digest, size, bytes).await
    }

    async fn stage(&self, session: &str, bytes: ByteStream) -> Result<StagedChunk, HarborError> {
        self.harbor.stage(session, bytes).await
    }

    async fn read_staged(
        &self,
        session: &str,
        chunk: &StagedChunk,
        range: Option<Range<u64>>,
    ) -> Result<ByteStream, HarborError> {
        self.harbor.read_staged(session, chunk, range).await
    }

    async fn discard_session(&self, session: &str) -> Result<(), HarborError> {
        self.harbor.discard_session(session).await
    }

    async fn announce(&self, name: &str, media_type: &str, digest: &Digest, size: u64) -> Result<(), HarborError> {
        self.harbor.announce(name, media_type, digest, size).await
    }

    async fn blobs(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<(Digest, u64)>, HarborError> {
        self.harbor.blobs(after, limit).await
    }

    async fn ping(&self) -> Result<(), HarborError> {
        self.harbor.ping().await
    }
}

#[derive(Clone, Copy)]
enum Node<'a> {
    File(&'a [u8]),
    Dir,
    Symlink(&'a str),
    Hardlink(&'a str),
    /// The name of the next member, GNU's way.
    LongName(&'a [u8]),
    /// A PAX header for the next member.
    Pax(&'a [u8]),
}

use Node::{Dir, File, Hardlink, LongName, Pax, Symlink};

fn layer(members: &[(&str, Node<'_>)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, node) in members {
        let mut header = Header::new_gnu();
        let (kind, link, content): (_, _, &[u8]) = match *node {
            File(content) => (EntryType::Regular, None, content),
            Dir => (EntryType::Directory, None, b""),
            Symlink(to) => (EntryType::Symlink, Some(to), b""),
            Hardlink(to) => (EntryType::Link, Some(to), b""),
            LongName(name) => (EntryType::GNULongName, None, name),
            Pax(records) => (EntryType::XHeader, None, records),
        };
        // As bytes: the writer's own check would refuse a leading slash or dots.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(link) = link {
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn zstd(bytes: &[u8]) -> Vec<u8> {
    use tokio::io::AsyncReadExt;
    let mut out = Vec::new();
    async_compression::tokio::bufread::ZstdEncoder::new(bytes).read_to_end(&mut out).await.unwrap();
    out
}

const PASSWD: &[u8] =
    b"root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/false\ntoor:x:0:0::/:\nhuge:x:4000000000:1::/:\n";
const OTHER: &[u8] = b"root:x:0:0::/:/bin/sh\napp:x:2000:2001::/:/bin/false\n";

async fn resolve(user: &str, layers: Vec<Vec<u8>>) -> RunAs {
    let harbor = Piecemeal::new().await;
    let manifest = harbor.image(layers).await;
    let config = ImageConfig { user: user.into(), ..ImageConfig::default() };
    resolve_user(&harbor, &manifest, &config).await.unwrap()
}

fn numeric(uid: u32, gid: impl Into<Option<u32>>) -> RunAs {
    RunAs::Numeric { uid, gid: gid.into() }
}

fn why(run_as: RunAs) -> String {
    match run_as {
        RunAs::Unresolved { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn numbers_need_no_layers() {
    for user in ["", "root", "0", "00", "0:0", "root:staff", "0:1000"] {
        assert_eq!(resolve(user, vec![]).await, RunAs::Root, "{user:?}");
    }
    assert_eq!(resolve("1000", vec![]).await, numeric(1000, None));
    assert_eq!(resolve("1000:", vec![]).await, numeric(1000, None));
    assert_eq!(resolve("1000:0", vec![]).await, numeric(1000, 0));
    assert!(why(resolve("4294967295", vec![]).await).contains("no user or group id above"));
    assert!(why(resolve("-5", vec![]).await).contains("no file /etc/passwd"));
}

#[tokio::test]
async fn names_in_every_compression() {
    let tar = layer(&[
        ("bin/", Dir),
        ("bin/sh", File(&[7; 3000])),
        ("./etc/passwd", File(PASSWD)),
        ("etc/group", File(b"staff:x:50:\n")),
    ]);
    for bytes in [tar.clone(), gzip(&tar), zstd(&tar).await] {
        assert_eq!(resolve("app", vec![bytes.clone()]).await, numeric(1000, 1001));
        assert_eq!(resolve("app:staff", vec![bytes.clone()]).await, numeric(1000, 50));
        assert_eq!(resolve("app:7", vec![bytes.clone()]).await, numeric(1000, 7));
        assert_eq!(resolve("1234:staff", vec![bytes.clone()]).await, numeric(1234, 50));
        assert_eq!(resolve("toor", vec![bytes.clone()]).await, RunAs::Root);
        assert!(why(resolve("nobody", vec![bytes.clone()]).await).contains("/etc/passwd has no such user"));
        assert!(why(resolve("app:wheel", vec![bytes.clone()]).await).contains("/etc/group has no such group"));
        assert!(why(resolve("huge", vec![bytes]).await).contains("no user or group id above"));
    }
}

#[tokio::test]
async fn upper_layers_win_and_whiteouts_hide() {
    let base = || layer(&[("etc/passwd", File(PASSWD))]);
    let app = async |upper: &[(&str, Node<'_>)]| resolve("app", vec![base(), layer(upper)]).await;
    assert_eq!(app(&[("etc/passwd", File(OTHER))]).await, numeric(2000, 2001));
    assert_eq!(app(&[("etc/passwd-", File(OTHER)), ("etc/.wh.passwd-", File(b""))]).await, numeric(1000, 1001));
    for gone in ["etc/.wh.passwd", ".wh.etc", "etc/.wh..wh..opq", ".wh..wh..opq"] {
        assert!(why(app(&[(gone, File(b""))]).await).contains("no file"), "{gone}");
        // A whiteout hides what is below, not what its own layer has, be it before or after.
        assert_eq!(app(&[(gone, File(b"")), ("etc/passwd", File(OTHER))]).await, numeric(2000, 2001), "{gone}");
        assert_eq!(app(&[("etc/passwd", File(OTHER)), (gone, File(b""))]).await, numeric(2000, 2001), "{gone}");
    }
    assert!(why(app(&[("etc", File(b"no directory"))]).await).contains("no file"));
}

#[tokio::test]
async fn links_are_followed_inside_the_image() {
    let base = layer(&[("usr/etc/passwd", File(PASSWD))]);
    for link in [
        ("etc/passwd", Symlink("../usr/etc/passwd")),
        ("etc/passwd", Symlink("/usr/etc/passwd")),
        ("etc/passwd", Symlink("../../../../usr/etc/passwd")),
        ("etc/passwd", Hardlink("usr/etc/passwd")),
        ("etc", Symlink("usr/etc")),
    ] {
        assert_eq!(resolve("app", vec![base.clone(), layer(&[link])]).await, numeric(1000, 1001));
    }
    let circle = layer(&[("etc/passwd", Symlink("passwd-")), ("etc/passwd-", Symlink("passwd"))]);
    assert!(why(resolve("app", vec![circle]).await).contains("is a link that leads through"));
}

#[tokio::test]
async fn long_names_of_both_kinds() {
    let gnu = layer(&[("././@LongLink", LongName(b"etc/passwd\0")), ("cut-off", File(PASSWD))]);
    assert_eq!(resolve("app", vec![gnu]).await, numeric(1000, 1001));
    let pax = layer(&[("PaxHeaders/x", Pax(b"19 path=etc/passwd\n9 atime=\n")), ("cut-off", File(PASSWD))]);
    assert_eq!(resolve("app", vec![pax]).await, numeric(1000, 1001));
}

#[tokio::test]
async fn hostile_layers_are_reasons() {
    let mut long_header = layer(&[("x", LongName(b""))]);
    let mut header = Header::from_byte_slice(&long_header[..512]).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    long_header[..512].copy_from_slice(header.as_bytes());
    let whole = layer(&[("a", File(&[0; 4096])), ("etc/passwd", File(PASSWD))]);
    let cases = [
        (b"no archive at all, only some text ".repeat(40), "no tar archive"),
        (whole[..2000].to_vec(), "ends in the middle of a file"),
        (whole[..700].to_vec(), "ends in the middle of a file"),
        (gzip(&whole)[..60].to_vec(), "cannot be read"),
        (long_header, "a header of it has 1099511627776 bytes"),
        (layer(&[("x", Pax(b"nonsense")), ("y", File(b""))]), "malformed PAX header"),
        (layer(&[("x", Pax(b"99999999999999999999 a=b\n")), ("y", File(b""))]), "malformed PAX header"),
        (layer(&[("x", Pax(b"29 size=18446744073709551615\n")), ("y", File(b""))]), "impossible size"),
        (layer(&[("etc/passwd", File(&[b'a'; 1024 * 1024 + 1]))]), "more than 1048576"),
        // 128 MiB of zeros, a thousand times their compressed size.
        (gzip(&layer(&[("zeros", File(&vec![0; 128 * 1024 * 1024]))])), "far beyond its"),
    ];
    for (layer, expected) in cases {
        let why = why(resolve("app", vec![layer]).await);
        assert!(why.contains(expected), "expected {expected:?}: {why}");
    }
}

#[tokio::test]
async fn a_failing_store_is_no_damaged_image() {
    let mut harbor = Piecemeal::new().await;
    let bytes = gzip(&layer(&[("noise", File(&[5; 50_000])), ("etc/passwd", File(PASSWD))]));
    harbor.broken = Some(Digest::of(&bytes));
    let manifest = harbor.image(vec![bytes]).await;
    let config = ImageConfig { user: "app".into(), ..ImageConfig::default() };
    let error = resolve_user(&harbor, &manifest, &config).await.unwrap_err();
    assert!(
        error.is_transient() && matches!(error, ManifestorError::Harbor(HarborError::Unavailable { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn documents_are_bounded() {
    let harbor = Piecemeal::new().await;
    let config = harbor.put(json!({"config": {"User": "app"}}).to_string()).await;
    assert_eq!(read_image_config(&harbor, &config).await.unwrap().user, "app");
    let large = harbor.put(vec![b' '; 5 * 1024 * 1024]).await;
    assert!(read_image_config(&harbor, &large).await.unwrap_err().to_string().contains("larger than 4 MiB"));
    assert!(matches!(
        read_image_config(&harbor, &Digest::of("missing")).await,
        Err(ManifestorError::Harbor(HarborError::NotFound(_)))
    ));
    let error = resolve_user(&harbor, &config, &ImageConfig { user: "app".into(), ..ImageConfig::default() }).await;
    assert!(error.unwrap_err().to_string().contains("is not the manifest of one platform's image"));
}
