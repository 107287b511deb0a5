//! What an event becomes: a pure function from an event to changes of rows.
//!
//! It sees one event and nothing else, so that the rows depend on the journal alone: no clock, no row that is read
//! first, no number that a database makes up. Raise [`PROJECTION_VERSION`](super::schema::PROJECTION_VERSION) with
//! every change here.

mod deployments;

use super::{
    change::{Change, Value, Values},
    schema::{
        APPLICATIONS, CHARTS, ENVIRONMENTS, EVENTS, IMAGE_DIGESTS, IMAGES, METADATA, OVERLAY_IMAGES, OVERLAYS,
        RELEASE_ENVIRONMENTS, RELEASES, REQUESTS, Table, UPLOADS,
    },
};
use crate::{
    api::{ImageSource, OverlayImage},
    chart_store::{AnsweredRequest, Deployment, Event, Fact, Spec, SpecChange, is_application},
    digest::Digest,
    release::{ChartRecord, Description, Release, StoredImage},
};

/// The changes that an event makes, in order. The cursor is not among them.
pub fn project(event: &Event) -> Vec<Change> {
    let mut changes = Changes { event, made: Vec::new() };
    if let Fact::Request(request) = &event.fact {
        changes.requested(request);
        return changes.made.into_iter().map(Change::cut).collect();
    }
    changes.history();
    match &event.fact {
        Fact::Stored { release } => changes.stored(release),
        Fact::Described { version, description } => changes.described(version, description),
        Fact::Charted { version, chart } => changes.charted(version, chart),
        Fact::Selected { environment, version, chart_digest, reason } => changes.put(
            &ENVIRONMENTS,
            [
                ("environment", environment.as_str().into()),
                ("version", version.as_str().into()),
                ("chart_digest", (*chart_digest).into()),
                ("reason", word(reason)),
                ("selected_at", event.time.into()),
                ("selected_by", event.actor.as_str().into()),
                ("removed_at", Value::Null),
            ],
        ),
        Fact::Rendered { environment, version, artifact, inputs_digest, objects, images } => {
            changes.rendered(environment, version.as_deref(), (*artifact, *inputs_digest), *objects, images);
        }
        Fact::EnvironmentRemoved { environment } => {
            changes.deselected(environment);
            let removed = [("environment", environment.as_str().into()), ("removed_at", event.time.into())];
            changes.put(&ENVIRONMENTS, removed);
        }
        Fact::UploadDeleted { version, retention_policy, .. } => changes.set(
            &UPLOADS,
            [
                ("version", version.as_str().into()),
                ("deleted_at", event.time.into()),
                ("deleted_by", event.actor.as_str().into()),
                ("retention", word(retention_policy)),
            ],
        ),
        Fact::Purged { version, .. } => changes.set(
            &RELEASES,
            [
                ("version", version.as_str().into()),
                ("purged_at", event.time.into()),
                ("purged_by", event.actor.as_str().into()),
            ],
        ),
        Fact::Deployment(fact) => changes.deployed(fact),
        // Part of the history and no more than that; a newer program's to this one.
        Fact::Changed(_) | Fact::Request(_) | Fact::Unknown(_) => {}
    }
    changes.made.into_iter().map(Change::cut).collect()
}

/// The changes of one event while they are collected.
struct Changes<'a> {
    event: &'a Event,
    made: Vec<Change>,
}

impl Changes<'_> {
    /// The values, after those that name the event's application.
    fn of_application(&self, values: impl IntoIterator<Item = (&'static str, Value)>) -> Values {
        let key = &self.event.key;
        let application =
            [("namespace", key.namespace.as_str().into()), ("application", key.application.as_str().into())];
        application.into_iter().chain(values).collect()
    }

    fn add(&mut self, table: &'static Table, values: impl IntoIterator<Item = (&'static str, Value)>) {
        self.made.push(Change::Add(table, self.of_application(values)));
    }

    fn put(&mut self, table: &'static Table, values: impl IntoIterator<Item = (&'static str, Value)>) {
        self.made.push(Change::Put(table, self.of_application(values)));
    }

    fn keep(&mut self, table: &'static Table, values: impl IntoIterator<Item = (&'static str, Value)>) {
        self.made.push(Change::Keep(table, self.of_application(values)));
    }

    fn set(&mut self, table: &'static Table, values: impl IntoIterator<Item = (&'static str, Value)>) {
        self.made.push(Change::Set(table, self.of_application(values)));
    }

    fn remove(&mut self, table: &'static Table, values: impl IntoIterator<Item = (&'static str, Value)>) {
        self.made.push(Change::Remove(table, self.of_application(values)));
    }

    /// What every event but of requests becomes.
    fn history(&mut self) {
        let event = self.event;
        if !is_application(&event.key) {
            // There is no application to tell of.
        } else if event.seq == 1 {
            let time = || Value::from(event.time);
            self.add(&APPLICATIONS, [("first_event_at", time()), ("last_event_at", time())]);
        } else {
            self.set(&APPLICATIONS, [("last_event_at", event.time.into())]);
        }
        self.add(
            &EVENTS,
            [
                ("seq", event.seq.into()),
                ("id", event.id.into()),
                ("prev_hash", event.prev_hash.into()),
                ("hash", event.hash().into()),
                ("schema_version", i64::from(event.schema_version).into()),
                ("occurred_at", event.time.into()),
                ("actor", event.actor.as_str().into()),
                ("transition", event.fact.transition().into()),
                ("version", event.fact.version().into()),
                ("environment", environment(&event.fact).into()),
                ("digest", event.fact.digest().into()),
                ("detail", detail(&event.fact).into()),
                ("spec_digest", event.spec.as_ref().map(|spec| spec.digest).into()),
                ("about", about(event).into()),
                ("object", object(&event.fact).into()),
                ("digest_before", digest_before(&event.fact).into()),
            ],
        );
    }

    fn requested(&mut self, request: &AnsweredRequest) {
        let event = self.event;
        self.add(
            &REQUESTS,
            [
                ("seq", event.seq.into()),
                ("id", event.id.into()),
                ("prev_hash", event.prev_hash.into()),
                ("hash", event.hash().into()),
                ("occurred_at", request.first.into()),
                ("last_at", request.last.into()),
                ("actor", event.actor.as_str().into()),
                ("address", request.address.as_deref().into()),
                ("method", request.method.as_str().into()),
                ("path", request.path.as_str().into()),
                ("about_namespace", request.namespace.as_deref().into()),
                ("about", request.application.as_deref().into()),
                ("status", request.status.map(i64::from).into()),
                ("stream", request.stream.as_ref().and_then(text).into()),
                ("count", request.count.into()),
                ("request_id", request.request.as_str().into()),
            ],
        );
    }

    fn stored(&mut self, release: &Release) {
        let event = self.event;
        let version = || Value::from(release.version.as_str());
        self.set(&APPLICATIONS, [("last_version", version())]);
        self.add(
            &RELEASES,
            [
                ("version", version()),
                ("digest", release.digest.into()),
                ("stored_at", event.time.into()),
                ("stored_by", event.actor.as_str().into()),
                ("stored_seq", event.seq.into()),
            ],
        );
        let sources: Vec<_> = release.sources.values().map(source).collect();
        self.add(
            &UPLOADS,
            [
                ("version", version()),
                ("uploaded_at", event.time.into()),
                ("uploaded_by", event.actor.as_str().into()),
                ("source", sources.join(", ").into()),
                ("release_digest", release.digest.into()),
            ],
        );
        for image in &release.images {
            self.image(&release.version, image);
        }
    }

    fn image(&mut self, version: &str, image: &StoredImage) {
        let platforms: Vec<_> = image.platforms.iter().map(|platform| platform.platform.as_str()).collect();
        self.add(
            &IMAGES,
            [
                ("version", version.into()),
                ("name", image.name.as_str().into()),
                ("digest", image.digest.into()),
                ("media_type", image.media_type.as_str().into()),
                ("size", image.size.into()),
                ("platforms", platforms.join(", ").into()),
            ],
        );
        let mut digests = vec![image.digest];
        digests.extend(image.platforms.iter().flat_map(|platform| [platform.manifest, platform.config]));
        digests.sort();
        digests.dedup();
        for digest in digests {
            self.add(
                &IMAGE_DIGESTS,
                [
                    ("digest", digest.into()),
                    ("version", version.into()),
                    ("name", image.name.as_str().into()),
                    ("image_digest", image.digest.into()),
                ],
            );
        }
    }

    fn described(&mut self, version: &str, description: &Description) {
        let origin = description.origin.as_ref();
        self.set(
            &RELEASES,
            [
                ("version", version.into()),
                ("owner", description.owner.as_deref().into()),
                ("origin_revision", origin.map(|origin| origin.revision.as_str()).into()),
                ("origin_committed_at", origin.and_then(|origin| origin.committed_at).into()),
                ("origin_url", origin.and_then(|origin| origin.url.as_deref()).into()),
            ],
        );
        self.remove(&RELEASE_ENVIRONMENTS, [("version", version.into())]);
        self.remove(&METADATA, [("version", version.into())]);
        for environment in &description.environments {
            let values = [("version", version.into()), ("environment", environment.as_str().into())];
            self.put(&RELEASE_ENVIRONMENTS, values);
        }
        for (name, value) in &description.metadata {
            // Two names that are the same once cut are one: the later wins, in every projection.
            let values =
                [("version", version.into()), ("name", name.as_str().into()), ("value", value.as_str().into())];
            self.put(&METADATA, values);
        }
    }

    fn charted(&mut self, version: &str, chart: &ChartRecord) {
        self.add(
            &CHARTS,
            [
                ("version", version.into()),
                ("digest", chart.digest.into()),
                ("package_digest", chart.package.into()),
                ("size", chart.size.into()),
                ("unrestricted", chart.unrestricted.as_deref().into()),
                ("published_at", self.event.time.into()),
            ],
        );
    }

    /// Nothing is selected in an environment any more: it is gone, or runs manifests of its own.
    fn deselected(&mut self, environment: &str) {
        self.put(
            &ENVIRONMENTS,
            [
                ("environment", environment.into()),
                ("version", Value::Null),
                ("chart_digest", Value::Null),
                ("reason", Value::Null),
                ("selected_at", Value::Null),
                ("selected_by", Value::Null),
            ],
        );
    }

    fn rendered(
        &mut self,
        environment: &str,
        version: Option<&str>,
        (artifact, inputs): (Digest, Digest),
        objects: u32,
        images: &[OverlayImage],
    ) {
        let event = self.event;
        if version.is_none() {
            self.deselected(environment);
        }
        self.put(
            &ENVIRONMENTS,
            [
                ("environment", environment.into()),
                ("rendered_version", version.into()),
                ("artifact", artifact.into()),
                ("inputs_digest", inputs.into()),
                ("objects", i64::from(objects).into()),
                ("rendered_at", event.time.into()),
                ("rendered_seq", event.seq.into()),
                ("removed_at", Value::Null),
            ],
        );
        self.add(
            &OVERLAYS,
            [
                ("seq", event.seq.into()),
                ("environment", environment.into()),
                ("version", version.into()),
                ("artifact", artifact.into()),
                ("inputs_digest", inputs.into()),
                ("objects", i64::from(objects).into()),
                ("rendered_at", event.time.into()),
            ],
        );
        for (position, image) in (0_i64..).zip(images) {
            self.add(
                &OVERLAY_IMAGES,
                [
                    ("seq", event.seq.into()),
                    ("position", position.into()),
                    ("environment", environment.into()),
                    ("reference", image.reference.as_str().into()),
                    ("digest", image.digest.into()),
                    ("tracked", i64::from(image.tracked).into()),
                ],
            );
        }
    }
}

/// The application that an event is about.
pub(super) fn about(event: &Event) -> Option<&str> {
    match &event.fact {
        Fact::Changed(change) => change.application.as_deref(),
        Fact::Request(request) => request.application.as_deref(),
        _ => is_application(&event.key).then_some(event.key.application.as_str()),
    }
}

/// The environment that a fact is about.
pub(super) fn environment(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Changed(change) => change.environment.as_deref(),
        other => other.environment(),
    }
}

/// The object that a fact is about, where it is one's spec.
pub(super) fn object(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Changed(change) => Some(change.object()),
        _ => None,
    }
}

/// The digest of the spec that was before.
pub(super) fn digest_before(fact: &Fact) -> Option<Digest> {
    match fact {
        Fact::Changed(change) => change.before.map(|spec| spec.digest),
        _ => None,
    }
}

/// What became of a spec, by the generations that were seen of it.
fn generations(SpecChange { before, after, .. }: &SpecChange) -> String {
    match (before, after) {
        (None, Some(Spec { generation, .. })) => format!("new, generation {generation}"),
        (Some(Spec { generation: from, .. }), Some(Spec { generation: to, .. })) => {
            format!("generation {from} to {to}")
        }
        (Some(Spec { generation, .. }), None) => format!("gone after generation {generation}"),
        (None, None) => "gone".to_owned(),
    }
}

/// What a person wants to know of an event besides its version, environment and digest.
pub(super) fn detail(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Stored { release } => {
            let images: Vec<_> =
                release.images.iter().map(|image| format!("{} {}", image.name, image.digest)).collect();
            Some(images.join(", "))
        }
        Fact::Described { description, .. } => Some(match description.environments.as_slice() {
            [] => "for no environment".to_owned(),
            environments => format!("for {}", environments.join(", ")),
        }),
        Fact::Charted { chart, .. } => chart.unrestricted.clone(),
        Fact::Selected { reason, .. } => text(reason),
        Fact::Rendered { objects, .. } => Some(format!("{objects} object{}", if *objects == 1 { "" } else { "s" })),
        Fact::UploadDeleted { upload, retention_policy, .. } => Some(format!("{upload}, {retention_policy:?}")),
        Fact::Deployment(Deployment { cluster, state, detail, .. }) => {
            let place = format!("{} in {cluster}", state.as_str());
            Some(detail.as_ref().map_or_else(|| place.clone(), |detail| format!("{place}: {detail}")))
        }
        Fact::Changed(change) => Some(format!("{}: {}", change.object(), generations(change))),
        Fact::EnvironmentRemoved { .. } | Fact::Purged { .. } | Fact::Request(_) | Fact::Unknown(_) => None,
    }
}

/// Where an image came from.
fn source(source: &ImageSource) -> String {
    match (&source.reference, &source.archive) {
        (Some(reference), _) => reference.image.clone(),
        (None, Some(archive)) => format!("archive {}", archive.sha256),
        (None, None) => String::new(),
    }
}

/// A unit variant as it is serialised.
pub(super) fn text(variant: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(variant).ok()?.as_str().map(str::to_owned)
}

fn word(variant: &impl serde::Serialize) -> Value {
    text(variant).into()
}

#[cfg(test)]
mod tests;
