//! Gets the image into the Harbor: out of an archive that was sent here, or from a registry.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::request::{MAIN, Request};
use crate::{
    api::{ArchiveSource, ImageUpload, ImageUploadStatus, LocalRef, ReferenceSource, UploadStatus, annotation, reason},
    chart_store::{SessionState, UploadSession},
    controllers::{context::Context, intake::Place, outcome::Halt, reconcile::progress, sweep},
    digest::Digest,
    image_harbor::{
        HarborError,
        ingest::{IngestError, RegistryAuth, StagedArchive, from_archive, from_reference, registry_auth},
    },
    release::StoredImage,
};

/// How long an upload session is good for.
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// The type of a Secret with registry credentials, and the key they are under (Kubernetes, "Docker config Secrets").
const DOCKER_CONFIG: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");

/// The image, complete in the Harbor and not yet linked to anybody.
pub async fn acquire(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    status: &mut ImageUploadStatus,
) -> Result<StoredImage, Halt> {
    match (&request.source.archive, &request.source.reference) {
        (Some(archive), _) => from_upload(context, object, request, archive, status).await,
        (None, Some(reference)) => {
            status.upload = None;
            let place = place(context, request)?;
            progress(object, context, status, format!("pulling {}", reference.image)).await?;
            pull(context, request, reference, place).await
        }
        (None, None) => Err(Halt::stalled(reason::INVALID_SPEC, "the image has no source")),
    }
}

/// Where a crowd of the namespace waits already, this one comes back when it is woken, or else by and by.
fn place(context: &Context, request: &Request<'_>) -> Result<Place, Halt> {
    context.intakes.line_up(&request.key).ok_or_else(|| {
        let message = "waits until other images of the namespace have been taken in";
        Halt::retry(reason::PROGRESSING, message)
    })
}

async fn pull(
    context: &Context,
    request: &Request<'_>,
    source: &ReferenceSource,
    place: Place,
) -> Result<StoredImage, Halt> {
    let auth = match &source.pull_secret_ref {
        Some(secret) => credentials(context, &request.key.namespace, secret, &source.image).await?,
        None => RegistryAuth::default(),
    };
    let limits = &context.installation.limits;
    let _turn = place.turn().await;
    Ok(from_reference(&context.harbor, MAIN, &source.image, &auth, limits).await?)
}

/// What the pull Secret says for the image's registry. Nothing of it goes into a message.
async fn credentials(
    context: &Context,
    namespace: &str,
    reference: &LocalRef,
    image: &str,
) -> Result<RegistryAuth, Halt> {
    let unusable = |problem: String| {
        let message = format!("Secret {namespace}/{} cannot be used to pull {image}: {problem}", reference.name);
        Halt::stalled_outside(reason::PULL_SECRET_INVALID, message)
    };
    let secret = context.api::<Secret>(namespace).get_opt(&reference.name).await?;
    let secret = secret
        .ok_or_else(|| unusable("it does not exist; create it with kubectl create secret docker-registry".into()))?;
    let (type_, key) = DOCKER_CONFIG;
    let config = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .ok_or_else(|| unusable(format!("it has no key {key}; it must be of type {type_}")))?;
    registry_auth(&config.0, image).map_err(|error| unusable(error.to_string()))
}

async fn from_upload(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    archive: &ArchiveSource,
    status: &mut ImageUploadStatus,
) -> Result<StoredImage, Halt> {
    let session = session(context, object, request, archive).await?;
    status.upload = Some(UploadStatus { url: url(context, request, &session.id), sha256: archive.sha256 });
    if session.state != SessionState::Complete {
        return Err(Halt::waiting(
            reason::AWAITING_UPLOAD,
            format!(
                "waits for the {} bytes of the archive {} at status.upload.url (`orbit upload` sends them) until {}",
                archive.size, archive.sha256, session.expires_at
            ),
        ));
    }
    let place = place(context, request)?;
    progress(object, context, status, format!("taking in the image of the archive {}", archive.sha256)).await?;
    let chunks = context.chart_store.session_chunks(&session.id).await?;
    let staged = StagedArchive::new(context.harbor.clone(), session.id.clone(), chunks);
    let limits = &context.installation.limits;
    let _turn = place.turn().await;
    match from_archive(&context.harbor, MAIN, &staged, &archive.sha256, limits).await {
        Ok(image) => Ok(image),
        Err(error) => {
            let lost = matches!(&error, IngestError::Store(HarborError::NotStaged { .. }));
            if lost || !error.is_transient() {
                // Sending the same bytes again would end here again; if they are gone, a new session has to begin.
                sweep::forget(context, &session.id).await?;
                status.upload = None;
            }
            Err(error.into())
        }
    }
}

/// The object's upload session: the one that its status names while that is good, else a new one.
async fn session(
    context: &Context,
    object: &ImageUpload,
    request: &Request<'_>,
    archive: &ArchiveSource,
) -> Result<UploadSession, Halt> {
    let key_hash = upload_key(object)?;
    let reported = object.status.as_ref().and_then(|status| status.upload.as_ref()).and_then(session_id);
    let current = match reported {
        Some(id) => context.chart_store.session(id).await?.filter(|session| {
            session.key == request.key && session.expected == archive.sha256 && session.expires_at > Timestamp::now()
        }),
        None => None,
    };
    let id = match &current {
        Some(session) => session.id.clone(),
        // The same until a new look is asked for, whoever dies before the status names it.
        None => Digest::of_canonical(&(
            (context.chart_store.plane(), object.uid()),
            (archive.sha256, object.annotations().get(annotation::REQUESTED_AT)),
        ))
        .hex(),
    };
    let wanted = UploadSession {
        id,
        key: request.key.clone(),
        expected: archive.sha256,
        size: u64::try_from(archive.size).unwrap_or_default(),
        key_hash,
        offset: 0,
        state: SessionState::Open,
        expires_at: to_the_second(Timestamp::now() + SESSION_LIFETIME),
    };
    Ok(context.chart_store.open_session(&wanted).await?)
}

/// The hash of the key that authorises sending the archive.
fn upload_key(object: &ImageUpload) -> Result<Digest, Halt> {
    let name = annotation::UPLOAD_KEY;
    let Some(text) = object.annotations().get(name) else {
        let message = format!(
            "nobody may send the archive yet: run `orbit upload FILE`, which announces a key in the annotation {name}"
        );
        return Err(Halt::waiting(reason::AWAITING_UPLOAD, message));
    };
    text.parse().map_err(|error| {
        Halt::stalled(
            reason::INVALID_SPEC,
            format!("the annotation {name} must be sha256:<hex> of the upload key: {error}"),
        )
    })
}

fn url(context: &Context, request: &Request<'_>, session: &str) -> String {
    let base = context.installation.public_url.as_str().trim_end_matches('/');
    format!("{base}/v2/{}/blobs/uploads/{session}", request.key.repository())
}

/// The session that a status names.
pub fn session_id(upload: &UploadStatus) -> Option<&str> {
    upload.url.rsplit('/').next().filter(|id| !id.is_empty())
}

/// People read it.
fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
