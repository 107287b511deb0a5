//! Every sample in `config/samples` is taken by the API server as it is.

use orbit_plane::api::{EnvironmentOverlay, EphemeralCluster, HelmChart, ImageUpload};
use serde_json::{Value, json};

use crate::{cluster::with_namespace, objects::apply};

fn samples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| {
            let sample = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap());
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let sample = sample.unwrap_or_else(|e| panic!("{file}: {e}"));
            (file, sample)
        })
        .collect()
}

#[tokio::test]
async fn the_api_server_takes_every_sample() {
    with_namespace(|client, namespace| async move {
        let samples = samples();
        assert!(samples.len() >= 11, "{samples:?}");
        for (file, mut sample) in samples {
            sample["metadata"]["namespace"] = json!(namespace);
            apply(&client, &sample, true).await.unwrap_or_else(|e| panic!("{file}: {e}"));
        }
    })
    .await;
}

#[test]
fn the_program_reads_every_sample() {
    for (file, sample) in samples() {
        let read = match sample["kind"].as_str().unwrap() {
            "ImageUpload" => serde_json::from_value::<ImageUpload>(sample).map(drop),
            "HelmChart" => serde_json::from_value::<HelmChart>(sample).map(drop),
            "EnvironmentOverlay" => serde_json::from_value::<EnvironmentOverlay>(sample).map(drop),
            "EphemeralCluster" => serde_json::from_value::<EphemeralCluster>(sample).map(drop),
            other => panic!("{file}: {other} is no kind of the plane"),
        };
        read.unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}
