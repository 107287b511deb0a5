//! Brings what is wanted into the cluster, such that a plane that dies on the way finds all it has left there.
//!
//! The inventory of all that may be there → the attempt, in the journal or in the status, with that inventory → the
//! objects → what is not wanted any more goes → the inventory of what is there → the journal. The status follows.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use kube::ResourceExt;
use tokio::{sync::SemaphorePermit, time::timeout};

use super::{Request, Wanted, cluster::Target, history::History, inputs::Inputs, manifests, pull_secret};
use crate::{
    api::{Delivery, DeliveryStatus, annotation},
    cluster_plane::{
        Inventory, InventoryError,
        apply::Plan,
        credential,
        objects::ObjectId,
        provisions::Provision,
        remote_error::{ApplyFailure, Retry},
        remove,
    },
    controllers::{
        context::Context,
        ephemeral_cluster::{self, pull_secrets},
        outcome::{Halt, HaltKind},
        reconcile,
    },
    digest::Digest,
};

/// How long after a refusal the cluster is asked again whether it takes the same now: at first, and at the longest. Who
/// raises a quota or installs a definition there mostly does it soon, and waits for what comes of it.
const FIRST_LOOK: Duration = Duration::from_secs(4);
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// What is over sooner than this is told of by its end.
const TELLS_AFTER: Duration = Duration::from_secs(1);

/// Brings all of it; what is there then.
pub async fn bring(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    history: &mut History<'_>,
) -> Result<Inventory, Halt> {
    let object = request.object;
    let uid = object.uid().unwrap_or_default();
    let question = question(object, inputs);
    if let Some(halt) = context.refusals.standing(&uid, &question) {
        return Err(halt);
    }
    match attempt(context, request, target, inputs, wanted, status, history).await {
        Ok(brought) => {
            context.refusals.forget(&uid);
            Ok(brought)
        }
        Err(halt) => {
            target.cluster.provisions().forget();
            let halt = ever_more_seldom(halt, context.refusals.times(&uid, &question));
            context.refusals.remember(&uid, question, &halt);
            Err(halt)
        }
    }
}

/// What the cluster is asked to take. With `force` another answer may come to the same inputs.
fn question(object: &Delivery, inputs: &Inputs) -> Digest {
    let asked_at = object.annotations().get(annotation::REQUESTED_AT);
    Digest::of_canonical(&(inputs.digest, object.spec.force, asked_at))
}

/// A refusal that others may lift, after so many of its kind, is looked at again within the time that is left to it.
fn ever_more_seldom(halt: Halt, refused_before: u32) -> Halt {
    let HaltKind::Stalled { again: Some(longest) } = halt.kind else { return halt };
    let again = FIRST_LOOK.saturating_mul(1 << refused_before.min(16)).min(longest);
    Halt { kind: HaltKind::Stalled { again: Some(again) }, ..halt }
}

async fn attempt(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    history: &mut History<'_>,
) -> Result<Inventory, Halt> {
    let spec = &request.object.spec;
    let cluster = &target.cluster;
    let told = (status.inventory.clone(), status.attempted);
    let named = inventory(context, status).await?;
    let before = may_be_there(context, &named, status, history).await?;
    let (_turn, mut plan) = match plan(context, request, target, inputs, wanted, &named).await {
        Ok(planned) => planned,
        Err(halt) => {
            history.begin(wanted, None).await?;
            return Err(halt);
        }
    };
    let planned = plan.objects();
    let ids: BTreeSet<_> = planned.keys().cloned().collect();

    let during = before.with(planned);
    let inventory = match during.ids() == named.ids() {
        true => status.inventory.clone(),
        false => Some(during.store(context.harbor.as_ref()).await?),
    };
    let begins = history.begin(wanted, inventory.as_ref().map(|inventory| inventory.digest)).await?;
    // Whatever a status names is linked.
    status.inventory = inventory;
    status.attempted = Some(inputs.digest);
    let message = format!("applying {} to {}", wanted.name(), spec.cluster);
    // An attempt that the journal has the beginning of already is kept in the status alone.
    if !begins && (status.inventory.clone(), status.attempted) != told {
        reconcile::progress(request.object, context, status, message.clone()).await?;
    }

    let work = async {
        provide_credential(context, request, target, &mut plan).await?;
        let applied = plan.apply(cluster, spec.force).await?;
        remove::remove(cluster, &request.ownership, &before, &ids).await?;
        let left = pull_secret::left(&before.ids(), &ids, &spec.target_namespace);
        pull_secret::leave(context, request.object, cluster, left).await?;
        Ok::<_, Halt>(applied)
    };
    let mut work = pin!(work);
    // What was refused is told of until it is taken, and not that it is tried again.
    let uid = request.object.uid().unwrap_or_default();
    let tells_after = match context.refusals.times(&uid, &question(request.object, inputs)) {
        0 => TELLS_AFTER,
        _ => Duration::MAX,
    };
    let applied = match timeout(tells_after, &mut work).await {
        Ok(applied) => applied?,
        Err(_) => {
            // To its end: a request that is given up may still arrive, after the one that says what came of it.
            let telling = reconcile::progress(request.object, context, status, message);
            let (told, applied) = tokio::join!(telling, work);
            if let Err(halt) = told {
                tracing::debug!(%halt, "that objects are being applied could not be told");
            }
            applied?
        }
    };
    let there = Inventory::new(applied);
    let inventory = there.store(context.harbor.as_ref()).await?;
    history.applied(wanted, inventory.digest).await?;
    status.inventory = Some(inventory);
    Ok(there)
}

/// What is to be applied, and the turn to do so: everything is found out before anything is changed.
async fn plan<'a>(
    context: &Context,
    request: &Request<'_>,
    target: &'a Target,
    inputs: &Inputs,
    wanted: &Wanted,
    named: &Inventory,
) -> Result<(SemaphorePermit<'a>, Plan), Halt> {
    let objects = manifests::read(context, request, target, wanted, inputs).await?;
    let turn = target.cluster.turn().await;
    let namespace = &request.object.spec.target_namespace;
    let plan = Plan::make(&target.cluster, &request.ownership, objects, namespace, &named.applied()).await?;
    Ok((turn, plan))
}

/// Makes sure that pods in the target namespace can pull.
async fn provide_credential(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    plan: &mut Plan,
) -> Result<(), Halt> {
    let spec = &request.object.spec;
    let (cluster, namespace) = (&target.cluster, &spec.target_namespace);
    plan.provide_namespace(cluster, namespace).await?;
    if let Some(credential) = &target.credential {
        let provision = Provision::Credential { namespace: namespace.clone(), id: credential.id.clone() };
        let _bringing = cluster.bringing_credentials().await;
        if !cluster.provisions().has(&provision) {
            let secret = ephemeral_cluster::credential::read(context, &spec.cluster).await?;
            let own = (spec.cluster.namespace.clone(), spec.cluster.name.clone());
            let is_needed = |user: &str| pull_secrets::is_needed(context, &own, &spec.cluster.uid, namespace, user);
            credential::deliver(cluster, context.chart_store.plane(), namespace, &secret, is_needed).await?;
            cluster.provisions().saw(provision);
        }
    }
    Ok(())
}

/// Applies again those of the objects that are named, as they are wanted; what is there then.
pub async fn again(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    ids: &BTreeSet<ObjectId>,
) -> Result<Inventory, Halt> {
    let spec = &request.object.spec;
    let objects = manifests::read(context, request, target, wanted, inputs).await?;
    let before = inventory(context, status).await?;
    let _turn = target.cluster.turn().await;
    // What others made under the name of what is missing is not taken from them.
    let known = before.ids().difference(ids).cloned().collect();
    let plan = Plan::make(&target.cluster, &request.ownership, objects, &spec.target_namespace, &known).await?;
    let mut plan = plan.only(ids);
    // The namespace may have gone with all that was in it.
    target.cluster.provisions().forget();
    provide_credential(context, request, target, &mut plan).await?;
    let mut all = before.objects().clone();
    all.extend(plan.apply(&target.cluster, spec.force).await?);
    let there = Inventory::new(all);
    let reference = there.store(context.harbor.as_ref()).await?;
    // Nothing is recorded that would link it.
    context.chart_store.link(&request.key, &[reference.digest]).await?;
    status.inventory = Some(reference);
    Ok(there)
}

/// What the status names of what the delivery has in its cluster.
pub async fn inventory(context: &Context, status: &DeliveryStatus) -> Result<Inventory, Halt> {
    match &status.inventory {
        Some(reference) => Ok(Inventory::read(context.harbor.as_ref(), &reference.digest).await?),
        None => Ok(Inventory::default()),
    }
}

/// All that the delivery may have in its cluster: besides what the status names, what an attempt was about to apply of
/// which only the journal knows.
pub async fn may_be_there(
    context: &Context,
    named: &Inventory,
    status: &DeliveryStatus,
    history: &History<'_>,
) -> Result<Inventory, Halt> {
    let said = status.inventory.as_ref().map(|inventory| inventory.digest);
    match history.inventory().filter(|recorded| Some(*recorded) != said) {
        Some(recorded) => Ok(named.with(Inventory::read(context.harbor.as_ref(), &recorded).await?.unapplied())),
        None => Ok(named.clone()),
    }
}

impl From<InventoryError> for Halt {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Harbor(error) => error.into(),
            error => Self::retry(crate::api::reason::INTERNAL, error.to_string()),
        }
    }
}

impl From<ApplyFailure> for Halt {
    fn from(failure: ApplyFailure) -> Self {
        let reason = failure.kind.reason();
        match failure.kind.retry() {
            Retry::Soon => Self::retry(reason, failure.message),
            Retry::Later => Self::stalled_for(LONGEST_LOOK, reason, failure.message),
            Retry::Never => Self::stalled(reason, failure.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reason;

    #[test]
    fn what_others_may_lift_is_looked_at_soon_and_then_ever_more_seldom() {
        let wait = |refused_before| match ever_more_seldom(
            Halt::stalled_for(LONGEST_LOOK, reason::NOT_OWNED, "theirs"),
            refused_before,
        )
        .kind
        {
            HaltKind::Stalled { again: Some(again) } => again.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 1, 2, 3, 4, 99].map(wait), [4, 8, 16, 32, 60, 60]);
        let never = Halt::stalled(reason::INVALID_SPEC, "no");
        assert_eq!(ever_more_seldom(never.clone(), 0), never);
    }
}
