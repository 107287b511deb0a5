//! Configuration comes out of a chart as the string that went in, whatever it looks like to a YAML reader.

use std::collections::BTreeMap;

use orbit_plane::api::Workload;
use serde_json::json;

use crate::{
    helm::{ChartDir, container, of_kind},
    samples::sample,
};

const TRAPS: [&str; 38] = [
    "0644",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "true",
    "null",
    "~",
    "",
    " ",
    "1e3",
    "0x1F",
    "0o17",
    "1_000",
    ".inf",
    "12:30:45",
    "2026-11-24",
    "- a",
    "*x",
    "&x",
    "!x",
    "#x",
    "a: b",
    "{{ .Values.image }}",
    "{{",
    "}}",
    "%x",
    "@x",
    "`x`",
    "it's \"quoted\" \\n",
    " both ends ",
    "two\nlines\n",
    "\ttab\r\n",
    "é 🙂 日本 \u{85}\u{2028}\u{feff}",
    "\u{1}\u{7f}\u{9f}",
    "---\n...",
];

fn survives(config: &BTreeMap<String, String>) {
    let chart = sample("named").chart_with(config, &Workload::default()).unwrap();
    let chart = ChartDir::new(&chart);
    chart.lint().unwrap_or_else(|e| panic!("{e}\n{config:?}"));
    let objects = chart.template(&json!({})).unwrap();
    match of_kind(&objects, "ConfigMap") {
        Some(object) => assert_eq!(object["data"], json!(config)),
        None => assert!(config.is_empty()),
    }
}

#[test]
fn traps_as_values() {
    survives(&TRAPS.iter().enumerate().map(|(i, value)| (format!("KEY_{i}"), (*value).to_owned())).collect());
}

#[test]
fn traps_as_keys() {
    let keys = ["yes", "on", "n", "null", "1e3", "0644", "a.b", "-", ".x", "true"];
    survives(&keys.iter().map(|key| ((*key).to_owned(), (*key).to_owned())).collect());
}

#[test]
fn traps_in_an_overlay() {
    let chart = ChartDir::new(&sample("named").chart());
    let config: BTreeMap<_, _> = TRAPS.iter().enumerate().map(|(i, value)| (format!("K{i}"), *value)).collect();
    let objects = chart.template(&json!({"config": config})).unwrap();
    let data = &of_kind(&objects, "ConfigMap").unwrap()["data"];
    for (key, value) in &config {
        assert_eq!(data[key], *value);
    }
}

#[test]
fn a_change_of_config_restarts_the_pods() {
    let chart = ChartDir::new(&sample("named").chart());
    let checksum = |values| {
        let objects = chart.template(&values).unwrap();
        assert_eq!(container(&objects)["envFrom"][0]["configMapRef"]["name"], "web");
        let annotations = &of_kind(&objects, "Deployment").unwrap()["spec"]["template"]["metadata"]["annotations"];
        annotations["checksum/config"].as_str().unwrap().to_owned()
    };
    assert_eq!(checksum(json!({})), checksum(json!({"replicas": 5})));
    assert_ne!(checksum(json!({})), checksum(json!({"config": {"LOG_LEVEL": "debug"}})));
}

/// Arbitrary configuration lints and survives. The seed is printed with a failure.
#[test]
fn arbitrary_configuration_survives() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    const KEY: &[u8] = b"abcXYZ019-_.";
    for _ in 0..12 {
        let config = (0..random.usize(0..40))
            .map(|_| {
                let length = random.usize(1..20);
                let key: String = (0..length).map(|_| KEY[random.usize(..KEY.len())] as char).collect();
                let length = random.usize(0..200);
                let value: String = (0..length)
                    .map(|_| match random.u8(0..4) {
                        0 => random.char('\u{1}'..='\u{ff}'),
                        1 => random.char('\u{1}'..=char::MAX),
                        2 => random.choice(['{', '}', '"', '\'', '\\', ':', '#', '\n', ' ']).unwrap(),
                        _ => random.alphanumeric(),
                    })
                    .collect();
                (key, value)
            })
            .filter(|(key, _)| key != "." && !key.starts_with(".."))
            .collect();
        survives(&config);
    }
}
