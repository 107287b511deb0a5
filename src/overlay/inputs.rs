//! What a rendering depends on, and the digest over it: equal inputs are never rendered again.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::renderer::{HelmRelease, RenderRequest, Versions};
use crate::{
    api::{EnvironmentOverlaySpec, Kustomize},
    digest::Digest,
};

/// What the overrides apply to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BaseInput {
    /// A published chart, by the digest of its OCI manifest.
    Chart(Digest),
    /// Manifests of the overlay's own, joined.
    Manifests(String),
}

/// Everything a rendering depends on, by value or by digest.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    base: BaseInput,
    release_name: String,
    namespace: String,
    kube_version: String,
    values: Map<String, Value>,
    kustomize: Kustomize,
    versions: Versions,
}

/// What the installation, not the overlay, decides.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// Host (and port) of the registry that images are pulled from; empty when none is set.
    pub registry_host: &'a str,
    /// Secret with which they are pulled, if any.
    pub image_pull_secret: Option<&'a str>,
    /// Kubernetes version that templates see, without `v`.
    pub kube_version: &'a str,
    /// What renders.
    pub versions: &'a Versions,
}

impl Inputs {
    /// The inputs of an overlay that lives in `own_namespace`.
    pub fn new(
        spec: &EnvironmentOverlaySpec,
        own_namespace: &str,
        base: BaseInput,
        surroundings: &Surroundings<'_>,
    ) -> Self {
        let own_values = spec.values.as_ref().map(|v| v.0.clone()).unwrap_or_default();
        let values = match base {
            BaseInput::Chart(_) => with_registry(own_values, surroundings),
            BaseInput::Manifests(_) => own_values,
        };
        Self {
            base,
            release_name: spec.application.clone(),
            namespace: spec.target_namespace.as_deref().unwrap_or(own_namespace).to_owned(),
            kube_version: surroundings.kube_version.to_owned(),
            values,
            kustomize: spec.kustomize.clone().unwrap_or_default(),
            versions: surroundings.versions.clone(),
        }
    }

    /// The digest over all of it.
    pub fn digest(&self) -> Digest {
        Digest::of_canonical(self)
    }

    /// The request to the renderer; `chart` is the packaged chart in base64, where the base is one.
    pub fn request(&self, chart: Option<String>) -> RenderRequest<'_> {
        RenderRequest {
            chart,
            manifests: match &self.base {
                BaseInput::Chart(_) => None,
                BaseInput::Manifests(text) => Some(text.clone()),
            },
            release: HelmRelease { name: &self.release_name, namespace: &self.namespace },
            kube_version: &self.kube_version,
            values: &self.values,
            kustomization: &self.kustomize,
        }
    }
}

/// The registry and its pull secret are the installation's to say, unless the overlay says otherwise. They are never
/// baked into a chart.
fn with_registry(mut values: Map<String, Value>, surroundings: &Surroundings<'_>) -> Map<String, Value> {
    if !surroundings.registry_host.is_empty() {
        let image = values.entry("image").or_insert_with(|| json!({}));
        if let Value::Object(image) = image {
            image.entry("registry").or_insert_with(|| json!(surroundings.registry_host));
        }
    }
    if let Some(secret) = surroundings.image_pull_secret {
        values.entry("imagePullSecrets").or_insert_with(|| json!([{"name": secret}]));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions() -> Versions {
        Versions { renderer: "1".into(), helm: "v4".into(), kustomize: "v5".into() }
    }

    fn spec(yaml: &str) -> EnvironmentOverlaySpec {
        serde_yaml::from_str(&format!("application: web\nenvironment: prod\n{yaml}")).unwrap()
    }

    fn inputs(yaml: &str, registry_host: &str) -> Inputs {
        let versions = versions();
        let surroundings =
            Surroundings { registry_host, image_pull_secret: None, kube_version: "1.36.3", versions: &versions };
        Inputs::new(&spec(yaml), "shop", BaseInput::Chart(Digest::of("chart")), &surroundings)
    }

    #[test]
    fn what_does_not_render_is_no_input() {
        assert_eq!(inputs("interval: 1h", "r").digest(), inputs("interval: 2h\nsuspend: true", "r").digest());
    }

    #[test]
    fn everything_that_renders_is() {
        let plain = inputs("", "r").digest();
        for other in [
            inputs("", "other").digest(),
            inputs("targetNamespace: elsewhere", "r").digest(),
            inputs("values: {replicas: 3}", "r").digest(),
            inputs("kustomize: {labels: {a: b}}", "r").digest(),
        ] {
            assert_ne!(plain, other);
        }
    }

    #[test]
    fn an_overlay_may_name_its_own_registry() {
        let inputs = inputs("values: {image: {registry: mine}}", "theirs");
        assert_eq!(inputs.values["image"]["registry"], "mine");
    }
}
