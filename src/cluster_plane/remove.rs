//! Takes a delivery's objects out of its cluster again.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use kube::core::GroupVersionKind;

use super::{
    apply::{AT_ONCE, bounded, delete},
    cluster::Cluster,
    inventory::Inventory,
    objects::ObjectId,
    ownership::{Owner, Ownership},
    prune,
    remote_error::ApplyFailure,
};

/// Deletes what is to be deleted of the objects, in the reverse of the order in which they were applied. What is not the
/// delivery's any more, is to be kept, or is gone, is left alone. Nobody waits for pods to end.
pub async fn remove(
    cluster: &Cluster,
    ownership: &Ownership,
    before: &Inventory,
    wanted: &BTreeSet<ObjectId>,
) -> Result<(), ApplyFailure> {
    let plan = prune::plan(before.objects().keys(), wanted);
    for stage in &plan {
        let mut removals = Vec::with_capacity(stage.objects.len());
        for id in &stage.objects {
            let version = before.objects().get(id).map_or("v1", |held| &held.version);
            removals.push(remove_one(cluster, ownership, id, version));
        }
        stream::iter(removals).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    }
    Ok(())
}

async fn remove_one(
    cluster: &Cluster,
    ownership: &Ownership,
    id: &ObjectId,
    version: &str,
) -> Result<(), ApplyFailure> {
    let wanted = GroupVersionKind::gvk(&id.group, version, &id.kind);
    let kind = cluster.kind_in_any_version(&wanted).await.map_err(|error| ApplyFailure::of_object(&error, id))?;
    // With a kind go its objects.
    let Some(kind) = kind else { return Ok(()) };
    let api = cluster.objects(&kind.resource, id);
    let Some(there) = bounded(id, api.get_metadata_opt(&id.name)).await? else { return Ok(()) };
    let meta = there.metadata;
    let is_kept = meta.annotations.as_ref().is_some_and(prune::is_kept);
    if ownership.of(&meta) == Owner::Ours && meta.deletion_timestamp.is_none() && !is_kept {
        delete(&api, id, meta.uid).await?;
    }
    Ok(())
}
