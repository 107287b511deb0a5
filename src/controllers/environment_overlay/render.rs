//! Renders what is new, publishes it as an artifact, records it.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::ResourceExt;

use crate::{
    api::{EnvironmentOverlay, OverlayArtifact, OverlayImage, annotation, reason},
    chart_store::{Entry, EnvironmentRecord, Fact, RenderedRecord},
    controllers::{
        context::{Context, PLANE},
        outcome::Halt,
    },
    digest::Digest,
    image_harbor,
    overlay::{
        artifact::Artifact,
        inputs::{BaseInput, Inputs, Surroundings},
        renderer::Rendering,
    },
    registry::repository::{Collection, Repository},
    release::ApplicationKey,
};

/// The largest packaged chart that is rendered, in bytes: what the renderer takes in one request.
const MAX_CHART: u64 = 32 * 1024 * 1024;
/// How many images a status lists; the journal's entry has the same.
const MAX_IMAGES: usize = 64;

/// The environment's artifact: the one it has, where nothing it depends on has changed, else a new one.
pub async fn render(
    context: &Context,
    object: &EnvironmentOverlay,
    key: &ApplicationKey,
    base: BaseInput,
    version: Option<&str>,
) -> Result<OverlayArtifact, Halt> {
    let surroundings = Surroundings {
        registry_host: &context.installation.registry_host,
        image_pull_secret: context.installation.image_pull_secret.as_deref(),
        kube_version: &context.installation.kube_version,
        versions: context.renderer.versions().await?,
    };
    let from_chart = matches!(base, BaseInput::Chart(_));
    let inputs = Inputs::new(&object.spec, &key.namespace, base, &surroundings);
    let inputs_digest = inputs.digest();
    let environment = &object.spec.environment;
    let known = context.chart_store.environment(key, environment).await?;
    // Manifests of its own that were rendered before something was selected have to be recorded anew.
    let stands = |record: &EnvironmentRecord| !record.removed && record.selected.is_some() == version.is_some();
    let known = known.filter(stands).and_then(|record| record.rendered);
    if let Some(known) = known.filter(|known| known.inputs_digest == inputs_digest) {
        return Ok(as_recorded(context, key, environment, known));
    }

    let chart = match version.filter(|_| from_chart) {
        Some(version) => Some(STANDARD.encode(package(context, key, version).await?)),
        None => None,
    };
    let uid = object.uid().unwrap_or_default();
    let question = Digest::of_canonical(&(inputs_digest, object.annotations().get(annotation::REQUESTED_AT)));
    if let Some(halt) = context.refusals.standing(&uid, &question) {
        return Err(halt);
    }
    let rendering = match render_twice(context, &inputs, chart).await {
        Ok(rendering) => rendering,
        Err(halt) => {
            context.refusals.remember(&uid, question, &halt);
            return Err(halt);
        }
    };
    context.refusals.forget(&uid);
    let artifact = publish(context, key, &rendering, &object.name_any(), version).await?;
    let record = RenderedRecord {
        version: version.map(str::to_owned),
        artifact,
        inputs_digest,
        objects: u32::try_from(rendering.objects.len()).unwrap_or(u32::MAX),
        images: images(context, key, &rendering.images).await?,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let fact = Fact::Rendered {
        environment: environment.clone(),
        version: record.version.clone(),
        artifact,
        inputs_digest,
        objects: record.objects,
        images: record.images.clone(),
    };
    // What was selected may be rendered anew with other values; an overlay's own manifests are in the artifact.
    let spec = match version {
        Some(_) => Some(context.spec_text(key, &object.spec).await?),
        None => None,
    };
    let entry = Entry { actor: PLANE.to_owned(), fact, spec, chart_package: None };
    context.chart_store.record(key, entry).await?;
    Ok(as_recorded(context, key, environment, record))
}

fn as_recorded(context: &Context, key: &ApplicationKey, environment: &str, record: RenderedRecord) -> OverlayArtifact {
    let repository = Repository { collection: Collection::Overlays, key: key.clone() };
    let url = repository.url(&context.installation.registry_host);
    OverlayArtifact {
        digest: record.artifact,
        inputs_digest: record.inputs_digest,
        objects: i32::try_from(record.objects).unwrap_or(i32::MAX),
        images: record.images,
        url: url.map(|url| format!("{url}:{environment}")),
    }
}

/// The packaged chart of a version, from wherever it lies.
async fn package(context: &Context, key: &ApplicationKey, version: &str) -> Result<Vec<u8>, Halt> {
    if let Some(package) = context.chart_store.chart_package(key, version).await? {
        return Ok(package.to_vec());
    }
    let chart = context.chart_store.release(key, version).await?.and_then(|record| record.chart);
    let chart = chart.ok_or_else(|| {
        Halt::waiting(reason::AWAITING_CHART, format!("the chart of version {version} is not published yet"))
    })?;
    Ok(image_harbor::read_to_vec(context.harbor.as_ref(), &chart.package, MAX_CHART).await?)
}

/// What differs between two renderings of the same input differs between two replicas and two days: it is refused.
async fn render_twice(context: &Context, inputs: &Inputs, chart: Option<String>) -> Result<Rendering, Halt> {
    let first = context.renderer.render(inputs.request(chart.clone())).await?;
    let second = context.renderer.render(inputs.request(chart)).await?;
    if first == second {
        return Ok(first);
    }
    let difference = first.manifest.lines().zip(second.manifest.lines()).find(|(one, other)| one != other);
    let place = difference.map_or_else(String::new, |(one, _)| format!(", first in {:?}", one.trim()));
    Err(Halt::stalled(
        reason::NON_DETERMINISTIC,
        format!("the same input gave two results{place}: templates must not use random values, the time or lookups"),
    ))
}

/// Stores and links the artifact's blobs, the manifest last.
async fn publish(
    context: &Context,
    key: &ApplicationKey,
    rendering: &Rendering,
    title: &str,
    version: Option<&str>,
) -> Result<Digest, Halt> {
    let artifact = Artifact::of(rendering, title, version)
        .map_err(|error| Halt::stalled(reason::INVALID_SPEC, format!("the rendering cannot be packed: {error}")))?;
    let mut blobs = Vec::new();
    for blob in artifact.all_blobs() {
        blobs.push(image_harbor::store_bytes(context.harbor.as_ref(), blob.clone()).await?);
    }
    context.chart_store.link(key, &blobs).await?;
    Ok(artifact.digest())
}

/// The images that the manifests run, and which of them the plane stores for this application.
async fn images(context: &Context, key: &ApplicationKey, references: &[String]) -> Result<Vec<OverlayImage>, Halt> {
    let mut images = Vec::new();
    for reference in references.iter().take(MAX_IMAGES) {
        let digest: Option<Digest> = reference.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok());
        let tracked = match &digest {
            Some(digest) => context.chart_store.is_linked(key, digest).await?,
            None => false,
        };
        images.push(OverlayImage { reference: reference.chars().take(1024).collect(), digest, tracked });
    }
    Ok(images)
}
