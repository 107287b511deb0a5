//! What the journal knows of a delivery, and what is to be added to it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Request, Wanted,
    verdict::{Known, Verdict},
};
use crate::{
    api::{DeliverySpec, DeliveryStatus},
    chart_store::{Deployed, Deployment, DeploymentRecord, DeploymentState},
    controllers::{
        context::{Context, PLANE},
        outcome::Halt,
    },
    digest::Digest,
};

/// The longest detail of an event, in characters.
const MAX_DETAIL: usize = 1024;

/// The record of a delivery.
pub struct History<'a> {
    context: &'a Context,
    request: &'a Request<'a>,
    record: Option<DeploymentRecord>,
}

impl<'a> History<'a> {
    /// What is recorded by now.
    pub async fn read(context: &'a Context, request: &'a Request<'a>) -> Result<Self, Halt> {
        let spec = &request.object.spec;
        let record = context.chart_store.deployment(&request.key, &spec.environment, &spec.cluster).await?;
        Ok(Self { context, request, record })
    }

    /// What was healthy last in this cluster.
    pub fn last_healthy(&self) -> Option<&Deployed> {
        self.record.as_ref()?.last_healthy.as_ref()
    }

    /// The state of the current attempt, if it is of this artifact.
    pub fn state(&self, artifact: &Digest) -> Option<DeploymentState> {
        self.record.as_ref().filter(|record| record.artifact == *artifact).map(|record| record.state)
    }

    /// Whether this artifact was asked for longer ago than it may take, and the cluster has not taken it.
    pub fn is_overdue(&self, artifact: &Digest, timeout: Duration, now: Timestamp) -> bool {
        let record = self.record.as_ref().filter(|_| self.state(artifact) == Some(DeploymentState::Requested));
        record.is_some_and(|record| {
            now.duration_since(record.since).try_into().is_ok_and(|for_: Duration| for_ >= timeout)
        })
    }

    /// What may be in the cluster, as far as the journal knows.
    pub fn inventory(&self) -> Option<Digest> {
        self.record.as_ref()?.inventory
    }

    /// Whether the cluster took all of this artifact, and nothing else was begun since. That a cluster was lost takes
    /// nothing away from it, should it come back.
    pub fn was_applied(&self, artifact: &Digest) -> bool {
        use DeploymentState::{Applied, Degraded, Failed, Healthy, Lost};
        match (self.state(artifact), &self.record) {
            (Some(Applied | Healthy | Degraded | Lost), _) => true,
            // For its health, or because the cluster refused it.
            (Some(Failed), Some(record)) => {
                record.applied.as_ref().is_some_and(|applied| applied.attempt == record.attempt)
            }
            _ => false,
        }
    }

    /// What a verdict needs to know.
    pub fn known<'k>(&self, wanted: &Wanted, spec: &DeliverySpec, status: &'k DeliveryStatus) -> Known<'k> {
        Known {
            recorded: self.state(&wanted.artifact),
            applied: status.applied.as_ref(),
            timeout: spec.timeout.length(),
            conditions: &status.conditions,
        }
    }

    /// It is to run there, where from now on all of `inventory` may be. That it was on record already is no new attempt,
    /// and nothing is recorded.
    pub async fn begin(&mut self, wanted: &Wanted, inventory: Option<Digest>) -> Result<bool, Halt> {
        if is_begun(self.state(&wanted.artifact)) {
            self.link(inventory).await?;
            return Ok(false);
        }
        self.append(wanted, DeploymentState::Requested, inventory, None).await
    }

    /// The cluster has taken it, and all of `inventory` is there.
    pub async fn applied(&mut self, wanted: &Wanted, inventory: Digest) -> Result<(), Halt> {
        match self.was_applied(&wanted.artifact) {
            true => self.link(Some(inventory)).await,
            false => self.append(wanted, DeploymentState::Applied, Some(inventory), None).await.map(drop),
        }
    }

    /// Links an inventory of which nothing is recorded: what is recorded is linked with it.
    async fn link(&self, inventory: Option<Digest>) -> Result<(), Halt> {
        self.context.chart_store.link(&self.request.key, inventory.as_slice()).await?;
        Ok(())
    }

    /// How it is now.
    pub async fn record(&mut self, wanted: &Wanted, judged: &Verdict) -> Result<(), Halt> {
        match judged.state {
            Some(state) if self.state(&wanted.artifact) != Some(state) => {
                let detail = (state != DeploymentState::Healthy).then_some(judged.message.as_str());
                self.append(wanted, state, None, detail).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// It is given up for what was healthy before, if something was; in words.
    pub async fn roll_back(&mut self, wanted: &Wanted, why: &str) -> Result<Option<String>, Halt> {
        let Some(before) = self.last_healthy().filter(|before| before.artifact != wanted.artifact) else {
            return Ok(None);
        };
        let back_to = before.version.clone().unwrap_or_else(|| before.artifact.to_string());
        self.append(wanted, DeploymentState::RolledBack, None, Some(why)).await?;
        Ok(Some(format!("{} failed, back to {back_to}: {why}", wanted.name())))
    }

    /// It is over. Nothing is said where nothing ever began.
    pub async fn end(&mut self, state: DeploymentState, why: &str) -> Result<(), Halt> {
        let Some(record) = self.record.clone().filter(|record| !record.state.is_end()) else { return Ok(()) };
        let wanted = Wanted { artifact: record.artifact, version: record.version, images: record.images };
        self.append(&wanted, state, None, Some(why)).await.map(drop)
    }

    /// Records it. False where somebody else was faster, with another inventory; this one is linked all the same.
    async fn append(
        &mut self,
        wanted: &Wanted,
        state: DeploymentState,
        inventory: Option<Digest>,
        detail: Option<&str>,
    ) -> Result<bool, Halt> {
        let spec = &self.request.object.spec;
        let deployment = Deployment {
            environment: spec.environment.clone(),
            cluster: spec.cluster.clone(),
            version: wanted.version.clone(),
            artifact: wanted.artifact,
            images: wanted.images.clone(),
            state,
            inventory,
            detail: detail.map(|detail| detail.chars().take(MAX_DETAIL).collect()),
            attempt: 0,
            replaces: None,
        };
        self.record = self.context.chart_store.record_deployment(&self.request.key, PLANE, deployment).await?;
        let is_on_record = inventory.is_none() || self.inventory() == inventory;
        if !is_on_record {
            self.link(inventory).await?;
        }
        Ok(is_on_record)
    }
}

/// Whether an attempt in this state goes on, so that none has to begin.
fn is_begun(state: Option<DeploymentState>) -> bool {
    use DeploymentState::{Applied, Degraded, Failed, Healthy, Requested};
    matches!(state, Some(Requested | Applied | Healthy | Degraded | Failed))
}
