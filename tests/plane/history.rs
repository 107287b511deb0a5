//! What a plane's journal says, read from the store itself.

use std::time::Duration;

use orbit_plane::{
    chart_store::{self, ChartStore, Deployment, Event, Fact},
    release::ApplicationKey,
    viewport::{self, Viewport},
};

use super::Plane;

/// More events than any test makes of one application.
const ALL: usize = 10_000;

/// An event in a line, as in `selected dev 1.4.0`: what a script expects.
pub fn said(event: &Event) -> String {
    match &event.fact {
        Fact::Stored { release } => format!("stored {}", release.version),
        Fact::Described { version, description } => {
            format!("described {version} [{}]", description.environments.join(" "))
        }
        Fact::Charted { version, .. } => format!("charted {version}"),
        Fact::Selected { environment, version, .. } => format!("selected {environment} {version}"),
        Fact::Rendered { environment, version, .. } => {
            format!("rendered {environment} {}", version.as_deref().unwrap_or("-"))
        }
        Fact::EnvironmentRemoved { environment } => format!("removed {environment}"),
        Fact::UploadDeleted { version, retention_policy, .. } => format!("deleted {version} {retention_policy:?}"),
        Fact::Purged { version, .. } => format!("purged {version}"),
        Fact::Deployment(deployment) => {
            let Deployment { environment, cluster, version, state, .. } = deployment;
            format!("{} {environment} {cluster} {}", state.as_str(), version.as_deref().unwrap_or("-"))
        }
        Fact::Changed(change) => format!("changed {}", change.object()),
        Fact::Request(request) => format!("{} {} {:?}", request.method, request.path, request.status),
        Fact::Unknown(fact) => format!("unknown {}", fact.transition()),
    }
}

impl Plane {
    /// The Chart Store, past any line.
    pub async fn chart_store(&self) -> ChartStore {
        chart_store::open(&self.stores).await.unwrap()
    }

    /// An application of this plane's namespace.
    pub fn key(&self, application: &str) -> ApplicationKey {
        ApplicationKey::new(&self.namespace, application)
    }

    /// The journal of an application.
    pub async fn events(&self, application: &str) -> Vec<Event> {
        self.chart_store().await.events(&self.key(application), 0, ALL).await.unwrap()
    }

    /// The journal of an application, a line an event.
    pub async fn journal(&self, application: &str) -> Vec<String> {
        self.events(application).await.iter().map(said).collect()
    }

    /// The Viewport, past any line.
    pub fn viewport(&self) -> Viewport {
        viewport::open(&self.stores).unwrap()
    }

    /// Waits until the running controller has brought the Viewport to the end of every journal.
    pub async fn until_projected(&self) {
        let (store, viewport) = (self.chart_store().await, self.viewport());
        let projected = async {
            loop {
                let cursors = viewport.cursors().await.unwrap();
                if viewport::behind(&store, &cursors).await.unwrap().0.is_empty() {
                    return;
                }
                // Another process does it: nothing here tells when.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(self.patience, projected).await.expect("the Viewport catches up");
    }
}
