//! What is seen of a delivery in its cluster.

use std::time::Duration;

use super::{Request, cluster::Target};
use crate::{
    api::reason,
    cluster_plane::{
        Inventory,
        health::{Doubt, Health, HealthState, Trouble},
        objects::ObjectId,
        observed::Observed,
        remote_error::ApplyFailure,
    },
    controllers::{context::Context, outcome::Halt},
};

/// How long the first look at a kind or a namespace of a cluster may take.
const LOOK: Duration = Duration::from_secs(30);
/// How many objects a message names.
const NAMED: usize = 3;

/// What is seen.
#[derive(Debug, Default)]
pub struct Sight {
    /// The objects that are there, and how each is.
    pub objects: Vec<(ObjectId, Health)>,
    /// What troubles pods of theirs, or keeps them from having any.
    pub troubles: Vec<Plight>,
    /// Pods of theirs that are ready, and may not count as running yet.
    pub doubts: Vec<(ObjectId, Doubt)>,
    /// What is not as it was applied.
    pub drift: Vec<Drift>,
    /// When to put that right, if not now.
    pub correct_again: Option<Duration>,
}

/// What troubles an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Plight {
    /// The object: a pod, or what should have made one.
    pub of: ObjectId,
    /// What it is.
    pub trouble: Trouble,
}

impl std::fmt::Display for Plight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Trouble { reason, message, container } = &self.trouble;
        match container {
            Some(container) => write!(f, "{}, container {container}: {reason}: {message}", self.of),
            None => write!(f, "{}: {reason}: {message}", self.of),
        }
    }
}

/// An object that is not as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The object.
    pub id: ObjectId,
    /// Who changed it, if it is there.
    pub by: Option<String>,
    /// Whether it is gone.
    pub gone: bool,
}

impl Drift {
    /// For people.
    pub fn list(drift: &[Self]) -> String {
        let mut text: Vec<_> = drift.iter().take(NAMED).map(Self::to_string).collect();
        if drift.len() > NAMED {
            text.push(format!("and {} more", drift.len() - NAMED));
        }
        text.join(", ")
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.gone, &self.by) {
            (true, _) => write!(f, "{} was deleted", self.id),
            (false, Some(by)) => write!(f, "{} was changed by {by}", self.id),
            (false, None) => write!(f, "{} was changed", self.id),
        }
    }
}

/// Looks at all objects of a delivery.
pub async fn look(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    inventory: &Inventory,
) -> Result<Sight, Halt> {
    let delivery = request.ownership.delivery();
    let watching = target.cluster.watch(context.chart_store.plane(), delivery, inventory);
    match tokio::time::timeout(LOOK, watching).await {
        Ok(Ok(())) => Ok(see(inventory, target.cluster.observed())),
        Ok(Err(error)) => Err(ApplyFailure::of_kind(&error).into()),
        Err(_) => {
            let cluster = &request.object.spec.cluster;
            let message = format!(
                "EphemeralCluster {cluster} does not let its objects be watched within {} s: does the kubeconfig's user have the verbs list and watch on them, in all namespaces, and on pods and events?",
                LOOK.as_secs()
            );
            Err(Halt::retry(reason::UNREACHABLE, message))
        }
    }
}

fn see(inventory: &Inventory, observed: &Observed) -> Sight {
    let mut sight = Sight::default();
    for (id, held) in inventory.objects() {
        let Some(seen) = observed.object(id) else {
            sight.drift.push(Drift { id: id.clone(), by: None, gone: true });
            continue;
        };
        if seen.fingerprint != held.fingerprint {
            sight.drift.push(Drift { id: id.clone(), by: seen.other_manager, gone: false });
        }
        if seen.health.state == HealthState::Current {
            sight.doubts.extend(observed.doubts(id));
        } else {
            let refusal = seen.refusal.map(|trouble| (id.clone(), trouble));
            let troubles = observed.troubles(id).into_iter().chain(refusal);
            sight.troubles.extend(troubles.map(|(of, trouble)| Plight { of, trouble }));
        }
        sight.objects.push((id.clone(), seen.health));
    }
    sight
}
