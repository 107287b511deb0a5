//! Brings what is wanted into the cluster, such that a plane that dies on the way finds all it has left there.
//!
//! The inventory of all that may be there → the attempt, in the status → the objects → what is not wanted any more goes →
//! the inventory of what is there. The journal and the status follow.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{Request, Wanted, cluster::Target, inputs::Inputs, manifests};
use crate::{
    api::{DeliveryStatus, InventoryRef, annotation},
    cluster_plane::{
        Inventory, InventoryError,
        apply::{Applied, Plan, provide_namespace},
        credential,
        objects::ObjectId,
        provisions::Provision,
        remote_error::{ApplyFailure, Retry},
        remove,
    },
    controllers::{context::Context, ephemeral_cluster, outcome::Halt, reconcile},
    digest::Digest,
};

/// Brings all of it; what is there then.
pub async fn bring(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
) -> Result<InventoryRef, Halt> {
    let object = request.object;
    let uid = object.uid().unwrap_or_default();
    let question = Digest::of_canonical(&(inputs.digest, object.annotations().get(annotation::REQUESTED_AT)));
    if let Some(halt) = context.refusals.standing(&uid, &question) {
        return Err(halt);
    }
    let outcome = attempt(context, request, target, inputs, wanted, status).await;
    match &outcome {
        Ok(_) => context.refusals.forget(&uid),
        Err(halt) => {
            target.cluster.provisions().forget();
            context.refusals.remember(&uid, question, halt);
        }
    }
    outcome
}

async fn attempt(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
) -> Result<InventoryRef, Halt> {
    let spec = &request.object.spec;
    let cluster = &target.cluster;
    let before = inventory(context, status).await?;
    let objects = manifests::read(context, request, target, wanted, inputs).await?;
    let _turn = cluster.turn().await;
    let plan = Plan::make(cluster, &request.ownership, objects, &spec.target_namespace, &before.ids()).await?;
    let planned = plan.objects();
    let ids: BTreeSet<_> = planned.keys().cloned().collect();

    let during = before.with(planned);
    if during.ids() != before.ids() {
        status.inventory = Some(during.store(context.harbor.as_ref(), &context.chart_store, &request.key).await?);
    }
    status.attempted = Some(inputs.digest);
    let message = format!("applying {} to {}", wanted.name(), spec.cluster);
    reconcile::progress(request.object, context, status, message).await?;

    provide_credential(context, request, target).await?;
    let applied = plan.apply(cluster, spec.force).await?;
    remove::remove(cluster, &request.ownership, &before, &ids).await?;
    keep(context, request, status, applied).await
}

/// Makes sure that pods in the target namespace can pull.
async fn provide_credential(context: &Context, request: &Request<'_>, target: &Target) -> Result<(), Halt> {
    let spec = &request.object.spec;
    let (cluster, namespace) = (&target.cluster, &spec.target_namespace);
    provide_namespace(cluster, namespace).await?;
    if let Some(credential) = &target.credential {
        let provision = Provision::Credential { namespace: namespace.clone(), id: credential.id.clone() };
        let _bringing = cluster.bringing_credentials().await;
        if !cluster.provisions().has(&provision) {
            let secret = ephemeral_cluster::credential::read(context, &spec.cluster).await?;
            credential::deliver(cluster, context.chart_store.plane(), namespace, &secret).await?;
            cluster.provisions().saw(provision);
        }
    }
    Ok(())
}

/// Applies again those of the objects that are named, as they are wanted.
pub async fn again(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inputs: &Inputs,
    wanted: &Wanted,
    status: &mut DeliveryStatus,
    ids: &BTreeSet<ObjectId>,
) -> Result<(), Halt> {
    let spec = &request.object.spec;
    let objects = manifests::read(context, request, target, wanted, inputs).await?;
    let before = inventory(context, status).await?;
    let _turn = target.cluster.turn().await;
    // What others made under the name of what is missing is not taken from them.
    let known = before.ids().difference(ids).cloned().collect();
    let plan = Plan::make(&target.cluster, &request.ownership, objects, &spec.target_namespace, &known).await?;
    let plan = plan.only(ids);
    // The namespace may have gone with all that was in it.
    target.cluster.provisions().forget();
    provide_credential(context, request, target).await?;
    let mut all = before.objects().clone();
    all.extend(plan.apply(&target.cluster, spec.force).await?);
    keep(context, request, status, all).await?;
    Ok(())
}

/// What the delivery may have in its cluster.
pub async fn inventory(context: &Context, status: &DeliveryStatus) -> Result<Inventory, Halt> {
    match &status.inventory {
        Some(reference) => Ok(Inventory::read(context.harbor.as_ref(), reference).await?),
        None => Ok(Inventory::default()),
    }
}

async fn keep(
    context: &Context,
    request: &Request<'_>,
    status: &mut DeliveryStatus,
    applied: Applied,
) -> Result<InventoryRef, Halt> {
    let kept = Inventory::new(applied).store(context.harbor.as_ref(), &context.chart_store, &request.key).await?;
    status.inventory = Some(kept.clone());
    Ok(kept)
}

impl From<InventoryError> for Halt {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Harbor(error) => error.into(),
            InventoryError::ChartStore(error) => error.into(),
            error => Self::retry(crate::api::reason::INTERNAL, error.to_string()),
        }
    }
}

impl From<ApplyFailure> for Halt {
    fn from(failure: ApplyFailure) -> Self {
        let reason = failure.kind.reason();
        match failure.kind.retry() {
            Retry::Soon => Self::retry(reason, failure.message),
            Retry::Later => Self::stalled_outside(reason, failure.message),
            Retry::Never => Self::stalled(reason, failure.message),
        }
    }
}
