//! What the renderer is asked and what it answers: one JSON value per frame (see `renderer/frame.go`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Request<'a> {
    /// Are you there?
    Ping,
    /// The newest of `versions` that a range allows.
    Select(SelectRequest<'a>),
    /// A chart or manifests, with values and overrides, as final YAML.
    Render(Box<RenderRequest<'a>>),
}

/// The newest of `versions` that a range in Helm's dialect allows; an empty range allows all.
#[derive(Debug, Clone, Serialize)]
pub struct SelectRequest<'a> {
    /// The range.
    pub range: &'a str,
    /// `Include` or `Exclude`.
    pub prereleases: crate::api::Prereleases,
    /// The candidates.
    pub versions: &'a [String],
}

/// Everything a rendering depends on. Its RFC 8785 form is what the inputs digest covers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderRequest<'a> {
    /// The packaged chart, base64; none when `manifests` is the base.
    pub chart: Option<String>,
    /// Manifests in place of a chart.
    pub manifests: Option<String>,
    /// The Helm release.
    pub release: HelmRelease<'a>,
    /// The Kubernetes version that templates see, without `v`.
    pub kube_version: &'a str,
    /// The values, laid over the chart's own.
    pub values: &'a serde_json::Map<String, serde_json::Value>,
    /// The overrides.
    pub kustomization: &'a crate::api::Kustomize,
}

/// Name and namespace of a Helm release.
#[derive(Debug, Clone, Serialize)]
pub struct HelmRelease<'a> {
    /// Its name: the application's.
    pub name: &'a str,
    /// Where its objects go.
    pub namespace: &'a str,
}

/// An answer: `ok` and the result, or the error.
#[derive(Debug, Deserialize)]
pub struct Reply<T> {
    ok: bool,
    error: Option<RenderFailure>,
    #[serde(flatten)]
    result: Option<T>,
}

impl<T> Reply<T> {
    /// The result or the failure; none when the reply is neither.
    pub fn into_result(self) -> Option<Result<T, RenderFailure>> {
        match (self.ok, self.error, self.result) {
            (false, Some(failure), _) => Some(Err(failure)),
            (true, None, Some(result)) => Some(Ok(result)),
            _ => None,
        }
    }
}

/// The versions of what renders: part of every inputs digest, since other versions may render other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The renderer's output version.
    pub renderer: String,
    /// Helm's.
    pub helm: String,
    /// Kustomize's.
    pub kustomize: String,
}

/// Answer to [`Request::Ping`].
#[derive(Debug, Deserialize)]
pub struct PingReply {
    /// What is running.
    pub versions: Versions,
}

/// Answer to [`Request::Select`].
#[derive(Debug, Deserialize)]
pub struct SelectReply {
    /// The newest, or none.
    pub version: Option<String>,
}

/// Answer to [`Request::Render`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rendering {
    /// The final manifests as YAML.
    pub manifest: String,
    /// The same as a plain kustomization over pre-rendered resources, by file name.
    pub files: BTreeMap<String, String>,
    /// The objects in it.
    pub objects: Vec<ObjectRef>,
    /// Image references its workloads run.
    pub images: Vec<String>,
}

/// A Kubernetes object by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why something could not be rendered: the input's fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RenderFailure {
    /// One CamelCase word, used as the condition's reason.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The file at fault, as in `templates/deployment.yaml`.
    #[serde(default)]
    pub file: String,
    /// Its line, from 1; 0 when unknown.
    #[serde(default)]
    pub line: u32,
}

impl std::fmt::Display for RenderFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (file, 0) => write!(f, "{file}: {}", self.message),
            (file, line) => write!(f, "{file}:{line}: {}", self.message),
        }
    }
}
