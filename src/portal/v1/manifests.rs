//! What is rendered for an environment, to whoever may get EnvironmentOverlays.
//!
//! An overlay can bring Secrets of its own along (`spec.kustomize.resources`, `spec.base.manifests`). What these keep
//! leaves the portal neither as a page nor as a file.

use anyhow::Context;
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    comparison::{Object, objects, stored},
    digest::Digest,
    overlay::artifact,
    portal::{
        Portal,
        access::Right,
        by_digest::ByDigest,
        extract::{self, Named, name},
        problem::Problem,
        visitor::Visitor,
    },
    release::ApplicationKey,
};

/// YAML that is shown of all objects together at most, in bytes. As a file there is all of it.
const MAX_SHOWN: usize = 4 << 20;
/// Objects that are named at most.
const MAX_OBJECTS: usize = 2000;

/// How to send them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// json or yaml.
    #[serde(default)]
    format: ManifestsFormat,
}

/// How to send manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ManifestsFormat {
    /// Object by object.
    #[default]
    Json,
    /// As a file: one YAML stream.
    Yaml,
}

/// What is rendered for an environment.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manifests {
    /// The version; none where the base is manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Digest of the artifact that they are published as.
    digest: Digest,
    /// Digest of everything they were rendered from.
    inputs_digest: Digest,
    /// Since when.
    rendered_at: String,
    /// The objects, in the order of the file.
    objects: Vec<ManifestObject>,
    /// How many more there are than are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    more: Option<usize>,
}

/// An object of these.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestObject {
    /// Kind, group and name, as in `Deployment.apps/web`.
    name: String,
    /// The namespace that it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// As it is written; left out where all together would be too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    yaml: Option<String>,
    /// Whether what it keeps is left out, because it is a Secret.
    masked: bool,
}

/// `GET …/overlays/{application}/{environment}/manifests`
pub async fn show(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named([namespace, application, environment]): Named<[String; 3]>,
    extract::Asked(Asked { format }): extract::Asked<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    portal.access().require(&session, &[Right::GetOverlays], name("a namespace", &namespace)?).await?;
    name("an application", &application)?;
    name("an environment", &environment)?;
    let (stores, key) = (portal.stores(), ApplicationKey::new(namespace, application));
    let rendered = stored::rendered(&stores.charts, &key, &environment).await;
    let rendered = rendered.map_err(|error| {
        let Problem { status, detail, .. } = Problem::of_stores(error);
        match status {
            404 => Problem::not_found(format!("{detail}: the conditions of its EnvironmentOverlay say why")),
            _ => Problem::unavailable(detail),
        }
    })?;
    let answer = ByDigest::of(&rendered.artifact, &headers);
    if let Some(known) = answer.not_modified() {
        return Ok(known);
    }
    let _turn = portal.turns().object(&session).await?;
    let yaml = artifact::final_yaml(stores.harbor.as_ref(), &rendered.artifact).await.map_err(|error| {
        tracing::warn!("what is rendered of {key} for {environment} could not be shown: {error}");
        Problem::unavailable("what is rendered cannot be read from the plane's store: try again in a moment")
    })?;
    let (yaml, objects) = read(yaml).await.map_err(Problem::of_stores)?;
    if format == ManifestsFormat::Yaml {
        let file = format!("{}.{environment}.yaml", key.application);
        return Ok(answer.file(&file, "application/yaml", stream(yaml, &objects)));
    }
    let more = objects.len().checked_sub(MAX_OBJECTS).filter(|more| *more > 0);
    let manifests = Manifests {
        version: rendered.version,
        digest: rendered.artifact,
        inputs_digest: rendered.inputs_digest,
        rendered_at: rendered.at.to_string(),
        objects: shown(&objects),
        more,
    };
    Ok(answer.tagged(Json(manifests).into_response()))
}

/// The objects of a file. Where there are many it takes its time, in which nobody else is to wait.
async fn read(yaml: Vec<u8>) -> anyhow::Result<(String, Vec<Object>)> {
    tokio::task::spawn_blocking(move || {
        let yaml = String::from_utf8(yaml).context("what is rendered is no text")?;
        let objects = objects(&yaml).context("what is rendered is no YAML")?;
        Ok((yaml, objects))
    })
    .await?
}

/// All as one file: byte for byte, unless there are Secrets in it.
fn stream(yaml: String, objects: &[Object]) -> String {
    if !objects.iter().any(Object::is_secret) {
        return yaml;
    }
    objects.iter().map(Object::shown).collect::<Vec<_>>().join("---\n")
}

fn shown(objects: &[Object]) -> Vec<ManifestObject> {
    let mut left = MAX_SHOWN;
    let object = |object: &Object| {
        let yaml = Some(object.shown()).filter(|yaml| yaml.len() <= left);
        left -= yaml.as_ref().map_or(0, |yaml| yaml.len());
        ManifestObject {
            name: object.name().to_owned(),
            namespace: object.namespace().map(str::to_owned),
            yaml: yaml.map(Into::into),
            masked: object.is_secret(),
        }
    };
    objects.iter().take(MAX_OBJECTS).map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n";
    const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: hunter2}\n";

    #[test]
    fn what_secrets_keep_is_neither_shown_nor_handed_out() {
        let yaml = format!("{SERVICE}---\n{SECRET}");
        let found = objects(&yaml).unwrap();
        let objects = shown(&found);
        assert_eq!((objects[0].yaml.as_deref(), objects[0].masked), (Some(SERVICE), false));
        assert_eq!((objects[1].name.as_str(), objects[1].masked), ("Secret/web", true));
        let file = stream(yaml, &found);
        for text in [&file, objects[1].yaml.as_ref().unwrap()] {
            assert!(text.contains("password: '***'") && !text.contains("hunter2"), "{text}");
        }
        assert!(file.starts_with(&format!("{SERVICE}---\n")), "{file}");
    }

    #[test]
    fn without_secrets_a_file_is_what_was_rendered() {
        let yaml = format!("# first\n{SERVICE}---\n\n---\n{SERVICE}");
        assert_eq!(stream(yaml.clone(), &objects(&yaml).unwrap()), yaml);
    }

    #[test]
    fn what_is_too_large_is_only_named() {
        let large = format!("{SERVICE}# {}\n", "a".repeat(MAX_SHOWN / 2));
        let objects = shown(&objects(&format!("{large}---\n{large}---\n{SERVICE}")).unwrap());
        assert_eq!(objects.iter().map(|one| one.yaml.is_some()).collect::<Vec<_>>(), [true, false, true]);
    }
}
