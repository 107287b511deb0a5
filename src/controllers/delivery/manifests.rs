//! From an artifact in the Harbor to the objects that go into one cluster.

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

use super::{Request, Wanted, cluster::Target, inputs::Inputs};
use crate::{
    api::reason,
    cluster_plane::{
        objects::{self, DesiredObject, ObjectId},
        variables,
    },
    controllers::{context::Context, outcome::Halt},
    overlay::artifact::{self, ArtifactError},
};

/// The objects, with the cluster's variables in their places, and the Secrets that go with them.
pub async fn read(
    context: &Context,
    request: &Request<'_>,
    target: &Target,
    wanted: &Wanted,
    inputs: &Inputs,
) -> Result<Vec<DesiredObject>, Halt> {
    // A digest is no right to read what it names: the artifact has to be this application's own.
    if !context.chart_store.is_linked(&request.key, &wanted.artifact).await? {
        let message = format!("the artifact {} is none of application {}'s", wanted.artifact, request.key);
        return Err(Halt::stalled(reason::INVALID_SPEC, message));
    }
    let yaml = artifact::final_yaml(context.harbor.as_ref(), &wanted.artifact).await?;
    let invalid = |error: String| Halt::stalled(reason::INVALID_SPEC, error);
    let yaml = String::from_utf8(yaml).map_err(|error| invalid(error.to_string()))?;
    let mut objects = objects::read(&yaml).map_err(|error| invalid(error.to_string()))?;
    for object in &mut objects {
        variables::substitute(&mut object.value, &target.variables)
            .map_err(|error| Halt::stalled(reason::VARIABLE_UNKNOWN, format!("{}: {error}", object.id)))?;
    }
    let namespace = &request.object.spec.target_namespace;
    objects.extend(inputs.secrets.iter().map(|secret| as_object(secret, namespace)));
    Ok(objects)
}

impl From<ArtifactError> for Halt {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::Harbor(error) => error.into(),
            error => Self::stalled(reason::INTERNAL, error.to_string()),
        }
    }
}

/// A Secret that is copied along, as an object like all others.
fn as_object(secret: &Secret, namespace: &str) -> DesiredObject {
    let name = secret.metadata.name.clone().unwrap_or_default();
    let id = ObjectId { group: String::new(), kind: "Secret".into(), namespace: namespace.to_owned(), name };
    DesiredObject { id, version: "v1".into(), value: json!(secret) }
}
