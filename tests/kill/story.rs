//! What is asked of a plane, one step after the other, and the facts that each step has to leave in the journal.

use std::{sync::Mutex, time::Duration};

use orbit_plane::api::{ConditionStatus, Delivery, EnvironmentOverlay, HelmChart, ImageUpload, condition_type};
use serde_json::{Value, json};

use crate::{
    here,
    plane::{Plane, condition, config_map, image::Image, registry::Registry},
};

/// Interrupts those who send archives.
pub struct Interruptions(Mutex<fastrand::Rng>);

impl Interruptions {
    /// Random ones.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    fn next(&self) -> Duration {
        Duration::from_millis(self.0.lock().unwrap().u64(500..6000))
    }
}

/// What happens to one application.
#[derive(Debug)]
pub struct Story {
    pub application: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    deed: Deed,
    /// The facts it leaves, in any order among themselves, after those of the step before.
    leaves: Vec<&'static str>,
    /// What its environments run then.
    runs: Vec<(&'static str, &'static str)>,
}

/// ConfigMaps by the ends of their names, and what they hold.
type Contents = &'static [(&'static str, &'static str)];

/// What a user does.
#[derive(Debug)]
enum Deed {
    /// Sends an archive with this content, by the command.
    Send { version: &'static str, environments: &'static [&'static str] },
    /// Names an image in a registry.
    Refer { version: &'static str, environments: &'static [&'static str], retention: &'static str },
    /// Overrides an environment.
    Override { environment: &'static str, spec: Value },
    /// Deletes an environment's overlay.
    Remove { environment: &'static str },
    /// Deletes the upload.
    Delete,
    /// Has these ConfigMaps brought to the cluster.
    Deliver(Contents),
    /// Changes the first of these ConfigMaps and deletes the last, as somebody else, and the cluster's credential.
    Disturb(Contents),
}

impl Story {
    /// Archives are sent, an environment is added, one is pinned, one goes, the upload goes.
    pub fn archive(chapter: u32) -> Self {
        let steps = vec![
            Step {
                deed: Deed::Send { version: "1.0.0", environments: &["dev"] },
                leaves: vec![
                    "stored 1.0.0",
                    "described 1.0.0 [dev]",
                    "charted 1.0.0",
                    "selected dev 1.0.0",
                    "rendered dev 1.0.0",
                ],
                runs: vec![("dev", "1.0.0")],
            },
            Step {
                deed: Deed::Send { version: "1.1.0", environments: &["dev", "prod"] },
                leaves: vec![
                    "stored 1.1.0",
                    "described 1.1.0 [dev prod]",
                    "charted 1.1.0",
                    "selected dev 1.1.0",
                    "rendered dev 1.1.0",
                    "selected prod 1.1.0",
                    "rendered prod 1.1.0",
                ],
                runs: vec![("dev", "1.1.0"), ("prod", "1.1.0")],
            },
            Step {
                deed: Deed::Override { environment: "dev", spec: json!({"version": {"pin": "1.0.0"}}) },
                leaves: vec!["selected dev 1.0.0", "rendered dev 1.0.0"],
                runs: vec![("dev", "1.0.0"), ("prod", "1.1.0")],
            },
            Step {
                deed: Deed::Delete,
                leaves: vec!["deleted 1.1.0 Retain"],
                runs: vec![("dev", "1.0.0"), ("prod", "1.1.0")],
            },
            Step {
                deed: Deed::Remove { environment: "prod" },
                leaves: vec!["removed prod"],
                runs: vec![("dev", "1.0.0")],
            },
        ];
        Self { application: format!("archive-{chapter}"), steps }
    }

    /// An image is named, given an environment, overridden twice, and its data is given up.
    pub fn reference(chapter: u32) -> Self {
        let refer = |environments| Deed::Refer { version: "1.0.0", environments, retention: "Delete" };
        let kustomize = json!({"kustomize": {"labels": {"team": "checkout"}, "patches": [{
            "target": {"kind": "Deployment"},
            "patch": "- {op: replace, path: /spec/replicas, value: 4}",
        }]}});
        let steps = vec![
            Step {
                deed: refer(&[]),
                leaves: vec!["stored 1.0.0", "described 1.0.0 []", "charted 1.0.0"],
                runs: vec![],
            },
            Step {
                deed: refer(&["dev"]),
                leaves: vec!["described 1.0.0 [dev]", "selected dev 1.0.0", "rendered dev 1.0.0"],
                runs: vec![("dev", "1.0.0")],
            },
            Step {
                deed: Deed::Override { environment: "dev", spec: json!({"values": {"replicas": 3}}) },
                leaves: vec!["rendered dev 1.0.0"],
                runs: vec![("dev", "1.0.0")],
            },
            Step {
                deed: Deed::Override { environment: "dev", spec: kustomize },
                leaves: vec!["rendered dev 1.0.0"],
                runs: vec![("dev", "1.0.0")],
            },
            Step { deed: Deed::Delete, leaves: vec!["deleted 1.0.0 Delete", "purged 1.0.0"], runs: vec![] },
            Step { deed: Deed::Remove { environment: "dev" }, leaves: vec!["removed dev"], runs: vec![] },
        ];
        Self { application: format!("reference-{chapter}"), steps }
    }

    /// An upload goes and comes back with the same content: that is all that is told of it.
    pub fn returning(chapter: u32) -> Self {
        let send = || Deed::Send { version: "2.0.0", environments: &["dev"] };
        let steps = vec![
            Step {
                deed: send(),
                leaves: vec![
                    "stored 2.0.0",
                    "described 2.0.0 [dev]",
                    "charted 2.0.0",
                    "selected dev 2.0.0",
                    "rendered dev 2.0.0",
                ],
                runs: vec![("dev", "2.0.0")],
            },
            Step { deed: Deed::Delete, leaves: vec!["deleted 2.0.0 Retain"], runs: vec![("dev", "2.0.0")] },
            Step { deed: send(), leaves: vec!["described 2.0.0 [dev]"], runs: vec![("dev", "2.0.0")] },
        ];
        Self { application: format!("returning-{chapter}"), steps }
    }

    /// What an overlay says itself is delivered, changed, put right, and in every other chapter taken away: in the end
    /// there has to be something to compare.
    pub fn delivered(chapter: u32) -> Self {
        const FIRST: Contents = &[("one", "1"), ("two", "2")];
        // One changes, one goes, one is new.
        const SECOND: Contents = &[("one", "changed"), ("three", "3")];
        let deliver = |contents| Step {
            deed: Deed::Deliver(contents),
            leaves: vec!["rendered edge -", "requested edge here -", "applied edge here -", "healthy edge here -"],
            runs: vec![],
        };
        let mut steps =
            vec![deliver(FIRST), deliver(SECOND), Step { deed: Deed::Disturb(SECOND), leaves: vec![], runs: vec![] }];
        if chapter.is_multiple_of(2) {
            steps.push(Step {
                deed: Deed::Remove { environment: "edge" },
                leaves: vec!["removed edge", "removed edge here -"],
                runs: vec![],
            });
        }
        Self { application: format!("delivered-{chapter}"), steps }
    }

    /// The facts that the journal has to hold, step by step, sorted within a step.
    pub fn facts(&self) -> Vec<Vec<&str>> {
        let sorted = |step: &Step| {
            let mut facts = step.leaves.clone();
            facts.sort_unstable();
            facts
        };
        self.steps.iter().map(sorted).collect()
    }

    /// Does it, each step once the one before has come to its end. With interruptions, those who send archives are
    /// killed now and then, and run again.
    pub async fn run(&self, plane: &Plane, registry: &Registry, interruptions: Option<&Interruptions>) {
        for step in &self.steps {
            self.perform(&step.deed, plane, registry, interruptions).await;
            self.settled(step, plane).await;
        }
    }

    async fn perform(&self, deed: &Deed, plane: &Plane, registry: &Registry, interruptions: Option<&Interruptions>) {
        let application = self.application.as_str();
        match deed {
            Deed::Send { version, environments } => {
                let archive = Image::of(&format!("{application} {version}")).archive();
                let file = plane.file(&format!("{application}-{version}.tar"), &archive);
                let mut arguments = vec!["upload", &file, "--application", application, "--version", version];
                arguments.extend(["--namespace", &plane.namespace, "--no-wait"]);
                arguments.extend(environments.iter().flat_map(|environment| ["--environment", environment]));
                self.send(plane, &arguments, interruptions).await;
            }
            Deed::Refer { version, environments, retention } => {
                let image = Image::of(&format!("{application} {version}"));
                let reference = registry.push(&image, &format!("test/{application}"), version).await;
                let spec = json!({
                    "application": application,
                    "version": version,
                    "images": [{"name": "main", "source": {"reference": {"image": reference}}}],
                    "environments": environments,
                    "retentionPolicy": retention,
                });
                plane.apply::<ImageUpload>(application, spec).await;
            }
            Deed::Override { environment, spec } => {
                let mut spec = spec.clone();
                spec["application"] = json!(application);
                spec["environment"] = json!(environment);
                plane.apply::<EnvironmentOverlay>(&format!("{application}.{environment}"), spec).await;
            }
            Deed::Remove { environment } => {
                plane.delete::<EnvironmentOverlay>(&format!("{application}.{environment}")).await;
            }
            Deed::Delete => plane.delete::<ImageUpload>(application).await,
            Deed::Deliver(contents) => {
                let manifests: Vec<_> =
                    contents.iter().map(|(end, value)| config_map(&format!("{application}-{end}"), value)).collect();
                let spec = json!({
                    "application": application, "environment": "edge", "base": {"manifests": manifests},
                });
                plane.apply::<EnvironmentOverlay>(&format!("{application}.edge"), spec).await;
            }
            Deed::Disturb(contents) => {
                let [(changed, _), .., (deleted, _)] = contents else { panic!("there are two: {contents:?}") };
                here::change(plane, &format!("{application}-{changed}")).await;
                here::delete(plane, &format!("{application}-{deleted}")).await;
                here::revoke(plane).await;
            }
        }
    }

    /// Runs the command until it has done its work, however often it is interrupted.
    async fn send(&self, plane: &Plane, arguments: &[&str], interruptions: Option<&Interruptions>) {
        let Some(interruptions) = interruptions else {
            let outcome = plane.orbit(arguments).await;
            assert!(outcome.good, "{arguments:?}: {}", outcome.text);
            return;
        };
        let whole = async {
            loop {
                let run = plane.orbit(arguments);
                // A run that is dropped is killed.
                if tokio::time::timeout(interruptions.next(), run).await.is_ok_and(|outcome| outcome.good) {
                    return;
                }
            }
        };
        tokio::time::timeout(plane.patience, whole).await.unwrap_or_else(|_| panic!("{arguments:?} never ends well"));
    }

    /// Waits until what the step asks for is so.
    async fn settled(&self, step: &Step, plane: &Plane) {
        let application = self.application.as_str();
        if let Deed::Send { version, .. } | Deed::Refer { version, .. } = step.deed {
            plane
                .until(application, &format!("ready with {version}"), |upload: &ImageUpload| {
                    let stored = upload.status.as_ref().and_then(|status| status.release.as_ref());
                    is_ready(upload) && stored.is_some_and(|release| release.version == version)
                })
                .await;
            plane.until_ready::<HelmChart>(&format!("{application}.{version}")).await;
        }
        for version in step.leaves.iter().filter_map(|fact| fact.strip_prefix("purged ")) {
            plane.until_gone::<HelmChart>(&format!("{application}.{version}")).await;
        }
        for (environment, version) in &step.runs {
            let name = format!("{application}.{environment}");
            plane
                .until(&name, &format!("running {version}"), |overlay: &EnvironmentOverlay| {
                    let selected = overlay.status.as_ref().and_then(|status| status.selected.as_ref());
                    is_ready(overlay) && selected.is_some_and(|selected| selected.version == *version)
                })
                .await;
        }
        if let Deed::Deliver(contents) | Deed::Disturb(contents) = step.deed {
            here::until_it_has(plane, application, contents).await;
            plane.until_delivered(&format!("{application}.edge"), here::CLUSTER).await;
        }
        if let Deed::Remove { environment: "edge" } = step.deed {
            plane.until_gone::<Delivery>(&plane.delivery(&format!("{application}.edge"), here::CLUSTER)).await;
        }
        if let Deed::Disturb(_) = step.deed {
            here::until_credited(plane).await;
        }
    }
}

fn is_ready<K: crate::plane::Conditions + kube::Resource>(object: &K) -> bool {
    condition(object, condition_type::READY).is_some_and(|ready| ready.status == ConditionStatus::True)
}
