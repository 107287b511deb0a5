//! `Delivery`: one overlay in one cluster. Brought there, watched there, taken away at its end.
//!
//! find the cluster → choose what is to run → bring it → look at it → put right what others changed → judge.
//! What was done is found in the status and in the journal, what is there by the watches on the cluster.

mod bring;
mod cluster;
mod history;
mod inputs;
mod look;
mod manifests;
mod pull_secret;
mod retire;
mod verdict;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::events::EventType};

use self::{
    cluster::Target,
    history::History,
    look::{Drift, Sight},
    verdict::{Verdict, verdict},
};
use super::{
    conditions::now,
    context::Context,
    outcome::{Halt, HaltKind, Observation, Ready},
    reconcile::{self, Common, Reconcile},
};
use crate::{
    api::{
        AppliedArtifact, Delivery, DeliveryStatus, DriftPolicy, FailurePolicy, RolledBack, annotation, condition_type,
        label, reason,
    },
    chart_store::DeploymentState,
    cluster_plane::{ClusterKey, DeliveryKey, Ownership},
    digest::Digest,
    release::ApplicationKey,
};

impl Reconcile for Delivery {
    type Status = DeliveryStatus;
    const KIND: &'static str = "Delivery";
    const HELD: bool = true;
    // Thousands of objects, through webhooks.
    const TIMEOUT: Duration = Duration::from_secs(600);
    // There is a number of places for each cluster.
    const CONCURRENCY: u16 = 0;

    fn works_with(&self) -> Option<ClusterKey> {
        Some((self.spec.cluster.namespace.clone(), self.spec.cluster.name.clone()))
    }

    fn is_due(&self, status: Option<&DeliveryStatus>) -> bool {
        let Some(status) = status else { return true };
        let is_wanted = |artifact: Digest| artifact == self.spec.artifact;
        let has_it = status.applied.as_ref().is_some_and(|applied| is_wanted(applied.artifact));
        // What was given up is to go, and anything else to come. Secrets and variables that changed come with a look.
        let given_up = status.rolled_back.as_ref().is_some_and(|rolled_back| is_wanted(rolled_back.artifact));
        has_it == given_up || status.attempted.is_some() || asked_again(self, status)
    }

    fn suspended(&self) -> bool {
        false
    }

    fn status(&self) -> Option<&DeliveryStatus> {
        self.status.as_ref()
    }

    fn common(status: &mut DeliveryStatus) -> Common<'_> {
        Common {
            observed_generation: &mut status.observed_generation,
            last_handled_reconcile_at: &mut status.last_handled_reconcile_at,
            conditions: &mut status.conditions,
        }
    }

    async fn reconcile(&self, context: &Context, status: &mut DeliveryStatus) -> Result<Ready, Halt> {
        context.caches.ready().await;
        freshen(context, self, status).await?;
        let request = Request::of(self, context);
        let mut history = History::read(context, &request).await?;
        let target = match cluster::find(context, self).await? {
            cluster::Found::Here(target) => target,
            cluster::Found::Away(halt) => return Err(halt),
            cluster::Found::Lost(why) => {
                history.end(DeploymentState::Lost, &why).await?;
                return Err(Halt::stalled_for(AWAY, reason::LOST, why).observing([unknown()]));
            }
        };
        recall_rollback(self, status, &history);
        loop {
            let wanted = Wanted::of(self, status, &history);
            let (sight, judged) = match settle(context, &request, &target, &wanted, status, &mut history).await {
                Ok(sight) => {
                    let judged = verdict(&sight, history.known(&wanted, &self.spec, status), Timestamp::now());
                    (sight, judged)
                }
                // It is refused for what it is, and not for how the cluster or its credential is just now.
                Err(halt) if halt.kind == (HaltKind::Stalled { again: None }) => {
                    (Sight::default(), Verdict::refused(halt))
                }
                // So it is with what others did not lift in all the time that it had.
                Err(halt)
                    if matches!(halt.kind, HaltKind::Stalled { .. })
                        && halt.observations.is_empty()
                        && history.is_overdue(&wanted.artifact, self.spec.timeout.length(), Timestamp::now()) =>
                {
                    (Sight::default(), Verdict::refused(halt))
                }
                // While the cluster refuses it, nobody looks at what is there.
                Err(halt) if matches!(halt.kind, HaltKind::Stalled { .. }) && halt.observations.is_empty() => {
                    let reason = halt.reason.clone();
                    let unseen =
                        Observation::unknown(condition_type::HEALTHY, reason, "what is there is not looked at");
                    return Err(halt.observing([unseen]));
                }
                Err(halt) => return Err(halt),
            };
            history.record(&wanted, &judged).await?;
            let fails = judged.state == Some(DeploymentState::Failed) && wanted.artifact == self.spec.artifact;
            if fails
                && self.spec.on_failure == FailurePolicy::Rollback
                && let Some(why) = history.roll_back(&wanted, &judged.message).await?
            {
                context.publish(self, EventType::Warning, reason::ROLLED_BACK, &why).await;
                let reason = judged.message.chars().take(1024).collect();
                status.rolled_back = Some(RolledBack { artifact: wanted.artifact, version: wanted.version, reason });
                // Whoever asked for another try has had it.
                status.last_handled_reconcile_at = self.annotations().get(annotation::REQUESTED_AT).cloned();
                // Once what was healthy is begun, the journal does not tell any more what was given up for it.
                reconcile::progress(self, context, status, why).await?;
                continue;
            }
            return outcome(self, status, &wanted, judged, &sight);
        }
    }

    async fn leaves_behind(_: &Context, namespace: &str, name: &str) -> Result<Option<String>, Halt> {
        let delivery = DeliveryKey { namespace: namespace.to_owned(), name: name.to_owned() };
        Ok(Some(format!("what carries the label {}={} in its cluster", label::DELIVERY, delivery.label())))
    }

    async fn retire(&self, context: &Context) -> Result<(), Halt> {
        retire::retire(context, self).await
    }
}

/// Whether somebody has asked for another try since the last one.
fn asked_again(object: &Delivery, status: &DeliveryStatus) -> bool {
    object.annotations().get(annotation::REQUESTED_AT) != status.last_handled_reconcile_at.as_ref()
}

/// Whether what is wanted was given up before: what the status says, or, where the plane died before it could be said, the
/// history. Another artifact, or somebody who asks for it, makes it be tried again.
fn recall_rollback(object: &Delivery, status: &mut DeliveryStatus, history: &History<'_>) {
    let wanted = object.spec.artifact;
    let asked_again = asked_again(object, status);
    if asked_again || status.rolled_back.as_ref().is_some_and(|rolled_back| rolled_back.artifact != wanted) {
        status.rolled_back = None;
    }
    if !asked_again && status.rolled_back.is_none() && history.state(&wanted) == Some(DeploymentState::RolledBack) {
        let reason = "it did not become healthy".to_owned();
        status.rolled_back = Some(RolledBack { artifact: wanted, version: object.spec.version.clone(), reason });
    }
}

/// When a cluster that cannot be worked with is looked at again; its own object wakes the delivery sooner.
const AWAY: Duration = Duration::from_secs(300);

/// In what time that which was just applied is mostly healthy.
const MOMENT: Duration = Duration::from_secs(1);

/// What every step needs to know of the delivery.
pub struct Request<'a> {
    /// The delivery.
    pub object: &'a Delivery,
    /// The application that it is of.
    pub key: ApplicationKey,
    /// How its objects are marked.
    pub ownership: Ownership,
}

impl<'a> Request<'a> {
    /// What a delivery asks for.
    pub fn of(object: &'a Delivery, context: &Context) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let delivery = DeliveryKey { namespace: namespace.clone(), name: object.name_any() };
        Self {
            object,
            key: ApplicationKey::new(namespace, &object.spec.application),
            ownership: Ownership::new(context.chart_store.plane(), delivery),
        }
    }
}

/// What is to run: what the overlay wants, or what ran before it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Digest of the artifact.
    pub artifact: Digest,
    /// Its version.
    pub version: Option<String>,
    /// Digests of its images.
    pub images: Vec<Digest>,
}

impl Wanted {
    fn of(object: &Delivery, status: &DeliveryStatus, history: &History<'_>) -> Self {
        let before = history.last_healthy().filter(|_| status.rolled_back.is_some());
        match before {
            Some(before) => {
                Self { artifact: before.artifact, version: before.version.clone(), images: before.images.clone() }
            }
            None => Self {
                artifact: object.spec.artifact,
                version: object.spec.version.clone(),
                images: object.spec.images.clone(),
            },
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        self.version.as_ref().map_or_else(|| "its set of manifests".to_owned(), |version| format!("version {version}"))
    }
}

/// Brings what is wanted, unless it is there; looks at it; puts right what others changed.
async fn settle(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    history: &mut History<'_>,
) -> Result<Sight, Halt> {
    let inputs = inputs::Inputs::read(context, request, target, wanted).await?;
    let was_applied = history.was_applied(&wanted.artifact);
    // Where the journal has the beginning of something else, the status is from before that.
    let inventory = if is_applied(status, &inputs) && was_applied {
        bring::inventory(context, status).await?
    } else {
        let brought = bring::bring(context, request, target, &inputs, wanted, status, history).await?;
        status.attempted = None;
        let at = match &status.applied {
            // The same once more, into a cluster that has changed: its time to become healthy has begun already.
            Some(applied) if applied.artifact == wanted.artifact && was_applied => applied.at,
            _ => now(),
        };
        status.applied = Some(AppliedArtifact {
            artifact: wanted.artifact,
            version: wanted.version.clone(),
            inputs_digest: inputs.digest,
            at,
        });
        brought
    };
    let sight = look::look(context, request, target, &inventory).await?;
    if sight.drift.is_empty() || request.object.spec.drift_policy == DriftPolicy::Report {
        return Ok(sight);
    }
    correct(context, request, target, &inputs, wanted, status, sight).await
}

/// Whether this is what the cluster took last, and nothing was tried since.
fn is_applied(status: &DeliveryStatus, inputs: &inputs::Inputs) -> bool {
    status.applied.as_ref().is_some_and(|applied| applied.inputs_digest == inputs.digest) && status.attempted.is_none()
}

/// Takes what was written of the delivery last from the API server itself, where the object at hand is from a moment before
/// this program's own last run: an older status would forget what that run has applied, or given up. What that run has kept
/// to itself is newer.
async fn freshen(context: &Context, object: &Delivery, status: &mut DeliveryStatus) -> Result<(), Halt> {
    let is_as_read = object.status.as_ref().unwrap_or(&DeliveryStatus::default()) == &*status;
    if !is_as_read || !context.written.is_older(object) {
        return Ok(());
    }
    let live = context.api::<Delivery>(&object.namespace().unwrap_or_default()).get_opt(&object.name_any()).await?;
    if let Some(live) = live.filter(|live| live.uid() == object.uid()) {
        *status = live.status.unwrap_or_default();
    }
    Ok(())
}

/// Applies again what others have changed. Who keeps changing it is not fought: tries become ever more seldom.
async fn correct(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &inputs::Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    sight: Sight,
) -> Result<Sight, Halt> {
    let uid = request.object.uid().unwrap_or_default();
    if let Some(left) = context.corrections.held_back(&uid) {
        return Ok(Sight { correct_again: Some(left), ..sight });
    }
    let ids: BTreeSet<_> = sight.drift.iter().map(|drift| drift.id.clone()).collect();
    // Counted also where it fails halfway: what was put right until then wakes whoever changes it.
    context.corrections.made(&uid);
    let inventory = bring::again(context, request, target, inputs, wanted, status, &ids).await?;
    let message = format!("applied again: {}", Drift::list(&sight.drift));
    context.publish(request.object, EventType::Normal, "DriftCorrected", &message).await;
    look::look(context, request, target, &inventory).await
}

/// What is said of a cluster that cannot be seen.
fn unknown() -> Observation {
    Observation::unknown(condition_type::HEALTHY, reason::UNREACHABLE, "the cluster cannot be looked at")
}

fn outcome(
    object: &Delivery,
    status: &DeliveryStatus,
    wanted: &Wanted,
    judged: Verdict,
    sight: &Sight,
) -> Result<Ready, Halt> {
    let Verdict { healthy, reason, message, again, .. } = judged;
    let again = match (again, sight.correct_again) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    let mut observations = vec![Observation::new(condition_type::HEALTHY, healthy, reason.clone(), message.clone())];
    if !sight.drift.is_empty() {
        let list = Drift::list(&sight.drift);
        let what = match object.spec.drift_policy {
            DriftPolicy::Report => {
                format!("{list}. Nothing is done about it (spec.delivery.driftPolicy of the overlay)")
            }
            DriftPolicy::Correct => format!("{list}. It keeps being changed: find out by whom"),
        };
        observations.push(Observation::new(condition_type::DRIFTED, true, reason::DRIFTED, what));
    }
    if let Some(rolled_back) = &status.rolled_back {
        let failed = rolled_back.version.clone().unwrap_or_else(|| rolled_back.artifact.to_string());
        let message = format!("{failed} did not become healthy, {} runs again: {}", wanted.name(), rolled_back.reason);
        let halt = Halt { kind: HaltKind::Stalled { again }, ..Halt::stalled(reason::ROLLED_BACK, message) };
        return Err(halt.observing(observations));
    }
    match (healthy, judged.state) {
        (true, _) => {
            let ready = Ready::succeeded(format!("{} is healthy", wanted.name())).observing(observations);
            Ok(match again {
                Some(after) => ready.again(after),
                None => ready,
            })
        }
        (false, Some(DeploymentState::Failed)) => {
            Err(Halt { kind: HaltKind::Stalled { again }, ..Halt::stalled(reason, message) }.observing(observations))
        }
        (false, _) => {
            let is_new = status.applied != object.status.as_ref().and_then(|told| told.applied.clone());
            // What has just been applied is mostly healthy in a moment.
            let untold_for = (is_new && reason == reason::PROGRESSING).then_some(MOMENT);
            let halt = Halt { kind: HaltKind::Waiting { again }, untold_for, ..Halt::stalled(reason, message) };
            Err(halt.observing(observations))
        }
    }
}
