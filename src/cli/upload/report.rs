//! What came of it, for people and for programs.

use std::fmt::Write;

use clap::ValueEnum;
use indicatif::BinaryBytes;
use serde::Serialize;

use crate::{
    api::{ConditionStatus, ImageStatus, ImageUpload, condition_type},
    digest::Digest,
};

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// What came of an upload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    namespace: String,
    name: String,
    application: String,
    version: String,
    ready: bool,
    environments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<Digest>,
    images: Vec<ImageStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stalled: Option<Stalled>,
}

/// Why nothing more will happen.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Stalled {
    reason: String,
    message: String,
}

impl Report {
    /// As the object says it. What its status says of another version is left out.
    pub fn of(object: &ImageUpload) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let holds = |of_type: &str| {
            let found = status.conditions.iter().find(|c| c.type_ == of_type && c.status == ConditionStatus::True);
            found.filter(|c| c.observed_generation.or(status.observed_generation) == object.metadata.generation)
        };
        let release = status.release.as_ref().filter(|release| release.version == object.spec.version);
        Self {
            namespace: object.metadata.namespace.clone().unwrap_or_default(),
            name: object.metadata.name.clone().unwrap_or_default(),
            application: object.spec.application.clone(),
            version: object.spec.version.clone(),
            ready: release.is_some() && holds(condition_type::READY).is_some(),
            environments: object.spec.environments.clone(),
            release: release.map(|release| release.digest),
            images: release.map(|_| status.images.clone()).unwrap_or_default(),
            chart: release.and(status.chart_ref.as_ref()).map(|chart| chart.name.clone()),
            stalled: holds(condition_type::STALLED)
                .map(|c| Stalled { reason: c.reason.clone(), message: c.message.clone() }),
        }
    }

    /// The text to print, without a line end.
    pub fn print(&self, format: Format) -> anyhow::Result<String> {
        match format {
            Format::Json => Ok(serde_json::to_string_pretty(self)?),
            Format::Text => Ok(self.text()),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}", self.application, self.version);
        let mut line = |label: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {label:13}{value}");
        };
        match &self.release {
            Some(digest) => line("release", &digest.to_string()),
            None => line("release", "not stored yet"),
        }
        for image in &self.images {
            let size = BinaryBytes(u64::try_from(image.size).unwrap_or_default());
            line("image", &format!("{} ({}, {size})", image.digest, image.platforms.join(", ")));
        }
        if let Some(chart) = &self.chart {
            line("chart", chart);
        }
        match self.environments.as_slice() {
            [] => line("environments", "none"),
            names => line("environments", &names.join(", ")),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    fn object(version_stored: &str) -> ImageUpload {
        serde_json::from_value(json!({
            "apiVersion": "orbit.k8or.io/v1alpha1",
            "kind": "ImageUpload",
            "metadata": {"name": "web", "namespace": "shop", "generation": 1},
            "spec": {"application": "web", "version": "1.4.0", "images": [], "environments": ["dev", "prod"]},
            "status": {
                "observedGeneration": 1,
                "release": {"version": version_stored, "digest": Digest::of("r")},
                "images": [{"name": "main", "digest": Digest::of("i"), "size": 2048, "platforms": ["linux/amd64"], "repository": "shop/web"}],
                "chartRef": {"name": "web.1.4.0"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn tells_people() {
        let expected = format!(
            "web 1.4.0\n  release      {}\n  image        {} (linux/amd64, 2.00 KiB)\n  chart        web.1.4.0\n  environments dev, prod",
            Digest::of("r"),
            Digest::of("i"),
        );
        assert_eq!(Report::of(&object("1.4.0")).print(Format::Text).unwrap(), expected);
    }

    #[test]
    fn tells_programs() {
        let report: serde_json::Value =
            serde_json::from_str(&Report::of(&object("1.4.0")).print(Format::Json).unwrap()).unwrap();
        assert_eq!(report["ready"], true);
        assert_eq!(report["release"], json!(Digest::of("r")));
        assert_eq!(report["images"][0]["repository"], "shop/web");
        assert_eq!(report["chart"], "web.1.4.0");
    }

    #[test]
    fn says_nothing_of_another_version() {
        let report = Report::of(&object("1.3.0"));
        assert!(!report.ready && report.release.is_none() && report.images.is_empty() && report.chart.is_none());
        assert!(report.print(Format::Text).unwrap().contains("not stored yet"));
    }
}
