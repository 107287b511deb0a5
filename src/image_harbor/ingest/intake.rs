//! The one way into the Harbor: plan, then carry out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use oci_spec::image::{Descriptor, ImageManifest};

use super::{
    IngestError, Limits,
    document::{self, Document},
    inflate::Budget,
    layer,
};
use crate::{
    digest::Digest,
    image_harbor::{ByteStream, HarborError, ImageHarbor},
    release::{ImagePlatform, StoredImage},
};

/// Where an image comes from.
#[async_trait]
pub(super) trait ImageSource: Sync {
    /// Whether the source is known not to have this content. A registry tells only when asked for it.
    fn lacks(&self, digest: &Digest) -> bool;

    /// The bytes of a manifest or index, not yet verified, of at most `limit` bytes.
    async fn manifest(&self, digest: &Digest, limit: u64) -> Result<Bytes, IngestError>;

    /// The bytes of a config or layer, not yet verified.
    async fn blob(&self, digest: &Digest) -> Result<ByteStream, IngestError>;

    /// The image is unsound: `fault` is a sentence.
    fn unsound(&self, fault: String) -> IngestError;

    /// Reading a blob broke off.
    fn interrupted(&self, error: std::io::Error) -> IngestError;
}

/// The manifest or index that an image begins with.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub digest: Digest,
    pub size: u64,
    /// What it was announced as; empty when nobody said anything.
    pub media_type: String,
}

/// Why there is no plan.
pub(super) enum Unplanned {
    /// The source lacks content that the image refers to. Another description of the image may do without it.
    Incomplete(String),
    /// Anything else.
    Failed(IngestError),
}

impl From<IngestError> for Unplanned {
    fn from(error: IngestError) -> Self {
        Self::Failed(error)
    }
}

/// All that an image consists of, read and found consistent, with nothing stored yet.
#[derive(Debug)]
pub(super) struct Plan {
    root: Digest,
    media_type: String,
    platforms: Vec<ImagePlatform>,
    layers: BTreeMap<Digest, Layer>,
    /// Configs, then manifests, then indexes, inner ones first: each after what it refers to.
    documents: Vec<(Digest, Bytes)>,
}

#[derive(Debug)]
struct Layer {
    size: u64,
    /// Where it is used first, for messages: "layer 2 of linux/amd64".
    place: String,
    /// What its uncompressed bytes must be; one diffID unless two configs contradict each other.
    diff_ids: BTreeSet<Digest>,
}

/// Reads and checks everything but the layers.
pub(super) async fn plan(source: &dyn ImageSource, root: &Root, limits: &Limits) -> Result<Plan, Unplanned> {
    let mut planner = Planner {
        source,
        limits,
        held: 0,
        seen: BTreeSet::new(),
        platforms: Vec::new(),
        layers: BTreeMap::new(),
        indexes: Vec::new(),
        manifests: Vec::new(),
        configs: Vec::new(),
    };
    let media_type = planner.walk(root).await?;
    planner.finish(root.digest, media_type)
}

struct Planner<'a> {
    source: &'a dyn ImageSource,
    limits: &'a Limits,
    /// Bytes of all documents so far.
    held: u64,
    seen: BTreeSet<Digest>,
    /// With what the index called it.
    platforms: Vec<(ImagePlatform, Option<String>)>,
    layers: BTreeMap<Digest, Layer>,
    /// Indexes, outer ones first.
    indexes: Vec<(Digest, Bytes)>,
    manifests: Vec<(Digest, Bytes)>,
    configs: Vec<(Digest, Bytes)>,
}

impl Planner<'_> {
    /// Follows the root down to its configs. The root's media type comes back.
    async fn walk(&mut self, root: &Root) -> Result<String, Unplanned> {
        let mut media_type = None;
        let mut open = VecDeque::from([Visit {
            digest: root.digest,
            size: root.size,
            media_type: root.media_type.clone(),
            place: "the image".into(),
            platform: None,
            attachment: false,
        }]);
        while let Some(visit) = open.pop_front() {
            if !self.seen.insert(visit.digest) {
                continue;
            }
            if self.source.lacks(&visit.digest) {
                // Nobody deploys an attestation: an index without one is as good.
                if visit.attachment {
                    continue;
                }
                return Err(Unplanned::Incomplete(format!(
                    "the manifest of {} ({}) is missing: save the image again with all its platforms, or with one only (docker save --platform)",
                    visit.place, visit.digest
                )));
            }
            let name = format!("the manifest of {} ({})", visit.place, visit.digest);
            let bytes = self.source.manifest(&visit.digest, self.limits.manifest).await?;
            self.verify(&name, visit.digest, visit.size, &bytes)?;
            let (found, document) =
                document::parse(&bytes, &visit.media_type).map_err(|fault| self.unsound(&name, fault))?;
            media_type.get_or_insert(found);
            let kept = match document {
                Document::Index(_) => &mut self.indexes,
                Document::Manifest(_) => &mut self.manifests,
            };
            kept.push((visit.digest, bytes));
            match document {
                Document::Index(index) => {
                    for descriptor in index.manifests() {
                        open.push_back(self.visit(&name, descriptor, &visit)?);
                    }
                    if open.len() > 4 * self.limits.platforms {
                        return Err(self.too_many_platforms());
                    }
                }
                Document::Manifest(manifest) if visit.attachment => self.attachment(&name, &manifest).await?,
                Document::Manifest(manifest) => self.platform(&visit, &name, &manifest).await?,
            }
        }
        media_type.ok_or_else(|| Unplanned::Failed(self.source.unsound("the image has no manifest".into())))
    }

    fn visit(&self, name: &str, descriptor: &Descriptor, parent: &Visit) -> Result<Visit, Unplanned> {
        let digest = document::digest_of(descriptor).map_err(|fault| self.unsound(name, fault))?;
        let platform = document::announced_platform(descriptor);
        let attachment = parent.attachment || document::is_attachment(descriptor);
        let place = match (&platform, attachment) {
            (_, true) => "an attestation".to_owned(),
            (Some(platform), _) => format!("platform {platform}"),
            (None, _) => parent.place.clone(),
        };
        let media_type = descriptor.media_type().to_string();
        if !document::media_type::MANIFESTS.contains(&media_type.as_str()) {
            return Err(self.unsound(name, format!("refers to a {media_type:?}, which is no manifest")).into());
        }
        Ok(Visit { digest, size: descriptor.size(), media_type, place, platform, attachment })
    }

    /// Takes a platform's image: its config and its layers.
    async fn platform(&mut self, visit: &Visit, name: &str, manifest: &ImageManifest) -> Result<(), Unplanned> {
        document::check_manifest(manifest, self.limits).map_err(|fault| self.unsound(name, fault))?;
        let (config, bytes) = self.config(name, &visit.place, manifest.config()).await?;
        let identity = document::identity(&bytes)
            .map_err(|fault| self.unsound(&format!("the config of {} ({config})", visit.place), fault))?;
        let (layers, diff_ids) = (manifest.layers().len(), identity.diff_ids.len());
        if layers != diff_ids {
            let fault = format!("lists {layers} layers, but its config has {diff_ids} (rootfs.diff_ids)");
            return Err(self.unsound(name, fault).into());
        }
        for (position, (descriptor, diff_id)) in manifest.layers().iter().zip(identity.diff_ids).enumerate() {
            let place = format!("layer {} of {}", position + 1, visit.place);
            self.layer(name, place, descriptor, Some(diff_id))?;
        }
        let platform = ImagePlatform { platform: identity.platform, manifest: visit.digest, config };
        self.platforms.push((platform, visit.platform.clone()));
        if self.platforms.len() > self.limits.platforms {
            return Err(self.too_many_platforms());
        }
        Ok(())
    }

    /// Takes what is beside the image: stored for whoever asks, but never deployed, so only digests are checked.
    async fn attachment(&mut self, name: &str, manifest: &ImageManifest) -> Result<(), Unplanned> {
        for descriptor in [manifest.config()].into_iter().chain(manifest.layers()) {
            self.layer(name, "an attestation's content".into(), descriptor, None)?;
        }
        Ok(())
    }

    async fn config(&mut self, name: &str, place: &str, config: &Descriptor) -> Result<(Digest, Bytes), Unplanned> {
        let digest = document::digest_of(config).map_err(|fault| self.unsound(name, fault))?;
        let name = format!("the config of {place} ({digest})");
        if let Some((_, bytes)) = self.configs.iter().find(|(held, _)| *held == digest) {
            return Ok((digest, bytes.clone()));
        }
        if self.source.lacks(&digest) {
            return Err(Unplanned::Incomplete(format!("{name} is missing: save the image again")));
        }
        let bytes = read_bounded(self.source, &name, &digest, self.limits.config).await?;
        self.verify(&name, digest, config.size(), &bytes)?;
        self.configs.push((digest, bytes.clone()));
        Ok((digest, bytes))
    }

    fn layer(
        &mut self,
        name: &str,
        place: String,
        descriptor: &Descriptor,
        diff_id: Option<Digest>,
    ) -> Result<(), Unplanned> {
        let digest = document::digest_of(descriptor).map_err(|fault| self.unsound(name, fault))?;
        if self.source.lacks(&digest) {
            return Err(Unplanned::Incomplete(format!("{place} ({digest}) is missing: save the image again")));
        }
        let size = descriptor.size();
        let layer = self.layers.entry(digest).or_insert_with(|| Layer { size, place, diff_ids: BTreeSet::new() });
        if layer.size != size {
            let fault = format!("gives {digest} a size of {size} bytes here and of {} there", layer.size);
            return Err(self.unsound(name, fault).into());
        }
        layer.diff_ids.extend(diff_id);
        Ok(())
    }

    /// Verifies a document that is going to be kept.
    fn verify(&mut self, name: &str, digest: Digest, size: u64, bytes: &Bytes) -> Result<(), IngestError> {
        let (found, found_size) = (Digest::of(bytes), bytes.len() as u64);
        if found != digest {
            return Err(self.unsound(name, format!("is really {found}: the image is damaged or was tampered with")));
        }
        if size != found_size {
            return Err(self.unsound(name, format!("has {found_size} bytes, but {size} were announced")));
        }
        self.held += found_size;
        if self.held > self.limits.documents {
            let fault = format!("the image has more than {} bytes of manifests and configs", self.limits.documents);
            return Err(self.source.unsound(fault));
        }
        Ok(())
    }

    fn unsound(&self, name: &str, fault: impl std::fmt::Display) -> IngestError {
        self.source.unsound(format!("{name} {fault}"))
    }

    fn too_many_platforms(&self) -> Unplanned {
        let fault = format!("the image has too many platforms, {} are allowed", self.limits.platforms);
        Unplanned::Failed(self.source.unsound(fault))
    }

    fn finish(self, root: Digest, media_type: String) -> Result<Plan, Unplanned> {
        if self.platforms.is_empty() {
            let fault = "the image has no manifest for any platform: there is nothing to run";
            return Err(Unplanned::Failed(self.source.unsound(fault.into())));
        }
        let documents = self.configs.into_iter().chain(self.manifests).chain(self.indexes.into_iter().rev()).collect();
        Ok(Plan { root, media_type, platforms: distinct(self.platforms), layers: self.layers, documents })
    }
}

struct Visit {
    digest: Digest,
    size: u64,
    media_type: String,
    /// For messages: "platform linux/arm64".
    place: String,
    /// What the index calls it.
    platform: Option<String>,
    attachment: bool,
}

/// The platforms, sorted. A platform is what the config says, so that an image is the same however it arrives; only
/// where two configs say the same (old builders leave the ARM variant out) the index tells them apart.
fn distinct(platforms: Vec<(ImagePlatform, Option<String>)>) -> Vec<ImagePlatform> {
    let mut count = BTreeMap::<String, usize>::new();
    for (platform, _) in &platforms {
        *count.entry(platform.platform.clone()).or_default() += 1;
    }
    let mut platforms: Vec<_> = platforms
        .into_iter()
        .map(|(platform, announced)| match announced {
            Some(announced) if count[&platform.platform] > 1 => ImagePlatform { platform: announced, ..platform },
            _ => platform,
        })
        .collect();
    platforms.sort();
    platforms
}

async fn read_bounded(source: &dyn ImageSource, name: &str, digest: &Digest, limit: u64) -> Result<Bytes, IngestError> {
    let mut stream = source.blob(digest).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| stream_error(source, name, error))?);
        if bytes.len() as u64 > limit {
            return Err(source.unsound(format!("{name} has more than {limit} bytes, which is the limit")));
        }
    }
    Ok(bytes.into())
}

fn stream_error(source: &dyn ImageSource, name: &str, error: HarborError) -> IngestError {
    match error {
        HarborError::Source(error) => source.interrupted(error),
        HarborError::Mismatch { .. } | HarborError::TooLong { .. } => source.unsound(format!("{name}: {error}")),
        error => IngestError::Store(error),
    }
}

/// Stores all of it, children before parents.
pub(super) async fn carry_out(
    plan: Plan,
    harbor: &Arc<dyn ImageHarbor>,
    name: &str,
    source: &dyn ImageSource,
    limits: &Limits,
) -> Result<StoredImage, IngestError> {
    let budget = Arc::new(Budget::for_layers(limits));
    // A list, not a lazy iterator: a closure over borrowed layers would make this future impossible to spawn.
    let mut layers = Vec::with_capacity(plan.layers.len());
    for (digest, layer) in &plan.layers {
        layers.push(store_layer(harbor, source, digest, layer, &budget).boxed());
    }
    stream::iter(layers).buffer_unordered(limits.concurrency.max(1)).try_collect::<()>().await?;
    for (digest, bytes) in &plan.documents {
        let content = Box::pin(stream::once(std::future::ready(Ok(bytes.clone()))));
        harbor.store(digest, Some(bytes.len() as u64), content).await.map_err(IngestError::Store)?;
    }
    let layers = plan.layers.iter().map(|(digest, layer)| (*digest, layer.size));
    let blobs: BTreeMap<_, _> = plan.documents.iter().map(|(d, b)| (*d, b.len() as u64)).chain(layers).collect();
    Ok(StoredImage {
        name: name.to_owned(),
        digest: plan.root,
        media_type: plan.media_type,
        size: blobs.values().sum(),
        platforms: plan.platforms,
        blobs: blobs.into_keys().collect(),
    })
}

async fn store_layer(
    harbor: &Arc<dyn ImageHarbor>,
    source: &dyn ImageSource,
    digest: &Digest,
    layer: &Layer,
    budget: &Arc<Budget>,
) -> Result<(), IngestError> {
    let name = format!("{} ({digest})", layer.place);
    // An uncompressed layer is its own diffID: its digest is all there is to check.
    let mut diff_ids = layer.diff_ids.iter().filter(|diff_id| *diff_id != digest);
    let diff_id = diff_ids.next();
    if let Some(other) = diff_ids.next().or(diff_id.filter(|_| layer.diff_ids.contains(digest))) {
        let fault = format!("{name} has two diffIDs in the image's configs, one of them {other}: one of them lies");
        return Err(source.unsound(fault));
    }
    let written = match harbor.stat(digest).await.map_err(IngestError::Store)? {
        Some(size) if size != layer.size => {
            return Err(source.unsound(format!("{name} has {size} bytes, but {} were announced", layer.size)));
        }
        Some(_) => false,
        None => {
            let bytes = source.blob(digest).await?;
            let (bytes, verdict) = match diff_id {
                None => (bytes, layer::Verdict::default()),
                Some(diff_id) => layer::checked(bytes, *diff_id, budget.clone()),
            };
            match (harbor.store(digest, Some(layer.size), bytes).await, verdict.fault()) {
                (_, Some(fault)) => return Err(source.unsound(format!("{name} {fault}"))),
                (Err(error), None) => return Err(stream_error(source, &name, error)),
                (Ok(stored), None) => stored.written,
            }
        }
    };
    match diff_id {
        Some(diff_id) if !written => {
            let stored = harbor.read(digest, None).await.map_err(IngestError::Store)?;
            let (mut bytes, verdict) = layer::checked(stored, *diff_id, budget.clone());
            while let Some(chunk) = bytes.next().await {
                if let Err(error) = chunk {
                    return Err(match verdict.fault() {
                        Some(fault) => source.unsound(format!("{name} {fault}")),
                        None => IngestError::Store(error),
                    });
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
