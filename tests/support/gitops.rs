//! What other tools take from the plane: their kinds, and the samples for them.

// Every test program uses a part of it.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::Value;

/// A release of a tool as a Go module, the checksum of that, and the CRD that is wanted of it.
pub struct Schema {
    pub module: &'static str,
    pub sum: &'static str,
    pub file: &'static str,
}

/// Flux's kinds: of the sources that the plane is, and of what becomes of them.
pub const FLUX: [Schema; 3] = [
    Schema {
        module: "github.com/fluxcd/source-controller@v1.9.5",
        sum: "h1:MFPyCodUi9hZIMaKDsC/rYbNoyzpvrAdrPVixj7W9F0=",
        file: "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
    },
    Schema {
        module: "github.com/fluxcd/kustomize-controller@v1.9.5",
        sum: "h1:/XY2zy3K7fntyppEXIHG7oRMzmfgIt50eJzUfaPX1Kc=",
        file: "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    },
    Schema {
        module: "github.com/fluxcd/helm-controller@v1.6.4",
        sum: "h1:u/Ew7LehrwDQaE/NqWdaB3XnNDCxRGDcp1FZl7RKj4g=",
        file: "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
    },
];

/// Argo CD's.
pub const ARGO_CD: Schema = Schema {
    module: "github.com/argoproj/argo-cd/v3@v3.1.0",
    sum: "h1:2+gPskQKCyPC9DzRSWQ1AvmS3WiIlRR7bKz/FO3DozI=",
    file: "manifests/crds/application-crd.yaml",
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
    sum: String,
}

impl Schema {
    /// The CRD.
    pub fn read(&self) -> CustomResourceDefinition {
        read(&self.folder().join(self.file))
    }

    /// The CRD and all that come with it: what the tool itself does not start without.
    pub fn read_all(&self) -> Vec<CustomResourceDefinition> {
        let file = self.folder().join(self.file);
        let files = std::fs::read_dir(file.parent().expect("it lies in a folder")).unwrap();
        files.map(|file| read(&file.unwrap().path())).collect()
    }

    /// Where the release lies in Go's module cache.
    fn folder(&self) -> PathBuf {
        let output = Command::new("go")
            .args(["mod", "download", "-json", self.module])
            .current_dir(std::env::temp_dir())
            .output()
            .expect("go is on the PATH");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {said}{}", self.module, String::from_utf8_lossy(&output.stderr));
        let downloaded: Downloaded = serde_json::from_str(&said).unwrap();
        assert_eq!(downloaded.sum, self.sum, "{}", self.module);
        downloaded.dir
    }
}

fn read(file: &Path) -> CustomResourceDefinition {
    serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The objects for other tools.
pub fn samples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples/gitops");
    let mut samples = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let objects =
                serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
            samples.extend(objects.map(|object| (file.clone(), object)));
        }
    }
    samples
}
