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
    api::{Patch, PatchParams},
    core::ClusterResourceScope,
    runtime::{conditions, wait::await_condition},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api::{EnvironmentOverlay, FIELD_MANAGER, HelmChart, ImageUpload},
    failpoint,
};

const CHANGED_BY_POLICY: &str = include_str!("../../charts/orbit-plane/templates/changed-by.yaml");
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

/// Why a cluster could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The API server refused an object.
    #[error("applying {kind} {name}: {source}")]
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
pub fn crds() -> [CustomResourceDefinition; 3] {
    [ImageUpload::crd(), HelmChart::crd(), EnvironmentOverlay::crd()]
}

/// Applies the CRDs and the policy, and waits until the kinds are served. Applying what is there changes nothing.
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
    let mut documents = serde_yaml::Deserializer::from_str(CHANGED_BY_POLICY);
    if let Some(policy) = documents.next() {
        apply(client, &MutatingAdmissionPolicy::deserialize(policy)?).await?;
    }
    if let Some(binding) = documents.next() {
        apply(client, &MutatingAdmissionPolicyBinding::deserialize(binding)?).await?;
    }
    Ok(())
}

async fn apply<K>(client: &Client, object: &K) -> Result<(), InstallError>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let name = object.name_any();
    let applied = Api::<K>::all(client.clone()).patch(&name, &params, &Patch::Apply(object)).await;
    applied.map_err(|source| InstallError::Apply { kind: K::kind(&()).into_owned(), name, source })?;
    failpoint::after_write("install");
    Ok(())
}
