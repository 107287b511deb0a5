//! Which release the environment runs: decided over the Chart Store's release index, then recorded.

use crate::{
    api::{EnvironmentOverlay, SelectedVersion, reason},
    chart_store::{Entry, Fact},
    controllers::{
        context::{Context, PLANE},
        outcome::Halt,
    },
    overlay::{
        renderer::SelectRequest,
        selection::{Awaited, Decision, Question, Wish},
    },
    release::{ApplicationKey, ReleaseRecord},
};

/// What there is to run.
pub enum Choice {
    /// This release.
    Run(SelectedVersion),
    /// Nothing, which is fine.
    Idle(String),
}

/// Decides, and records the decision.
pub async fn select(context: &Context, object: &EnvironmentOverlay, key: &ApplicationKey) -> Result<Choice, Halt> {
    let current = object.status.as_ref().and_then(|status| status.selected.as_ref());
    let wish = Wish {
        environment: &object.spec.environment,
        policy: object.spec.version.as_ref(),
        current,
        generation: object.metadata.generation,
    };
    let releases = context.chart_store.all_releases(key).await?;
    match decide(context, &wish, &releases).await? {
        Decision::Run(selected) => {
            record(context, object, key, &selected).await?;
            Ok(Choice::Run(selected))
        }
        Decision::Idle(why) => Ok(Choice::Idle(why)),
        Decision::Wait(awaited, why) => {
            let reason = match awaited {
                Awaited::Release => reason::AWAITING_RELEASE,
                Awaited::PinnedVersion => reason::VERSION_NOT_FOUND,
                Awaited::Chart => reason::AWAITING_CHART,
            };
            Err(Halt::waiting(reason, why))
        }
        Decision::Refuse(why) => Err(Halt::stalled(reason::VERSION_NOT_FOUND, why)),
    }
}

async fn decide(context: &Context, wish: &Wish<'_>, releases: &[ReleaseRecord]) -> Result<Decision, Halt> {
    match wish.question(releases) {
        Question::Decided(decision) => Ok(decision),
        Question::NewestOf { range, prereleases, candidates } => {
            let versions: Vec<String> = candidates.iter().map(|candidate| candidate.version.clone()).collect();
            let request = SelectRequest { range: &range, prereleases, versions: &versions };
            let newest = context.renderer.select(request).await?;
            Ok(wish.decide(newest.as_deref(), &candidates, &range, releases))
        }
    }
}

/// Who made the environment run this: whoever changed the overlay, or nobody, where only a release came.
async fn record(
    context: &Context,
    object: &EnvironmentOverlay,
    key: &ApplicationKey,
    selected: &SelectedVersion,
) -> Result<(), Halt> {
    let before = object.status.as_ref().and_then(|status| status.selected.as_ref());
    let automatic = before.is_some_and(|before| before.generation == object.metadata.generation);
    let fact = Fact::Selected {
        environment: object.spec.environment.clone(),
        version: selected.version.clone(),
        chart_digest: selected.chart_digest,
        reason: selected.reason,
    };
    let spec = context.spec_text(key, &object.spec).await?;
    let actor = if automatic { PLANE.to_owned() } else { context.actor(object) };
    context.chart_store.record(key, Entry { actor, fact, spec: Some(spec), chart_package: None }).await?;
    Ok(())
}
