//! What a deployment becomes: a row for each attempt, which is told by the numbers that the event brings along.

use super::{Changes, Value};
use crate::{
    chart_store::{Deployment, DeploymentState},
    viewport::schema::{ARRIVALS, DEPLOYMENT_IMAGES, DEPLOYMENTS, HEALTH, MILESTONES},
};

type Column = (&'static str, Value);

impl Changes<'_> {
    pub(super) fn deployed(&mut self, fact: &Deployment) {
        self.reported(fact);
        if let Some(replaced) = fact.replaces {
            let ended = [("is_running", 0_i64.into()), ("ended_at", self.event.time.into())];
            self.set(&DEPLOYMENTS, row(fact, replaced, ended));
        }
        if fact.state.is_end() {
            let ended = self.reached(fact, [("is_running", 0_i64.into()), ("ended_at", self.event.time.into())]);
            self.set(&DEPLOYMENTS, row(fact, fact.attempt, ended));
            return;
        }
        if fact.attempt > 1 {
            self.set(&DEPLOYMENTS, row(fact, fact.attempt - 1, [("is_current", 0_i64.into())]));
        }
        let of_attempt = [
            ("version", fact.version.as_deref().into()),
            ("artifact", fact.artifact.into()),
            ("is_current", 1_i64.into()),
            // A cluster that was lost may have come back.
            ("ended_at", Value::Null),
        ];
        let running = fact.state.is_applied().then(|| ("is_running", 1_i64.into()));
        let time = reached_at(fact.state).map(|column| (column, self.event.time.into()));
        let reached = self.reached(fact, of_attempt.into_iter().chain(running).chain(time));
        self.put(&DEPLOYMENTS, row(fact, fact.attempt, reached));
        for image in &fact.images {
            self.put(&DEPLOYMENT_IMAGES, row(fact, fact.attempt, [("digest", (*image).into())]));
        }
    }

    /// What reports are made from.
    fn reported(&mut self, fact: &Deployment) {
        use DeploymentState::{Applied, Degraded, Failed, Healthy, Lost, Removed, RolledBack};
        let state = || Value::from(fact.state.as_str());
        let now = || Value::from(self.event.time);
        let milestone = [("state", state()), ("reached_at", now())];
        let arrival = fact.version.as_deref().map(|version| {
            [("environment", fact.environment.as_str().into()), ("version", version.into()), ("healthy_at", now())]
        });
        let change = [("seq", self.event.seq.into()), ("state", state()), ("changed_at", now())];
        if matches!(fact.state, Applied | Failed | Degraded | RolledBack) {
            self.keep(&MILESTONES, row(fact, fact.attempt, milestone));
        }
        if let (Healthy, Some(arrival)) = (fact.state, arrival) {
            self.keep(&ARRIVALS, arrival);
        }
        if matches!(fact.state, Healthy | Failed | Degraded | Removed | Lost) {
            self.add(&HEALTH, place(fact).into_iter().chain(change));
        }
    }

    /// The state, and more.
    fn reached(&self, fact: &Deployment, more: impl IntoIterator<Item = Column>) -> Vec<Column> {
        let state = [
            ("state", fact.state.as_str().into()),
            ("since", self.event.time.into()),
            ("detail", fact.detail.as_deref().into()),
        ];
        state.into_iter().chain(more).collect()
    }
}

/// The row of an attempt, with these columns.
fn row(fact: &Deployment, attempt: u64, columns: impl IntoIterator<Item = Column>) -> Vec<Column> {
    place(fact).into_iter().chain([("attempt", attempt.into())]).chain(columns).collect()
}

/// The environment in its cluster.
fn place(fact: &Deployment) -> [Column; 4] {
    [
        ("environment", fact.environment.as_str().into()),
        ("cluster_namespace", fact.cluster.namespace.as_str().into()),
        ("cluster_name", fact.cluster.name.as_str().into()),
        ("cluster_uid", fact.cluster.uid.as_str().into()),
    ]
}

/// The column that says when an attempt last came to a state.
fn reached_at(state: DeploymentState) -> Option<&'static str> {
    match state {
        DeploymentState::Requested => Some("requested_at"),
        DeploymentState::Applied => Some("applied_at"),
        DeploymentState::Healthy => Some("healthy_at"),
        DeploymentState::Degraded => Some("degraded_at"),
        DeploymentState::Failed => Some("failed_at"),
        DeploymentState::RolledBack | DeploymentState::Removed | DeploymentState::Lost => None,
    }
}
