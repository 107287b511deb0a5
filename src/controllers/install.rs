//! What has to be in a cluster before the plane can work there: the CRDs, and the policy that stamps who changed a spec.
//!
//! On a real installation Helm applies them; the embedded one does it itself.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    api::admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, CustomResourceExt, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::ClusterResourceScope,
    runtime::{conditions, wait::await_condition},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, FIELD_MANAGER, HelmChart, ImageUpload, annotation},
    digest::Digest,
    failpoint,
};

const CHANGED_BY_POLICY: &str = include_str!("../../charts/orbit-plane/templates/changed-by.yaml");
/// Name of the policy, and of its binding.
const CHANGED_BY_POLICY_NAME: &str = "orbit-changed-by";
/// How long the API server may take to put a policy in force, and how often it is asked.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

/// Why a cluster could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The API server refused an object.
    #[error("applying {kind} {name}")]
    Apply {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// A kind was applied but is not served.
    #[error("the API server does not serve {name} within {} s of its CRD being applied: see kubectl describe crd {name}", ESTABLISHED_WITHIN.as_secs())]
    NotEstablished {
        /// The CRD.
        name: String,
    },
    /// The embedded policy is no policy: a defect of this program.
    #[error("the embedded policy: {0}")]
    Policy(#[from] serde_yaml::Error),
}

/// Every CRD of the plane.
pub fn crds() -> [CustomResourceDefinition; 5] {
    [ImageUpload::crd(), HelmChart::crd(), EnvironmentOverlay::crd(), EphemeralCluster::crd(), Delivery::crd()]
}

/// Applies the CRDs and the policy where they are not there as this program has them, and waits until the kinds are
/// served.
pub async fn install(client: &Client) -> Result<(), InstallError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crds() {
        apply(client, &crd).await?;
        let name = crd.name_any();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        match tokio::time::timeout(ESTABLISHED_WITHIN, established).await {
            Ok(Ok(_)) => {}
            _ => return Err(InstallError::NotEstablished { name }),
        }
    }
    match install_policy(client).await {
        // Older servers do not have the kind. Without it nobody stamps specs, which `stamps_specs` finds out.
        Err(InstallError::Apply { source: kube::Error::Api(status), .. }) if status.code == 404 => Ok(()),
        Ok(Applied::Now) => await_stamp(client).await,
        Ok(Applied::Before) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Waits until the policy is in force: the API server takes a moment, in which the first upload would go unstamped.
async fn await_stamp(client: &Client) -> Result<(), InstallError> {
    let probe: ImageUpload = serde_json::from_value(json!({
        "metadata": {"name": "orbit-changed-by"},
        "spec": {
            "application": "probe",
            "version": "0.0.0",
            "images": [{"name": "main", "source": {"reference": {"image": "probe"}}}],
        },
    }))
    .expect("the probe is an ImageUpload");
    let uploads = Api::<ImageUpload>::namespaced(client.clone(), "default");
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let refused = |source| InstallError::Apply { kind: "ImageUpload".into(), name: "a dry run".into(), source };
    let in_force = async {
        loop {
            let created = uploads.create(&params, &probe).await.map_err(refused)?;
            if created.annotations().contains_key(annotation::CHANGED_BY) {
                return Ok(());
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    };
    // Should it never be, the history says so; there is no reason not to work.
    tokio::time::timeout(IN_FORCE_WITHIN, in_force).await.unwrap_or(Ok(()))
}

async fn install_policy(client: &Client) -> Result<Applied, InstallError> {
    let mut documents = serde_yaml::Deserializer::from_str(CHANGED_BY_POLICY);
    let mut applied = Applied::Before;
    if let Some(policy) = documents.next() {
        applied = applied.max(apply(client, &MutatingAdmissionPolicy::deserialize(policy)?).await?);
    }
    if let Some(binding) = documents.next() {
        applied = applied.max(apply(client, &MutatingAdmissionPolicyBinding::deserialize(binding)?).await?);
    }
    Ok(applied)
}

/// Whether the API server stamps who changed a spec. Where it does not, the annotation says whatever its writer likes.
pub async fn stamps_specs(client: &Client) -> Result<bool, kube::Error> {
    let bindings = Api::<MutatingAdmissionPolicyBinding>::all(client.clone());
    Ok(bindings.get_metadata_opt(CHANGED_BY_POLICY_NAME).await?.is_some())
}

/// Whether an object had to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Applied {
    /// It is there as this program has it.
    Before,
    /// It was applied just now.
    Now,
}

/// Applies an object, unless the one in the cluster was applied from the same manifest: a restart writes nothing.
async fn apply<K>(client: &Client, object: &K) -> Result<Applied, InstallError>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let name = object.name_any();
    let manifest = Digest::of_canonical(object).to_string();
    let refused = |source| InstallError::Apply { kind: K::kind(&()).into_owned(), name: name.clone(), source };
    let api = Api::<K>::all(client.clone());
    let present = api.get_metadata_opt(&name).await.map_err(refused)?;
    if present.is_some_and(|present| present.annotations().get(annotation::MANIFEST) == Some(&manifest)) {
        return Ok(Applied::Before);
    }
    let mut object = object.clone();
    object.annotations_mut().insert(annotation::MANIFEST.to_owned(), manifest);
    api.patch(&name, &params, &Patch::Apply(&object)).await.map_err(refused)?;
    failpoint::after_write("install");
    Ok(Applied::Now)
}
