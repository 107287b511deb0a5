//! Following the ImageUpload: what the plane says of it, and what that means for this run.

use std::{pin::Pin, time::Duration};

use anyhow::bail;
use futures::{Stream, StreamExt};
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Instant, timeout_at};

use super::progress::Progress;
use crate::{
    api::{Condition, ConditionStatus, ImageUpload, condition_type},
    digest::Digest,
};

/// What this run asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    uid: Option<String>,
    generation: i64,
    version: String,
    archive: Option<Digest>,
}

impl Asked {
    /// By applying `object`, with an archive of this digest.
    pub fn by(object: &ImageUpload, archive: Option<Digest>) -> Self {
        Self {
            uid: object.metadata.uid.clone(),
            generation: object.metadata.generation.unwrap_or_default(),
            version: object.spec.version.clone(),
            archive,
        }
    }
}

/// How far the plane is with what was asked for.
#[derive(Debug, PartialEq)]
pub enum Stage {
    /// It is at work, or has not seen it yet.
    Waiting(Box<ImageUpload>),
    /// It wants the archive's bytes, at this URL.
    Send(String),
    /// The release is stored; its chart is not there yet.
    Stored(Box<ImageUpload>),
    /// All is done.
    Ready(Box<ImageUpload>),
    /// Nothing more will happen by itself.
    Stalled(Box<ImageUpload>, Condition),
}

/// Why the object is not this run's any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Astray {
    /// It is gone, or another one has its name.
    #[error("the ImageUpload was deleted while this command waited for it")]
    Deleted,
    /// Somebody asked for something else.
    #[error(
        "somebody else changed the ImageUpload while this command waited for it: it asks for version {version} now{}",
        if *.same_version { " with another image" } else { "" }
    )]
    Changed {
        /// The version it asks for now.
        version: String,
        /// Whether that is the version this run asked for.
        same_version: bool,
    },
}

/// What `object` means for a run that asked for `asked` and has sent the archive to `sessions` already.
pub fn stage(object: &ImageUpload, asked: &Asked, sessions: &[String]) -> Result<Stage, Astray> {
    if object.metadata.uid != asked.uid || object.metadata.deletion_timestamp.is_some() {
        return Err(Astray::Deleted);
    }
    if object.metadata.generation.unwrap_or_default() < asked.generation {
        return Ok(Stage::Waiting(Box::new(object.clone())));
    }
    let archive = object.spec.images.first().and_then(|i| i.source.archive.as_ref()).map(|archive| archive.sha256);
    let same_version = object.spec.version == asked.version;
    if !same_version || archive != asked.archive {
        return Err(Astray::Changed { version: object.spec.version.clone(), same_version });
    }

    let Some(status) = &object.status else { return Ok(Stage::Waiting(Box::new(object.clone()))) };
    let condition = |of_type: &str| {
        status.conditions.iter().find(|condition| {
            let observed = condition.observed_generation.or(status.observed_generation);
            condition.type_ == of_type
                && condition.status == ConditionStatus::True
                && observed.unwrap_or_default() >= asked.generation
        })
    };
    if let Some(stalled) = condition(condition_type::STALLED) {
        return Ok(Stage::Stalled(Box::new(object.clone()), stalled.clone()));
    }
    if status.release.as_ref().is_some_and(|release| release.version == asked.version) {
        return Ok(match condition(condition_type::READY) {
            Some(_) => Stage::Ready(Box::new(object.clone())),
            None => Stage::Stored(Box::new(object.clone())),
        });
    }
    Ok(match &status.upload {
        Some(upload) if Some(upload.sha256) == asked.archive && !sessions.contains(&upload.url) => {
            Stage::Send(upload.url.clone())
        }
        _ => Stage::Waiting(Box::new(object.clone())),
    })
}

/// A watch on the object of this run.
pub struct Follower {
    events: Pin<Box<dyn Stream<Item = Result<Option<ImageUpload>, watcher::Error>> + Send>>,
    asked: Asked,
    waiting_since: Instant,
    last_words: LastWords,
}

/// What the plane said last, and before that: while it tries again, the last word alone does not tell why.
#[derive(Debug, Default)]
struct LastWords {
    last: Option<String>,
    before: Option<String>,
}

impl LastWords {
    fn hear(&mut self, word: String) {
        if self.last.as_ref() != Some(&word) {
            self.before = self.last.replace(word);
        }
    }

    /// Why nothing came of it within the time that was given.
    fn too_late(&self, timeout: Duration) -> String {
        match (&self.last, &self.before) {
            (Some(last), Some(before)) => {
                format!("not ready after {timeout:?}; the plane said last: {last} (and before that: {before})")
            }
            (Some(last), None) => format!("not ready after {timeout:?}; the plane said last: {last}"),
            (None, _) => format!(
                "the plane has not looked at it in {timeout:?}: is `orbit controller` running for this cluster?"
            ),
        }
    }
}

impl Follower {
    /// Follows the object of this name.
    pub fn of(api: Api<ImageUpload>, name: &str, asked: Asked) -> Self {
        let events = Box::pin(watcher::watch_object(api, name).default_backoff());
        Self { events, asked, waiting_since: Instant::now(), last_words: LastWords::default() }
    }

    /// The wait for the plane begins anew.
    pub fn restart_clock(&mut self) {
        self.waiting_since = Instant::now();
    }

    /// The next stage that the plane is seen in, within `timeout` of the beginning of the wait.
    pub async fn next(&mut self, timeout: Duration, sessions: &[String], progress: &Progress) -> anyhow::Result<Stage> {
        loop {
            let Ok(event) = timeout_at(self.waiting_since + timeout, self.events.next()).await else {
                bail!(self.last_words.too_late(timeout));
            };
            match event {
                Some(Ok(Some(object))) => {
                    if let Some(word) = ready_word(&object) {
                        progress.note(&word);
                        self.last_words.hear(word);
                    }
                    return Ok(stage(&object, &self.asked, sessions)?);
                }
                Some(Ok(None)) | None => bail!(Astray::Deleted),
                Some(Err(error)) => match refusal(&error) {
                    Some(message) => bail!("the ImageUpload was applied, but cannot be followed: {message}"),
                    None => progress.note(&format!("watching the ImageUpload: {error}; trying again")),
                },
            }
        }
    }
}

/// The plane's own word for how it is.
fn ready_word(object: &ImageUpload) -> Option<String> {
    let ready = object.status.as_ref()?.conditions.iter().find(|c| c.type_ == condition_type::READY)?;
    Some(format!("{}: {}", ready.reason, ready.message))
}

/// The API server's message where trying again is of no use: the user may not watch, or the kind is gone.
fn refusal(error: &watcher::Error) -> Option<&str> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if matches!(status.code, 401 | 403 | 404) =>
        {
            Some(&status.message)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URL: &str = "http://plane/v2/shop/web/blobs/uploads/1";

    fn asked() -> Asked {
        Asked { uid: Some("u".into()), generation: 2, version: "1.4.0".into(), archive: Some(Digest::of("archive")) }
    }

    fn object(generation: i64, status: serde_json::Value) -> ImageUpload {
        serde_json::from_value(json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "ImageUpload",
            "metadata": {"name": "web", "uid": "u", "generation": generation},
            "spec": {
                "application": "web",
                "version": "1.4.0",
                "images": [{"name": "main", "source": {"archive": {"sha256": Digest::of("archive"), "size": 7}}}],
            },
            "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, observed: i64) -> serde_json::Value {
        json!({"type": type_, "status": "True", "reason": "R", "message": "m", "observedGeneration": observed, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn stage_of(object: &ImageUpload) -> Stage {
        stage(object, &asked(), &[]).unwrap()
    }

    #[test]
    fn sends_where_the_status_says_once() {
        let wanted = object(2, json!({"upload": {"url": URL, "sha256": Digest::of("archive")}}));
        assert_eq!(stage_of(&wanted), Stage::Send(URL.into()));
        assert!(matches!(stage(&wanted, &asked(), &[URL.into()]), Ok(Stage::Waiting(_))));
        let other = object(2, json!({"upload": {"url": URL, "sha256": Digest::of("the one before")}}));
        assert!(matches!(stage_of(&other), Stage::Waiting(_)));
    }

    #[test]
    fn is_ready_when_the_version_is_stored_and_ready() {
        let release = json!({"version": "1.4.0", "digest": Digest::of("r")});
        let stored = object(2, json!({"release": release, "conditions": [condition("Ready", 1)]}));
        assert!(matches!(stage_of(&stored), Stage::Stored(_)));
        let ready = object(2, json!({"release": release, "conditions": [condition("Ready", 2)]}));
        assert!(matches!(stage_of(&ready), Stage::Ready(_)));
        let before = json!({"version": "1.3.0", "digest": Digest::of("r")});
        let before = object(2, json!({"release": before, "conditions": [condition("Ready", 2)]}));
        assert!(matches!(stage_of(&before), Stage::Waiting(_)));
    }

    #[test]
    fn an_old_stall_is_not_this_runs() {
        assert!(matches!(stage_of(&object(2, json!({"conditions": [condition("Stalled", 1)]}))), Stage::Waiting(_)));
        let stalled = object(2, json!({"conditions": [condition("Stalled", 2)]}));
        assert!(matches!(stage_of(&stalled), Stage::Stalled(_, c) if c.reason == "R"));
    }

    #[test]
    fn a_failure_is_told_also_while_the_plane_tries_again() {
        let mut words = LastWords::default();
        assert!(words.too_late(Duration::from_secs(8)).contains("is `orbit controller` running"));
        words.hear("RegistryUnavailable: refused".into());
        words.hear("Progressing: pulling".into());
        words.hear("Progressing: pulling".into());
        assert_eq!(
            words.too_late(Duration::from_secs(8)),
            "not ready after 8s; the plane said last: Progressing: pulling (and before that: RegistryUnavailable: refused)"
        );
    }

    #[test]
    fn waits_for_its_own_generation() {
        let old = object(1, json!({"release": {"version": "1.4.0", "digest": Digest::of("r")}}));
        assert!(matches!(stage_of(&old), Stage::Waiting(_)));
    }

    #[test]
    fn notices_that_the_object_is_another_runs_now() {
        let mut changed = object(3, json!({}));
        changed.spec.version = "1.5.0".into();
        assert!(matches!(stage(&changed, &asked(), &[]), Err(Astray::Changed { same_version: false, .. })));
        let mut changed = object(3, json!({}));
        changed.spec.images[0].source.archive.as_mut().unwrap().sha256 = Digest::of("another");
        assert!(matches!(stage(&changed, &asked(), &[]), Err(Astray::Changed { same_version: true, .. })));
        let mut recreated = object(2, json!({}));
        recreated.metadata.uid = Some("v".into());
        assert_eq!(stage(&recreated, &asked(), &[]), Err(Astray::Deleted));
    }
}
