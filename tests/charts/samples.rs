//! Eight images, each with something of its own.

use std::collections::BTreeMap;

use orbit_plane::{
    api::Workload,
    digest::Digest,
    manifestor::{Chart, ChartInput, ImageConfig, ManifestorError, RunAs, generate},
};
use serde_json::json;

pub struct Sample {
    pub name: &'static str,
    pub image: ImageConfig,
    pub run_as: RunAs,
}

/// An image whose config says this.
pub fn image(config: serde_json::Value) -> ImageConfig {
    ImageConfig::parse(json!({"config": config}).to_string().as_bytes()).unwrap()
}

const APP: RunAs = RunAs::Numeric { uid: 1000, gid: Some(1001) };

pub fn samples() -> Vec<Sample> {
    let sample = |name, config, run_as| Sample { name, image: image(config), run_as };
    let http = || json!({"8080/tcp": {}});
    vec![
        sample("no USER", json!({"ExposedPorts": http()}), RunAs::Root),
        sample("named", json!({"User": "app", "ExposedPorts": http()}), APP),
        sample(
            "numeric",
            json!({"User": "1000660000", "ExposedPorts": {"80/tcp": {}, "443/tcp": {}}, "StopSignal": "SIGQUIT"}),
            RunAs::Numeric { uid: 1_000_660_000, gid: None },
        ),
        sample("root", json!({"User": "root", "ExposedPorts": http()}), RunAs::Root),
        sample("no EXPOSE", json!({"User": "1000"}), RunAs::Numeric { uid: 1000, gid: None }),
        sample("UDP", json!({"User": "1000:1001", "ExposedPorts": {"53/udp": {}, "53/tcp": {}, "9000/sctp": {}}}), APP),
        sample(
            "HEALTHCHECK",
            json!({"User": "app", "ExposedPorts": http(), "Healthcheck": {
                "Test": ["CMD-SHELL", "wget -qO- \"http://localhost:8080/{{ healthz }}\" || exit 1"],
                "Interval": 10_000_000_000_u64, "Timeout": 1_500_000_000_u64, "StartPeriod": 60_000_000_000_u64, "Retries": 4,
            }}),
            APP,
        ),
        sample(
            "VOLUME",
            json!({"User": "app", "ExposedPorts": http(), "Volumes": {"/data": {}, "/var/cache/web": {}, "/a:b": {}},
                "Labels": {"org.opencontainers.image.description": "A shop: \"web\"\n- *x & {{ y }} # z",
                    "org.opencontainers.image.source": "https://git.example/shop/web"}}),
            APP,
        ),
    ]
}

impl Sample {
    pub fn chart(&self) -> Chart {
        self.chart_with(&BTreeMap::from([("LOG_LEVEL".into(), "info".into())]), &Workload::default()).unwrap()
    }

    pub fn chart_with(&self, config: &BTreeMap<String, String>, workload: &Workload) -> Result<Chart, ManifestorError> {
        generate(&ChartInput {
            application: "web",
            version: "1.4.0",
            release_digest: Digest::of("release"),
            repository: "shop/web".into(),
            image_digest: Digest::of("image"),
            image: &self.image,
            run_as: self.run_as.clone(),
            config,
            workload,
        })
    }
}

pub fn sample(name: &str) -> Sample {
    samples().into_iter().find(|sample| sample.name == name).unwrap()
}
