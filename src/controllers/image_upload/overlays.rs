//! Default overlays: an environment that a release names gets one, unless it has one.

use serde_json::json;

use super::request::Request;
use crate::{
    api::{EnvironmentOverlay, GROUP, VERSION, overlay_name},
    controllers::{context::Context, outcome::Halt},
};

/// Applies what is missing. The plane owns `application` and `environment` only, so that a user's own overlay of the
/// name simply takes over.
pub async fn provide(context: &Context, request: &Request<'_>) -> Result<(), Halt> {
    let (namespace, application) = (&request.key.namespace, &request.key.application);
    for environment in &request.spec.environments {
        let name = overlay_name(application, environment);
        if context.api::<EnvironmentOverlay>(namespace).get_metadata_opt(&name).await?.is_some() {
            continue;
        }
        let overlay = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "EnvironmentOverlay",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"application": application, "environment": environment},
        });
        context.apply::<EnvironmentOverlay>(namespace, &name, &overlay).await?;
    }
    Ok(())
}
